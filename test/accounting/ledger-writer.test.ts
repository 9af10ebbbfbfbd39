/**
 * The ledger against a store that fails when it is told to: a plain implementation of the methods it uses, with
 * the promise of the real one that the first attempt is made at once. Time is vitest's.
 */
import { monotonicClock } from '../../src/lib/clock.ts';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import {
  createLedger,
  type Ledger,
  type LedgerOptions,
  type SettledStage,
} from '../../src/accounting/ledger-writer.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { StoreHealth } from '../../src/domain/store.ts';
import type { LedgerRow } from '../../src/domain/ledger.ts';
import { aFinishedRecord } from '../helpers/finished-record.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const GONE = new ProxyError('ERR_STORE_UNAVAILABLE', 'The store is gone.');

/** Takes rows, unless `refuses` says otherwise. */
class FickleStore {
  readonly rows: string[] = [];
  attempts = 0;
  refuses: (row: LedgerRow) => boolean = () => false;
  /** Attempts do not end while this is set. */
  hangs = false;
  readonly calls: string[] = [];
  settleAll: LedgerOptions['store']['settleAll'] = async (rows) => {
    this.attempts += 1;
    if (this.hangs) await new Promise<never>(() => {});
    if (rows.some((row) => this.refuses(row))) throw GONE;
    this.rows.push(...rows.map(({ id }) => id));
  };
  renewLeases = async (nowMs: number): Promise<void> => void this.calls.push(`keep ${nowMs}`);
  settleLost = async (nowMs: number): Promise<number> => this.calls.push(`settle lost ${nowMs}`);
  sizeBytes = 0;
  findSizeBytes = async (): Promise<number> => this.sizeBytes;
  pruneLedger = async (beforeMs: number, maxRows: number): Promise<number> => {
    this.calls.push(`prune ${beforeMs} ${maxRows}`);
    return 0;
  };
  prepareReports = async (): Promise<number> => 0;
  health: StoreHealth = {};
  readHealth = (): StoreHealth => this.health;
}

let store: FickleStore;
let problems: ProxyError[];
let ledger: Ledger;

function open(more: Partial<LedgerOptions> = {}): Ledger {
  ledger = createLedger({
    store,
    nowMs: () => Date.now(),
    tickMs: monotonicClock(() => Date.now()),
    onProblem: (error) => void problems.push(error),
    retentionMs: undefined,
    ...more,
  });
  return ledger;
}

const settleAs = (id: string, stage: SettledStage): void => ledger.settle(aFinishedRecord({ id }), stage);
const settle = (id: string): void => ledger.settle(aFinishedRecord({ id }), 'reserved');

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  store = new FickleStore();
  problems = [];
});

afterEach(async () => {
  store.hangs = false;
  store.refuses = () => false;
  const closed = ledger.close();
  await vi.advanceTimersByTimeAsync(10_000);
  await closed;
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('a row in SQLite', () => {
  it('makes a row readable by another connection at the end of its turn, and before anybody is notified', async () => {
    vi.useRealTimers();
    const folder = await makeTemporaryFolder();
    const path = join(folder, 'keys.db');
    const [sqlite, other] = [await openSqliteStore(path), await openSqliteStore(path)];
    try {
      open({ store: sqlite });
      let reading: ReturnType<typeof other.readLedger> | undefined;
      let isNextTurn = false;
      setImmediate(() => setImmediate(() => (isNextTurn = true)));
      await new Promise<void>((resolve) =>
        ledger.settle(aFinishedRecord({ id: 'a' }), 'reserved', () => {
          // The read of the other connection is made in this very turn.
          reading = other.readLedger({}, { after: 0, limit: 10 });
          resolve();
        }),
      );
      expect(isNextTurn).toBe(false);
      expect((await reading)?.map(({ id, keyLabel }) => [id, keyLabel])).toEqual([['a', 'alice']]);
      await ledger.close();
      expect(problems).toEqual([]);
    } finally {
      await Promise.all([sqlite.close(), other.close()]);
      vi.useFakeTimers();
      open();
    }
  });
});

describe('a row', () => {
  it('hands a row to the store before the turn is over, with all others that end in it', async () => {
    open();
    for (const id of ['a', 'b', 'c']) settle(id);
    await vi.advanceTimersByTimeAsync(0);
    expect([store.rows, store.attempts]).toEqual([['a', 'b', 'c'], 1]);
  });

  it('writes the rows that ended with one that the store cannot take', async () => {
    open();
    store.refuses = ({ id }) => id === 'b';
    const told: string[] = [];
    for (const id of ['a', 'b', 'c']) ledger.settle(aFinishedRecord({ id }), 'admitted', () => told.push(id));
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual(['a', 'b', 'c']);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(store.rows).toEqual(['a', 'c']);
  });

  it('writes no row for requests of nobody', async () => {
    open().settle(aFinishedRecord({ principal: undefined }), 'refused');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(store.attempts).toBe(0);
  });

  it('keeps a row while the store is gone for a minute, and writes it when it is back', async () => {
    open();
    store.refuses = () => true;
    for (const id of ['a', 'b', 'c']) {
      settle(id);
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(store.rows).toEqual([]);
    await vi.advanceTimersByTimeAsync(60_000);
    store.refuses = () => false;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(store.rows.toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('keeps the order of rows through a short trouble', async () => {
    open();
    store.refuses = () => true;
    for (const id of ['a', 'b', 'c']) {
      settle(id);
      await vi.advanceTimersByTimeAsync(0);
    }
    await vi.advanceTimersByTimeAsync(300);
    store.refuses = () => false;
    settle('d');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(store.rows).toEqual(['a', 'b', 'c', 'd']);
  });

  it('tries a row again less and less often, once a second at last', async () => {
    open();
    store.refuses = () => true;
    settle('a');
    await vi.advanceTimersByTimeAsync(3_000);
    const before = store.attempts;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(store.attempts - before).toBe(10);
  });

  it('loses a row that the store never takes, and holds nobody up', async () => {
    open();
    store.refuses = ({ id }) => id === 'bad';
    settle('bad');
    await vi.advanceTimersByTimeAsync(0);
    for (const id of ['a', 'b']) settle(id);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(store.rows).toEqual(['a', 'b']);
    const before = store.attempts;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(store.attempts).toBe(before);
    expect(problems.at(-1)?.message).toContain('loses rows');
  });

  it('keeps a row while the store is busy with others, and writes it with those that wait too', async () => {
    open();
    const busy = Promise.withResolvers<void>();
    const { settleAll } = store;
    store.settleAll = async (rows) => {
      await settleAll(rows);
      if (store.attempts === 1) await busy.promise;
    };
    for (const id of ['a', 'b', 'c']) {
      settle(id);
      await vi.advanceTimersByTimeAsync(0);
    }
    expect([store.rows, store.attempts]).toEqual([['a'], 1]);
    busy.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect([store.rows, store.attempts]).toEqual([['a', 'b', 'c'], 2]);
  });

  it('tries a row once that comes after the end', async () => {
    open();
    await ledger.close();
    settle('late');
    await vi.advanceTimersByTimeAsync(0);
    expect(store.rows).toEqual(['late']);
  });

  it('does not offer all rows to a store that does not answer', async () => {
    open();
    store.hangs = true;
    for (let count = 0; count < 500; count += 1) {
      settle(`row ${count}`);
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(store.attempts).toBe(1);
  });
});

describe('trouble', () => {
  it('reports trouble once, and again only after a row got through', async () => {
    open();
    store.refuses = () => true;
    for (const id of ['a', 'b']) settle(id);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(problems).toEqual([GONE]);
    store.refuses = () => false;
    await vi.advanceTimersByTimeAsync(2_000);
    store.refuses = () => true;
    settle('c');
    await vi.advanceTimersByTimeAsync(30_000);
    expect(problems).toEqual([GONE, GONE]);
  });

  it('says that the store fails if it has had rows for long without a word', async () => {
    open();
    store.hangs = true;
    settle('one');
    await vi.advanceTimersByTimeAsync(4_000);
    expect(ledger.readState()).toEqual({ waitingRows: 1, lostRows: 0, failingForMs: undefined });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ledger.readState().failingForMs).toBeGreaterThanOrEqual(60_000);
  });

  it('loses what is beyond ten thousand rows, reports that once, and counts it at the end', async () => {
    open();
    expect(ledger.readState()).toEqual({ waitingRows: 0, lostRows: 0, failingForMs: undefined });
    store.refuses = () => true;
    settle('first');
    await vi.advanceTimersByTimeAsync(0);
    expect(ledger.readState()).toEqual({ waitingRows: 1, lostRows: 0, failingForMs: 0 });
    for (let count = 1; count < 10_025; count += 1) settle(`row ${count}`);
    await vi.advanceTimersByTimeAsync(0);
    expect(problems.map(({ message }) => message)).toEqual([
      'The store is gone.',
      'The ledger loses rows: the store does not take them.',
    ]);
    expect(ledger.readState()).toMatchObject({ waitingRows: 10_000, lostRows: 25 });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ledger.readState().failingForMs).toBeGreaterThanOrEqual(60_000);
    const closed = ledger.close();
    await vi.advanceTimersByTimeAsync(5_000);
    await closed;
    expect(problems.at(-1)?.message).toBe('The ledger has lost 10025 rows: the store does not take them.');
    open();
  });
});

describe('the end', () => {
  it('writes waiting rows at the end', async () => {
    open();
    store.refuses = () => true;
    settle('a');
    await vi.advanceTimersByTimeAsync(0);
    store.refuses = () => false;
    await ledger.close();
    expect(store.rows).toEqual(['a']);
    expect(problems).toEqual([GONE]);
  });

  it('does not wait for ever for a store that does not answer', async () => {
    open();
    store.hangs = true;
    settle('a');
    const closed = ledger.close();
    await vi.advanceTimersByTimeAsync(3_000);
    await closed;
    expect(problems.map(({ message }) => message)).toEqual([
      'The ledger has lost 1 rows: the store does not take them.',
    ]);
  });
});

it('starts the maintenance of the ledger when it is opened, and ends it when it is closed', async () => {
  open({ retentionMs: 600_000 });
  await vi.advanceTimersByTimeAsync(0);
  expect(store.calls).toEqual(['keep 1000000', 'prune 400000 100', 'settle lost 1000000']);
  await ledger.close();
  await vi.advanceTimersByTimeAsync(7_200_000);
  expect(store.calls).toHaveLength(3);
});

describe('a store that has its full size', () => {
  const GIB = 1024 ** 3;

  it('writes only what money is reserved for, says so once, and how many requests are missing at the end', async () => {
    store.sizeBytes = 8 * GIB;
    open();
    await vi.advanceTimersByTimeAsync(0);
    expect(problems.map(({ message }) => message)).toEqual([
      'The ledger keeps no requests without a budget: the database has its full size.',
    ]);
    for (const stage of ['refused', 'admitted', 'reserved'] as const) settleAs(stage, stage);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(store.rows).toEqual(['reserved']);
    await ledger.close();
    expect(problems.map(({ message }) => message).slice(1)).toEqual([
      'The ledger did not keep 2 requests without a budget: the database has its full size.',
    ]);
  });

  it('writes everything again when there is room', async () => {
    store.sizeBytes = 8 * GIB;
    open();
    await vi.advanceTimersByTimeAsync(0);
    store.sizeBytes = 7.9 * GIB;
    await vi.advanceTimersByTimeAsync(10_000);
    settleAs('a', 'admitted');
    store.sizeBytes = 7 * GIB;
    await vi.advanceTimersByTimeAsync(10_000);
    settleAs('b', 'admitted');
    await vi.advanceTimersByTimeAsync(0);
    expect(store.rows).toEqual(['b']);
  });
});

it('writes the sum of refused requests after ten seconds, and what is left of it when it closes', async () => {
  open();
  for (let count = 0; count < 8; count += 1) ledger.settle(aFinishedRecord({ id: `a${count}` }), 'refused');
  await vi.advanceTimersByTimeAsync(9_000);
  expect(store.rows).toEqual(['a0', 'a1', 'a2', 'a3', 'a4']);
  await vi.advanceTimersByTimeAsync(1_001);
  expect(store.rows.slice(5)).toEqual(['a5']);
  await vi.advanceTimersByTimeAsync(50_000);
  for (let count = 0; count < 8; count += 1) ledger.settle(aFinishedRecord({ id: `b${count}` }), 'refused');
  await ledger.close();
  expect(store.rows.slice(6)).toEqual(['b0', 'b1', 'b2', 'b3', 'b4', 'b5']);
});
