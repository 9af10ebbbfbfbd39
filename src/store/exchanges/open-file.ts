/**
 * The SQLite file of exchanges: opened for its owner alone, checked that it is ours and whole, brought to the present
 * schema; and the lock that one writer holds. It holds prompts: nobody else may read it.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import { type PrivateFile, requirePrivateFile } from '../../lib/private-file.ts';
import { isBusy } from '../sqlite/trouble.ts';
import { EXCHANGE_FILE_ID, EXCHANGE_FILE_STEPS } from './schema.ts';

/** A connection to a file of exchanges. The caller closes it. */
export type ExchangeDatabase = Database.Database;

/** That a file is written by another process, and that it is locked: nobody waits for it but a thread. */
const WRITE_TIMEOUT_MS = 2_000;
/** Larger than this, it is not read through before it is used. */
const MAX_WHOLE_CHECK_BYTES = 8 * 1024 * 1024;

const FILE: PrivateFile = {
  name: 'The file of exchanges',
  code: 'ERR_STORE_UNAVAILABLE',
  isSecret: true,
  isMadeByUs: true,
  alternative: 'Or name another file with --inspect-db.',
};

/** ERR_STORE_UNAVAILABLE of the file at `path`. */
export function exchangeFileError(path: string, what: string, hint: string, cause?: unknown): ProxyError {
  return new ProxyError('ERR_STORE_UNAVAILABLE', `The file of exchanges ${what}.`, { hint, detail: path, cause });
}

/** What SQLite or the file system threw, in words, with what to do. */
export function toExchangeFileError(path: string, error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  const code = findCode(error) ?? 'unknown';
  const told = (what: string, hint: string): ProxyError => exchangeFileError(path, what, hint, error);
  if (isBusy(error)) return told('is locked by another process', 'Try again, or end the process that holds it.');
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return told('is damaged, or is no SQLite database', 'Delete it, or name another file with --inspect-db.');
  }
  if (/^(SQLITE_FULL|ENOSPC|EDQUOT)/.test(code)) {
    return told('cannot grow: the disk is full', 'Make room, lower --inspect-limit, or `bedrock-proxy inspect clear`.');
  }
  if (/^(SQLITE_(READONLY|CANTOPEN|PERM|AUTH)|EACCES|EPERM|EROFS|ENOTDIR|EISDIR|EEXIST)/.test(code)) {
    return told(`cannot be opened (${code})`, 'Check its permissions, or name another file with --inspect-db.');
  }
  return told(`cannot be used (${code})`, 'Check disk and permissions, or name another file with --inspect-db.');
}

/** Opens it to write, and makes what is missing. Throws ERR_STORE_UNAVAILABLE. */
export function openToWrite(path: string): ExchangeDatabase {
  let database: ExchangeDatabase | undefined;
  try {
    makeFolder(path);
    requirePrivate(path);
    makePrivate(path);
    database = new Database(path, { timeout: WRITE_TIMEOUT_MS });
    // First of all: the switch to WAL alone would change another program's file.
    refuseOthers(database, path);
    if (readMark(database, 'user_version') === 0) {
      // Before there is a table: SQLite keeps it from then on.
      database.pragma('auto_vacuum = INCREMENTAL');
      database.pragma('journal_mode = WAL');
    }
    database.pragma('synchronous = NORMAL');
    database.pragma('foreign_keys = ON');
    // What is deleted does not stay in pages that are written anyway.
    database.pragma('secure_delete = FAST');
    migrate(database, path);
    return database;
  } catch (error) {
    database?.close();
    throw toExchangeFileError(path, error);
  }
}

/** Opens one that is there, to read it. Throws ERR_BAD_OPTION if there is none, and ERR_STORE_UNAVAILABLE. */
export function openToRead(path: string): ExchangeDatabase {
  if (!existsSync(path)) {
    throw new ProxyError('ERR_BAD_OPTION', `There is no file of exchanges at ${path}.`, {
      hint: 'Name it with --inspect-db; `start --inspect-db FILE` makes it.',
    });
  }
  let database: ExchangeDatabase | undefined;
  try {
    requirePrivate(path);
    // Without a log, closing takes away the one that SQLite makes.
    database = new Database(path, { readonly: existsSync(`${path}-wal`), timeout: WRITE_TIMEOUT_MS });
    refuseOthers(database, path);
    if (readMark(database, 'user_version') < EXCHANGE_FILE_STEPS.length) {
      throw exchangeFileError(path, 'is empty, or of an older bedrock-proxy', 'Start the proxy with it once.');
    }
    return database;
  } catch (error) {
    database?.close();
    throw toExchangeFileError(path, error);
  }
}

/** Whether a file is an SQLite database, whosever it is. */
export function isSqliteFile(head: Buffer): boolean {
  return head.subarray(0, 16).equals(Buffer.from('SQLite format 3\0'));
}

/**
 * Takes the lock of the one writer of a file; gives what releases it. The system releases it as well if the process
 * dies. Throws ERR_STORE_UNAVAILABLE if another process has it.
 */
export function lockFile(path: string): () => void {
  const lock = `${path}.lock`;
  let database: ExchangeDatabase | undefined;
  try {
    makeFolder(path);
    requirePrivateFile(lock, FILE);
    makePrivate(lock);
    database = new Database(lock, { timeout: 0 });
    // Held until it is closed. Nothing is written there.
    database.exec('BEGIN EXCLUSIVE');
    const held = database;
    return () => held.close();
  } catch (error) {
    database?.close();
    if (!isBusy(error)) throw toExchangeFileError(path, error);
    const hint = 'End that proxy, or name another file with --inspect-db: each proxy has one of its own.';
    throw exchangeFileError(path, 'is written by another proxy', hint, error);
  }
}

/** Bytes that are in use: pages of the file that are not free. */
export function measureFile(database: ExchangeDatabase): number {
  const read = (name: string): number => Number(database.pragma(name, { simple: true }));
  return (read('page_count') - read('freelist_count')) * read('page_size');
}

function makeFolder(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
}

/** SQLite believes what stands in the files beside it, too. */
function requirePrivate(path: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) requirePrivateFile(`${path}${suffix}`, FILE);
}

/** Before SQLite would make it with the process's umask. */
function makePrivate(path: string): void {
  if (existsSync(path)) return;
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
}

/** Throws for what is not ours, newer, or damaged. Only reads. */
function refuseOthers(database: ExchangeDatabase, path: string): void {
  const tables = Number(database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get());
  if (tables > 0 && readMark(database, 'application_id') !== EXCHANGE_FILE_ID) {
    throw exchangeFileError(path, 'belongs to another program', 'Name another file with --inspect-db.');
  }
  if (readMark(database, 'user_version') > EXCHANGE_FILE_STEPS.length) {
    const hint = 'Update bedrock-proxy, or name another file with --inspect-db.';
    throw exchangeFileError(path, 'was written by a newer bedrock-proxy', hint);
  }
  const isSmall = statSync(path).size <= MAX_WHOLE_CHECK_BYTES;
  const found = isSmall ? database.pragma('quick_check(1)', { simple: true }) : 'ok';
  if (found === 'ok') return;
  const hint = 'Delete it, or name another file with --inspect-db.';
  throw exchangeFileError(path, 'is damaged', hint, new Error(String(found)));
}

function migrate(database: ExchangeDatabase, path: string): void {
  if (readMark(database, 'user_version') === EXCHANGE_FILE_STEPS.length) return;
  database
    .transaction(() => {
      // Another process may have been faster.
      refuseOthers(database, path);
      for (const step of EXCHANGE_FILE_STEPS.slice(readMark(database, 'user_version'))) database.exec(step);
      database.pragma(`application_id = ${EXCHANGE_FILE_ID}`);
      database.pragma(`user_version = ${EXCHANGE_FILE_STEPS.length}`);
    })
    .immediate();
}

function readMark(database: ExchangeDatabase, mark: 'application_id' | 'user_version'): number {
  return Number(database.pragma(mark, { simple: true }));
}
