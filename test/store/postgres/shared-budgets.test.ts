/**
 * One database and several proxies on it: they spend no more than there is, get into no deadlock, write each row once,
 * and lose nothing if one of them is killed or its connection breaks.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { RESERVATION_LEASE_MS } from '../../../src/domain/budget.ts';
import type { LedgerRow } from '../../../src/domain/ledger.ts';
import type { Store } from '../../../src/domain/store.ts';
import { EMPTY_POLICY } from '../../../src/keys/limits.ts';
import { PostgresBudgets } from '../../../src/store/postgres/budget.ts';
import { type Database, openDatabase } from '../../../src/store/postgres/database.ts';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import { toPostgresTrouble } from '../../../src/store/postgres/trouble.ts';
import { namesAfter, startLedgerProcess } from '../../helpers/ledger-process.ts';
import { POSTGRES, type PostgresServer, sharedPostgres, stopSharedPostgres } from '../../helpers/postgres.ts';
import { aBudget, aLedgerRow, aReservation } from '../../helpers/store-rows.ts';

const HUNDRED = aBudget(100);

const random = (max: number): number => Math.floor(Math.random() * max);

let server: PostgresServer;
let url: string;
let name: string;

async function open(): Promise<Store> {
  const store = await openPostgresStore(url);
  onTestFinished(() => store.close());
  return store;
}

async function query<Row extends object>(sql: string): Promise<Row[]> {
  return server.run<Row>(sql, name);
}

/** Lets so much time pass on the clock of the database. */
async function advance(ms: number): Promise<void> {
  await query(`CREATE OR REPLACE FUNCTION bedrock_proxy.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + ${ms} $$`);
}

async function setTime(ms: number): Promise<void> {
  await query(`CREATE OR REPLACE FUNCTION bedrock_proxy.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
    'SELECT ${ms}::bigint'`);
}

async function idsOf(store: Store): Promise<string[]> {
  return (await store.readLedger({}, { after: 0, limit: 10_000 })).map(({ id }) => id);
}

/** Nothing is reserved, each row is there once, and what accounts say is the sum of their rows. */
async function checkBooks(): Promise<void> {
  expect(await query('SELECT * FROM bedrock_proxy.reservations WHERE if_lost IS NOT NULL')).toEqual([]);
  expect(await query('SELECT * FROM bedrock_proxy.key_spend WHERE reserved_nano <> 0')).toEqual([]);
  expect(await query('SELECT id FROM bedrock_proxy.ledger GROUP BY id HAVING count(*) <> 1')).toEqual([]);
  expect(
    await query(`SELECT key_id FROM bedrock_proxy.ledger JOIN bedrock_proxy.key_spend ON account_id = key_id
      GROUP BY key_id, total_nano HAVING sum(charged_nano) <> total_nano`),
  ).toEqual([]);
}

async function totalOf(store: Store, keyId = 'vk_a'): Promise<number | undefined> {
  return (await store.findSpend([{ id: keyId, policy: EMPTY_POLICY }], 0)).get(keyId)?.totalNanoUsd;
}

describe.skipIf(POSTGRES === undefined)('budgets in a database that proxies share', () => {
  afterAll(stopSharedPostgres);

  beforeEach(async () => {
    server = await sharedPostgres();
    url = await server.borrowDatabase();
    onTestFinished(() => server.giveBack(url));
    name = new URL(url).pathname.slice(1);
  });

  it('are not overspent by four processes at once', async () => {
    const workers = ['a', 'b', 'c', 'd'].map((worker) => startLedgerProcess(url, worker, 3_000));
    await Promise.all(workers.map(({ said }) => said(1)));
    await Promise.all(workers.map(({ go }) => go()));
    await Promise.all(workers.map(({ ended }) => ended));
    for (const { lines } of workers) expect(lines.at(-1)).toBe('done');
    const store = await open();
    expect(workers.flatMap(({ lines }) => namesAfter('settled', lines)).toSorted()).toEqual(
      (await idsOf(store)).toSorted(),
    );
    expect(await idsOf(store)).toHaveLength(300);
    expect(await totalOf(store)).toBe(3_000);
    await checkBooks();
  });

  it('lose no settled row if a process is killed, and are charged what was under way', async () => {
    const worker = startLedgerProcess(url, 'killed', 1e12);
    await worker.go();
    await worker.said(50 + Math.floor(Math.random() * 100));
    worker.child.kill('SIGKILL');
    await worker.ended;
    const store = await open();
    // What the process had sent, the database may still be at.
    await expect
      .poll(() => query("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"))
      .toEqual([]);
    const before = new Set(await idsOf(store));
    const { length: lost } = await query('SELECT id FROM bedrock_proxy.reservations');
    expect(namesAfter('settled', worker.lines).filter((id) => !before.has(id))).toEqual([]);
    expect(await store.settleLost(0)).toBe(0);
    await advance(RESERVATION_LEASE_MS + 1_000);
    expect(await store.settleLost(0)).toBe(lost);
    const after = new Set(await idsOf(store));
    expect(namesAfter('reserved', worker.lines).filter((id) => !after.has(id))).toEqual([]);
    expect(await totalOf(store)).toBe(10 * after.size);
    await checkBooks();
  });

  it('get into no deadlock, whatever proxies do at once', async () => {
    const stores = await Promise.all([open(), open(), open(), open()]);
    const requests = Array.from({ length: 120 }, (_, index) => {
      const fields = { id: `request-${index}`, keyId: `vk_${index % 5}` };
      return { ...fields, startedAtMs: 1_000 + index, chargedNanoUsd: 1 + random(9) };
    });
    const reservations = requests.map(({ id, keyId, startedAtMs: nowMs }) =>
      aReservation({ id, keyId, nowMs, amountNanoUsd: 10, budget: aBudget(1e6) }),
    );
    await Promise.all(reservations.map((reservation, index) => stores[index % 4]?.reserve(reservation)));
    // A third of them is lost, and all are settled several times, in batches of any order.
    await query('UPDATE bedrock_proxy.reservations SET lease_until_ms = 0 WHERE hashtext(id) % 3 = 0');
    const rows = requests.map((fields) => aLedgerRow(fields));
    const batch = (): LedgerRow[] => rows.toSorted(() => Math.random() - 0.5).slice(0, 20);
    const work = stores.flatMap((store) => [
      ...Array.from({ length: 8 }, () => () => store.settleAll(batch())),
      ...Array.from({ length: 4 }, () => () => store.renewLeases(0)),
      ...Array.from({ length: 4 }, () => () => store.settleLost(0)),
      ...Array.from({ length: 4 }, () => async () => {
        const { id } = aLedgerRow();
        const nowMs = Date.now();
        await store.reserve(
          aReservation({ id, keyId: `vk_${random(5)}`, nowMs, amountNanoUsd: 1, budget: aBudget(1e6) }),
        );
        await store.settle(aLedgerRow({ id, keyId: `vk_${random(5)}`, startedAtMs: nowMs, chargedNanoUsd: 0 }));
      }),
    ]);
    await Promise.all(work.toSorted(() => Math.random() - 0.5).map(async (step) => step()));
    await stores[0]?.settleAll(rows);
    await checkBooks();
    const charged = await query<{ id: string; charged_nano: number }>(
      "SELECT id, charged_nano::int FROM bedrock_proxy.ledger WHERE id LIKE 'request-%'",
    );
    expect(new Map(charged.map((row) => [row.id, row.charged_nano]))).toEqual(
      new Map(rows.map((row) => [row.id, row.chargedNanoUsd])),
    );
    const [statistics] = await query<{ deadlocks: number }>(
      'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
    );
    expect(statistics?.deadlocks).toBe(0);
  });

  it('are charged once for a row that several proxies write, again and again', async () => {
    const stores = await Promise.all([open(), open(), open()]);
    const rows = Array.from({ length: 50 }, (_, index) => aLedgerRow({ startedAtMs: index, chargedNanoUsd: 7 }));
    await Promise.all([...stores, ...stores].map((store) => store.settleAll(rows)));
    const [store = await open()] = stores;
    expect((await idsOf(store)).toSorted()).toEqual(rows.map(({ id }) => id).toSorted());
    expect(await totalOf(store)).toBe(50 * 7);
    // Of one batch, the last row of an id counts.
    const [first = aLedgerRow()] = rows;
    await store.settleAll([
      { ...first, chargedNanoUsd: 90 },
      { ...first, chargedNanoUsd: 8 },
    ]);
    expect(await totalOf(store)).toBe(50 * 7 + 1);
    await checkBooks();
  });

  it('begin a window when the database says so, whatever the clocks of proxies say', async () => {
    const [store, other] = [await open(), await open()];
    const hourMs = 3_600_000;
    const hourly = aBudget(100, { windowMs: hourMs });
    const beganMs = Math.floor(Date.now() / hourMs) * hourMs;
    const reserve = async (by: Store, nowMs: number): Promise<string> =>
      (await by.reserve(aReservation({ amountNanoUsd: 60, budget: hourly, nowMs }))).kind;
    await setTime(beganMs + 5);
    expect(await reserve(store, beganMs + 9 * hourMs)).toBe('reserved');
    expect(await reserve(store, beganMs + 90 * hourMs)).toBe('held');
    expect(await reserve(other, beganMs - 9 * hourMs)).toBe('held');
    const [account] = await query<{ start: number }>(
      'SELECT window_start_ms::float AS start FROM bedrock_proxy.key_spend',
    );
    expect(account?.start).toBe(beganMs);
  });

  it('have no row appear behind a reader who has read on', async () => {
    const writers = await Promise.all([open(), open(), open()]);
    const reader = await open();
    const rows = Array.from({ length: 150 }, () => aLedgerRow());
    let isOver = false;
    const writing = Promise.all(rows.map((row, index) => writers[index % 3]?.settle(row))).finally(
      () => (isOver = true),
    );
    const seen: string[] = [];
    for (let after = 0, isLast = false; !isLast;) {
      isLast = isOver;
      const page = await reader.readLedger({}, { after, limit: 20 });
      seen.push(...page.map(({ id }) => id));
      after = page.at(-1)?.sequence ?? after;
      isLast &&= page.length === 0;
    }
    await writing;
    expect(seen.toSorted()).toEqual(rows.map(({ id }) => id).toSorted());
  });

  describe('and a connection that breaks', () => {
    let database: Database;
    let budgets: PostgresBudgets;
    /** What happens to the next statements of a name: carried out or not, and no response in any case. */
    let breaks: { name: string; isCarriedOut: boolean }[];
    /** Until then, what is settled is on its way. */
    let settles: Promise<void> | undefined;

    beforeEach(() => {
      database = openDatabase(url);
      breaks = [];
      settles = undefined;
      const broken: Database = Object.assign(Object.create(database), {
        query: async (statement: { name: string; text: string }, values: never[]) => {
          const [next] = breaks;
          if (statement.name === 'settle') await settles;
          if (next?.name !== statement.name) return database.query(statement, values);
          breaks.shift();
          if (next.isCarriedOut) await database.query(statement, values);
          throw toPostgresTrouble(url, new Error('Connection terminated unexpectedly'));
        },
      });
      budgets = new PostgresBudgets(broken, 'me');
      onTestFinished(async () => {
        await budgets.close();
        await database.close();
      });
    });

    const spendOf = async (): Promise<object | undefined> =>
      (await budgets.findSpend([{ id: 'vk_a', policy: EMPTY_POLICY }], 0)).get('vk_a');

    it.each([true, false])('reserve once, whether it was carried out (%s)', async (isCarriedOut) => {
      breaks = [{ name: 'reserve', isCarriedOut }];
      const reservation = aReservation({ amountNanoUsd: 60, budget: HUNDRED });
      expect(await budgets.reserve(reservation)).toEqual({ kind: 'reserved' });
      expect(await spendOf()).toMatchObject({ totalNanoUsd: 0, reservedNanoUsd: 60 });
    });

    it('give back what may be reserved, and let nothing of it come later', async () => {
      breaks = [
        { name: 'reserve', isCarriedOut: true },
        { name: 'reserve', isCarriedOut: false },
      ];
      const reservation = aReservation({ amountNanoUsd: 60, budget: HUNDRED });
      await expect(budgets.reserve(reservation)).rejects.toThrow();
      expect(await spendOf()).toMatchObject({ reservedNanoUsd: 60 });
      await expect.poll(spendOf, { timeout: 10_000 }).toMatchObject({ totalNanoUsd: 0, reservedNanoUsd: 0 });
      await expect(budgets.reserve(reservation)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
      expect(await spendOf()).toMatchObject({ totalNanoUsd: 0, reservedNanoUsd: 0 });
      await advance(600_000);
      await budgets.settleLost();
      expect(await query('SELECT * FROM bedrock_proxy.reservations')).toEqual([]);
      await checkBooks();
    });

    it('give it back also if it was charged as lost meanwhile', async () => {
      breaks = [
        { name: 'reserve', isCarriedOut: true },
        { name: 'reserve', isCarriedOut: true },
        { name: 'cancel', isCarriedOut: false },
      ];
      const settled = aLedgerRow({ chargedNanoUsd: 5 });
      await budgets.settleAll([settled]);
      const reservation = aReservation({ amountNanoUsd: 60, budget: HUNDRED });
      await expect(budgets.reserve(reservation)).rejects.toThrow();
      await advance(RESERVATION_LEASE_MS + 1_000);
      const store = await open();
      expect(await store.settleLost(0)).toBe(1);
      expect(await totalOf(store)).toBe(65);
      await expect.poll(spendOf, { timeout: 10_000 }).toMatchObject({ totalNanoUsd: 5, reservedNanoUsd: 0 });
      expect(await idsOf(store)).toEqual([settled.id]);
      await checkBooks();
    });

    it('give nothing back of a request that goes on, if its second attempt was held', async () => {
      await budgets.reserve(aReservation({ id: 'other', amountNanoUsd: 60, budget: HUNDRED }));
      settles = delay(200);
      const settling = budgets.settleAll([aLedgerRow({ id: 'other', chargedNanoUsd: 0 })]);
      breaks = [{ name: 'reserve', isCarriedOut: false }];
      const { kind } = await budgets.reserve(aReservation({ id: 'mine', amountNanoUsd: 60, budget: HUNDRED }));
      await settling;
      await expect
        .poll(() => query("SELECT * FROM bedrock_proxy.reservations WHERE id = 'mine' AND if_lost IS NULL"), {
          timeout: 10_000,
        })
        .toHaveLength(1);
      expect(kind).toBe('held');
    });

    it('leave a reservation that is refused at the second attempt, but not the first one', async () => {
      const reservation = aReservation({ amountNanoUsd: 60, budget: HUNDRED });
      breaks = [{ name: 'reserve', isCarriedOut: false }];
      await budgets.settleAll([aLedgerRow({ chargedNanoUsd: 90 })]);
      expect(await budgets.reserve(reservation)).toMatchObject({ kind: 'exhausted' });
      // Whatever of the first attempt was still under way.
      await expect.poll(() => query('SELECT * FROM bedrock_proxy.reservations'), { timeout: 10_000 }).toHaveLength(1);
      expect(await spendOf()).toMatchObject({ totalNanoUsd: 90, reservedNanoUsd: 0 });
    });
  });
});
