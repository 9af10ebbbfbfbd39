/**
 * Whether a virtual key still counts, at a moment: it may have been revoked, be rotated and in its grace time, have
 * expired, or be blocked. Pure; used on the way by `authenticate`, and by the commands.
 */
import type { VirtualKeyRow } from '../domain/key.ts';

/** `ending`: rotated, and still good until its end. `blocked`: until it is unblocked. */
export type KeyState = 'active' | 'ending' | 'expired' | 'blocked' | 'revoked';

type KeyTimes = Pick<VirtualKeyRow, 'revokedAtMs' | 'endsAtMs' | 'expiresAtMs' | 'blockedAtMs'>;

/**
 * A key ends with the very millisecond of its end. What was revoked stays so, wherever the clock is set to. Where
 * several things are true, what is for good comes before what can be taken back: revoked, expired, blocked.
 */
export function findKeyState({ revokedAtMs, endsAtMs, expiresAtMs, blockedAtMs }: KeyTimes, nowMs: number): KeyState {
  if (revokedAtMs !== undefined || (endsAtMs !== undefined && nowMs >= endsAtMs)) return 'revoked';
  if (expiresAtMs !== undefined && nowMs >= expiresAtMs) return 'expired';
  if (blockedAtMs !== undefined) return 'blocked';
  return endsAtMs === undefined ? 'active' : 'ending';
}

/** When it ended or will end; undefined for a key without end. Being blocked is no end. */
export function findKeyEnd({
  revokedAtMs,
  endsAtMs,
  expiresAtMs,
}: Pick<KeyTimes, 'revokedAtMs' | 'endsAtMs' | 'expiresAtMs'>): number | undefined {
  const ends = [revokedAtMs, endsAtMs, expiresAtMs].filter((end) => end !== undefined);
  return ends.length === 0 ? undefined : Math.min(...ends);
}
