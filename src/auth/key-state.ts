/**
 * Whether a virtual key still counts, at a moment: it may have been revoked, or rotated and be in its grace time. Pure; used
 * on the way by `authenticate`, and by the commands.
 */
import type { VirtualKeyRow } from '../store/store.ts';

/** `ending`: rotated, and still good until its end. */
export type KeyState = 'active' | 'ending' | 'revoked';

type KeyEnd = Pick<VirtualKeyRow, 'revokedAtMs' | 'endsAtMs'>;

/** A key ends with the very millisecond of its end. What was revoked stays so, wherever the clock is set to. */
export function findKeyState({ revokedAtMs, endsAtMs }: KeyEnd, nowMs: number): KeyState {
  if (revokedAtMs !== undefined) return 'revoked';
  if (endsAtMs === undefined) return 'active';
  return nowMs < endsAtMs ? 'ending' : 'revoked';
}

/** When it ended or will end; undefined for a key without end. */
export function findKeyEnd({ revokedAtMs, endsAtMs }: KeyEnd): number | undefined {
  if (revokedAtMs === undefined || endsAtMs === undefined) return revokedAtMs ?? endsAtMs;
  return Math.min(revokedAtMs, endsAtMs);
}
