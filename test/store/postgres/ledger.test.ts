/** Pages of the ledger that are looked for in slices: none is cut where a slice ends. */
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Store } from '../../../src/domain/store.ts';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import { POSTGRES, sharedPostgres, stopSharedPostgres } from '../../helpers/postgres.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';

/** Where rows stand: within a slice, at its edges, and with nothing in between. */
const SEQUENCES = [1, 2, 49_999, 50_000, 50_001, 150_000, 150_001, 1_000_000, 4_000_000, 4_049_999, 4_050_000];

async function readAll(
  read: (edge: number | undefined) => ReturnType<Store['readLedger']>,
  pageRows: number,
): Promise<number[]> {
  const found: number[] = [];
  for (let page = await read(undefined); page.length > 0; page = await read(found.at(-1))) {
    expect(page.length).toBeLessThanOrEqual(pageRows);
    found.push(...page.map(({ sequence }) => sequence));
  }
  return found;
}

describe.skipIf(POSTGRES === undefined)('pages of the ledger in PostgreSQL', () => {
  afterAll(stopSharedPostgres);

  it('have every row that is asked for, however far apart they are', async () => {
    const server = await sharedPostgres();
    const url = await server.createDatabase({ migrated: true });
    const store = await openPostgresStore(url);
    onTestFinished(() => store.close());
    for (const [index, sequence] of SEQUENCES.entries()) {
      await server.run(
        `SELECT setval('bedrock_proxy.ledger_sequence', ${sequence}, false)`,
        new URL(url).pathname.slice(1),
      );
      await store.settle(aLedgerRow({ model: index % 3 === 0 ? 'rare' : 'other', startedAtMs: Date.now() + index }));
    }
    const rare = SEQUENCES.filter((_, index) => index % 3 === 0);
    for (const [filter, expected] of [
      [{}, SEQUENCES],
      [{ principal: 'key' }, SEQUENCES],
      [{ model: 'rare' }, rare],
      [{ model: 'none' }, []],
    ] as const) {
      for (const limit of [1, 2, 100]) {
        const forwards = readAll((after = 0) => store.readLedger(filter, { after, limit }), limit);
        expect(await forwards).toEqual(expected);
        const backwards = readAll((before) => store.readLedgerBackwards(filter, { before, limit }), limit);
        expect(await backwards).toEqual(expected.toReversed());
      }
    }
  });
});
