/** The sums that are kept beside the rows, whatever is written, deleted and summed in whatever order. */
import * as fc from 'fast-check';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { prepareBudget, settleRows } from '../../../src/store/sqlite/budget.ts';
import { connect } from '../../../src/store/sqlite/connection.ts';
import { countWrongTotals, moveKeyTotals, prepareKeyTotals } from '../../../src/store/sqlite/key-totals.ts';
import { prepareLedger } from '../../../src/store/sqlite/ledger.ts';
import { sumUsage } from '../../../src/store/sqlite/usage.ts';
import type { LedgerRow } from '../../../src/domain/ledger.ts';
import { sortGroups, sumOf } from '../../helpers/plain-usage.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const small = fc.integer({ min: 0, max: 5 });
const someRow = fc
  .record({
    id: fc.integer({ min: 0, max: 12 }).map(String),
    requests: fc.constantFrom(1, 1, 7),
    startedAtMs: small,
    keyId: optional(fc.constantFrom('vk_a', 'vk_b', 'vk_c')),
    keyLabel: fc.constantFrom('x', 'y', 'z'),
    status: optional(fc.constantFrom(200, 500)),
    usage: optional(
      fc.record({
        inputTokens: optional(small),
        outputTokens: optional(small),
        cacheReadTokens: optional(small),
        cacheWriteTokens: optional(small),
      }),
    ),
    pricing: fc.constantFrom('priced', 'unpriced', 'free'),
    costNanoUsd: optional(small),
    chargedNanoUsd: small,
    partial: fc.boolean(),
  })
  .map((fields) => aLedgerRow({ ...fields, principal: fields.keyId === undefined ? 'master' : 'key' }));

const some = fc.integer({ min: 1, max: 6 });
const steps = fc.array(
  fc.oneof(
    { weight: 14, arbitrary: fc.record({ kind: fc.constant('settle' as const), row: someRow }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('sum up' as const), rows: some }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('prune' as const), beforeMs: some, rows: some }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('edit' as const), charged: small }) },
  ),
  { minLength: 20, maxLength: 60 },
);

type Step = typeof steps extends fc.Arbitrary<(infer One)[]> ? One : never;

interface Place extends AsyncDisposable {
  readonly connection: ReturnType<typeof connect>;
  readonly budget: ReturnType<typeof prepareBudget>;
  readonly ledger: ReturnType<typeof prepareLedger>;
  readonly keyTotals: ReturnType<typeof prepareKeyTotals>;
}

async function openPlace(): Promise<Place> {
  const connection = connect(join(await makeTemporaryFolder(), 'keys.db'));
  return {
    connection,
    budget: prepareBudget(connection),
    ledger: prepareLedger(connection),
    keyTotals: prepareKeyTotals(connection),
    [Symbol.asyncDispose]: async () => void connection.database.close(),
  };
}

/** Both have the rows in the order of their sequences. */
function take({ connection, ...tables }: Place, rows: readonly LedgerRow[], step: Step): LedgerRow[] {
  return connection.atomically(() => {
    switch (step.kind) {
      case 'settle':
        settleRows(tables, [step.row]);
        return [...rows.filter(({ id }) => id !== step.row.id), step.row];
      case 'sum up':
        moveKeyTotals(tables.keyTotals, step.rows, 0);
        return [...rows];
      case 'prune': {
        const deleted = rows
          .filter(({ startedAtMs }) => startedAtMs < step.beforeMs)
          .toSorted((a, b) => a.startedAtMs - b.startedAtMs)
          .slice(0, step.rows);
        expect(tables.ledger.prune.run(step.beforeMs, step.rows).changes).toBe(deleted.length);
        return rows.filter((row) => !deleted.includes(row));
      }
      default:
        connection.database.prepare('UPDATE ledger SET charged_nano = ?').run(step.charged);
        return rows.map((row) => ({ ...row, chargedNanoUsd: step.charged }));
    }
  });
}

async function expectSums({ connection, keyTotals }: Place, rows: readonly LedgerRow[]): Promise<void> {
  const reader = { ...connection, keyTotals };
  const { groups, total } = await sumUsage(async (work) => work(reader), { filter: {}, by: ['key'] });
  const byKey = Map.groupBy(rows, ({ keyId }) => keyId);
  const expected = [...byKey].map(([keyId, members]) => ({
    names: [keyId],
    label: members.at(-1)?.keyLabel,
    ...sumOf(members),
  }));
  expect(sortGroups(groups)).toEqual(sortGroups(expected));
  expect(total).toEqual(sumOf(rows));
  expect(countWrongTotals(connection.database)).toBe(0);
}

it('are what a plain loop over the rows adds up to, after every step', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      await using place = await openPlace();
      let rows: LedgerRow[] = [];
      for (const step of plan) {
        rows = take(place, rows, step);
        await expectSums(place, rows);
      }
    }),
    { numRuns: 100 },
  );
});

it('are made of some rows at a time, are read instead of them, and leave the last ten thousand rows', async () => {
  const { connection, ...tables } = await openPlace();
  onTestFinished(() => void connection.database.close());
  connection.atomically(() => {
    const rows = Array.from({ length: 10_250 }, (_, index) => aLedgerRow({ keyId: `vk_${index % 3_000}` }));
    settleRows(tables, rows);
  });
  const moved: number[] = [];
  do moved.push(moveKeyTotals(tables.keyTotals, 100));
  while (moved.at(-1) !== 0);
  expect(moved).toEqual([100, 100, 100, 0]);
  // A report believes them: it does not look at the rows again.
  connection.database.exec("UPDATE key_totals SET cost_nano = 77 WHERE key_id = 'vk_5'");
  expect(countWrongTotals(connection.database)).toBe(1);
  const reader = { ...connection, keyTotals: tables.keyTotals };
  const { groups } = await sumUsage(async (work) => work(reader), { filter: {}, by: ['key'] });
  expect(groups.find(({ names }) => names[0] === 'vk_5')).toMatchObject({ requests: 4, costNanoUsd: 3_077 });
  expect(groups).toHaveLength(3_000);
});
