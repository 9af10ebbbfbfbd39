/** Sums over a large ledger, worked through in slices, beside the same sums in plain JavaScript. */
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { connect } from '../../../src/store/sqlite/connection.ts';
import { insertLedgerRow, prepareLedger } from '../../../src/store/sqlite/ledger.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { LedgerRow, UsageGrouping } from '../../../src/domain/ledger.ts';
import type { Store } from '../../../src/domain/store.ts';
import { sortGroups, sumOf } from '../../helpers/plain-usage.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const GROUPINGS = ['key', 'model', 'tag'] as const satisfies readonly UsageGrouping[];

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder, 'keys.db');
});

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

function namesOf(row: LedgerRow, by: (typeof GROUPINGS)[number]): (string | undefined)[] {
  if (by === 'tag') {
    const tags = Object.entries(row.tags).map(([name, value]) => `${name}=${value}`);
    return tags.length === 0 ? [undefined] : tags;
  }
  return [by === 'key' ? row.keyId : row[by]];
}

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

  it('sums a large ledger in slices, between which the program does other things', { timeout: 60_000 }, async () => {
    const store = await storeWith(rows);
    let turns = 0;
    const count = (): void => {
      turns += 1;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    await store.sumUsage({ filter: {}, by: ['key'] });
    clearImmediate(timer);
    expect(turns).toBeGreaterThanOrEqual(4);
    for (const by of GROUPINGS) {
      const { groups, total } = await store.sumUsage({ filter: {}, by: [by] });
      expect(total).toEqual(sumOf(rows));
      const byName = Map.groupBy(
        rows.flatMap((row) => namesOf(row, by).map((name) => ({ name, row }))),
        ({ name }) => name,
      );
      const expected = [...byName].map(([name, members]) => ({
        names: [name],
        label: by === 'key' ? members.at(-1)?.row.keyLabel : undefined,
        ...sumOf(members.map(({ row }) => row)),
      }));
      expect(sortGroups(groups)).toEqual(sortGroups(expected));
    }
    const sinceMs = 60_000 * 5_000;
    const { total } = await store.sumUsage({ filter: { sinceMs }, by: ['key'] });
    expect(total).toEqual(sumOf(rows.slice(60_000)));
  });
});
