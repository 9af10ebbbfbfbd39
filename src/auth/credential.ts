/**
 * Finds what a client shows as its key: in the usual headers, or in the access-key-id slot of a SigV4 `Authorization`
 * (LangChain users put the key there). Pure; whether the key is any good is `authenticate`'s question.
 */
import { ProxyError } from '../lib/errors.ts';
import type { HeaderPair } from '../http/message.ts';
import { looksLikeKey } from '../keys/secret.ts';

/** Headers that carry nothing but a key; `Bearer` before it is tolerated. The last two are known from LiteLLM. */
const KEY_HEADERS: ReadonlySet<string> = new Set(['x-api-key', 'api-key', 'litellm_user_api_key', 'x-litellm-api-key']);

/** What was found. */
export interface ShownCredential {
  /** The key to look up: the only one of the form `sk-…`, or else the only token at all. */
  readonly token: string | undefined;
  /** All that was shown as one, in no order: a master key may have any form. */
  readonly tokens: readonly string[];
  /** The access key id of a SigV4 signature that holds no `sk-` key; undefined where the client did not sign. */
  readonly accessKeyId: string | undefined;
}

/**
 * Looks in every place at once. A client may show several things (SDKs add dummy AWS signatures); keys of the form `sk-…` go
 * first, and two different ones are refused with ERR_KEYS_DIFFER: guessing would charge the wrong person.
 */
export function findCredential(headers: readonly HeaderPair[]): ShownCredential {
  const tokens = new Set<string>();
  let accessKeyId: string | undefined;
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower === 'authorization') {
      const slot = findAccessKeySlot(value);
      if (slot === undefined) addToken(tokens, parseBearer(value));
      else if (looksLikeKey(slot)) tokens.add(slot);
      else accessKeyId ??= slot;
    } else if (KEY_HEADERS.has(lower)) {
      addToken(tokens, parseBearer(value) ?? value.trim());
    }
  }
  const keys = [...tokens].filter(looksLikeKey);
  if (keys.length > 1) {
    throw new ProxyError('ERR_KEYS_DIFFER', 'The request shows two different keys.', {
      hint: 'Send one: as `Authorization: Bearer`, or as `x-api-key`.',
    });
  }
  const candidates = keys.length === 1 ? keys : [...tokens];
  return { token: candidates[0], tokens: [...tokens], accessKeyId };
}

/** The token of `Bearer TOKEN` (scheme in any case, RFC 9110, section 11.1); undefined for other schemes. */
function parseBearer(value: string): string | undefined {
  const scheme = /^\s*bearer\s/i.exec(value)?.[0];
  return scheme === undefined ? undefined : value.slice(scheme.length).trim();
}

/** What stands before the first slash of `Credential=`, without the word Bearer that some people put there. */
function findAccessKeySlot(value: string): string | undefined {
  if (!/^\s*AWS4-HMAC-SHA256\s/i.test(value)) return undefined;
  const slot = /Credential=\s*([^/,]*)/.exec(value)?.[1]?.trim() ?? '';
  return parseBearer(slot) ?? slot;
}

function addToken(tokens: Set<string>, token: string | undefined): void {
  if (token !== undefined && token !== '') tokens.add(token);
}
