import { expect, it } from 'vitest';
import { findKeyEnd, findKeyState } from '../../src/auth/key-state.ts';

it.each([
  { name: 'a key without end', end: {}, nowMs: 10, state: 'active', endsAtMs: undefined },
  { name: 'a revoked key', end: { revokedAtMs: 5 }, nowMs: 10, state: 'revoked', endsAtMs: 5 },
  { name: 'a revoked key, the clock set back', end: { revokedAtMs: 15 }, nowMs: 10, state: 'revoked', endsAtMs: 15 },
  { name: 'a rotated key in its grace time', end: { endsAtMs: 11 }, nowMs: 10, state: 'ending', endsAtMs: 11 },
  { name: 'a rotated key at its end', end: { endsAtMs: 10 }, nowMs: 10, state: 'revoked', endsAtMs: 10 },
  { name: 'one revoked in it', end: { endsAtMs: 20, revokedAtMs: 9 }, nowMs: 10, state: 'revoked', endsAtMs: 9 },
  { name: 'one revoked after it', end: { endsAtMs: 7, revokedAtMs: 9 }, nowMs: 10, state: 'revoked', endsAtMs: 7 },
])('$name is $state', ({ end, nowMs, state, endsAtMs }) => {
  const row = { revokedAtMs: undefined, endsAtMs: undefined, ...end };
  expect(findKeyState(row, nowMs)).toBe(state);
  expect(findKeyEnd(row)).toBe(endsAtMs);
});
