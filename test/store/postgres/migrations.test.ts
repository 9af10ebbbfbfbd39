/** The schema of a shared database: made once, whoever comes first, while proxies of other versions run. */
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Database, openDatabase } from '../../../src/store/postgres/database.ts';
import {
  migrate,
  POSTGRES_MIGRATIONS,
  type PostgresMigration,
  readSchemaVersion,
} from '../../../src/store/postgres/migrations.ts';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import { failureOf } from '../../helpers/failure.ts';
import { POSTGRES, sharedPostgres, stopSharedPostgres } from '../../helpers/postgres.ts';
import { aKeyRow, aLedgerRow } from '../../helpers/store-rows.ts';

const KNOWN = POSTGRES_MIGRATIONS.length;

/** What the next version of this program might have: proxies of this one go on beside it, or not. */
function nextVersion(compatibleFrom: number): readonly PostgresMigration[] {
  return [
    ...POSTGRES_MIGRATIONS,
    { sql: 'CREATE TABLE bedrock_proxy.news (id text PRIMARY KEY); SELECT pg_sleep(0.2)', compatibleFrom },
  ];
}

describe.skipIf(POSTGRES === undefined)('the schema in PostgreSQL', () => {
  let url: string;

  afterAll(stopSharedPostgres);
  beforeEach(async () => {
    url = await (await sharedPostgres()).createDatabase();
  });

  function open(role = 'owner'): Database {
    const database = openDatabase(url.replace('owner', role));
    onTestFinished(() => database.close());
    return database;
  }

  async function run(sql: string): Promise<void> {
    await (await sharedPostgres()).run(sql, new URL(url).pathname.slice(1));
  }

  it('is made once by whoever comes first', async () => {
    const done = await Promise.all([open(), open(), open()].map((database) => migrate(database)));
    expect(done.toSorted((a, b) => a.from - b.from)).toEqual([
      { from: 0, to: KNOWN },
      { from: KNOWN, to: KNOWN },
      { from: KNOWN, to: KNOWN },
    ]);
    expect(await readSchemaVersion(open())).toMatchObject({ version: KNOWN });
  });

  it('is made whole or not at all', async () => {
    const broken = [...POSTGRES_MIGRATIONS, { sql: 'SELECT 1 / 0', compatibleFrom: 1 }];
    await failureOf(() => migrate(open(), broken));
    expect(await readSchemaVersion(open())).toBeUndefined();
  });

  it('is upgraded while proxies of this version run, which go on and start again', async () => {
    const store = await openPostgresStore(url, { keyWatch: { staleMs: 0, nowMs: Date.now } });
    onTestFinished(() => store.close());
    expect(await migrate(open(), nextVersion(KNOWN))).toEqual({ from: KNOWN, to: KNOWN + 1 });
    expect(await readSchemaVersion(open())).toEqual({ version: KNOWN + 1, compatibleFrom: KNOWN });
    const row = aKeyRow();
    await store.insertKey(row);
    expect(await store.findKeyBySha256(row.keySha256)).toMatchObject({ id: row.id });
    expect(await migrate(open())).toEqual({ from: KNOWN + 1, to: KNOWN + 1 });
    const again = await openPostgresStore(url);
    await again.close();
  });

  it('refuses proxies that cannot live with it, and those that run notice it', async () => {
    const store = await openPostgresStore(url, { keyWatch: { staleMs: 30_000, nowMs: Date.now } });
    onTestFinished(() => store.close());
    const row = aKeyRow();
    await store.insertKey(row);
    await store.findKeyBySha256(row.keySha256);
    await migrate(open(), nextVersion(KNOWN + 1));
    const refusal = {
      code: 'ERR_STORE_UNAVAILABLE',
      message: `The database has the schema ${KNOWN + 1}, and this version of bedrock-proxy knows it up to ${KNOWN}.`,
    };
    expect(await failureOf(() => migrate(open()))).toMatchObject(refusal);
    expect(await failureOf(() => openPostgresStore(url, { migrates: false }))).toMatchObject(refusal);
    await expect
      .poll(() => store.findKeyBySha256(row.keySha256).catch((error: unknown) => error), { timeout: 5_000 })
      .toMatchObject(refusal);
  });

  it('remembers of several steps the one that breaks most', async () => {
    await migrate(open());
    const steps = [...nextVersion(KNOWN + 1), { sql: 'SELECT 1', compatibleFrom: 1 }];
    await migrate(open(), steps);
    expect(await readSchemaVersion(open())).toEqual({ version: KNOWN + 2, compatibleFrom: KNOWN + 1 });
  });

  it('does not let requests wait behind a step that waits for a table', async () => {
    await migrate(open());
    const step = { sql: 'ALTER TABLE bedrock_proxy.ledger ADD COLUMN news text', compatibleFrom: 1 };
    const failure = await open().transaction(async (reader) => {
      await reader.run('SELECT count(*) FROM bedrock_proxy.ledger');
      return failureOf(() => migrate(open(), [...POSTGRES_MIGRATIONS, step]));
    });
    expect(failure.message).toBe('The database is locked by another session.');
    expect(await migrate(open(), [...POSTGRES_MIGRATIONS, step])).toEqual({ from: KNOWN, to: KNOWN + 1 });
  });

  it('wants a user who may make it, and then one who may use it', async () => {
    const role = `clerk_${new URL(url).pathname.slice(1)}`;
    await run(`CREATE ROLE ${role} LOGIN`);
    const refused = await failureOf(() => migrate(open(role)));
    expect(refused.message).toBe('The database does not let this user do that.');
    expect(refused.hint).toContain('grant this user what docs/operate.md says');
    expect(refused.hint).toContain('db migrate');
    await migrate(open());
    await run(
      `GRANT USAGE ON SCHEMA bedrock_proxy TO ${role};
       GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA bedrock_proxy TO ${role};
       GRANT USAGE ON ALL SEQUENCES IN SCHEMA bedrock_proxy TO ${role}`,
    );
    const store = await openPostgresStore(url.replace('owner', role));
    onTestFinished(() => store.close());
    const key = aKeyRow();
    await store.insertKey(key);
    await store.settle(aLedgerRow({ id: 'one', keyId: key.id }));
    expect(await store.readLedger({}, { after: 0, limit: 10 })).toHaveLength(1);
    expect(await store.pruneLedger(Number.MAX_SAFE_INTEGER, 1_000)).toBe(1);
    expect((await failureOf(() => migrate(open(role), nextVersion(1)))).message).toContain('does not let this user');
  });

  it('wants a database for all letters', async () => {
    const server = await sharedPostgres();
    await server.run("CREATE DATABASE narrow ENCODING 'LATIN1' TEMPLATE template0");
    url = server.url('narrow');
    expect((await failureOf(() => migrate(open()))).message).toBe('The database has the encoding LATIN1.');
  });
});
