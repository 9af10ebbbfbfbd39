/**
 * The SQLite file behind the store: opened with private modes, checked that it is ours, brought to the present schema.
 * The only file, with `backup.ts`, that imports better-sqlite3.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
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
export function connect(path: string): Connection {
  let database: Sqlite | undefined;
  try {
    prepareFile(path);
    database = new Database(path, { timeout: 0 });
    // First of all: the switch to WAL alone would change another program's file.
    refuseForeign(database, path);
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    migrate(database, path);
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

function migrate(database: Sqlite, path: string): void {
  if (readMark(database, 'user_version') === MIGRATIONS.length && isOurs(database)) return;
  database
    .transaction(() => {
      // Another process may have been faster.
      refuseForeign(database, path);
      for (const step of MIGRATIONS.slice(readMark(database, 'user_version'))) database.exec(step);
      database.pragma(`application_id = ${APPLICATION_ID}`);
      database.pragma(`user_version = ${MIGRATIONS.length}`);
    })
    .immediate();
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
