/** `db backup`, `db restore` and `db check`, and what is on the disk afterwards. */
import Database from 'better-sqlite3';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Store } from '../../../src/domain/store.ts';
import { MIGRATIONS } from '../../../src/store/sqlite/migrations.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { type Cli, openCli } from '../../helpers/cli.ts';
import { aKeyRow, aLedgerRow } from '../../helpers/store-rows.ts';

let cli: Cli;
let path: string;
let backup: string;

beforeEach(async () => {
  cli = await openCli();
  path = cli.databasePath;
  backup = join(cli.home, 'backup.db');
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
});

/** Adds keys and a row of each. */
async function add(count: number, store?: Store): Promise<void> {
  const target = store ?? (await openSqliteStore(path));
  for (let index = 0; index < count; index += 1) {
    const row = aKeyRow({ alias: undefined });
    await target.insertKey(row);
    await target.settle(aLedgerRow({ keyId: row.id, chargedNanoUsd: 7 }));
  }
  if (store === undefined) await target.close();
}

async function checkJson(at = path): Promise<Record<string, unknown>> {
  const { stdout } = await cli.run(['db', 'check', '--json', '--db', at]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const editRaw = (text: string, at = path): void => {
  const database = new Database(at);
  database.exec(text);
  database.close();
};

const notes = (at: string): unknown => {
  const database = new Database(at);
  const found = database.prepare('SELECT DISTINCT note FROM virtual_keys').pluck().all();
  database.close();
  return found;
};

/** What lies beside the database, but for the database. */
const neighbours = (): string[] => readdirSync(dirname(path)).filter((name) => name !== basename(path));

describe('db backup', () => {
  it('copies all that is there into one file for its owner alone, while others have it open', async () => {
    const store = await openSqliteStore(path);
    onTestFinished(() => store.close());
    await add(3, store);
    const { code, stderr } = await cli.run(['db', 'backup', backup]);
    expect(code).toBe(0);
    expect(stderr).toContain(`Backed up ${path} to ${backup}`);
    expect(stderr).toContain('keys.db.secret, which seals the keys');
    expect((await stat(backup)).mode & 0o777).toBe(0o600);
    expect(readdirSync(cli.home).filter((name) => name.startsWith('backup'))).toEqual(['backup.db']);
    expect(await checkJson(backup)).toMatchObject({ ok: true, counts: { keys: 3, requests: 3 } });
    await add(1, store);
    expect((await checkJson(backup))['counts']).toMatchObject({ keys: 3 });
    // Reading it has left no log beside it.
    expect(existsSync(`${backup}-wal`)).toBe(false);
  });

  it('writes over nothing', async () => {
    await add(1);
    await writeFile(backup, 'mine');
    const { code, stderr } = await cli.run(['db', 'backup', backup]);
    expect([code, stderr]).toEqual([2, `error: ${backup} is there already.\nhint: Name another file.\n`]);
    expect((await stat(backup)).size).toBe(4);
  });

  it('says so if there is no database', async () => {
    const { code, stderr } = await cli.run(['db', 'backup', backup]);
    expect(code).toBe(2);
    expect(stderr).toContain(`There is no database at ${path}.`);
    expect(existsSync(backup)).toBe(false);
  });
});

describe('db restore', () => {
  it('puts the backup in the place of the database, and keeps what was there', async () => {
    await add(2);
    await cli.run(['db', 'backup', backup]);
    await add(5);
    const { code, stdout } = await cli.run(['db', 'restore', '--json', backup]);
    expect(code).toBe(0);
    const { replaced } = JSON.parse(stdout) as { replaced: string };
    expect(await checkJson()).toMatchObject({ ok: true, counts: { keys: 2, requests: 2 } });
    expect(await checkJson(replaced)).toMatchObject({ ok: true, counts: { keys: 7, requests: 7 } });
    expect(neighbours()).toEqual([basename(replaced)]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await add(1);
    expect(await checkJson()).toMatchObject({ ok: true, counts: { keys: 3 } });
  });

  it('makes a database where there is none', async () => {
    await add(2);
    await cli.run(['db', 'backup', backup]);
    await rename(path, join(cli.home, 'elsewhere.db'));
    const { code, stderr } = await cli.run(['db', 'restore', backup]);
    expect([code, stderr]).toEqual([0, `Restored ${path} from ${backup}.\n`]);
    expect(await checkJson()).toMatchObject({ ok: true, counts: { keys: 2 } });
  });

  it('is refused while a process has the database open, and changes nothing', async () => {
    const store = await openSqliteStore(path);
    onTestFinished(() => store.close());
    await add(2, store);
    await cli.run(['db', 'backup', backup]);
    await add(1, store);
    const before = (await stat(path)).ino;
    const { code, stderr } = await cli.run(['db', 'restore', backup]);
    expect(code).toBe(2);
    expect(stderr).toContain('error: The key database is in use.');
    expect(stderr).toContain('End every proxy');
    expect((await stat(path)).ino).toBe(before);
    expect(neighbours().toSorted()).toEqual(['keys.db-shm', 'keys.db-wal']);
    await add(1, store);
    expect(await checkJson()).toMatchObject({ ok: true, counts: { keys: 4 } });
  });

  it('takes the log of a killed process into what it keeps', async () => {
    await add(2);
    await cli.run(['db', 'backup', backup]);
    const script = `
      const database = new (require('better-sqlite3'))(${JSON.stringify(path)});
      database.exec("UPDATE virtual_keys SET note = 'late'");
      process.kill(process.pid, 'SIGKILL');`;
    spawnSync(process.execPath, ['-e', script]);
    expect(existsSync(`${path}-wal`)).toBe(true);
    const { stdout } = await cli.run(['db', 'restore', '--json', backup]);
    const { replaced } = JSON.parse(stdout) as { replaced: string };
    expect(existsSync(`${path}-wal`)).toBe(false);
    expect([notes(path), notes(replaced)]).toEqual([[null], ['late']]);
  });

  it('restores in the place of a damaged database', async () => {
    await add(2);
    await cli.run(['db', 'backup', backup]);
    await writeFile(path, 'rubbish, '.repeat(1_000));
    expect((await cli.run(['db', 'restore', backup])).code).toBe(0);
    expect(await checkJson()).toMatchObject({ ok: true, counts: { keys: 2 } });
  });

  it.each([
    { name: 'no database', make: (at: string) => writeFile(at, 'rubbish, '.repeat(1_000)), says: 'is not a readable' },
    { name: 'an empty file', make: (at: string) => writeFile(at, ''), says: 'is empty' },
    {
      name: 'the database of another program',
      make: async (at: string) => editRaw('CREATE TABLE invoices (id INTEGER)', at),
      says: 'belongs to another program',
    },
    {
      name: 'the database of a newer bedrock-proxy',
      make: async (at: string) => {
        await (await openSqliteStore(at)).close();
        editRaw(`PRAGMA user_version = ${MIGRATIONS.length + 1}`, at);
      },
      says: 'was written by a newer bedrock-proxy',
    },
    { name: 'nothing', make: async () => {}, says: 'There is no database at' },
  ])('restores no file that is no backup, and changes nothing: $name', async ({ make, says }) => {
    await add(1);
    await make(backup);
    const { code, stderr } = await cli.run(['db', 'restore', backup]);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
    expect(neighbours()).toEqual([]);
    expect(await checkJson()).toMatchObject({ ok: true, counts: { keys: 1 } });
  });
});

describe('db check', () => {
  it('says what is there, and that all is well', async () => {
    await add(2);
    const { code, stdout } = await cli.run(['db', 'check']);
    expect(code).toBe(0);
    expect(stdout).toContain(`schema        ${MIGRATIONS.length}\n`);
    expect(stdout).toContain('mode 600');
    expect(stdout).toContain('2 equal to the ledger, 0 unknown, 0 wrong');
    expect(stdout).toMatch(/\n\nAll is well\.\n$/);
  });

  it.each([
    {
      name: 'a charge without its row',
      edit: 'UPDATE key_spend SET total_nano = total_nano + 1',
      spend: { equal: 0, unknown: 0, wrong: 2 },
      problem: /^The key \w+ does not add up: spent 8 by its budget, 7 by its rows; 0 reserved/,
    },
    {
      name: 'a row without its charge',
      edit: 'DELETE FROM ledger WHERE sequence = 1; UPDATE ledger SET charged_nano = 9',
      spend: { equal: 0, unknown: 1, wrong: 1 },
      problem: /spent 7 by its budget, 9 by its rows/,
    },
    {
      name: 'money that no reservation holds',
      edit: 'UPDATE key_spend SET reserved_nano = 5',
      spend: { equal: 0, unknown: 0, wrong: 2 },
      problem: /5 reserved, 0 by its reservations/,
    },
  ])('tells of budgets that do not add up: $name', async ({ edit, spend, problem }) => {
    await add(2);
    editRaw(edit);
    expect((await cli.run(['db', 'check'])).code).toBe(1);
    const found = await checkJson();
    expect(found).toMatchObject({ ok: false, spend });
    expect(found['problems']).toEqual(Array.from({ length: spend.wrong }, () => expect.stringMatching(problem)));
  });

  it('tells of sums for reports that are not what the rows say', async () => {
    await add(2);
    editRaw('UPDATE key_totals_end SET last_sequence = 2');
    expect((await cli.run(['db', 'check'])).stdout).toContain('Reports by key are wrong for 2 keys: ');
  });

  it('cannot tell if the oldest rows are deleted', async () => {
    await add(2);
    editRaw('DELETE FROM ledger WHERE sequence = 1');
    expect(await checkJson()).toMatchObject({ ok: true, spend: { accounts: 2, equal: 1, unknown: 1, wrong: 0 } });
  });

  it.skipIf(process.platform === 'win32')('tells of a file that others can read', async () => {
    await add(1);
    await chmod(path, 0o644);
    const { code, stdout } = await cli.run(['db', 'check']);
    expect(code).toBe(1);
    expect(stdout).toContain(`Others can reach ${path} (mode 644): \`chmod 600\` it.`);
  });

  it('tells of damage', async () => {
    await add(40);
    const database = new Database(path);
    database.unsafeMode();
    database.exec(`PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'ledger_time')
      WHERE name = 'virtual_keys_age'`);
    database.close();
    const { code, stdout } = await cli.run(['db', 'check']);
    expect(code).toBe(1);
    expect(stdout).toContain('Damaged: ');
    expect((await cli.run(['db', 'backup', backup])).stderr).toContain('The key database is damaged.');
  });
});
