/**
 * The SQLite file behind the store: opened with private modes, checked that it is ours, brought to the present schema, its
 * statements prepared once. The only file that knows better-sqlite3. What is read and written is `sqlite.ts`'s business.
 */
import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { ProxyError } from '../errors.ts';
import { APPLICATION_ID, MIGRATIONS } from './migrations.ts';

/** A row of virtual_keys as SQLite gives it. */
export interface KeyRecord {
  id: string;
  alias: string | null;
  key_sha256: string;
  last_four: string;
  access_key_id: string;
  sealed_key: Buffer;
  created_at_ms: number;
  last_used_at_ms: number | null;
  revoked_at_ms: number | null;
  ends_at_ms: number | null;
}

/** An open database and its statements. Whoever opened it closes `database`. */
export interface Connection {
  readonly database: Database.Database;
  /** Device and inode: tells a file that was replaced from the one that is open. */
  readonly fileIdentity: string;
  readonly dataVersion: Database.Statement<[], number>;
  readonly findBySha256: Database.Statement<[string], KeyRecord>;
  readonly findByAccessKeyId: Database.Statement<[string], KeyRecord>;
  readonly anyKey: Database.Statement<[], number>;
  readonly list: Database.Statement<[], KeyRecord>;
  readonly insert: Database.Statement<[Record<string, unknown>]>;
  readonly revoke: Database.Statement<[number, string]>;
  readonly end: Database.Statement<[Record<string, unknown>]>;
  readonly touch: Database.Statement<[number, string]>;
}

/** Opens the file, creating what is missing. Throws what SQLite and the file system throw, and ERR_STORE_UNAVAILABLE. */
export function connect(path: string): Connection {
  let database: Database.Database | undefined;
  try {
    prepareFile(path);
    database = new Database(path, { timeout: 0 });
    // First of all: the switch to WAL alone would change another program's file.
    refuseForeign(database, path);
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    migrate(database, path);
    return prepareStatements(database, findFileIdentity(path) ?? 'none');
  } catch (error) {
    database?.close();
    throw error;
  }
}

/** Creates the folder and the file with private modes before SQLite would create them with the process's umask. */
function prepareFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (findFileIdentity(path) !== undefined) return;
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
}

function migrate(database: Database.Database, path: string): void {
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
function refuseForeign(database: Database.Database, path: string): void {
  const tables = Number(database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get());
  if (tables > 0 && !isOurs(database)) {
    throw unavailable(path, 'belongs to another program', 'Name another file with --db.');
  }
  if (readMark(database, 'user_version') > MIGRATIONS.length) {
    const hint = 'Update bedrock-proxy, or name another file with --db.';
    throw unavailable(path, 'was written by a newer bedrock-proxy', hint);
  }
}

function isOurs(database: Database.Database): boolean {
  return readMark(database, 'application_id') === APPLICATION_ID;
}

function readMark(database: Database.Database, mark: 'application_id' | 'user_version'): number {
  return Number(database.pragma(mark, { simple: true }));
}

function prepareStatements(database: Database.Database, fileIdentity: string): Connection {
  return {
    database,
    fileIdentity,
    dataVersion: database.prepare<[], number>('PRAGMA data_version').pluck() as Database.Statement<[], number>,
    findBySha256: database.prepare('SELECT * FROM virtual_keys WHERE key_sha256 = ?'),
    findByAccessKeyId: database.prepare('SELECT * FROM virtual_keys WHERE access_key_id = ?'),
    anyKey: database.prepare<[], number>('SELECT EXISTS (SELECT 1 FROM virtual_keys)').pluck() as Database.Statement<
      [],
      number
    >,
    list: database.prepare('SELECT * FROM virtual_keys ORDER BY created_at_ms, rowid'),
    insert: database.prepare(
      `INSERT INTO virtual_keys (id, alias, key_sha256, last_four, access_key_id, sealed_key, created_at_ms)
       VALUES (@id, @alias, @keySha256, @lastFour, @accessKeyId, @sealedKey, @createdAtMs)`,
    ),
    revoke: database.prepare('UPDATE virtual_keys SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE id = ?'),
    end: database.prepare(
      `UPDATE virtual_keys SET revoked_at_ms = @revokedAtMs, ends_at_ms = @endsAtMs
       WHERE id = @id AND revoked_at_ms IS NULL AND ends_at_ms IS NULL`,
    ),
    touch: database.prepare(
      'UPDATE virtual_keys SET last_used_at_ms = max(coalesce(last_used_at_ms, 0), ?) WHERE id = ?',
    ),
  };
}

/** Device and inode of the file at `path`; undefined where there is none. */
export function findFileIdentity(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}

export function isSqliteError(error: unknown): error is InstanceType<typeof Database.SqliteError> {
  return error instanceof Database.SqliteError;
}

/** What SQLite or the file system threw, in words, with what to do. */
export function toUnavailable(path: string, error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
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
