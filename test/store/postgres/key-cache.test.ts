/** How long a key is used as it is known: told by polls and notifications, with a clock that the test sets. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { VirtualKeyRow } from '../../../src/domain/key.ts';
import { monotonicClock } from '../../../src/lib/clock.ts';
import { ProxyError } from '../../../src/lib/errors.ts';
import { KeyCache, type KeyChangesRead } from '../../../src/store/postgres/key-cache.ts';
import { failureOf } from '../../helpers/failure.ts';
import { aKeyRow } from '../../helpers/store-rows.ts';

const GONE = new ProxyError('ERR_STORE_UNAVAILABLE', 'The database cannot be reached.');

/** A database of one key: what it says, how often it was asked, and whether it responds. */
class FakeDatabase {
  readonly server = 'first';
  row: VirtualKeyRow | undefined = aRow();
  version = 7;
  changedIds: readonly string[] | undefined = [];
  polls = 0;
  finds = 0;
  isAway = false;
  /** What a poll or a read waits for, after it has seen the database as it is. */
  gate: Promise<unknown> = Promise.resolve();

  readChanges = async (): Promise<KeyChangesRead> => {
    this.polls += 1;
    const { server, version, changedIds } = this;
    await this.gate;
    if (this.isAway) throw GONE;
    return { server, version, changedIds };
  };

  find = async (): Promise<VirtualKeyRow | undefined> => {
    this.finds += 1;
    const { row } = this;
    await this.gate;
    if (this.isAway) throw GONE;
    return row;
  };
}

function aRow(fields: Partial<VirtualKeyRow> = {}): VirtualKeyRow {
  const ends = { lastUsedAtMs: undefined, revokedAtMs: undefined, endsAtMs: undefined, blockedAtMs: undefined };
  return { ...aKeyRow({ id: 'vk_a', keySha256: 'hash', accessKeyId: 'BRPXA' }), updatedAtMs: 0, ...ends, ...fields };
}

const REVOKED = aRow({ revokedAtMs: 5 });

let tick = 0;
/** How far the wall clock was set forwards, or how long the machine slept, while ticks stood still. */
let aheadMs = 0;
let database: FakeDatabase;
let cache: KeyCache;

function open(staleMs: number): KeyCache {
  const clocks = { tickMs: monotonicClock(() => tick), nowMs: () => tick + aheadMs };
  return new KeyCache({ ...clocks, staleMs, readChanges: () => database.readChanges(), tooLong: () => GONE });
}

const look = (): Promise<VirtualKeyRow | undefined> => cache.findKey('keySha256', 'hash', database.find);

beforeEach(async () => {
  tick = 1_000_000;
  aheadMs = 0;
  database = new FakeDatabase();
  cache = open(30_000);
  await cache.poll();
  await look();
  database.finds = 0;
  database.polls = 0;
});

describe('a key that is known', () => {
  it('is asked for under either name without the database', async () => {
    expect(await look()).toBe(database.row);
    expect(await cache.findKey('accessKeyId', 'BRPXA', database.find)).toBe(database.row);
    expect([database.finds, database.polls]).toEqual([0, 0]);
  });

  it('is not found under its name of the other kind', async () => {
    database.row = undefined;
    expect(await cache.findKey('accessKeyId', 'hash', database.find)).toBeUndefined();
    expect(database.finds).toBe(1);
  });

  it.each([
    { name: 'a notification', tell: async () => cache.forget('vk_a') },
    { name: 'a notification that names nobody', tell: async () => cache.forget('') },
    { name: 'a poll that names it', tell: async () => tellChanged(['vk_b', 'vk_a'], 8) },
    { name: 'a poll that does not know which keys', tell: async () => tellChanged(undefined, 8) },
    { name: 'a poll of another server', tell: async () => tellOther() },
    { name: 'a poll whose version went back', tell: async () => tellChanged([], 6) },
  ])('is read anew after $name', async ({ tell }) => {
    database.row = REVOKED;
    await tell();
    expect(await look()).toBe(REVOKED);
    expect(database.finds).toBe(1);
    expect(await cache.findKey('accessKeyId', 'BRPXA', database.find)).toBe(REVOKED);
    expect(database.finds).toBe(1);
  });

  it('stays if a poll or a notification names another one', async () => {
    await tellChanged(['vk_b'], 8);
    cache.forget('vk_c');
    await look();
    expect(database.finds).toBe(0);
  });

  it('stays if a second poll, asked at the same time as one before, says again what was changed', async () => {
    tick += 1;
    await tellChanged(['vk_a'], 8);
    await look();
    tick += 1;
    await tellChanged(['vk_a'], 8);
    await look();
    expect(database.finds).toBe(1);
  });

  it('is used for a second without a poll, and no longer', async () => {
    tick += 1_000;
    await look();
    expect(database.polls).toBe(0);
    tick += 1;
    database.row = REVOKED;
    database.changedIds = ['vk_a'];
    database.version = 8;
    expect(await look()).toBe(REVOKED);
    expect(database.polls).toBe(1);
  });

  it('is confirmed again after the machine slept, though ticks stood still meanwhile', async () => {
    aheadMs = 3_600_000;
    database.row = REVOKED;
    database.changedIds = ['vk_a'];
    database.version = 8;
    expect(await look()).toBe(REVOKED);
    expect(database.polls).toBe(1);
  });

  it('grows no younger with a clock that is set back', async () => {
    aheadMs = -3_600_000;
    await look();
    expect(database.polls).toBe(0);
    tick += 1_001;
    await look();
    expect(database.polls).toBe(1);
  });

  it('has one poll for all who wait for it', async () => {
    tick += 1_001;
    await Promise.all(Array.from({ length: 100 }, look));
    expect([database.polls, database.finds]).toEqual([1, 0]);
  });

  it('counts the age from when the poll began, not from when it came back', async () => {
    const gate = Promise.withResolvers<void>();
    database.gate = gate.promise;
    const slow = cache.poll();
    tick += 5_000;
    gate.resolve();
    await slow;
    // Revoked after the poll had looked.
    database.row = REVOKED;
    database.changedIds = ['vk_a'];
    database.version = 8;
    expect(await look()).toBe(REVOKED);
  });
});

describe('a key that is not known', () => {
  it('is read once for a hundred requests that come together', async () => {
    cache.forget('vk_a');
    const found = await Promise.all(Array.from({ length: 100 }, look));
    expect(new Set(found)).toEqual(new Set([database.row]));
    expect(database.finds).toBe(1);
  });

  it('is not kept as unknown', async () => {
    cache.forget('vk_a');
    const { row } = database;
    database.row = undefined;
    expect(await look()).toBeUndefined();
    database.row = row;
    expect(await look()).toBe(row);
  });

  it.each([
    { name: 'a notification', tell: async () => cache.forget('vk_a') },
    { name: 'a poll', tell: async () => tellChanged(['vk_a'], 8) },
  ])('is not kept as it was read before $name', async ({ tell }) => {
    cache.forget('vk_a');
    const gate = Promise.withResolvers<void>();
    database.gate = gate.promise;
    const early = look();
    database.row = REVOKED;
    database.gate = Promise.resolve();
    await tell();
    const late = look();
    gate.resolve();
    expect((await early)?.revokedAtMs).toBeUndefined();
    expect(await late).toBe(REVOKED);
    expect(await look()).toBe(REVOKED);
  });

  it('shares no read that began too long ago', async () => {
    cache.forget('vk_a');
    const gate = Promise.withResolvers<void>();
    database.gate = gate.promise;
    const early = look();
    database.row = REVOKED;
    tick += 251;
    const late = look();
    gate.resolve();
    await early;
    expect(await late).toBe(REVOKED);
  });

  it('is not kept for ever if it was read before the first poll', async () => {
    cache = open(30_000);
    await look();
    database.row = REVOKED;
    // Changed before the first poll, which therefore does not name it.
    await cache.poll();
    expect(await look()).toBe(REVOKED);
  });
});

describe('while the database is away', () => {
  it('uses a known key until the bound, and then fails', async () => {
    await leave();
    tick += 30_000;
    expect(await look()).toBe(database.row);
    expect(cache.readState()).toEqual({ confirmedAgoMs: 30_000, isAway: true, isUsable: true, keys: 1 });
    tick += 1;
    expect((await failureOf(look)).code).toBe('ERR_STORE_UNAVAILABLE');
  });

  it('counts the time that the machine slept', async () => {
    await leave();
    aheadMs = 30_001;
    expect((await failureOf(look)).code).toBe('ERR_STORE_UNAVAILABLE');
  });

  it('asks no poll of a request', async () => {
    await leave();
    tick += 20_000;
    database.polls = 0;
    await look();
    expect(database.polls).toBe(0);
  });

  it('uses a known key no longer than a second if the bound is nothing', async () => {
    cache = open(0);
    await cache.poll();
    await look();
    await leave();
    tick += 1_000;
    expect(await look()).toBe(database.row);
    tick += 1;
    expect((await failureOf(look)).code).toBe('ERR_STORE_UNAVAILABLE');
  });

  it('does not know a key that it was told of', async () => {
    await leave();
    cache.forget('vk_a');
    expect((await failureOf(look)).code).toBe('ERR_STORE_UNAVAILABLE');
  });

  it('asks for the key itself beyond the bound, if only polls fail', async () => {
    await leave();
    tick += 60_000;
    database.isAway = false;
    database.row = REVOKED;
    expect(await look()).toBe(REVOKED);
  });

  it('trusts nothing that it knew from before once another server is there', async () => {
    await leave();
    tick += 5_000;
    database.isAway = false;
    database.row = REVOKED;
    await tellOther();
    expect(await look()).toBe(REVOKED);
  });

  it('waits for a poll that hangs half a second, once, and goes on', async () => {
    vi.useFakeTimers();
    try {
      database.gate = new Promise(() => {});
      tick += 2_000;
      const first = look();
      await vi.advanceTimersByTimeAsync(499);
      expect(cache.readState().isAway).toBe(false);
      await vi.advanceTimersByTimeAsync(1);
      expect(await first).toBe(database.row);
      expect(await look()).toBe(database.row);
      expect(database.polls).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('waits two seconds for a key that is not known if the database hangs', async () => {
    vi.useFakeTimers();
    try {
      await leave();
      cache.forget('vk_a');
      database.gate = new Promise(() => {});
      const failure = failureOf(look);
      await vi.advanceTimersByTimeAsync(2_000);
      expect((await failure).code).toBe('ERR_STORE_UNAVAILABLE');
    } finally {
      vi.useRealTimers();
    }
  });

  it('takes what a late poll says, unless a later one has come before it', async () => {
    const gate = Promise.withResolvers<void>();
    database.gate = gate.promise;
    const late = cache.poll();
    database.gate = Promise.resolve();
    tick += 700;
    await tellChanged([], 9);
    gate.resolve();
    await late;
    expect(cache.readState()).toEqual({ confirmedAgoMs: 0, isAway: false, isUsable: true, keys: 1 });
  });
});

describe('whether there is any key', () => {
  it('is asked once if there is one', async () => {
    const find = vi.fn(async () => true);
    expect([await cache.hasAny(find), await cache.hasAny(find)]).toEqual([true, true]);
    expect(find).toHaveBeenCalledTimes(1);
  });

  it('is asked again after a change if there is none', async () => {
    const find = vi.fn(async () => false);
    await cache.hasAny(find);
    await cache.hasAny(find);
    expect(find).toHaveBeenCalledTimes(1);
    await tellChanged(['vk_b'], 8);
    expect(await cache.hasAny(async () => true)).toBe(true);
  });

  it('is not kept as it was read before a key was made', async () => {
    const gate = Promise.withResolvers<boolean>();
    const early = cache.hasAny(() => gate.promise);
    cache.forget('vk_b');
    gate.resolve(false);
    expect(await early).toBe(false);
    expect(await cache.hasAny(async () => true)).toBe(true);
  });
});

it('has fifty thousand keys at most', async () => {
  for (let index = 0; index < 50_010; index += 1) {
    const row = aRow({ id: `vk_${index}`, keySha256: `h${index}`, accessKeyId: `B${index}` });
    await cache.findKey('keySha256', row.keySha256, async () => row);
  }
  expect(cache.readState().keys).toBe(50_000);
  await look();
  expect(database.finds).toBe(1);
});

async function leave(): Promise<void> {
  database.isAway = true;
  await cache.poll();
}

async function tellChanged(changedIds: readonly string[] | undefined, version: number): Promise<void> {
  database.changedIds = changedIds;
  database.version = version;
  await cache.poll();
}

async function tellOther(): Promise<void> {
  const { version, changedIds } = database;
  const readChanges = database.readChanges;
  database.readChanges = async () => ({ server: 'second', version, changedIds });
  await cache.poll();
  database.readChanges = readChanges;
}
