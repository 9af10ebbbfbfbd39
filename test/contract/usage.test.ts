/** Sums over the ledger, beside the same sums worked out row by row in plain JavaScript. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LedgerRow, UsageGroup, UsageGrouping } from '../../src/domain/ledger.ts';
import type { Store } from '../../src/domain/store.ts';
import { sortGroups, sumOf } from '../helpers/plain-usage.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';
import { describeStores, type StorePlace } from './stores.ts';

const DAY_MS = 86_400_000;
const GROUPINGS: readonly UsageGrouping[] = [
  'key',
  'principal',
  'model',
  'day',
  'operation',
  'region',
  'tier',
  'source',
  'client',
  'session',
  'agent',
  'tag',
  'tag:ci',
  'tag:a"b',
];

function isOneTag(by: UsageGrouping): by is `tag:${string}` {
  return by.startsWith('tag:');
}

function namesOf(row: LedgerRow, by: UsageGrouping): (string | undefined)[] {
  if (by === 'tag') {
    const tags = Object.entries(row.tags).map(([name, value]) => `${name}=${value}`);
    return tags.length === 0 ? [undefined] : tags;
  }
  if (by === 'day') return [new Date(row.startedAtMs).toISOString().slice(0, 10)];
  if (by === 'key') return [row.keyId];
  if (by === 'tier') return [tierOf(row)];
  if (by === 'source') return [row.priceSource];
  if (by === 'client') return [row.userAgent];
  return [isOneTag(by) ? row.tags[by.slice('tag:'.length)] : row[by]];
}

/** What asks for no tier is of AWS's default, if it may have cost anything. */
function tierOf({ serviceTier, pricing }: LedgerRow): string | undefined {
  if (serviceTier === undefined) return pricing === 'free' ? undefined : 'default';
  return serviceTier === 'standard' ? 'default' : serviceTier;
}

function groupsOf(rows: readonly LedgerRow[], by: UsageGrouping): UsageGroup[] {
  const names = new Set(rows.flatMap((row) => namesOf(row, by)));
  return [...names].map((name) => {
    const members = rows.filter((row) => namesOf(row, by).includes(name));
    return { names: [name], label: by === 'key' ? members.at(-1)?.keyLabel : undefined, ...sumOf(members) };
  });
}

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const small = fc.integer({ min: 0, max: 5 });
const someRow = fc
  .record({
    requests: fc.constantFrom(1, 1, 1_000),
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
    serviceTier: optional(fc.constantFrom('default', 'standard', 'flex')),
    priceSource: optional(fc.constantFrom('aws', 'file')),
    userAgent: optional(fc.constantFrom('boto3', 'claude-code')),
    session: optional(fc.constantFrom('s', 't', 'null')),
    agent: optional(fc.constantFrom('a', 'b')),
    tags: fc.constantFrom({}, { team: 'a' }, { team: 'b', ci: '' }, { ci: '' }, { 'a"b': 'c' }),
  })
  .map((fields) => aLedgerRow({ ...fields, principal: fields.keyId === undefined ? 'master' : 'key' }));

describeStores(({ create }) => {
  async function storeWith(rows: readonly LedgerRow[]): Promise<Store> {
    const place: StorePlace = await create();
    const store = await place.open();
    await store.settleAll(rows);
    return store;
  }

  /** Closes the store after each run: hundreds of them at once are too many for a server. */
  async function assertOfRows(check: (rows: readonly LedgerRow[], store: Store) => Promise<void>): Promise<void> {
    await fc.assert(
      fc.asyncProperty(fc.array(someRow, { maxLength: 40 }), async (rows) => {
        const store = await storeWith(rows);
        await check(rows, store);
        await store.close();
      }),
      { numRuns: 15 },
    );
  }

  it('sums usage as a plain loop over the rows does, whatever they are', async () => {
    await assertOfRows(async (rows, store) => {
      for (const by of GROUPINGS) {
        const { groups, total } = await store.sumUsage({ filter: {}, by: [by] });
        expect(sortGroups(groups)).toEqual(sortGroups(groupsOf(rows, by)));
        expect(total).toEqual(sumOf(rows));
      }
    });
  });

  it('groups usage by several things into every combination that rows have', async () => {
    await assertOfRows(async (rows, store) => {
      const by = ['day', 'tag', 'key', 'principal', 'tag:team', 'session', 'tier'] as const;
      const { groups, total } = await store.sumUsage({ filter: {}, by });
      const combinations = Map.groupBy(
        rows.flatMap((row) =>
          namesOf(row, 'tag').map((tag) => ({
            row,
            names: [...namesOf(row, 'day'), tag, row.keyId, row.principal, row.tags['team'], row.session, tierOf(row)],
          })),
        ),
        ({ names }) => JSON.stringify(names.map((name) => name ?? null)),
      );
      const expected = [...combinations].map(([id, members]) => {
        const ofGroup = members.map(({ row }) => row);
        const last = ofGroup.at(-1);
        return [id, { label: last?.keyLabel, ...sumOf(ofGroup) }] as const;
      });
      expect(
        new Map(groups.map(({ names, ...sums }) => [JSON.stringify(names.map((name) => name ?? null)), sums] as const)),
      ).toEqual(new Map(expected));
      expect(groups.length).toBe(combinations.size);
      expect(total).toEqual(sumOf(rows));
    });
  });

  describe('groups', () => {
    it('lists groups of usage with the most expensive first', async () => {
      const costs = [
        ['a', 5],
        ['b', 50],
        ['c', 7],
        ['a', 3],
      ] as const;
      const store = await storeWith(
        costs.map(([model, costNanoUsd]) => aLedgerRow({ model, costNanoUsd, chargedNanoUsd: costNanoUsd })),
      );
      const { groups } = await store.sumUsage({ filter: {}, by: ['model'] });
      expect(groups.map(({ names: [name], costNanoUsd }) => [name, costNanoUsd])).toEqual([
        ['b', 50],
        ['a', 8],
        ['c', 7],
      ]);
    });

    it('lists days with the oldest first, which change at midnight UTC', async () => {
      const times = [3 * DAY_MS, DAY_MS - 1, DAY_MS, 0];
      const store = await storeWith(times.map((startedAtMs) => aLedgerRow({ startedAtMs })));
      const { groups } = await store.sumUsage({ filter: {}, by: ['day'] });
      expect(groups.map(({ names: [name], requests }) => [name, requests])).toEqual([
        ['1970-01-01', 2],
        ['1970-01-02', 1],
        ['1970-01-04', 1],
      ]);
    });

    it('lists no groups of an empty ledger', async () => {
      const store = await storeWith([]);
      for (const by of GROUPINGS)
        expect(await store.sumUsage({ filter: {}, by: [by] })).toEqual({ groups: [], total: sumOf([]) });
    });
  });
});
