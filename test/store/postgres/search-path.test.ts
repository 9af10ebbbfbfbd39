/** Others in the same database make functions of the names of PostgreSQL's own: ours do not call them. */
import { afterAll, expect, it, onTestFinished } from 'vitest';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import { POSTGRES, sharedPostgres, stopSharedPostgres } from '../../helpers/postgres.ts';
import { aBudget, aLedgerRow, aReservation } from '../../helpers/store-rows.ts';

afterAll(stopSharedPostgres);

it.skipIf(POSTGRES === undefined)('calls no function of another role that looks like one of PostgreSQL', async () => {
  const server = await sharedPostgres();
  const url = await server.createDatabase({ migrated: true });
  const name = new URL(url).pathname.slice(1);
  // As PostgreSQL 13 and 14 have it.
  await server.run('GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE ROLE stranger LOGIN', name);
  await server.run(
    `SET ROLE stranger;
     CREATE FUNCTION public.jsonb_build_object(text, bigint, text, bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'as %, with all rights of that role', current_user; END $$`,
    name,
  );
  const store = await openPostgresStore(url);
  onTestFinished(() => store.close());
  await store.reserve(aReservation({ amountNanoUsd: 5, budget: aBudget(100) }));
  await store.settle(aLedgerRow({ chargedNanoUsd: 5 }));
  expect(await store.readLedger({}, { after: 0, limit: 9 })).toHaveLength(1);
});
