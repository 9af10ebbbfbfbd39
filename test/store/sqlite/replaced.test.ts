/**
 * What is done to the files of a database while a store has them open: replaced, restored, deleted, robbed of their
 * log, migrated by a newer program. It is told once, whoever asks is told what to do, and no file is ever corrupted: a
 * log that stands beside the wrong database is replayed into it.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, link, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { monotonicClock } from '../../../src/lib/clock.ts';
import { MIGRATIONS } from '../../../src/store/sqlite/migrations.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { Store } from '../../../src/domain/store.ts';
import type { ProxyError } from '../../../src/lib/errors.ts';
import { failureOf } from '../../helpers/failure.ts';
import { aKeyRow, aLedgerRow } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

let folder: string;
let path: string;
let told: ProxyError[];
/** Of the clock by which the store looks at its files. */
let skippedMs: number;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder, 'keys.db');
  told = [];
  skippedMs = 0;
});

async function open(): Promise<Store> {
  const store = await openSqliteStore(path, {
    onProblem: (error) => void told.push(error),
    tickMs: monotonicClock(() => performance.now() + skippedMs),
    threads: true,
  });
  onTestFinished(() => store.close());
  return store;
}

async function fill(store: Store, keys: number, rows: number): Promise<string[]> {
  const made = Array.from({ length: keys }, () => aKeyRow({ alias: undefined }));
  for (const row of made) await store.insertKey(row);
  for (let from = 0; from < rows; from += 50) {
    await store.settleAll(Array.from({ length: 50 }, () => aLedgerRow({ keyId: made[0]?.id })));
  }
  return made.map(({ keySha256 }) => keySha256);
}

/** Runs SQL in a process of its own: connections of one process share what they know of a file. */
function elsewhere(text: string, at = path): unknown[] {
  const script = `
    const database = new (require('better-sqlite3'))(process.argv[1]);
    const results = process.argv[2].split(';').map((text) => {
      const statement = database.prepare(text);
      return statement.reader ? statement.pluck().get() : statement.run().changes;
    });
    database.close();
    console.log(JSON.stringify(results));`;
  return JSON.parse(execFileSync(process.execPath, ['-e', script, at, text], { encoding: 'utf8' })) as unknown[];
}

/** As another process sees the file, or one that comes after all of them. */
function inspect(at = path): { integrity: unknown; keys: unknown; rows: unknown } {
  const counts = 'SELECT count(*) FROM virtual_keys; SELECT count(*) FROM ledger';
  const [integrity, keys, rows] = elsewhere(`PRAGMA integrity_check; ${counts}`, at);
  return { integrity, keys, rows };
}

/** Backs up at the one moment, and puts the backup in the place of the database at the other. */
const WAYS: readonly {
  readonly name: string;
  readonly backUp: (to: string) => Promise<void>;
  readonly keys: number;
  readonly rows: number;
}[] = [
  {
    name: 'VACUUM INTO, and mv',
    backUp: async (to) => void elsewhere(`VACUUM INTO '${to}'`),
    keys: 30,
    rows: 1_500,
  },
  { name: 'cp after a checkpoint, and mv', backUp: (to) => copyFile(path, to), keys: 30, rows: 1_500 },
  {
    name: 'another database, and mv',
    backUp: async (to) => {
      const other = await openSqliteStore(to);
      await fill(other, 3, 100);
      await other.close();
    },
    keys: 3,
    rows: 100,
  },
];

describe.each(WAYS)('a database that is replaced while it is open: $name', ({ backUp, keys, rows }) => {
  it('goes on with the new file, and corrupts neither', { timeout: 60_000 }, async () => {
    const store = await open();
    const [hash = ''] = await fill(store, 30, 1_500);
    elsewhere('PRAGMA wal_checkpoint(TRUNCATE)');
    const backup = join(folder, 'backup.db');
    await backUp(backup);
    const [later = ''] = await fill(store, 1, 5_000);
    await link(path, join(folder, 'moved.db'));
    await rename(backup, path);
    skippedMs += 1_000;
    for (let count = 0; count < 100; count += 1) {
      await store.findKeyBySha256(hash);
      await store.settle(aLedgerRow());
    }
    expect(await store.findKeyBySha256(later)).toBeUndefined();
    const expected = { integrity: 'ok', keys, rows: rows + 100 };
    expect(inspect()).toEqual(expected);
    expect((await store.sumUsage({ filter: {}, by: ['key'] })).total.requests).toBe(expected.rows);
    await store.close();
    expect(inspect()).toEqual(expected);
    // What was in the log is in the file that it belongs to.
    expect(inspect(join(folder, 'moved.db'))).toEqual({ integrity: 'ok', keys: 31, rows: 6_500 });
    expect(told.map(({ message }) => message)).toEqual(['The key database was replaced while it was in use.']);
    expect(told[0]?.hint).toContain('db restore');
  });

  it('notices it while nobody asks', async () => {
    const store = await open();
    await fill(store, 30, 1_500);
    elsewhere('PRAGMA wal_checkpoint(TRUNCATE)');
    const backup = join(folder, 'backup.db');
    await backUp(backup);
    await rename(backup, path);
    await expect.poll(() => told.length, { timeout: 5_000 }).toBe(1);
    await expect.poll(async () => (await store.readLedger({}, { after: 0, limit: 9 })).length).toBe(9);
    expect(inspect().integrity).toBe('ok');
  });
});

describe('a database whose log is taken away', () => {
  it.each([
    { name: 'all of it', files: ['-wal', '-shm'] },
    { name: 'the log alone', files: ['-wal'] },
    { name: 'the shared memory alone', files: ['-shm'] },
  ])('is not used any more, and what others write to it is kept: $name', async ({ files }) => {
    const store = await open();
    const [hash = ''] = await fill(store, 2, 200);
    for (const file of files) await rm(`${path}${file}`);
    skippedMs += 1_000;
    const error = await failureOf(() => store.findKeyBySha256(hash));
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(error.message).toBe('The key database has lost its write-ahead log, which somebody removed.');
    expect(error.hint).toContain('start again');
    // The very one that was told.
    expect(told).toEqual([error]);
    await expect(store.settle(aLedgerRow())).rejects.toBe(error);
    await expect(store.sumUsage({ filter: {}, by: ['key'] })).rejects.toBe(error);
    await store.close();
    expect(told).toEqual([error]);
  });

  it('leaves alone what others have written since', async () => {
    const store = await open();
    const [hash = ''] = await fill(store, 2, 200);
    elsewhere('PRAGMA wal_checkpoint(TRUNCATE)');
    await fill(store, 0, 500);
    for (const end of ['-wal', '-shm']) await rm(`${path}${end}`);
    // As `key revoke` in a process of its own.
    elsewhere('UPDATE virtual_keys SET revoked_at_ms = 5');
    const rows = inspect();
    skippedMs += 1_000;
    await failureOf(() => store.findKeyBySha256(hash));
    await store.close();
    expect(inspect()).toEqual({ ...rows, integrity: 'ok' });
    expect(elsewhere('SELECT min(revoked_at_ms) FROM virtual_keys')).toEqual([5]);
  });
});

describe('a database that is deleted', () => {
  it('tells it once, serves nobody, and takes its log along at the end', async () => {
    const store = await open();
    const [hash = ''] = await fill(store, 2, 200);
    await rm(path);
    skippedMs += 1_000;
    const error = await failureOf(() => store.findKeyBySha256(hash));
    expect(error.message).toBe('The key database is gone.');
    await failureOf(() => store.settle(aLedgerRow()));
    expect(told).toEqual([error]);
    await store.close();
    expect(['-wal', '-shm'].filter((end) => existsSync(path + end))).toEqual([]);
  });

  it('is not begun anew beside the log that a process still writes', async () => {
    const store = await open();
    await fill(store, 2, 200);
    await rename(path, `${path}.away`);
    const error = await failureOf(() => openSqliteStore(path));
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(error.message).toBe('The key database is gone, but its write-ahead log is still there.');
    expect(existsSync(path)).toBe(false);
    await rename(`${path}.away`, path);
    await store.close();
    expect(inspect()).toEqual({ integrity: 'ok', keys: 2, rows: 200 });
  });
});

describe('a database that a newer bedrock-proxy migrates', () => {
  it('is not used by the older one that runs: its limits are not known there', async () => {
    const store = await open();
    const [hash = ''] = await fill(store, 2, 50);
    expect((await store.findKeyBySha256(hash))?.keySha256).toBe(hash);
    elsewhere(`UPDATE virtual_keys SET blocked_at_ms = 1; PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    const error = await failureOf(() => store.findKeyBySha256(hash));
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(error.message).toBe('The key database was upgraded by a newer bedrock-proxy.');
    expect(error.hint).toBe('Restart the proxy with the new version.');
    await expect(store.settle(aLedgerRow())).rejects.toBe(error);
    expect(told).toEqual([error]);
    await store.close();
    expect(inspect()).toEqual({ integrity: 'ok', keys: 2, rows: 50 });
  });

  it('writes nothing to it, not even before anybody has looked', async () => {
    const store = await open();
    await fill(store, 1, 50);
    elsewhere(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    expect((await failureOf(() => store.settle(aLedgerRow()))).message).toContain('was upgraded by a newer');
    expect(inspect().rows).toBe(50);
  });
});
