/**
 * Reports over a ledger of four times as many rows take four times as long, and not sixteen times: with one key that
 * has all rows, which are many slices of one key, and page after page of a time. And what a report does to others.
 */
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { connect } from '../../../src/store/sqlite/connection.ts';
import { insertLedgerRow, prepareLedger } from '../../../src/store/sqlite/ledger.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { Store } from '../../../src/domain/store.ts';
import { sumOf } from '../../helpers/plain-usage.ts';
import { aKeyRow, aLedgerRow } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

/** Some more than four slices of the largest size: below, keys are not walked along their index. */
const ROWS = 101_000;
/** Four is linear, sixteen is quadratic. */
const MAX_GROWTH = 6;
const SINCE = { sinceMs: 1 };

let folder: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
});

/** One key with all rows, a second apart. */
async function storeWith(rows: number, options: Parameters<typeof openSqliteStore>[1] = {}): Promise<Store> {
  const path = join(folder, `${rows}.db`);
  const { database, ...connection } = connect(path);
  insertLedgerRow(prepareLedger({ database, ...connection }), aLedgerRow({ startedAtMs: 0, keyId: 'vk_all' }), null);
  const columns = database.pragma('table_info(ledger)') as { name: string }[];
  const names = columns.map(({ name }) => name).filter((name) => name !== 'sequence');
  const values: Readonly<Record<string, string>> = { id: "'row ' || n", started_at_ms: 'n * 1000' };
  database.exec(
    `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${rows - 1})
     INSERT INTO ledger (${names.join()}) SELECT ${names.map((name) => values[name] ?? name).join()}
     FROM numbers, (SELECT * FROM ledger WHERE sequence = 1)`,
  );
  database.close();
  const store = await openSqliteStore(path, options);
  onTestFinished(() => store.close());
  return store;
}

async function sumByKey(store: Store): Promise<number> {
  return (await store.sumUsage({ filter: {}, by: ['key'] })).total.requests;
}

async function sumSinceByKey(store: Store): Promise<number> {
  return (await store.sumUsage({ filter: SINCE, by: ['key'] })).total.requests + 1;
}

/** As `GET /spend/logs` and `logs` go through the rows of a time. */
async function readPages(store: Store): Promise<number> {
  let count = 1;
  for (let before: number | undefined; ;) {
    const page = await store.readLedgerBackwards(SINCE, { before, limit: 2_000 });
    count += page.length;
    if (page.length < 2_000) return count;
    before = page.at(-1)?.sequence;
  }
}

/** The processor's time, of the faster of two: what others do on the machine makes it slower only. */
async function timeOf(work: () => Promise<number>, rows: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 2; round += 1) {
    const before = process.cpuUsage();
    expect(await work()).toBe(rows);
    const { user, system } = process.cpuUsage(before);
    times.push(user + system);
  }
  return Math.min(...times);
}

it('takes four times as long for four times as many rows', { timeout: 120_000 }, async () => {
  const [small, large] = [await storeWith(ROWS), await storeWith(4 * ROWS)];
  const growth: Record<string, number> = {};
  for (const work of [sumByKey, sumSinceByKey, readPages]) {
    const smallMs = await timeOf(() => work(small), ROWS);
    growth[work.name] = (await timeOf(() => work(large), 4 * ROWS)) / smallMs;
  }
  for (const [name, times] of Object.entries(growth)) expect(times, name).toBeLessThan(MAX_GROWTH);
});

describe('the reports of a server', () => {
  it.skipIf(process.threadCpuUsage === undefined)(
    'are read by a thread: the event loop stays free',
    { timeout: 60_000 },
    async () => {
      const store = await storeWith(ROWS, { threads: true });
      expect(await sumByKey(store)).toBe(ROWS);
      const before = [process.cpuUsage(), process.threadCpuUsage()] as const;
      for (let round = 0; round < 3; round += 1) expect(await sumSinceByKey(store)).toBe(ROWS);
      const all = process.cpuUsage(before[0]);
      const here = process.threadCpuUsage(before[1]);
      expect(here.user + here.system).toBeLessThan(0.3 * (all.user + all.system));
    },
  );

  it('are made one at a time, and a page waits for none of them', { timeout: 60_000 }, async () => {
    const store = await storeWith(ROWS, { threads: true });
    const ended: string[] = [];
    const sumUp = async (name: string): Promise<void> => {
      expect(await sumSinceByKey(store)).toBe(ROWS);
      ended.push(name);
    };
    const readPage = async (): Promise<void> => {
      expect(await store.readLedgerBackwards({}, { limit: 5 })).toHaveLength(5);
      ended.push('page');
    };
    await Promise.all([sumUp('first'), sumUp('second'), sumUp('third'), readPage()]);
    expect(ended).toEqual(['page', 'first', 'second', 'third']);
  });

  it('give many groups in pieces, all of them', async () => {
    const path = join(folder, 'groups.db');
    const store = await openSqliteStore(path, { threads: true });
    onTestFinished(() => store.close());
    const rows = Array.from({ length: 6_000 }, (_, index) =>
      aLedgerRow({ keyId: `vk_${index}`, costNanoUsd: 1_000 + (index % 50) }),
    );
    for (let from = 0; from < rows.length; from += 500) await store.settleAll(rows.slice(from, from + 500));
    const { groups } = await store.sumUsage({ filter: {}, by: ['key'] });
    expect(new Set(groups.map(({ names }) => names[0])).size).toBe(6_000);
    const first = await store.sumUsage({ filter: {}, by: ['key'], limit: 30 });
    expect(first).toEqual({ groups: groups.slice(0, 30), total: sumOf(rows) });
  });

  it('see what was written before they were asked for, and rows of a time that come later', async () => {
    const store = await openSqliteStore(join(folder, 'late.db'), { threads: true });
    onTestFinished(() => store.close());
    const filter = { sinceMs: 10, untilMs: 20 };
    const count = async (): Promise<number> => (await store.sumUsage({ filter, by: ['key'] })).total.requests;
    expect(await count()).toBe(0);
    for (const startedAtMs of [5, 12, 25, 11, 30, 19]) {
      await store.settle(aLedgerRow({ startedAtMs }));
      await store.readLedgerBackwards(filter, { limit: 9 });
    }
    expect(await count()).toBe(3);
    const rows = await store.readLedgerBackwards(filter, { limit: 9 });
    expect(rows.map(({ startedAtMs }) => startedAtMs)).toEqual([19, 11, 12]);
    await store.pruneLedger(12, 9);
    expect(await count()).toBe(2);
  });

  it('are read on the event loop if there is no thread any more', async () => {
    const store = await openSqliteStore(join(folder, 'closed.db'), { threads: true });
    await store.insertKey(aKeyRow());
    await store.settle(aLedgerRow());
    const asked = store.sumUsage({ filter: {}, by: ['key'] });
    await store.close();
    await asked.catch((error: unknown) => expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' }));
  });
});
