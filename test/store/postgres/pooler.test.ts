/**
 * PgBouncer between us and the database: statements go over whatever connection it has, settings do not go at all.
 * @module-tag slow
 */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../../src/store/postgres/database.ts';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import { PGBOUNCER, poolConnections } from '../../helpers/pgbouncer.ts';
import { POSTGRES, type PostgresServer, removePostgres, startPostgres } from '../../helpers/postgres.ts';
import { aKeyRow } from '../../helpers/store-rows.ts';

const CAN_POOL = POSTGRES !== undefined && PGBOUNCER !== undefined;

describe.skipIf(!CAN_POOL).each([
  // Each connection of ours holds one of the two that it has, besides the one that listens.
  { mode: 'session', maxConnections: 1 },
  { mode: 'transaction', maxConnections: 10 },
] as const)('behind PgBouncer with a connection for each $mode', ({ mode, maxConnections }) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => removePostgres(server));

  it('statements have their results, many at a time', async () => {
    const database = openDatabase(await poolConnections(server, await server.createDatabase(), mode), {
      maxConnections,
    });
    onTestFinished(() => database.close());
    const ask = (value: number): Promise<{ value: number }[]> =>
      database.query({ name: `ask-${value % 3}`, text: `SELECT $1::int + ${value % 3} AS value` }, [value]);
    const all = await Promise.all(Array.from({ length: 100 }, (_, value) => ask(value)));
    expect(all.map(([row]) => row?.value)).toEqual(Array.from({ length: 100 }, (_, value) => value + (value % 3)));
  });

  it('transactions are whole, and have their time', async () => {
    const database = openDatabase(await poolConnections(server, await server.createDatabase(), mode), {
      maxConnections,
    });
    onTestFinished(() => database.close());
    await database.transaction(async ({ run }) => {
      await run('CREATE TABLE counted (number integer)');
      await run('INSERT INTO counted VALUES (0)');
    });
    const count = (): Promise<unknown> =>
      database.transaction(async ({ run }) => {
        await run('SELECT * FROM counted FOR UPDATE');
        return run('UPDATE counted SET number = number + 1');
      });
    await Promise.all(Array.from({ length: 20 }, count));
    expect(await database.query({ name: 'counted', text: 'SELECT number FROM counted' })).toEqual([{ number: 20 }]);
    await expect(database.transaction(({ run }) => run('SELECT pg_sleep(10)'), { timeoutMs: 100 })).rejects.toThrow(
      'takes too long',
    );
  });

  it('the store works', async () => {
    const url = await poolConnections(server, await server.createDatabase({ migrated: true }), mode);
    const store = await openPostgresStore(url, { maxConnections });
    onTestFinished(() => store.close());
    const rows = Array.from({ length: 30 }, () => aKeyRow());
    await Promise.all(rows.map((row) => store.insertKey(row)));
    const found = await Promise.all(rows.map(({ keySha256 }) => store.findKeyBySha256(keySha256)));
    expect(found.map((row) => row?.id)).toEqual(rows.map(({ id }) => id));
  });
});
