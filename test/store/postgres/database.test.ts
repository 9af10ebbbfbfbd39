/**
 * What happens to PostgreSQL, and what we make of it: wait, ask again, go elsewhere, or say what is wrong.
 * @module-tag slow
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Database, type DatabaseOptions, openDatabase } from '../../../src/store/postgres/database.ts';
import { failureOf } from '../../helpers/failure.ts';
import { findClosedPort, listen } from '../../helpers/ports.ts';
import { POSTGRES, type PostgresServer, removePostgres, startPostgres } from '../../helpers/postgres.ts';

const ONE = { name: 'one', text: 'SELECT 1 AS one' };
const PID = { name: 'pid', text: 'SELECT pg_backend_pid() AS pid' };
const SLEEP = { name: 'sleep', text: 'SELECT pg_sleep($1::float8)' };
const WRITE = { name: 'write', text: 'CREATE TABLE IF NOT EXISTS public.written ()' };

describe.skipIf(POSTGRES === undefined)('a PostgreSQL database', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => removePostgres(server));

  function open(url = server.url(), options: DatabaseOptions = {}): Database {
    const database = openDatabase(url, options);
    onTestFinished(() => database.close());
    return database;
  }

  describe('its connections', () => {
    it('are ten for two thousand who wait', async () => {
      const database = open();
      const all = Promise.all(Array.from({ length: 2_000 }, () => database.query<{ pid: number }>(PID)));
      expect(database.readPool().connections).toBe(10);
      const pids = (await all).map(([row]) => row?.pid);
      expect(new Set(pids).size).toBeLessThanOrEqual(10);
      expect(database.readPool()).toMatchObject({ waiting: 0 });
    });

    it('are waited for with an end', async () => {
      const database = open(`${server.url()}?connect_timeout=1`, { maxConnections: 2 });
      // Both are there before somebody waits.
      await Promise.all([database.query(SLEEP, [0.1]), database.query(SLEEP, [0.1])]);
      const busy = [database.query(SLEEP, [4]), database.query(SLEEP, [4])];
      await expect(database.query(ONE)).rejects.toMatchObject({
        code: 'ERR_STORE_UNAVAILABLE',
        message: 'The database has no connection free.',
      });
      await Promise.all(busy);
      expect(await database.query(ONE)).toEqual([{ one: 1 }]);
    });

    it('are left in order by a statement that fails', async () => {
      const database = open(server.url(), { maxConnections: 1 });
      const [before] = await database.query(PID);
      await failureOf(() => database.query({ name: 'none', text: 'SELECT * FROM none_such' }));
      await failureOf(() => database.transaction(({ run }) => run('SELECT 1 / 0')));
      expect(await database.query(PID)).toEqual([before]);
    });

    it('are closed when the last statement has its result', async () => {
      const database = openDatabase(server.url());
      const last = database.query(SLEEP, [0.2]);
      await database.close();
      expect(await last).toHaveLength(1);
      await expect(database.query(ONE)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    });
  });

  describe('in trouble', () => {
    it.each(['fast', 'immediate'] as const)('recovers by itself from a restart: %s', async (how) => {
      const database = open();
      const told = await disturb(database, async () => {
        await server.restart(how);
        await untilItResponds(database);
      });
      expect(told.every((text) => text === 'ProxyError ERR_STORE_UNAVAILABLE')).toBe(true);
      expect(await database.query(ONE)).toEqual([{ one: 1 }]);
    });

    it('recovers by itself from a kill -9 of one of its processes', async () => {
      const database = open();
      const [row] = await database.query<{ pid: number }>(PID);
      process.kill(row?.pid ?? 0, 'SIGKILL');
      await untilItResponds(database);
    });

    it('asks again on another connection if an administrator ends the session', async () => {
      const database = open();
      const sleeping = database.query(SLEEP, [0.3]);
      const busy = "application_name = 'bedrock-proxy' AND state = 'active'";
      const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${busy}`;
      await expect.poll(() => server.run(end)).toHaveLength(1);
      expect(await sleeping).toHaveLength(1);
    });

    it('says that nobody listens', async () => {
      const port = await findClosedPort();
      expect(await failureOf(() => open(`postgres://ann:canary@127.0.0.1:${port}/keys`).query(ONE))).toMatchObject({
        code: 'ERR_STORE_UNAVAILABLE',
        message: 'The database cannot be reached.',
        detail: `postgres://ann@127.0.0.1:${port}/keys`,
      });
    });

    it('says that there is no such database', async () => {
      const failure = await failureOf(() => open(server.url('none')).query(ONE));
      expect(failure.message).toBe('The database does not exist.');
    });

    it('ends a statement that takes too long', async () => {
      const database = open(server.url(), { statementTimeoutMs: 100 });
      const failure = await failureOf(() => database.query(SLEEP, [10]));
      expect(failure.message).toBe('The database takes too long to respond.');
      expect(await database.query(ONE)).toEqual([{ one: 1 }]);
    });

    it('gives a transaction the time that it wants', async () => {
      const database = open(server.url(), { statementTimeoutMs: 100 });
      await database.transaction(({ run }) => run('SELECT pg_sleep(0.3)'), { timeoutMs: 0 });
      const failure = await failureOf(() => database.transaction(({ run }) => run('SELECT pg_sleep(10)')));
      expect(failure.message).toBe('The database takes too long to respond.');
    });

    it('does not wait for a server that says nothing any more', async () => {
      const { url, mute } = await goThrough(server);
      const database = open(url, { statementTimeoutMs: 100, maxConnections: 1 });
      await database.query(ONE);
      mute(true);
      expect((await failureOf(() => database.query(ONE))).message).toBe('The database takes too long to respond.');
      mute(false);
      expect(await database.query(ONE)).toEqual([{ one: 1 }]);
    });

    it('does not wait for a server that never greets', async () => {
      const { url, mute } = await goThrough(server);
      mute(true);
      const failure = await failureOf(() => open(`${url}?connect_timeout=1`).query(ONE));
      expect(failure.message).toBe('The database cannot be reached.');
    });

    it('says that its disk is full, and that it has too many connections', async () => {
      const database = open();
      const text = "DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$";
      expect((await failureOf(() => database.query({ name: 'full', text }))).message).toBe(
        'The database has no room on its disk.',
      );
      await server.run('CREATE ROLE crowded LOGIN CONNECTION LIMIT 0');
      const failure = await failureOf(() => open(server.url().replace('owner', 'crowded')).query(ONE));
      expect(failure.message).toBe('The database has too many connections.');
    });

    it('says that it can only be read, and goes on when it is the primary', async () => {
      const url = await server.createDatabase();
      const name = new URL(url).pathname.slice(1);
      await server.run(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
      const database = open(url);
      expect((await failureOf(() => database.query(WRITE))).message).toBe('The database can only be read.');
      await server.run(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
      await database.query(WRITE);
    });

    it('listens again', async () => {
      const database = open();
      const told: string[] = [];
      let listening = 0;
      database.listen('news', { onListening: () => (listening += 1), onNotification: (text) => void told.push(text) });
      await expect.poll(() => listening).toBe(1);
      await server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN news'");
      await expect.poll(() => listening, { timeout: 5_000 }).toBe(2);
      await server.run("NOTIFY news, 'heard'");
      await expect.poll(() => told).toEqual(['heard']);
    });
  });
});

/** A way to the server on which all is lost while it is mute, on connections made before as well. */
async function goThrough(server: PostgresServer): Promise<{ url: string; mute: (isMute: boolean) => void }> {
  let isMute = false;
  const relay = createServer((client) => {
    const upstream = connect(server.port, '127.0.0.1');
    void once(client, 'close').then(() => upstream.destroy());
    pass(client, upstream, () => isMute);
    pass(upstream, client, () => isMute);
  });
  const port = await listen(relay);
  return { url: `postgres://owner@127.0.0.1:${port}/postgres`, mute: (value) => (isMute = value) };
}

async function untilItResponds(database: Database): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await database.query(ONE);
      return;
    } catch (error) {
      if (attempt > 100) throw error;
      await delay(50);
    }
  }
}

/** Statements under way while something happens; what fails says why. */
async function disturb(database: Database, what: () => Promise<void>): Promise<string[]> {
  const told = new Set<string>();
  const over = new AbortController();
  const workers = Array.from({ length: 8 }, async () => {
    while (!over.signal.aborted) {
      await database.query(SLEEP, [0.005]).catch((error: Error) => {
        told.add(`${error.name} ${'code' in error ? String(error.code) : ''}`);
        return delay(5);
      });
    }
  });
  await what();
  over.abort();
  await Promise.all(workers);
  return [...told];
}

function pass(from: Socket, to: Socket, isLost: () => boolean): void {
  from.on('data', (chunk) => void (isLost() || to.write(chunk)));
  from.on('error', () => to.destroy());
}
