/**
 * What a client shows of itself, read off its headers and query once: for authentication, for routing (the region and
 * service it signed for) and for the upstream (an OAuth token of its own). Pure, and never throws; whether any of it is
 * good is decided by `auth/`.
 */
import { ProxyError } from '../lib/errors.ts';
import type { HeaderPair } from '../http/message.ts';
import { SIGV4_ALGORITHM } from '../protocol/sigv4/key.ts';
import { type ClaimedScope, parseCredentialScope } from '../protocol/sigv4/scope.ts';
import { splitQuery } from '../http/target.ts';
import { looksLikeKey, looksMinted } from './secret.ts';

/** Headers that carry nothing but a key; `Bearer` before it is tolerated. The last two are known from LiteLLM. */
const KEY_HEADERS: ReadonlySet<string> = new Set(['x-api-key', 'api-key', 'litellm_user_api_key', 'x-litellm-api-key']);
/** Query parameters in which clients put keys, without `-` and `_`. AWS has none of these names. */
const KEY_PARAMETERS: ReadonlySet<string> = new Set([
  'accesstoken',
  'apikey',
  'auth',
  'authorization',
  'authtoken',
  'bearer',
  'key',
  'litellmapikey',
  'token',
  'virtualkey',
  'xapikey',
  'xlitellmapikey',
]);
const JWT_BEARER = /^\s*bearer\s+[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\s*$/i;
/** An `Authorization` header of SigV4; the word in any case. */
const SIGNED = new RegExp(`^\\s*${SIGV4_ALGORITHM}\\s`, 'i');

/**
 * All that a client shows. It may show several things at once: SDKs add dummy AWS signatures, and an AgentCore client
 * brings an OAuth token beside its key.
 */
export interface PresentedCredential {
  /** Everything that was shown as a token, in no order: a master key may have any form. */
  readonly tokens: readonly string[];
  /** The access key id of a SigV4 `Authorization` that holds no `sk-` key; undefined if there is none. */
  readonly accessKeyId: string | undefined;
  /** What the client signed for, in header or query; unverified. */
  readonly scope: ClaimedScope | undefined;
  /** The `Authorization` value, if it is the only one and holds a JWT; it may be a master key of that form. */
  readonly oauthAuthorization: string | undefined;
  /** The query holds a key, or what has the form of one: it would go to AWS, and into the logs of what is between. */
  readonly hasKeyInQuery: boolean;
}

/** Looks in every place at once. `query` is raw, without its question mark. */
export function parsePresentedCredential(
  headers: readonly HeaderPair[],
  query: string | undefined,
): PresentedCredential {
  const tokens = new Set<string>();
  const authorizations: string[] = [];
  let accessKeyId: string | undefined;
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower === 'authorization') {
      authorizations.push(value);
      const slot = findAccessKeySlot(value);
      if (slot === undefined) addToken(tokens, parseBearer(value));
      else if (looksLikeKey(slot)) tokens.add(slot);
      else accessKeyId ??= slot;
    } else if (KEY_HEADERS.has(lower)) {
      addToken(tokens, parseBearer(value) ?? value.trim());
    }
  }
  const [first = ''] = authorizations;
  return {
    tokens: [...tokens],
    accessKeyId,
    scope: parseCredentialScope(headers, query),
    oauthAuthorization: authorizations.length === 1 && JWT_BEARER.test(first) ? first : undefined,
    hasKeyInQuery: query !== undefined && holdsKey(query, tokens),
  };
}

/**
 * The key to look up: the only one of the form `sk-…`, or else the first token at all. Throws ERR_KEYS_DIFFER for two
 * different keys: guessing would charge the wrong person.
 */
export function findToken({ tokens }: Pick<PresentedCredential, 'tokens'>): string | undefined {
  const keys = tokens.filter(looksLikeKey);
  if (keys.length <= 1) return keys[0] ?? tokens[0];
  throw new ProxyError('ERR_KEYS_DIFFER', 'The request shows two different keys.', {
    hint: 'Send one: as `Authorization: Bearer`, or as `x-api-key`.',
  });
}

/** The token of `Bearer TOKEN` (scheme in any case, RFC 9110, section 11.1); undefined for other schemes. */
export function parseBearer(value: string): string | undefined {
  const scheme = /^\s*bearer\s/i.exec(value)?.[0];
  return scheme === undefined ? undefined : value.slice(scheme.length).trim();
}

/** A minted key under any name; where clients put keys, also all that begins like one, or is shown in a header too. */
function holdsKey(query: string, tokens: ReadonlySet<string>): boolean {
  return splitQuery(query).some(([rawName, rawValue]) => {
    const text = decodePercent(rawValue ?? rawName).trim();
    const value = parseBearer(text) ?? text;
    if (looksMinted(value)) return true;
    if (!looksLikeKey(value) && !tokens.has(value)) return false;
    return KEY_PARAMETERS.has(decodePercent(rawName).toLowerCase().replaceAll(/[-_]/g, ''));
  });
}

/** As in a form, and with the escapes that are none left alone. */
function decodePercent(raw: string): string {
  return raw
    .replaceAll('+', ' ')
    .replaceAll(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** What stands before the first slash of `Credential=`, without the word Bearer that some people put there. */
function findAccessKeySlot(value: string): string | undefined {
  if (!SIGNED.test(value)) return undefined;
  // LangChain users put the key there.
  const slot = /Credential=\s*([^/,]*)/.exec(value)?.[1]?.trim() ?? '';
  return parseBearer(slot) ?? slot;
}

function addToken(tokens: Set<string>, token: string | undefined): void {
  if (token !== undefined && token !== '') tokens.add(token);
}
