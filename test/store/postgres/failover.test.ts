/**
 * A database of several servers: the one that can be written to is found, and found again when another takes over.
 * @module-tag slow
 */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Database, openDatabase } from '../../../src/store/postgres/database.ts';
import { failureOf } from '../../helpers/failure.ts';
import { POSTGRES, type PostgresServer, removePostgres, startPostgres, startStandby } from '../../helpers/postgres.ts';

const ONE = { name: 'one', text: 'SELECT 1 AS one' };
const WRITE = { name: 'write', text: 'CREATE TABLE IF NOT EXISTS public.written ()' };

describe.skipIf(POSTGRES === undefined)('a database of several servers', () => {
  let server: PostgresServer;
  let other: PostgresServer;

  beforeAll(async () => {
    [server, other] = await Promise.all([startPostgres(), startPostgres()]);
  });
  afterAll(() => Promise.all([server, other].map(removePostgres)));

  it('takes the one that can be written to, and the other one after a failover', async () => {
    await setReadOnly(server, true);
    const both = `postgres://owner@127.0.0.1:${server.port},127.0.0.1:${other.port}/postgres`;
    const database = open(both);
    await database.query(WRITE);
    expect(await portOf(database)).toBe(other.port);
    await setReadOnly(server, false);
    await setReadOnly(other, true);
    await database.query({ name: 'write-again', text: 'CREATE TABLE public.written_again ()' });
    expect(await portOf(database)).toBe(server.port);
  });

  it('takes the other one if one is gone', async () => {
    await setReadOnly(other, false);
    const database = open(`postgres://owner@127.0.0.1:${server.port},127.0.0.1:${other.port}/postgres`);
    expect(await portOf(database)).toBe(server.port);
    await server.stop('immediate');
    try {
      await expect.poll(() => portOf(database).catch(() => undefined), { timeout: 5_000 }).toBe(other.port);
    } finally {
      await server.start();
    }
  });

  it('goes on with a standby that is promoted', async () => {
    const primary = await startPostgres();
    onTestFinished(() => removePostgres(primary));
    const standby = await startStandby(primary);
    onTestFinished(() => removePostgres(standby));
    const database = open(`postgres://owner@127.0.0.1:${standby.port},127.0.0.1:${primary.port}/postgres`);
    await database.query(WRITE);
    expect(await portOf(database)).toBe(primary.port);
    await expect.poll(() => standby.run("SELECT to_regclass('written')::text AS name")).toEqual([{ name: 'written' }]);
    await primary.stop('immediate');
    expect((await failureOf(() => database.query(ONE))).code).toBe('ERR_STORE_UNAVAILABLE');
    await standby.run('SELECT pg_promote()');
    await database.query({ name: 'write-again', text: 'CREATE TABLE public.written_again ()' });
    expect(await portOf(database)).toBe(standby.port);
  });
});

async function setReadOnly(which: PostgresServer, isReadOnly: boolean): Promise<void> {
  await which.run(`ALTER SYSTEM SET default_transaction_read_only = ${isReadOnly ? 'on' : 'off'}`);
  await which.run('SELECT pg_reload_conf()');
  await expect
    .poll(() => which.run('SHOW transaction_read_only'))
    .toEqual([{ transaction_read_only: isReadOnly ? 'on' : 'off' }]);
}

async function portOf(database: Database): Promise<number | undefined> {
  const [row] = await database.query<{ port: number }>({ name: 'port', text: 'SELECT inet_server_port() AS port' });
  return row?.port;
}

function open(url: string): Database {
  const database = openDatabase(url);
  onTestFinished(() => database.close());
  return database;
}
