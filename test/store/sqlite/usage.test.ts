/** Sums over the ledger, beside the same sums worked out row by row in plain JavaScript. */
import * as fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { connect } from '../../../src/store/sqlite/connection.ts';
import { insertLedgerRow, prepareLedger } from '../../../src/store/sqlite/ledger.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { LedgerRow, UsageGroup, UsageGrouping, UsageTotals } from '../../../src/domain/ledger.ts';
import type { Store } from '../../../src/domain/store.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';

const DAY_MS = 86_400_000;
const GROUPINGS: readonly UsageGrouping[] = ['key', 'model', 'day', 'operation', 'region', 'tag'];

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'usage-'));
  path = join(folder, 'keys.db');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function storeWith(rows: readonly LedgerRow[]): Promise<Store> {
  const connection = connect(path);
  const ledger = prepareLedger(connection);
  connection.atomically(() => {
    for (const row of rows) insertLedgerRow(ledger, row, null);
  });
  connection.database.close();
  const store = await openSqliteStore(path);
  onTestFinished(() => store.close());
  return store;
}

function namesOf(row: LedgerRow, by: UsageGrouping): (string | undefined)[] {
  if (by === 'tag') {
    const tags = Object.entries(row.tags).map(([name, value]) => `${name}=${value}`);
    return tags.length === 0 ? [undefined] : tags;
  }
  if (by === 'day') return [new Date(row.startedAtMs).toISOString().slice(0, 10)];
  return [by === 'key' ? row.keyId : row[by]];
}

function sumOf(rows: readonly LedgerRow[]): UsageTotals {
  const sum = (part: (row: LedgerRow) => number | undefined): number =>
    rows.reduce((total, row) => total + (part(row) ?? 0), 0);
  return {
    requests: rows.length,
    errors: sum(({ status }) => (status === undefined || status >= 400 ? 1 : 0)),
    unpriced: sum(({ pricing }) => (pricing === 'unpriced' ? 1 : 0)),
    partial: sum(({ partial }) => (partial ? 1 : 0)),
    inputTokens: sum(({ usage }) => usage?.inputTokens),
    outputTokens: sum(({ usage }) => usage?.outputTokens),
    cacheReadTokens: sum(({ usage }) => usage?.cacheReadTokens),
    cacheWriteTokens: sum(({ usage }) => usage?.cacheWriteTokens),
    costNanoUsd: sum(({ costNanoUsd }) => costNanoUsd),
    estimatedNanoUsd: sum(({ chargedNanoUsd, costNanoUsd = 0 }) => Math.max(0, chargedNanoUsd - costNanoUsd)),
  };
}

function groupsOf(rows: readonly LedgerRow[], by: UsageGrouping): UsageGroup[] {
  const names = new Set(rows.flatMap((row) => namesOf(row, by)));
  return [...names].map((name) => {
    const members = rows.filter((row) => namesOf(row, by).includes(name));
    return { name, label: by === 'key' ? members.at(-1)?.keyLabel : undefined, ...sumOf(members) };
  });
}

const sorted = (groups: readonly UsageGroup[]): UsageGroup[] =>
  groups.toSorted((a, b) => (String(a.name) < String(b.name) ? -1 : 1));

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const small = fc.integer({ min: 0, max: 5 });
const someRow = fc
  .record({
    startedAtMs: fc.integer({ min: 0, max: 3 * DAY_MS }),
    keyId: optional(fc.constantFrom('vk_a', 'vk_b')),
    keyLabel: fc.constantFrom('x', 'y'),
    model: optional(fc.constantFrom('m', 'n')),
    operation: optional(fc.constantFrom('Converse', 'InvokeModel')),
    region: optional(fc.constantFrom('us-east-1', 'eu-west-1')),
    status: optional(fc.constantFrom(200, 399, 400, 500)),
    usage: optional(
      fc.record({ inputTokens: optional(small), outputTokens: optional(small), cacheReadTokens: optional(small) }),
    ),
    pricing: fc.constantFrom('priced', 'unpriced', 'free'),
    costNanoUsd: optional(small),
    chargedNanoUsd: small,
    partial: fc.boolean(),
    tags: fc.constantFrom({}, { team: 'a' }, { team: 'b', ci: '' }, { ci: '' }),
  })
  .map((fields) => aLedgerRow({ ...fields, principal: fields.keyId === undefined ? 'master' : 'key' }));

it('are those of a plain loop over the rows, whatever they are', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(someRow, { maxLength: 40 }), async (rows) => {
      const store = await storeWith(rows);
      for (const by of GROUPINGS) {
        const { groups, total } = await store.sumUsage({}, by);
        expect(sorted(groups)).toEqual(sorted(groupsOf(rows, by)));
        expect(total).toEqual(sumOf(rows));
      }
      await store.close();
      await rm(path, { force: true });
      for (const end of ['-wal', '-shm']) await rm(path + end, { force: true });
    }),
    { numRuns: 25 },
  );
});

/** More than four slices, so that keys are summed along their index; one key has more rows than a slice. */
describe('of a large ledger', () => {
  const rows = Array.from({ length: 120_000 }, (_, index) =>
    aLedgerRow({
      startedAtMs: index * 5_000,
      keyId: index % 3 === 0 ? 'vk_large' : index % 3 === 1 ? `vk_${index % 500}` : undefined,
      keyLabel: `label-${Math.floor(index / 1_000)}`,
      model: `model-${index % 7}`,
      costNanoUsd: index,
      chargedNanoUsd: index + 1,
      tags: index % 2 === 0 ? {} : { team: String(index % 5) },
    }),
  );

  it('are the same in slices, between which the program does other things', { timeout: 60_000 }, async () => {
    const store = await storeWith(rows);
    let turns = 0;
    const count = (): void => {
      turns += 1;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    await store.sumUsage({}, 'key');
    clearImmediate(timer);
    expect(turns).toBeGreaterThanOrEqual(4);
    for (const by of ['key', 'model', 'tag'] as const) {
      const { groups, total } = await store.sumUsage({}, by);
      expect(total).toEqual(sumOf(rows));
      const byName = Map.groupBy(
        rows.flatMap((row) => namesOf(row, by).map((name) => ({ name, row }))),
        ({ name }) => name,
      );
      const expected = [...byName].map(([name, members]) => ({
        name,
        label: by === 'key' ? members.at(-1)?.row.keyLabel : undefined,
        ...sumOf(members.map(({ row }) => row)),
      }));
      expect(sorted(groups)).toEqual(sorted(expected));
    }
    const sinceMs = 60_000 * 5_000;
    const { total } = await store.sumUsage({ sinceMs }, 'key');
    expect(total).toEqual(sumOf(rows.slice(60_000)));
  });
});

describe('groups', () => {
  it('come with the most expensive first', async () => {
    const costs = [
      ['a', 5],
      ['b', 50],
      ['c', 7],
      ['a', 3],
    ] as const;
    const store = await storeWith(
      costs.map(([model, costNanoUsd]) => aLedgerRow({ model, costNanoUsd, chargedNanoUsd: costNanoUsd })),
    );
    const { groups } = await store.sumUsage({}, 'model');
    expect(groups.map(({ name, costNanoUsd }) => [name, costNanoUsd])).toEqual([
      ['b', 50],
      ['a', 8],
      ['c', 7],
    ]);
  });

  it('of days come with the oldest first, and change at midnight UTC', async () => {
    const times = [3 * DAY_MS, DAY_MS - 1, DAY_MS, 0];
    const store = await storeWith(times.map((startedAtMs) => aLedgerRow({ startedAtMs })));
    const { groups } = await store.sumUsage({}, 'day');
    expect(groups.map(({ name, requests }) => [name, requests])).toEqual([
      ['1970-01-01', 2],
      ['1970-01-02', 1],
      ['1970-01-04', 1],
    ]);
  });

  it('of an empty ledger are none', async () => {
    const store = await storeWith([]);
    for (const by of GROUPINGS) expect(await store.sumUsage({}, by)).toEqual({ groups: [], total: sumOf([]) });
  });
});
