/**
 * AWS Signature Version 4 over what is about to be sent. Nothing that is signed may be edited afterwards. The signing
 * key comes from @smithy/signature-v4, once per day; only this file knows it. It gets the body's hash, not the body.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { Sha256 } from '@aws-crypto/sha256-js';
import { clearCredentialCache, getSigningKey } from '@smithy/signature-v4';
import { ProxyError } from '../../lib/errors.ts';
import { type RequestTarget, splitQuery } from '../../http/target.ts';
import type { HeaderPair } from '../../http/message.ts';
import { canonicalRequest } from '../../protocol/sigv4/canonical.ts';
import {
  type CredentialScope,
  formatTimestamp,
  SCOPE_TERMINATOR,
  scopeText,
  SIGV4_ALGORITHM,
  signString,
  stringToSign,
} from '../../protocol/sigv4/key.ts';
import { SigningKeys } from '../../protocol/sigv4/signing-keys.ts';
import { isSigned } from '../headers.ts';

/** AWS credentials as the chain gives them; never logged. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** All requests wait while they are sorted: 15 ms for the 30,000 that a head can hold. AWS's own have a few dozen. */
const MAX_QUERY_PARAMETERS = 500;

const SIGNING_KEYS = new SigningKeys<AwsCredentials>();

/** What is signed. */
export interface UnsignedRequest {
  readonly method: string;
  /** As it will stand in the Host header: with the port if it is not the scheme's own. */
  readonly host: string;
  /** Raw, exactly as it will be sent. */
  readonly target: Pick<RequestTarget, 'path' | 'query'>;
  /** Already selected by the header policy; without `host`. */
  readonly headers: readonly HeaderPair[];
  /** Lower-case hex SHA-256 of the body; of no bytes if there is no body. */
  readonly bodySha256: string;
  readonly credentials: AwsCredentials;
  readonly region: string;
  readonly signingName: string;
  readonly signingDate: Date;
}

/**
 * The headers to send, in order: `host`, those given, and `x-amz-date`, `x-amz-content-sha256`, `authorization` and,
 * with temporary credentials, `x-amz-security-token`. Throws ERR_BAD_TARGET when the query cannot be put in canonical
 * form, or has more than 500 parameters.
 */
export async function signRequest(request: UnsignedRequest): Promise<HeaderPair[]> {
  const { method, host, target, bodySha256, credentials, region, signingName } = request;
  if (target.query !== undefined) refuseQuery(target.query);
  const timestamp = formatTimestamp(request.signingDate.getTime());
  const scope = { date: timestamp.slice(0, 8), region, service: signingName, terminator: SCOPE_TERMINATOR };
  const signingKey = SIGNING_KEYS.find(credentials, scope) ?? (await deriveKey(credentials, scope));
  const headers: HeaderPair[] = [['host', host], ...request.headers, ['x-amz-date', timestamp]];
  if (credentials.sessionToken) headers.push(['x-amz-security-token', credentials.sessionToken]);
  headers.push(['x-amz-content-sha256', bodySha256]);
  const signedHeaders = selectSignedNames(headers);
  const canonical = canonicalRequest({ method, target, headers, authority: undefined }, signedHeaders, bodySha256);
  const signature = signString(signingKey, stringToSign(timestamp, scope, canonical));
  const credential = `Credential=${credentials.accessKeyId}/${scopeText(scope)}`;
  const fields = `${credential}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`;
  headers.push(['authorization', `${SIGV4_ALGORITHM} ${fields}`]);
  return headers;
}

/** In lower case, sorted, each once. */
function selectSignedNames(headers: readonly HeaderPair[]): string[] {
  const names = new Set<string>();
  for (const [name] of headers) {
    const lower = name.toLowerCase();
    if (isSigned(lower)) names.add(lower);
  }
  return [...names].toSorted();
}

async function deriveKey(credentials: AwsCredentials, scope: CredentialScope): Promise<KeyObject> {
  const { accessKeyId, secretAccessKey } = credentials;
  const bytes = await getSigningKey(Sha256, { accessKeyId, secretAccessKey }, scope.date, scope.region, scope.service);
  // The library would keep it for longer than the credentials are kept.
  clearCredentialCache();
  const signingKey = createSecretKey(bytes);
  SIGNING_KEYS.add(credentials, scope, signingKey);
  return signingKey;
}

/** AWS encodes names and values anew to compare: it must be able to decode them, as UTF-8. */
function refuseQuery(query: string): void {
  if (splitQuery(query).length > MAX_QUERY_PARAMETERS) {
    throw new ProxyError('ERR_BAD_TARGET', `The query string has more than ${MAX_QUERY_PARAMETERS} parameters.`);
  }
  try {
    decodeURIComponent(query);
  } catch (error) {
    throw new ProxyError('ERR_BAD_TARGET', 'The query string holds a malformed percent-encoding.', {
      hint: 'Percent-encode it as UTF-8.',
      cause: error,
    });
  }
}
