import { expect, it } from 'vitest';
import { findKeyEnd, findKeyState } from '../../src/keys/state.ts';

it.each([
  { name: 'a key without end', times: {}, state: 'active', endsAtMs: undefined },
  { name: 'a revoked key', times: { revokedAtMs: 5 }, state: 'revoked', endsAtMs: 5 },
  { name: 'a revoked key, the clock set back', times: { revokedAtMs: 15 }, state: 'revoked', endsAtMs: 15 },
  { name: 'a rotated key in its grace time', times: { endsAtMs: 11 }, state: 'ending', endsAtMs: 11 },
  { name: 'a rotated key at its end', times: { endsAtMs: 10 }, state: 'revoked', endsAtMs: 10 },
  { name: 'one revoked in its grace time', times: { endsAtMs: 20, revokedAtMs: 9 }, state: 'revoked', endsAtMs: 9 },
  { name: 'one revoked after it', times: { endsAtMs: 7, revokedAtMs: 9 }, state: 'revoked', endsAtMs: 7 },
  { name: 'a key with time left to live', times: { expiresAtMs: 11 }, state: 'active', endsAtMs: 11 },
  { name: 'a key at the end of its time', times: { expiresAtMs: 10 }, state: 'expired', endsAtMs: 10 },
  { name: 'one with both ends ahead', times: { endsAtMs: 30, expiresAtMs: 20 }, state: 'ending', endsAtMs: 20 },
  {
    name: 'one that expired in its grace time',
    times: { endsAtMs: 20, expiresAtMs: 8 },
    state: 'expired',
    endsAtMs: 8,
  },
  {
    name: 'one that expired and was revoked',
    times: { revokedAtMs: 9, expiresAtMs: 8 },
    state: 'revoked',
    endsAtMs: 8,
  },
  { name: 'a blocked key', times: { blockedAtMs: 5 }, state: 'blocked', endsAtMs: undefined },
  { name: 'a blocked key, the clock set back', times: { blockedAtMs: 15 }, state: 'blocked', endsAtMs: undefined },
  { name: 'one blocked in its grace time', times: { blockedAtMs: 5, endsAtMs: 11 }, state: 'blocked', endsAtMs: 11 },
  { name: 'one blocked and expired', times: { blockedAtMs: 5, expiresAtMs: 9 }, state: 'expired', endsAtMs: 9 },
  { name: 'one blocked and revoked', times: { blockedAtMs: 5, revokedAtMs: 9 }, state: 'revoked', endsAtMs: 9 },
])('finds the state of $name: $state', ({ times, state, endsAtMs }) => {
  const row = { revokedAtMs: undefined, endsAtMs: undefined, expiresAtMs: undefined, blockedAtMs: undefined, ...times };
  expect(findKeyState(row, 10)).toBe(state);
  expect(findKeyEnd(row)).toBe(endsAtMs);
});
