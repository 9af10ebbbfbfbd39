/**
 * The refusals of a key: it is missing, unknown, has ended, or is blocked. Part of `authenticate`, for keys shown as
 * bearer tokens and for keys that sign.
 */
import { ProxyError } from '../lib/errors.ts';
import type { VirtualKeyRow } from '../domain/key.ts';
import { findKeyState } from '../keys/state.ts';
import { maskKey } from '../keys/secret.ts';

const ASK = 'Ask the operator of the proxy for another one.';

/** Throws ERR_KEY_REVOKED, ERR_KEY_EXPIRED or ERR_KEY_BLOCKED if the key may not be used at this moment. */
export function refuseEndedKey(row: VirtualKeyRow, nowMs: number): void {
  const state = findKeyState(row, nowMs);
  const shown = maskKey(row.lastFour);
  switch (state) {
    case 'active':
    case 'ending':
      return;
    case 'revoked':
      throw new ProxyError('ERR_KEY_REVOKED', `The key ${shown} was revoked.`, { hint: ASK });
    case 'expired':
      throw new ProxyError('ERR_KEY_EXPIRED', `The key ${shown} has expired.`, { hint: ASK });
    case 'blocked':
      throw new ProxyError('ERR_KEY_BLOCKED', `The key ${shown} is blocked.`, {
        hint: 'Ask the operator of the proxy to unblock it.',
      });
    default:
      state satisfies never;
  }
}

/** ERR_KEY_MISSING: no credential was shown, and there is no open mode. */
export function missingKey(): ProxyError {
  return new ProxyError('ERR_KEY_MISSING', 'The proxy needs a virtual key.', {
    hint:
      'Send one as `Authorization: Bearer sk-…`, or sign with its key pair; `bedrock-proxy key generate` ' +
      'makes one.',
  });
}

/** ERR_KEY_UNKNOWN: there is no such key, or it was deleted. */
export function unknownKey(): ProxyError {
  return new ProxyError('ERR_KEY_UNKNOWN', 'The proxy does not know this key.', {
    hint: 'See `bedrock-proxy key list`, or make one with `bedrock-proxy key generate`.',
  });
}
