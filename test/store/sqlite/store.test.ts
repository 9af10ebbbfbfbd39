import Database from 'better-sqlite3';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { monotonicClock } from '../../../src/lib/clock.ts';
import { APPLICATION_ID, MIGRATIONS } from '../../../src/store/sqlite/migrations.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { Store } from '../../../src/domain/store.ts';
import { failureOf } from '../../helpers/failure.ts';
import { aKeyRow } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder, 'keys.db');
});

afterEach(() => void vi.useRealTimers());

async function open(at = path): Promise<Store> {
  const store = await openSqliteStore(at, { tickMs: monotonicClock(() => performance.now() + skippedMs) });
  onTestFinished(() => store.close());
  return store;
}

/** A key of another process: SQLite itself, no code of ours. */
function openRaw(at = path): Database.Database {
  const database = new Database(at);
  onTestFinished(() => void database.close());
  return database;
}

/** The store looks at most four times a second whether its file is still the same. */
let skippedMs = 0;

function moveClock(ms: number): void {
  skippedMs += ms;
}

const modeOf = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;

describe('a fresh database', () => {
  it.skipIf(process.platform === 'win32')(
    'makes a private database: 0600 files in a 0700 folder, whatever the umask',
    async () => {
      const before = process.umask(0);
      onTestFinished(() => void process.umask(before));
      const deep = join(folder, 'a', 'b');
      const store = await open(join(deep, 'keys.db'));
      await store.insertKey(aKeyRow());
      expect(await modeOf(join(folder, 'a'))).toBe(0o700);
      expect(await modeOf(deep)).toBe(0o700);
      for (const name of ['keys.db', 'keys.db-wal', 'keys.db-shm']) expect(await modeOf(join(deep, name))).toBe(0o600);
    },
  );

  it.skipIf(process.platform === 'win32').each(['', '-wal', '-shm', '-journal'])(
    'refuses a database if others may change its file keys.db%s',
    async (suffix) => {
      if (suffix === '') await (await openSqliteStore(path)).close();
      else await writeFile(`${path}${suffix}`, '');
      await chmod(`${path}${suffix}`, 0o666);
      const error = await failureOf(() => openSqliteStore(path));
      expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', detail: `${path}${suffix}` });
      expect(error.message).toBe('The key database can be changed by other users (mode 666).');
    },
  );

  it.skipIf(process.platform === 'win32')('follows a link to a database, and none to nothing', async () => {
    const link = join(folder, 'link.db');
    await symlink(path, link);
    const error = await failureOf(() => openSqliteStore(link));
    expect(error.message).toBe('The key database is a symbolic link to nothing.');
    expect(await readdir(folder)).toEqual(['link.db']);
    await (await open()).insertKey(aKeyRow());
    expect(await (await open(link)).listKeys()).toHaveLength(1);
  });

  it.skipIf(process.platform === 'win32')('keeps the mode that somebody gave the database file later', async () => {
    await (await open()).insertKey(aKeyRow());
    await chmod(path, 0o640);
    await open();
    expect(await modeOf(path)).toBe(0o640);
  });

  it('makes a database without keys, in WAL mode and marked as ours', async () => {
    const store = await open();
    expect(await store.hasAnyKey()).toBe(false);
    expect(await store.listKeys()).toEqual([]);
    const raw = openRaw();
    expect(raw.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(raw.pragma('application_id', { simple: true })).toBe(APPLICATION_ID);
    expect(raw.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length);
  });

  it('takes an empty file that was there before for a database', async () => {
    await writeFile(path, '');
    expect(await (await open()).hasAnyKey()).toBe(false);
  });
});

describe('keys', () => {
  it('keeps keys beyond the end of the process', async () => {
    const row = aKeyRow();
    const first = await openSqliteStore(path);
    await first.insertKey(row);
    await first.close();
    expect((await (await open()).findKeyBySha256(row.keySha256))?.id).toBe(row.id);
  });
});

describe('what another connection does', () => {
  it('sees at the next look-up what another connection generated, revoked or deleted', async () => {
    const store = await open();
    const other = await open();
    const row = aKeyRow();
    expect(await store.hasAnyKey()).toBe(false);
    expect(await store.findKeyBySha256(row.keySha256)).toBeUndefined();
    await other.insertKey(row);
    expect(await store.hasAnyKey()).toBe(true);
    expect((await store.findKeyBySha256(row.keySha256))?.revokedAtMs).toBeUndefined();
    expect((await store.findKeyByAccessKeyId(row.accessKeyId))?.revokedAtMs).toBeUndefined();
    await other.revokeKey(row.id, 7);
    expect((await store.findKeyBySha256(row.keySha256))?.revokedAtMs).toBe(7);
    expect((await store.findKeyByAccessKeyId(row.accessKeyId))?.revokedAtMs).toBe(7);
    openRaw().exec('DELETE FROM virtual_keys');
    expect(await store.findKeyBySha256(row.keySha256)).toBeUndefined();
    // Whoever empties the table behind the program's back does not open the proxy to everybody.
    expect(await store.hasAnyKey()).toBe(true);
  });

  it('asks again until a short lock is gone', async () => {
    const store = await open();
    const raw = openRaw();
    raw.exec('BEGIN IMMEDIATE');
    setTimeout(() => raw.exec('COMMIT'), 30);
    await store.insertKey(aKeyRow({ alias: 'patient' }));
    expect((await store.listKeys())[0]?.alias).toBe('patient');
  });

  it('gives up on a lock that stays, and says why', async () => {
    const store = await open();
    openRaw().exec('BEGIN IMMEDIATE');
    moveClock(0);
    const failing = failureOf(() => store.insertKey(aKeyRow()));
    vi.setSystemTime(Date.now() + 60_000);
    const error = await failing;
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(error.message).toBe('The key database is locked by another process.');
    expect(error.detail).toBe(path);
    expect((await store.listKeys()).length).toBe(0);
  });
});

const lastUsed = (): unknown => openRaw().prepare('SELECT last_used_at_ms FROM virtual_keys').pluck().all();

describe('touchKey', () => {
  it('writes uses of keys later, in groups, and never an earlier time over a later one', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const store = await open();
    const rows = [aKeyRow(), aKeyRow()];
    for (const row of rows) await store.insertKey(row);
    store.touchKey(rows[0]?.id ?? '', 100);
    store.touchKey(rows[1]?.id ?? '', 150);
    store.touchKey(rows[0]?.id ?? '', 200);
    expect(lastUsed()).toEqual([null, null]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(lastUsed()).toEqual([200, 150]);
    store.touchKey(rows[0]?.id ?? '', 50);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(lastUsed()).toEqual([200, 150]);
  });

  it('writes the last uses of keys when the store closes', async () => {
    const store = await openSqliteStore(path);
    const row = aKeyRow();
    await store.insertKey(row);
    store.touchKey(row.id, 300);
    await store.close();
    expect(lastUsed()).toEqual([300]);
  });

  it('waits for a busy database without losing a use of a key', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const store = await open();
    const row = aKeyRow();
    await store.insertKey(row);
    const raw = openRaw();
    raw.exec('BEGIN IMMEDIATE');
    store.touchKey(row.id, 400);
    await vi.advanceTimersByTimeAsync(1_500);
    vi.useRealTimers();
    expect(lastUsed()).toEqual([null]);
    raw.exec('COMMIT');
    await vi.waitFor(() => expect(lastUsed()).toEqual([400]));
  });

  it('ignores the use of an unknown key', async () => {
    const store = await openSqliteStore(path);
    store.touchKey('vk_nobody', 1);
    await store.close();
    expect(lastUsed()).toEqual([]);
  });
});

describe('a file that is not ours', () => {
  it('refuses the database of another program, and leaves it unharmed', async () => {
    const other = new Database(path);
    other.exec('CREATE TABLE invoices (id INTEGER); INSERT INTO invoices VALUES (1); PRAGMA user_version = 7');
    other.close();
    const before = await readFile(path);
    const error = await failureOf(() => openSqliteStore(path));
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(error.message).toBe('The key database belongs to another program.');
    expect(error.hint).toContain('--db');
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
  });

  it('refuses a database that a newer bedrock-proxy wrote, and leaves it unharmed', async () => {
    await (await openSqliteStore(path)).close();
    const newer = new Database(path);
    newer.pragma(`user_version = ${MIGRATIONS.length + 1}`);
    newer.close();
    const before = await readFile(path);
    const error = await failureOf(() => openSqliteStore(path));
    expect(error.message).toBe('The key database was written by a newer bedrock-proxy.');
    expect(error.hint).toContain('Update bedrock-proxy');
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
  });

  it('refuses a file that is no database at all, and leaves it unharmed', async () => {
    await writeFile(path, 'dear diary, '.repeat(1000));
    const error = await failureOf(() => openSqliteStore(path));
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(error.message).toBe('The key database is not a readable SQLite database.');
    expect(await readFile(path, 'utf8')).toBe('dear diary, '.repeat(1000));
  });

  it('refuses a folder as a database', async () => {
    const error = await failureOf(() => openSqliteStore(folder));
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(error.message).toMatch(/^The key database cannot be opened for writing \(SQLITE_CANTOPEN/);
    expect(error.detail).toBe(folder);
  });

  it('refuses a database whose folder is a file', async () => {
    await writeFile(path, '');
    const error = await failureOf(() => openSqliteStore(join(path, 'keys.db')));
    expect(error.message).toMatch(/^The key database cannot be opened for writing \((ENOTDIR|EEXIST)\)/);
  });

  it.skipIf(process.getuid?.() === 0)(
    'refuses a database in a folder that may not be written (not for root)',
    async () => {
      await chmod(folder, 0o500);
      onTestFinished(() => chmod(folder, 0o700));
      const error = await failureOf(() => openSqliteStore(path));
      expect(error.message).toBe('The key database cannot be opened for writing (EACCES).');
    },
  );
});

describe('a file that changes its identity while it is open', () => {
  it('says that the database is gone if it was deleted, and uses it again when it is back', async () => {
    const store = await open();
    const row = aKeyRow();
    await store.insertKey(row);
    await rename(path, `${path}.away`);
    moveClock(2_000);
    const error = await failureOf(() => store.findKeyBySha256(row.keySha256));
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(error.message).toBe('The key database is gone.');
    await rename(`${path}.away`, path);
    expect((await store.findKeyBySha256(row.keySha256))?.id).toBe(row.id);
  });

  it('follows a database that was replaced: what the new one revokes is revoked', async () => {
    const store = await open();
    const row = aKeyRow();
    await store.insertKey(row);
    const replacementFolder = join(folder, 'restored');
    await mkdir(replacementFolder);
    const replacement = await openSqliteStore(join(replacementFolder, 'keys.db'));
    await replacement.insertKey(row);
    await replacement.revokeKey(row.id, 5);
    await replacement.close();
    expect((await store.findKeyBySha256(row.keySha256))?.revokedAtMs).toBeUndefined();
    for (const end of ['', '-wal', '-shm']) await rm(`${path}${end}`, { force: true });
    await rename(join(replacementFolder, 'keys.db'), path);
    moveClock(2_000);
    expect((await store.findKeyBySha256(row.keySha256))?.revokedAtMs).toBe(5);
    await store.insertKey(aKeyRow({ alias: 'later' }));
    expect(openRaw().prepare('SELECT alias FROM virtual_keys ORDER BY rowid').pluck().all()).toEqual([null, 'later']);
  });

  it('keeps the store usable if the replacement of the database is not', async () => {
    const store = await open();
    const row = aKeyRow();
    await store.insertKey(row);
    await rename(path, `${path}.away`);
    for (const end of ['-wal', '-shm']) await rm(`${path}${end}`);
    await writeFile(path, 'not a database, '.repeat(100));
    moveClock(2_000);
    expect((await failureOf(() => store.findKeyBySha256(row.keySha256))).code).toBe('ERR_STORE_UNAVAILABLE');
    await rename(`${path}.away`, path);
    expect((await store.findKeyBySha256(row.keySha256))?.id).toBe(row.id);
  });
});
