/**
 * The SQLite file behind the store: opened with private modes, checked that it is ours, brought to the present schema.
 * The only file, with `backup.ts`, that imports better-sqlite3.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, existsSync, linkSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import { type PrivateFile, requirePrivateFile } from '../../lib/private-file.ts';
import {
  areSameFiles,
  type ConnectionTarget,
  type DatabaseIdentity,
  findIdentity,
  refuseOrphanedLog,
} from './identity.ts';
import { APPLICATION_ID, MIGRATIONS } from './migrations.ts';
import { toUnavailable, unavailable } from './trouble.ts';

/** A connection of better-sqlite3. */
export type Sqlite = Database.Database;
/** A prepared statement, typed by its parameters and its rows. */
export type Statement<Parameters extends unknown[], Result = unknown> = Database.Statement<Parameters, Result>;

/** The first and the last sequence of rows of a time, among the rows up to the sequence `until`. */
export interface KnownRange {
  readonly first: number;
  readonly last: number;
  readonly until: number;
}

/** That a database was brought to the present schema, and where it is kept as it was. */
export interface Upgrade {
  readonly from: number;
  readonly to: number;
  readonly keptIn: string;
}

/** An open database. The caller closes `database`. */
export interface Connection {
  readonly database: Sqlite;
  /** To notice when its files are replaced or removed. */
  readonly identity: DatabaseIdentity;
  /** Moves when another connection has committed. */
  readonly dataVersion: Statement<[], number>;
  /** Moves when a newer bedrock-proxy has migrated the database. */
  readonly schemaVersion: Statement<[], number>;
  /** What `findSequences` has found before. */
  readonly ranges: Map<string, KnownRange>;
  /** Runs `work` as one transaction that begins with the right to write: all of it happens, or nothing. */
  readonly atomically: <T>(work: () => T) => T;
}

/**
 * Opens the file, creating what is missing. Throws what SQLite and the file system throw, and ERR_STORE_UNAVAILABLE.
 */
export function connect(path: string, onUpgrade: (upgrade: Upgrade) => void = () => {}): Connection {
  let database: Sqlite | undefined;
  try {
    prepareFile(path);
    database = new Database(path, { timeout: 0 });
    // First of all: the switch to WAL alone would change another program's file.
    refuseForeign(database, path);
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    migrate(database, path, onUpgrade);
    return wrapConnection(database, findIdentity(path));
  } catch (error) {
    database?.close();
    throw error;
  }
}

/**
 * Opens a database of ours that is there, to read it as it is, whatever its schema. Writes nothing, not even its log:
 * if there is one, nobody knows whether it belongs to this file. Throws ERR_BAD_OPTION if there is no file, and
 * ERR_STORE_UNAVAILABLE. The caller closes it.
 */
export function openForReading(path: string): Sqlite {
  if (!existsSync(path)) {
    throw new ProxyError('ERR_BAD_OPTION', `There is no database at ${path}.`, { hint: 'Name it with --db.' });
  }
  let database: Sqlite | undefined;
  try {
    // Without a log there is nothing to mistake; closing takes away the one that SQLite makes.
    database = new Database(path, { readonly: existsSync(`${path}-wal`) });
    database.pragma('query_only = ON');
    refuseForeign(database, path);
    if (!isOurs(database)) throw unavailable(path, 'is empty', { hint: 'Name another file.' });
    return database;
  } catch (error) {
    database?.close();
    throw toUnavailable(path, error);
  }
}

/** How long a checkpoint waits for readers of a log that is to begin anew. */
const SECOND_TIMEOUT_MS = 50;

/**
 * A second connection, of a thread, to a database that is open already. Throws if one of its files is another one, and
 * before it reads any: SQLite would take the log of one database for that of the other.
 */
export function connectAgain(target: ConnectionTarget, options: { readonly readonly: boolean }): Sqlite {
  const database = new Database(target.path, { fileMustExist: true, timeout: SECOND_TIMEOUT_MS, ...options });
  try {
    if (!areSameFiles(target)) throw new Error('the database was replaced');
    if (!options.readonly) database.pragma('synchronous = NORMAL');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Copies the write-ahead log over to the file; returns the number of pages that the log has, -1 if another process
 * copies it just now. PASSIVE waits for the disk alone, and what others have cached stays good: their `PRAGMA
 * data_version` does not move. TRUNCATE empties the log: nobody can commit while it copies the rest.
 * Throws what SQLite throws.
 */
export function checkpoint(database: Sqlite, mode: 'PASSIVE' | 'TRUNCATE'): number {
  const [result] = database.pragma(`wal_checkpoint(${mode})`) as { log: number }[];
  return result?.log ?? 0;
}

const DATABASE_FILE: PrivateFile = {
  name: 'The key database',
  code: 'ERR_STORE_UNAVAILABLE',
  isSecret: false,
  isMadeByUs: true,
  alternative: 'Or name another file with --db.',
};

/** Creates the folder and the file with private modes before SQLite would create them with the process's umask. */
function prepareFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // SQLite believes what stands in the files beside it, too.
  for (const suffix of ['', '-wal', '-shm', '-journal']) requirePrivateFile(`${path}${suffix}`, DATABASE_FILE);
  refuseOrphanedLog(path);
  if (existsSync(path)) return;
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
}

function migrate(database: Sqlite, path: string, onUpgrade: (upgrade: Upgrade) => void): void {
  if (readMark(database, 'user_version') === MIGRATIONS.length && isOurs(database)) return;
  const upgrade = database
    .transaction(() => {
      // Another process may have been faster.
      refuseForeign(database, path);
      const from = readMark(database, 'user_version');
      const keptIn = from > 0 && from < MIGRATIONS.length ? keepOld(path, from) : undefined;
      for (const step of MIGRATIONS.slice(from)) database.exec(step);
      database.pragma(`application_id = ${APPLICATION_ID}`);
      database.pragma(`user_version = ${MIGRATIONS.length}`);
      return keptIn === undefined ? undefined : { from, to: MIGRATIONS.length, keptIn };
    })
    .immediate();
  if (upgrade !== undefined) onUpgrade(upgrade);
}

/**
 * Copies the database as it is to a file beside it, for its owner alone, and returns its path. To be called while
 * nobody else can write. Throws ERR_STORE_UNAVAILABLE: there is no way back from a migration but this.
 */
function keepOld(path: string, version: number): string {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  let reader: Sqlite | undefined;
  try {
    closeSync(openSync(draft, 'wx', 0o600));
    reader = new Database(path, { readonly: true });
    reader.prepare('VACUUM INTO ?').run(draft);
    return linkAsNew(draft, `${path}.v${version}`);
  } catch (error) {
    const hint = `Make room beside it, or copy it elsewhere and name that copy with --db.`;
    throw unavailable(path, 'has to be upgraded, and cannot be copied first', { hint, cause: error });
  } finally {
    reader?.close();
    for (const end of ['', '-journal']) rmSync(draft + end, { force: true });
  }
}

/** A file of an earlier upgrade stays what it is. */
function linkAsNew(draft: string, wanted: string): string {
  for (let count = 1; ; count += 1) {
    const path = count === 1 ? wanted : `${wanted}-${count}`;
    try {
      linkSync(draft, path);
      return path;
    } catch (error) {
      if (findCode(error) === 'EEXIST' || existsSync(path)) continue;
      // Not every file system has links.
      renameSync(draft, path);
      return path;
    }
  }
}

/** Larger than this, only what every request needs is looked over: it takes a server a few milliseconds to start. */
const MAX_WHOLE_CHECK_BYTES = 8 * 1024 * 1024;
const KEY_TABLES = ['virtual_keys', 'key_changes', 'key_spend', 'reservations'];

/** Throws ERR_STORE_UNAVAILABLE if pages of the database do not belong together. */
export function refuseDamage(database: Sqlite, path: string): void {
  const read = (sql: string): unknown => database.pragma(sql, { simple: true });
  const sizeBytes = Number(read('page_count')) * Number(read('page_size'));
  const checks = sizeBytes <= MAX_WHOLE_CHECK_BYTES ? ['1'] : KEY_TABLES.map((table) => `'${table}'`);
  const found = checks.map((check) => read(`quick_check(${check})`)).find((words) => words !== 'ok');
  if (found === undefined) return;
  throw unavailable(path, 'is damaged', {
    hint: '`bedrock-proxy db check` says how; `bedrock-proxy db restore` puts a backup in its place.',
    cause: new Error(String(found)),
  });
}

/** Throws for a database that another program or a newer bedrock-proxy wrote. Only reads. */
function refuseForeign(database: Sqlite, path: string): void {
  const tables = Number(database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get());
  if (tables > 0 && !isOurs(database)) {
    throw unavailable(path, 'belongs to another program', { hint: 'Name another file with --db.' });
  }
  if (readMark(database, 'user_version') > MIGRATIONS.length) {
    const hint = 'Update bedrock-proxy, or name another file with --db.';
    throw unavailable(path, 'was written by a newer bedrock-proxy', { hint });
  }
}

function isOurs(database: Sqlite): boolean {
  return readMark(database, 'application_id') === APPLICATION_ID;
}

function readMark(database: Sqlite, mark: 'application_id' | 'user_version'): number {
  return Number(database.pragma(mark, { simple: true }));
}

/** An open database with what every connection needs. */
export function wrapConnection(database: Sqlite, identity: DatabaseIdentity): Connection {
  // Made once: better-sqlite3 builds four functions for every transaction it is asked to wrap.
  const transaction = database.transaction((work: () => unknown) => work());
  return {
    database,
    identity,
    dataVersion: pluck<[], number>(database, 'PRAGMA data_version'),
    schemaVersion: pluck<[], number>(database, 'PRAGMA user_version'),
    ranges: new Map(),
    atomically: <T>(work: () => T) => transaction.immediate(work) as T,
  };
}

/** A statement that gives the first column alone. */
export function pluck<Parameters extends unknown[], Result>(
  database: Sqlite,
  sql: string,
): Statement<Parameters, Result> {
  return database.prepare<Parameters, Result>(sql).pluck() as Statement<Parameters, Result>;
}

/** Whether SQLite itself threw it. */
export function isSqliteError(error: unknown): error is InstanceType<typeof Database.SqliteError> {
  return error instanceof Database.SqliteError;
}
