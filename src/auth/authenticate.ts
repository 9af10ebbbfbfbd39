/**
 * Third stage of the way: who is asking? Answers a Principal or throws. Looks keys up by their hash, so that neither time nor
 * database tells anything about other keys. Does not read the body and does not decide what the principal may do.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ProxyError } from '../errors.ts';
import type { ClientRequest, Principal } from '../exchange.ts';
import { isLoopbackAddress } from '../loopback.ts';
import type { Store, VirtualKeyRow } from '../store/store.ts';
import { findCredential, type ShownCredential } from './credential.ts';
import { hashKey, maskKey } from './virtual-key.ts';

export interface AuthenticatorOptions {
  readonly store: Store;
  readonly masterKey: string | undefined;
  readonly nowMs: () => number;
}

/**
 * Open mode: where no key was ever made and there is no master key, anybody on this machine may pass and nobody else.
 * Otherwise throws ERR_KEY_MISSING, ERR_KEY_UNKNOWN, ERR_KEY_REVOKED or ERR_KEYS_DIFFER; ERR_STORE_UNAVAILABLE too.
 */
export async function authenticate(clientRequest: ClientRequest, options: AuthenticatorOptions): Promise<Principal> {
  if (options.masterKey === undefined && !(await options.store.hasAnyKey())) return admitAnyone(clientRequest);
  const shown = findCredential(clientRequest.headers);
  if (shown.token === undefined) throw missingKey(shown);
  if (isMasterKey(shown.token, options.masterKey)) return { kind: 'master', label: 'master' };
  const row = await options.store.findKeyBySha256(hashKey(shown.token));
  if (row === undefined) throw unknownKey();
  if (row.revokedAtMs !== undefined) throw revokedKey(row);
  options.store.touchKey(row.id, options.nowMs());
  return { kind: 'key', keyId: row.id, label: row.alias ?? maskKey(row.lastFour) };
}

/** Compares in constant time, whatever the lengths. */
export function isMasterKey(token: string, masterKey: string | undefined): boolean {
  if (masterKey === undefined) return false;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(token), digest(masterKey));
}

function admitAnyone({ peerAddress }: ClientRequest): Principal {
  if (isLoopbackAddress(peerAddress)) return { kind: 'anyone', label: 'anyone' };
  throw new ProxyError('ERR_OPEN_MODE_REMOTE', 'Without keys the proxy serves its own machine only.', {
    hint: 'Make a key there with `bedrock-proxy key generate` and send it as `Authorization: Bearer`.',
  });
}

function missingKey({ accessKeyId }: ShownCredential): ProxyError {
  if (accessKeyId === undefined) {
    return new ProxyError('ERR_KEY_MISSING', 'The proxy wants a virtual key.', {
      hint: 'Send one as `Authorization: Bearer sk-…`; `bedrock-proxy key generate` makes one.',
    });
  }
  return new ProxyError('ERR_KEY_UNKNOWN', 'The request is signed with AWS credentials instead of a virtual key.', {
    hint: 'Send a virtual key as a Bearer token (AWS_BEARER_TOKEN_BEDROCK) or in the header x-api-key.',
  });
}

function unknownKey(): ProxyError {
  return new ProxyError('ERR_KEY_UNKNOWN', 'The proxy does not know this key.', {
    hint: 'See `bedrock-proxy key list`, or make one with `bedrock-proxy key generate`.',
  });
}

function revokedKey(row: VirtualKeyRow): ProxyError {
  return new ProxyError('ERR_KEY_REVOKED', `The key ${maskKey(row.lastFour)} was revoked.`, {
    hint: 'Ask whoever runs the proxy for another one.',
  });
}
