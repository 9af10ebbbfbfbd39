/**
 * Reads the credential scope from a client's own SigV4 credentials: `…/date/region/service/aws4_request`. It says where
 * the client wants to go. Tolerant and pure: it verifies nothing and never throws.
 */
import { findHeader, type HeaderPair } from '../../http/message.ts';
import { splitQuery } from '../../http/target.ts';
import { SIGV4_ALGORITHM } from './key.ts';

/** What a client says that it signed for. No part is checked beyond not being empty. */
export interface ClaimedScope {
  /** What stood before the scope; it may hold spaces and slashes (`Bearer sk-…` is seen in the wild). A secret. */
  readonly accessKeyId: string;
  /** `YYYYMMDD`, as written. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

const CREDENTIAL = 'Credential=';

/**
 * The scope in the `Authorization` header or, without one there, in the query's `X-Amz-Credential`. Undefined if
 * neither holds one. `rawQuery` is without its question mark.
 */
export function parseCredentialScope(
  headers: readonly HeaderPair[],
  rawQuery: string | undefined,
): ClaimedScope | undefined {
  const authorization = findHeader(headers, 'authorization');
  const fromHeader = authorization === undefined ? undefined : parseAuthorizationScope(authorization);
  if (fromHeader !== undefined || rawQuery === undefined) return fromHeader;
  return parseQueryScope(rawQuery);
}

function parseAuthorizationScope(authorization: string): ClaimedScope | undefined {
  const value = authorization.trimStart();
  if (!value.startsWith(SIGV4_ALGORITHM)) return undefined;
  // Field by field, as verification reads it: a credential within another field is not the one that was signed with.
  const fields = value.slice(SIGV4_ALGORITHM.length).split(',');
  const credential = fields.map((field) => field.trim()).find((field) => field.startsWith(CREDENTIAL));
  return credential === undefined ? undefined : parseCredential(credential.slice(CREDENTIAL.length));
}

function parseQueryScope(rawQuery: string): ClaimedScope | undefined {
  if (!/credential/i.test(rawQuery)) return undefined;
  const credential = splitQuery(rawQuery).find(([name, value]) => value !== undefined && isCredentialName(name))?.[1];
  return credential === undefined ? undefined : parseCredential(decodeTolerantly(credential));
}

function isCredentialName(name: string): boolean {
  return decodeTolerantly(name).toLowerCase() === 'x-amz-credential';
}

/** From the right, because only the key may hold slashes. */
function parseCredential(credential: string): ClaimedScope | undefined {
  const parts = credential.trim().split('/');
  if (parts.pop() !== 'aws4_request') return undefined;
  const service = parts.pop();
  const region = parts.pop();
  const date = parts.pop();
  const accessKeyId = parts.join('/');
  if (!service || !region || !date || accessKeyId === '') return undefined;
  return { accessKeyId, date, region, service };
}

function decodeTolerantly(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
