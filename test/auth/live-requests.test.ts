import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createLiveRequests } from '../../src/auth/live-requests.ts';
import type { AdmittedCaller } from '../../src/auth/revalidate.ts';
import type { VirtualKeyRow } from '../../src/domain/key.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { ProxyError } from '../../src/lib/errors.ts';

const LOOK_MS = 500;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000, toFake: ['setTimeout', 'clearTimeout', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function aCaller(id: string, fields: Partial<VirtualKeyRow> = {}): AdmittedCaller & { row: VirtualKeyRow } {
  const row: VirtualKeyRow = {
    id,
    alias: id,
    keySha256: id,
    lastFour: 'abcd',
    accessKeyId: id,
    sealedKey: Buffer.alloc(0),
    createdAtMs: 0,
    updatedAtMs: 0,
    lastUsedAtMs: undefined,
    revokedAtMs: undefined,
    endsAtMs: undefined,
    expiresAtMs: undefined,
    blockedAtMs: undefined,
    policy: EMPTY_POLICY,
    tags: {},
    note: undefined,
    metadata: {},
    ...fields,
  };
  return { principal: { kind: 'key', keyId: id, label: id, policy: EMPTY_POLICY, tags: {} }, row };
}

/** A watch over keys as they stand in `rows`, and how often it asked. */
function open(rows: Map<string, VirtualKeyRow>) {
  const state = { asked: 0, hasAnyKey: false, isGone: false };
  const ask = <T>(result: T): T => {
    state.asked += 1;
    if (state.isGone) throw new ProxyError('ERR_STORE_UNAVAILABLE', 'gone');
    return result;
  };
  const store = {
    findKeyBySha256: async (sha256: string) => ask(rows.get(sha256)),
    hasAnyKey: async () => ask(state.hasAnyKey),
  };
  return { state, live: createLiveRequests({ store, nowMs: Date.now }) };
}

it('cuts every request of a key that ended, and none of another', async () => {
  const [alice, bob] = [aCaller('alice'), aCaller('bob')];
  const rows = new Map([alice, bob].map(({ row }) => [row.id, row]));
  const { live } = open(rows);
  const [one, two, other] = [vi.fn(), vi.fn(), vi.fn()];
  live.watch(alice, one);
  live.watch(alice, two);
  live.watch(bob, other);
  rows.set('alice', { ...alice.row, revokedAtMs: 1 });
  await vi.advanceTimersByTimeAsync(LOOK_MS);
  for (const cut of [one, two])
    expect(cut).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'ERR_KEY_REVOKED' }));
  await vi.advanceTimersByTimeAsync(10 * LOOK_MS);
  expect(one).toHaveBeenCalledTimes(1);
  expect(other).not.toHaveBeenCalled();
});

it('asks once per key and look, however many requests it has, and never if none is under way', async () => {
  const alice = aCaller('alice');
  const { live, state } = open(new Map([['alice', alice.row]]));
  const ends = Array.from({ length: 100 }, () => live.watch(alice, () => {}));
  await vi.advanceTimersByTimeAsync(2 * LOOK_MS);
  expect(state.asked).toBe(2);
  for (const end of ends) end();
  await vi.advanceTimersByTimeAsync(100 * LOOK_MS);
  expect(state.asked).toBe(2);
  expect(vi.getTimerCount()).toBe(0);
});

it('cuts nothing because the store is gone, but what has expired by the clock', async () => {
  const [lasting, expiring] = [aCaller('lasting'), aCaller('expiring', { expiresAtMs: 1_000_000 + 2_000 })];
  const { live, state } = open(new Map());
  const [goesOn, ends] = [vi.fn(), vi.fn()];
  state.isGone = true;
  live.watch(lasting, goesOn);
  live.watch(expiring, ends);
  live.watch({ principal: { kind: 'anonymous', label: 'anonymous' }, row: undefined }, goesOn);
  await vi.advanceTimersByTimeAsync(1_900);
  expect(ends).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(LOOK_MS);
  expect(ends).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'ERR_KEY_EXPIRED' }));
  expect(goesOn).not.toHaveBeenCalled();
});

it('cuts who came in open mode when there is a key, and never the master key', async () => {
  const { live, state } = open(new Map());
  const [anonymous, master] = [vi.fn(), vi.fn()];
  live.watch({ principal: { kind: 'anonymous', label: 'anonymous' }, row: undefined }, anonymous);
  live.watch({ principal: { kind: 'master', label: 'master' }, row: undefined }, master);
  await vi.advanceTimersByTimeAsync(LOOK_MS);
  expect(anonymous).not.toHaveBeenCalled();
  state.hasAnyKey = true;
  await vi.advanceTimersByTimeAsync(LOOK_MS);
  expect(anonymous).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'ERR_KEY_MISSING' }));
  expect(master).not.toHaveBeenCalled();
});

it('cuts the requests of a key though the store does not respond for another one', async () => {
  const [slow, alice] = [aCaller('slow'), aCaller('alice', { revokedAtMs: 1 })];
  const findKeyBySha256 = (sha256: string): Promise<VirtualKeyRow> =>
    sha256 === 'slow' ? new Promise(() => {}) : Promise.resolve(alice.row);
  const live = createLiveRequests({ store: { findKeyBySha256, hasAnyKey: async () => true }, nowMs: Date.now });
  const [waits, ends] = [vi.fn(), vi.fn()];
  live.watch(slow, waits);
  live.watch(alice, ends);
  await vi.advanceTimersByTimeAsync(LOOK_MS);
  expect(ends).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'ERR_KEY_REVOKED' }));
  expect(waits).not.toHaveBeenCalled();
});
