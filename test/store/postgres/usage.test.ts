/** Reports over a ledger in PostgreSQL: whatever was replaced, pruned and summed before, they say what SQLite says. */
import * as fc from 'fast-check';
import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import type { LedgerFilter, LedgerRow, UsageGroup, UsageGrouping, UsageSums } from '../../../src/domain/ledger.ts';
import type { Store } from '../../../src/domain/store.ts';
import { openDatabase } from '../../../src/store/postgres/database.ts';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import { PostgresUsage } from '../../../src/store/postgres/usage.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { POSTGRES, type PostgresServer, sharedPostgres, stopSharedPostgres } from '../../helpers/postgres.ts';
import { sumOf } from '../../helpers/plain-usage.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
/** The end of this week's partition, and the begin of the next one's. */
const EDGE_MS = (Math.floor(Date.now() / WEEK_MS) + 1) * WEEK_MS;

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const small = fc.integer({ min: 0, max: 5 });
/** On both sides of midnight, of the edge of a partition, and in none. */
const time = fc.constantFrom(
  0,
  1,
  DAY_MS,
  EDGE_MS - DAY_MS - 1,
  EDGE_MS - DAY_MS,
  EDGE_MS - 1,
  EDGE_MS,
  EDGE_MS + 1,
  EDGE_MS + DAY_MS,
);
const tags = fc.constantFrom({}, { team: 'a' }, { team: 'b', ci: '' }, { ci: '', team: 'b' }, { 'a"b': 'c' });
const someRow = fc
  .record({
    requests: fc.constantFrom(1, 1, 7),
    startedAtMs: time,
    keyId: optional(fc.constantFrom('vk_a', 'vk_b')),
    keyLabel: fc.constantFrom('x', 'y', 'z'),
    model: optional(fc.constantFrom('m', 'n')),
    operation: optional(fc.constantFrom('Converse', 'InvokeModel')),
    upstream: optional(fc.constantFrom('u', 'v')),
    status: optional(fc.constantFrom(200, 429)),
    usage: optional(fc.record({ inputTokens: optional(small), cacheWriteTokens: optional(small) })),
    pricing: fc.constantFrom('priced', 'unpriced', 'free'),
    costNanoUsd: optional(small),
    chargedNanoUsd: small,
    partial: fc.boolean(),
    serviceTier: optional(fc.constantFrom('default', 'standard', 'flex')),
    userAgent: optional(fc.constantFrom('boto3', 'ä')),
    session: optional(fc.constantFrom('s', 't')),
    tags,
  })
  .map((fields) => aLedgerRow({ ...fields, principal: fields.keyId === undefined ? 'master' : 'key' }));

/** `replace`: one of the rows that are there, by its place among them. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ settle: fc.array(someRow, { minLength: 1, maxLength: 8 }) }) },
  { weight: 2, arbitrary: fc.record({ replace: fc.nat(), by: someRow }) },
  { weight: 4, arbitrary: fc.record({ sumUp: fc.constantFrom(1, 3, 1_000) }) },
  { weight: 1, arbitrary: fc.record({ pruneBefore: time }) },
);

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

const GROUPINGS: readonly (readonly UsageGrouping[])[] = [
  ...(['key', 'principal', 'model', 'day', 'operation', 'upstream', 'tier', 'client'] as const).map((by) => [by]),
  ...(['session', 'tag', 'tag:ci'] as const).map((by) => [by]),
  ['key', 'principal', 'model', 'day'],
  ['key', 'day', 'tag:team'],
  ['day', 'tag', 'session'],
];
const someFilter: fc.Arbitrary<LedgerFilter> = fc.record({
  sinceMs: optional(time),
  untilMs: optional(time),
  keyIds: optional(fc.constantFrom<readonly string[]>(['vk_a'], ['vk_b', 'vk_none'], [])),
  principal: optional(fc.constantFrom<LedgerRow['principal']>('key', 'master')),
  model: optional(fc.constantFrom('m', 'x')),
  operation: optional(fc.constantFrom('Converse')),
  status: optional(fc.constantFrom([400, 499] as const)),
  session: optional(fc.constantFrom('s')),
  tags: optional(fc.constantFrom({ team: 'b' }, { team: 'b', ci: '' }, { ci: 'x' })),
});
/** Mostly few conditions: those that sums kept in advance can meet. */
const filters = fc.record({
  all: someFilter,
  kept: fc.integer({ min: 0, max: 15 }),
  by: fc.constantFrom(...GROUPINGS),
});

const WRITERS = 3;
const WRITER_ROUNDS = 60;

interface Both {
  readonly stores: readonly [postgres: Store, sqlite: Store];
  readonly run: (sql: string) => Promise<unknown>;
}

async function openBoth(server: PostgresServer): Promise<Both> {
  const url = await server.createDatabase({ migrated: true });
  const stores = [
    await openPostgresStore(url),
    await openSqliteStore(join(await makeTemporaryFolder(), 'keys.db')),
  ] as const;
  onTestFinished(async () => void (await Promise.all(stores.map((store) => store.close()))));
  return { stores, run: (sql) => server.run(sql, new URL(url).pathname.slice(1)) };
}

/** Groups in one order; those by several things come in none. */
function toMap(groups: readonly UsageGroup[]): Map<string, UsageGroup> {
  return new Map(groups.map((group) => [JSON.stringify(group.names.map((name) => name ?? null)), group]));
}

describe.skipIf(POSTGRES === undefined)('usage in PostgreSQL', () => {
  afterAll(stopSharedPostgres);

  it('is what SQLite says, whatever was settled, replaced, pruned and summed in advance', async () => {
    const both = await openBoth(await sharedPostgres());
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), fc.array(filters), async (steps, asked) => {
        await clear(both);
        await take(both, steps);
        for (const by of GROUPINGS) await expectSame(both.stores, {}, by);
        for (const { all, kept, by } of asked) {
          const filter = Object.fromEntries(Object.entries(all).filter((_, index) => (index * 7 + kept) % 4 === 0));
          await expectSame(both.stores, filter, by);
        }
      }),
      { numRuns: 8 },
    );
  }, 60_000);

  it('tells the label of the last row that there is', async () => {
    const { stores, run } = await openBoth(await sharedPostgres());
    const [store] = stores;
    const labelOf = async (keyId: string): Promise<string | undefined> =>
      (await store.sumUsage({ filter: { keyIds: [keyId] }, by: ['key'] })).groups[0]?.label;
    const last = aLedgerRow({ keyLabel: 'last' });
    await store.settleAll([aLedgerRow({ keyLabel: 'first' }), aLedgerRow({ keyLabel: 'second' }), last]);
    await run('SELECT bedrock_proxy.sum_up(100, 0)');
    expect(await labelOf('vk_a')).toBe('last');
    await store.settle({ ...last, keyId: 'vk_b' });
    expect([await labelOf('vk_a'), await labelOf('vk_b')]).toEqual(['second', 'last']);
    await run('SELECT bedrock_proxy.sum_up(100, 0)');
    expect([await labelOf('vk_a'), await labelOf('vk_b')]).toEqual(['second', 'last']);
  });

  it('may take longer than other statements', async () => {
    const server = await sharedPostgres();
    const url = await server.createDatabase({ migrated: true });
    const [hasty, patient] = [openDatabase(url, { statementTimeoutMs: 50 }), openDatabase(url)];
    onTestFinished(async () => void (await Promise.all([hasty.close(), patient.close()])));
    const late = `SELECT FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND clock_timestamp() - query_start > '100 ms'::interval`;
    let sums: Promise<UsageSums> | undefined;
    await patient.transaction(async (transaction) => {
      await transaction.run('LOCK TABLE bedrock_proxy.ledger');
      sums = new PostgresUsage(hasty).sum({ filter: {}, by: ['key'] });
      await expect.poll(() => server.run(late)).toHaveLength(1);
    });
    expect((await sums)?.total).toEqual(sumOf([]));
  });

  it('is of one moment, whatever is settled, replaced and summed in advance meanwhile', async () => {
    const both = await openBoth(await sharedPostgres());
    const [store] = both.stores;
    const settled: LedgerRow[] = [];
    const busy = new Set<number>(Array.from({ length: WRITERS }, (_, writer) => writer));
    const write = async (writer: number): Promise<void> => {
      for (let round = 0; round < WRITER_ROUNDS; round += 1) {
        const pair = [aLedgerRow({ keyId: 'vk_a' }), aLedgerRow({ keyId: 'vk_b' })];
        await store.settleAll(pair);
        const [first, second] = pair.map((row) => ({ ...row, costNanoUsd: round, chargedNanoUsd: round }));
        if (first === undefined || second === undefined) throw new Error('a row is missing');
        await store.settleAll(round % 2 === 0 ? [second, first] : []);
        settled.push(...(round % 2 === 0 ? [first, second] : pair));
      }
      busy.delete(writer);
    };
    const sumUp = async (): Promise<void> => {
      while (busy.size > 0) await both.run('SELECT bedrock_proxy.sum_up(5, 0)');
    };
    const report = async (): Promise<void> => {
      while (busy.size > 0) {
        const { groups, total } = await store.sumUsage({ filter: {}, by: ['key'] });
        const [one, other] = groups;
        expect({ ...other, names: one?.names }).toEqual({ ...one });
        expect(total.requests).toBe(2 * (one?.requests ?? 0));
      }
    };
    await Promise.all([...[...busy].map(write), sumUp(), sumUp(), report()]);
    const { total } = await store.sumUsage({ filter: {}, by: ['model'] });
    expect(total).toEqual(sumOf(settled));
  });
});

/** Without any row, as a ledger is that was pruned; the sums of what it had are left to be corrected. */
async function clear({ stores, run }: Both): Promise<void> {
  for (const store of stores) await pruneAll(store, Number.MAX_SAFE_INTEGER);
  await expectSame(stores, {}, ['key']);
  await run('SELECT bedrock_proxy.make_partitions()');
}

async function pruneAll(store: Store, beforeMs: number): Promise<void> {
  for (let pruned = 1; pruned > 0;) pruned = await store.pruneLedger(beforeMs, 1_000);
}

async function take({ stores, run }: Both, steps: readonly Step[]): Promise<void> {
  let rows: LedgerRow[] = [];
  for (const one of steps) {
    if ('sumUp' in one) {
      await run(`SELECT bedrock_proxy.sum_up(${one.sumUp}, 0)`);
    } else if ('pruneBefore' in one) {
      for (const store of stores) await pruneAll(store, one.pruneBefore);
      rows = rows.filter(({ startedAtMs }) => startedAtMs >= one.pruneBefore);
    } else {
      const earlier = 'by' in one ? rows[one.replace % rows.length] : undefined;
      const { id, startedAtMs } = earlier ?? {};
      const same = id === undefined || startedAtMs === undefined ? {} : { id, startedAtMs };
      const settled = 'by' in one ? [{ ...one.by, ...same }] : one.settle;
      for (const store of stores) await store.settleAll(settled);
      rows = [...rows.filter((row) => row !== earlier), ...settled];
    }
  }
}

async function expectSame(
  [postgres, sqlite]: Both['stores'],
  filter: LedgerFilter,
  by: readonly UsageGrouping[],
): Promise<void> {
  const [found, expected] = [await postgres.sumUsage({ filter, by }), await sqlite.sumUsage({ filter, by })];
  expect(found.total).toEqual(expected.total);
  if (by.length === 1) expect(found.groups).toEqual(expected.groups);
  else expect(toMap(found.groups)).toEqual(toMap(expected.groups));
}
