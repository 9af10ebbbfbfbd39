/** The ledger in its partitions: made in time, dropped when they are too old; and the texts that it takes. */
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Store } from '../../../src/domain/store.ts';
import { openDatabase } from '../../../src/store/postgres/database.ts';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import { POSTGRES, type PostgresServer, sharedPostgres, stopSharedPostgres } from '../../helpers/postgres.ts';
import { aBudget, aLedgerRow, aReservation } from '../../helpers/store-rows.ts';

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
const FIRST_MS = Math.floor(Date.now() / WEEK_MS) * WEEK_MS;

let server: PostgresServer;
let name: string;
let store: Store;

async function query<Row extends object>(sql: string): Promise<Row[]> {
  return server.run<Row>(sql, name);
}

/** Where rows are, by id. */
async function placesOf(): Promise<Record<string, string>> {
  const rows = await query<{ id: string; place: string }>(
    "SELECT id, replace(tableoid::regclass::text, 'bedrock_proxy.', '') AS place FROM bedrock_proxy.ledger",
  );
  return Object.fromEntries(rows.map(({ id, place }) => [id, place]));
}

async function partitions(): Promise<string[]> {
  const rows = await query<{ name: string }>(
    "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'bedrock_proxy.ledger'::regclass",
  );
  return rows.map((row) => row.name.replace('bedrock_proxy.', '')).toSorted();
}

const week = (offset: number): string => `ledger_week_${FIRST_MS / WEEK_MS + offset}`;

/** Sets the database's clock. */
async function setTime(ms: number): Promise<void> {
  await query(`CREATE OR REPLACE FUNCTION bedrock_proxy.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
    'SELECT ${ms}::bigint'`);
}

async function idsOf(): Promise<string[]> {
  return (await store.readLedger({}, { after: 0, limit: 100 })).map(({ id }) => id);
}

describe.skipIf(POSTGRES === undefined)('the ledger in partitions', () => {
  afterAll(stopSharedPostgres);

  beforeEach(async () => {
    server = await sharedPostgres();
    const url = await server.createDatabase({ migrated: true });
    name = new URL(url).pathname.slice(1);
    store = await openPostgresStore(url);
    onTestFinished(() => store.close());
  });

  it('has one for each of the weeks to come, and one for all other times', async () => {
    expect(await partitions()).toEqual(['ledger_other', week(0), week(1), week(2)]);
    await store.settleAll([
      aLedgerRow({ id: 'now', startedAtMs: FIRST_MS }),
      aLedgerRow({ id: 'next', startedAtMs: FIRST_MS + 2 * WEEK_MS - 1 }),
      aLedgerRow({ id: 'far', startedAtMs: FIRST_MS + 3 * WEEK_MS }),
      aLedgerRow({ id: 'old', startedAtMs: FIRST_MS - 1 }),
    ]);
    expect(await placesOf()).toEqual({ now: week(0), next: week(1), far: 'ledger_other', old: 'ledger_other' });
  });

  it('makes new ones in time, and moves what came too early', async () => {
    await store.settleAll([
      aLedgerRow({ id: 'early', startedAtMs: FIRST_MS + 3 * WEEK_MS }),
      aLedgerRow({ id: 'old', startedAtMs: 1 }),
    ]);
    await setTime(FIRST_MS + 2 * WEEK_MS);
    // Two at once, and one that looks again too soon.
    await Promise.all([store.settleLost(FIRST_MS + 2 * WEEK_MS), query('SELECT bedrock_proxy.make_partitions()')]);
    expect(await partitions()).toEqual(['ledger_other', week(0), week(1), week(2), week(3), week(4)]);
    expect(await placesOf()).toEqual({ early: week(3), old: 'ledger_other' });
    await store.settle(aLedgerRow({ id: 'early', startedAtMs: FIRST_MS + 3 * WEEK_MS, chargedNanoUsd: 3 }));
    expect(await idsOf()).toEqual(['old', 'early']);
  });

  it('takes a row whose partition is made at that moment', async () => {
    await setTime(FIRST_MS + 2 * WEEK_MS);
    await store.settle(aLedgerRow({ id: 'before', startedAtMs: FIRST_MS + 3 * WEEK_MS }));
    const database = openDatabase(server.url(name));
    onTestFinished(() => database.close());
    let settled: Promise<void> | undefined;
    await database.transaction(async (transaction) => {
      await transaction.run('SELECT bedrock_proxy.make_partitions()');
      settled = store.settle(aLedgerRow({ id: 'meanwhile', startedAtMs: FIRST_MS + 3 * WEEK_MS }));
      await expect
        .poll(() => query("SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'"))
        .toHaveLength(1);
    });
    await settled;
    expect(await placesOf()).toEqual({ before: week(3), meanwhile: week(3) });
  });

  it('goes on if it may make none, because somebody reads for a long time', async () => {
    await setTime(FIRST_MS + 2 * WEEK_MS);
    const database = openDatabase(server.url(name));
    onTestFinished(() => database.close());
    await database.transaction(async (transaction) => {
      await transaction.run('SELECT count(*) FROM bedrock_proxy.ledger');
      expect(await store.settleLost(FIRST_MS + 2 * WEEK_MS)).toBe(0);
      await store.settle(aLedgerRow({ id: 'meanwhile', startedAtMs: FIRST_MS + 3 * WEEK_MS }));
      expect(await idsOf()).toEqual(['meanwhile']);
    });
  });

  it('drops them as a whole, the oldest first, then deletes rows', async () => {
    const rows = [0, 1, 2].flatMap((offset) =>
      ['a', 'b'].map((part, index) =>
        aLedgerRow({ id: `${part}${offset}`, startedAtMs: FIRST_MS + offset * WEEK_MS + index * DAY_MS }),
      ),
    );
    await store.settleAll([...rows, aLedgerRow({ id: 'other', startedAtMs: 1 })]);
    const beforeMs = FIRST_MS + 2 * WEEK_MS + DAY_MS;
    expect(await store.pruneLedger(beforeMs, 1)).toBe(2);
    expect(await partitions()).toEqual(['ledger_other', week(1), week(2)]);
    expect(await store.pruneLedger(beforeMs, 1)).toBe(2);
    expect(await store.pruneLedger(beforeMs, 1)).toBe(1);
    expect(await idsOf()).toEqual(['a2', 'b2']);
    expect(await store.pruneLedger(beforeMs, 1)).toBe(1);
    expect(await store.pruneLedger(beforeMs, 1)).toBe(0);
    expect(await placesOf()).toEqual({ b2: week(2) });
    expect((await store.sumUsage({ filter: {}, by: ['key'] })).total.requests).toBe(1);
  });

  it('is written, read and pruned by a role that may make no tables', async () => {
    await server.run('CREATE ROLE app LOGIN');
    await query(`GRANT USAGE ON SCHEMA bedrock_proxy TO app;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA bedrock_proxy TO app;
      GRANT USAGE ON ALL SEQUENCES IN SCHEMA bedrock_proxy TO app`);
    const theirs = await openPostgresStore(server.url(name).replace('owner@', 'app@'));
    onTestFinished(() => theirs.close());
    const nowMs = FIRST_MS + 2 * WEEK_MS;
    await setTime(nowMs);
    await theirs.settleLost(nowMs);
    const [first, last] = [FIRST_MS, FIRST_MS + 4 * WEEK_MS];
    for (const startedAtMs of [first, last]) {
      const id = `at ${startedAtMs}`;
      await theirs.reserve(aReservation({ id, nowMs: startedAtMs, amountNanoUsd: 5, budget: aBudget(100) }));
      await theirs.settle(aLedgerRow({ id, startedAtMs, chargedNanoUsd: 5 }));
    }
    expect(await placesOf()).toEqual({ [`at ${first}`]: week(0), [`at ${last}`]: week(4) });
    expect(await theirs.pruneLedger(last, 10)).toBe(1);
    expect(await theirs.pruneLedger(last + 1, 10)).toBe(1);
    expect((await theirs.sumUsage({ filter: {}, by: ['key'] })).total.requests).toBe(0);
    expect(await theirs.findSizeBytes()).toBeGreaterThan(0);
  });

  it('is not pruned too early by a proxy whose clock is ahead', async () => {
    await setTime(FIRST_MS + DAY_MS);
    await store.settle(aLedgerRow({ id: 'one', startedAtMs: FIRST_MS }));
    const aheadMs = FIRST_MS + 500 * DAY_MS;
    expect(await store.pruneLedger(aheadMs - 90 * DAY_MS, 10, aheadMs)).toBe(0);
    expect(await idsOf()).toEqual(['one']);
    expect(await partitions()).toEqual(['ledger_other', week(0), week(1), week(2)]);
    await setTime(aheadMs);
    expect(await store.pruneLedger(aheadMs - 90 * DAY_MS, 10, aheadMs)).toBe(1);
  });

  it('is dropped for nobody who may not delete its rows', async () => {
    await server.run('CREATE ROLE reader LOGIN');
    await query('GRANT USAGE ON SCHEMA bedrock_proxy TO reader; GRANT SELECT ON bedrock_proxy.ledger TO reader');
    await store.settle(aLedgerRow({ id: 'one', startedAtMs: FIRST_MS }));
    const theirs = openDatabase(server.url(name).replace('owner@', 'reader@'));
    onTestFinished(() => theirs.close());
    const text = `SELECT bedrock_proxy.prune_ledger(${FIRST_MS + 9 * WEEK_MS}, 10)`;
    await expect(theirs.query({ name: 'prune', text })).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    expect(await idsOf()).toEqual(['one']);
    expect(await partitions()).toEqual(['ledger_other', week(0), week(1), week(2)]);
  });

  it('takes what is no text for PostgreSQL as far as it is one', async () => {
    const text = 'a\0b\uD800c\uDE00d\u{1F600}\\u0000';
    const stored = 'a\uFFFDb\uFFFDc\uFFFDd\u{1F600}\\u0000';
    await store.settle(aLedgerRow({ id: 'one', model: text, tags: { [text]: text }, errorMessage: '\\ud800' }));
    expect(await store.readLedger({ model: text, tags: { [text]: text } }, { after: 0, limit: 9 })).toMatchObject([
      { id: 'one', model: stored, tags: { [stored]: stored }, errorMessage: '\\ud800' },
    ]);
    expect(await store.readLedger({ keyIds: [text] }, { after: 0, limit: 9 })).toEqual([]);
  });
});
