/** Rows that are settled in one transaction, beside the same rows one after the other. */
import * as fc from 'fast-check';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../../src/keys/limits.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { KeySpend } from '../../../src/domain/budget.ts';
import type { LedgerEntry, LedgerRow } from '../../../src/domain/ledger.ts';
import { aLedgerRow, aReservation } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const BUDGET = { limitNanoUsd: 1_000_000, windowMs: 100, anchorMs: 0 };
const KEYS = ['vk_a', 'vk_b'];

const someRow = fc.record({
  id: fc.integer({ min: 0, max: 9 }).map((index) => `request-${index}`),
  keyId: fc.constantFrom(...KEYS, undefined),
  chargedNanoUsd: fc.integer({ min: 0, max: 50 }),
});
const plans = fc.array(
  fc.record({
    reserved: fc.array(fc.record({ which: fc.integer({ min: 0, max: 9 }), key: fc.constantFrom(...KEYS) }), {
      maxLength: 4,
    }),
    nowMs: fc.integer({ min: 0, max: 400 }),
    rows: fc.array(someRow, { maxLength: 12 }),
  }),
  { maxLength: 4 },
);

interface Books {
  readonly spend: KeySpend[];
  readonly rows: LedgerEntry[];
}

/** An id is reserved once at most, by the key of its rows; `together`: with `settleAll`. */
async function keepBooks(
  plan: typeof plans extends fc.Arbitrary<infer Plan> ? Plan : never,
  together: boolean,
): Promise<Books> {
  const store = await openSqliteStore(join(await makeTemporaryFolder(), 'keys.db'));
  const owners = new Map<string, string | undefined>();
  for (const [step, { reserved, nowMs, rows }] of plan.entries()) {
    for (const { which, key } of reserved) {
      const id = `request-${which}`;
      if (owners.has(id)) continue;
      owners.set(id, key);
      await store.reserve(
        aReservation({ id, keyId: key, amountNanoUsd: 60, budget: BUDGET, nowMs: 100 * step + nowMs }),
      );
    }
    const settled: LedgerRow[] = rows.map(({ id, keyId, chargedNanoUsd }) => {
      const owner = owners.has(id) ? owners.get(id) : keyId;
      owners.set(id, owner);
      return aLedgerRow({ id, keyId: owner, chargedNanoUsd, principal: owner === undefined ? 'master' : 'key' });
    });
    if (together) await store.settleAll(settled);
    else for (const row of settled) await store.settle(row);
  }
  const policy = { ...EMPTY_POLICY, budget: BUDGET };
  const spend = await store.findSpend(
    KEYS.map((id) => ({ id, policy })),
    0,
  );
  const rows = await store.readLedger({}, { after: 0, limit: 1_000 });
  await store.close();
  return { spend: [...spend.values()], rows };
}

it('keeps the same books', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      expect(await keepBooks(plan, true)).toEqual(await keepBooks(plan, false));
    }),
    { numRuns: 60 },
  );
});
