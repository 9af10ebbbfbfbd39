/** What the tables of rates keep, and what they do not. */
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../../src/store/postgres/database.ts';
import { openPostgresRates } from '../../../src/store/postgres/rates.ts';
import { POSTGRES, sharedPostgres, stopSharedPostgres } from '../../helpers/postgres.ts';

const POLICY = { requestsPerMinute: 5, tokensPerMinute: 50, maxParallel: 5 };

describe.skipIf(POSTGRES === undefined)('rates in PostgreSQL', () => {
  afterAll(stopSharedPostgres);

  it('leave nothing behind of what is over, and keep what is not', async () => {
    const url = await (await sharedPostgres()).createDatabase({ migrated: true });
    const database = openDatabase(url);
    const counter = openPostgresRates(url);
    onTestFinished(async () => {
      await counter.close();
      await database.close();
    });
    const slots = ['one', 'two'].map((request) => ({ keyId: 'vk_a', request }));
    for (const slot of slots) await counter.enter(slot, POLICY);
    await counter.addTokens('vk_a', 50, 10);
    const age = (table: string, column: string, by: number, where = 'true'): Promise<object[]> =>
      database.query({
        name: `age ${table}`,
        text: `UPDATE bedrock_proxy.${table} SET ${column} = ${column} - ${by} WHERE ${where}`,
      });
    await age('rate_slots', 'lease_until_ms', 40_000, "request = 'one'");
    await age('rate_counts', 'second', 100);
    await counter.enter({ keyId: 'vk_b', request: 'three' }, POLICY);
    await counter.renew([]);
    const left = await database.query({
      name: 'left',
      text: `SELECT request AS row FROM bedrock_proxy.rate_slots UNION ALL
        SELECT key_id || ' ' || requests || ' ' || tokens FROM bedrock_proxy.rate_counts ORDER BY 1`,
    });
    expect(left).toEqual([{ row: 'three' }, { row: 'two' }, { row: 'vk_b 1 0' }]);
  });
});
