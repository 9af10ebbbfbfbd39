/**
 * The SQLite file behind the store: opened with private modes, checked that it is ours, brought to the present schema.
 * The only file that imports better-sqlite3.
 */
import { findCode } from '../../lib/errno.ts';
import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { ProxyError } from '../../lib/errors.ts';
import { type PrivateFile, requirePrivateFile } from '../../lib/private-file.ts';
import { APPLICATION_ID, MIGRATIONS } from './migrations.ts';

/** A connection of better-sqlite3. */
export type Sqlite = Database.Database;
/** A prepared statement, typed by its parameters and its rows. */
export type Statement<Parameters extends unknown[], Result = unknown> = Database.Statement<Parameters, Result>;

/** An open database. The caller closes `database`. */
export interface Connection {
  readonly database: Sqlite;
  /** Device and inode: to notice when the file is replaced. */
  readonly fileIdentity: string;
  /** Moves when another connection has committed. */
  readonly dataVersion: Statement<[], number>;
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
    return wrap(database, findFileIdentity(path) ?? 'none');
  } catch (error) {
    database?.close();
    throw error;
  }
}

/**
 * A second connection to a file that is open already, for `checkpoint` alone. Throws if another file has replaced it,
 * and what SQLite throws.
 */
export function connectForCheckpoints({ path, fileIdentity }: { path: string; fileIdentity: string }): Sqlite {
  const database = new Database(path, { fileMustExist: true });
  database.pragma('synchronous = NORMAL');
  if (findFileIdentity(path) === fileIdentity) return database;
  database.close();
  throw new Error('the file was replaced');
}

/**
 * Copies the write-ahead log over to the file, as far as that waits for the disk alone; returns the number of pages
 * that the log has. What others have cached stays good: their `PRAGMA data_version` does not move.
 */
export function checkpoint(database: Sqlite): number {
  const [result] = database.pragma('wal_checkpoint(PASSIVE)') as { log: number }[];
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
  if (findFileIdentity(path) !== undefined) return;
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
    throw unavailable(path, 'belongs to another program', 'Name another file with --db.');
  }
  if (readMark(database, 'user_version') > MIGRATIONS.length) {
    const hint = 'Update bedrock-proxy, or name another file with --db.';
    throw unavailable(path, 'was written by a newer bedrock-proxy', hint);
  }
}

function isOurs(database: Sqlite): boolean {
  return readMark(database, 'application_id') === APPLICATION_ID;
}

function readMark(database: Sqlite, mark: 'application_id' | 'user_version'): number {
  return Number(database.pragma(mark, { simple: true }));
}

function wrap(database: Sqlite, fileIdentity: string): Connection {
  // Made once: better-sqlite3 builds four functions for every transaction it is asked to wrap.
  const transaction = database.transaction((work: () => unknown) => work());
  return {
    database,
    fileIdentity,
    dataVersion: pluck<[], number>(database, 'PRAGMA data_version'),
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

/** Device and inode of the file at `path`; undefined if there is none. */
export function findFileIdentity(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}

/** Whether SQLite itself threw it. */
export function isSqliteError(error: unknown): error is InstanceType<typeof Database.SqliteError> {
  return error instanceof Database.SqliteError;
}

/**
 * Runs `work` at once, and again and again while SQLite says busy, for `timeoutMs`; every other failure becomes
 * ERR_STORE_UNAVAILABLE.
 */
export async function retryWhileBusy<T>(path: string, timeoutMs: number, work: () => T): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    try {
      return work();
    } catch (error) {
      const busy = isSqliteError(error) && /^SQLITE_(BUSY|LOCKED)/.test(error.code);
      if (!busy || Date.now() >= deadlineMs) throw toUnavailable(path, error);
    }
    await delay(pauseMs);
  }
}

/** What SQLite or the file system threw, in words, with what to do. */
function toUnavailable(path: string, error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  const code = findCode(error) ?? 'unknown';
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return unavailable(path, 'is locked by another process', 'Try again, or end the process that holds it.', error);
  }
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return unavailable(path, 'is not a readable SQLite database', 'Name another file with --db, or restore it.', error);
  }
  if (/^(SQLITE_(READONLY|CANTOPEN|PERM|AUTH)|EACCES|EPERM|EROFS|ENOTDIR|EISDIR|EEXIST)/.test(code)) {
    return unavailable(
      path,
      `cannot be opened for writing (${code})`,
      'Check its permissions, or name another file with --db.',
      error,
    );
  }
  return unavailable(
    path,
    `cannot be used (${code})`,
    'Check disk and permissions, or name another file with --db.',
    error,
  );
}

/** ERR_STORE_UNAVAILABLE of the database at `path`. */
export function unavailable(path: string, what: string, hint: string, cause?: unknown): ProxyError {
  return new ProxyError('ERR_STORE_UNAVAILABLE', `The key database ${what}.`, { hint, detail: path, cause });
}
