/**
 * The refusals of a key that is known but has ended, or is blocked. Part of `authenticate`, for keys shown as bearer
 * tokens and for keys that sign.
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
