/**
 * The embedded store: one SQLite file in WAL mode, shared by the running server and any number of CLI processes.
 * Its place is beside the way: `auth/` asks it through the `Store` interface. It is the only file that knows better-sqlite3.
 * It never waits inside SQLite (that would stop the event loop): a busy database is asked again a few milliseconds later.
 */
import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { ProxyError } from '../errors.ts';
import { APPLICATION_ID, MIGRATIONS } from './migrations.ts';
import type { NewVirtualKeyRow, Store, VirtualKeyRow } from './store.ts';

/** How long a busy database is asked again before the store counts as unavailable: reads stand on a request's way. */
const READ_PATIENCE_MS = 500;
const WRITE_PATIENCE_MS = 5_000;
/** How often the server looks whether the file still is the one it opened. */
const FILE_CHECK_INTERVAL_MS = 1_000;
/** Uses of keys are noted in groups at this pace. */
const TOUCH_INTERVAL_MS = 1_000;

interface KeyRecord {
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

interface Connection {
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

/**
 * Opens the database at `path`, creating file (0600), folder (0700) and schema where they are missing. Throws
 * ERR_STORE_UNAVAILABLE with what to do when the file cannot be used. The caller closes the store.
 */
export async function openSqliteStore(path: string): Promise<Store> {
  return SqliteStore.open(path);
}

class SqliteStore implements Store {
  readonly #path: string;
  #connection: Connection;
  #checkedAtMs = Date.now();
  #seenDataVersion = -1;
  #anyKey = false;
  readonly #bySha256 = new Map<string, VirtualKeyRow>();
  readonly #byAccessKeyId = new Map<string, VirtualKeyRow>();
  #touched = new Map<string, number>();
  #touchTimer: NodeJS.Timeout | undefined;

  private constructor(path: string, connection: Connection) {
    this.#path = path;
    this.#connection = connection;
  }

  static async open(path: string): Promise<SqliteStore> {
    return new SqliteStore(path, await retryWhileBusy(path, WRITE_PATIENCE_MS, () => connect(path)));
  }

  findKeyBySha256(keySha256: string): Promise<VirtualKeyRow | undefined> {
    return this.#findCached(this.#bySha256, keySha256, (connection) => connection.findBySha256.get(keySha256));
  }

  findKeyByAccessKeyId(accessKeyId: string): Promise<VirtualKeyRow | undefined> {
    return this.#findCached(this.#byAccessKeyId, accessKeyId, (connection) =>
      connection.findByAccessKeyId.get(accessKeyId),
    );
  }

  async hasAnyKey(): Promise<boolean> {
    return this.#read((connection) => {
      if (!this.#anyKey) this.#anyKey = connection.anyKey.get() === 1;
      return this.#anyKey;
    });
  }

  async insertKey(row: NewVirtualKeyRow): Promise<void> {
    await this.#write((connection) => {
      try {
        connection.insert.run({ ...row, alias: row.alias ?? null });
      } catch (error) {
        if (isSqliteError(error) && error.code === 'SQLITE_CONSTRAINT_UNIQUE' && error.message.includes('.alias')) {
          throw new ProxyError('ERR_BAD_REQUEST', `There is an active key with the alias "${row.alias}".`, {
            hint: 'Choose another alias, or revoke that key first.',
          });
        }
        throw error;
      }
    });
  }

  async rotateKey(id: string, successor: NewVirtualKeyRow, endsAtMs: number | undefined): Promise<void> {
    const revokedAtMs = endsAtMs === undefined ? successor.createdAtMs : null;
    await this.#write(({ database, end, insert }) => {
      const rotate = database.transaction(() => {
        if (end.run({ id, revokedAtMs, endsAtMs: endsAtMs ?? null }).changes === 0) throw alreadyEnds(id);
        insert.run({ ...successor, alias: successor.alias ?? null });
      });
      rotate.immediate();
    });
  }

  async listKeys(): Promise<VirtualKeyRow[]> {
    return this.#read((connection) => connection.list.all().map(toRow));
  }

  async revokeKey(id: string, revokedAtMs: number): Promise<void> {
    await this.#write((connection) => connection.revoke.run(revokedAtMs, id));
  }

  touchKey(id: string, usedAtMs: number): void {
    this.#touched.set(id, usedAtMs);
    this.#touchTimer ??= setTimeout(() => {
      this.#touchTimer = undefined;
      this.#writeTouched();
    }, TOUCH_INTERVAL_MS).unref();
  }

  async close(): Promise<void> {
    clearTimeout(this.#touchTimer);
    this.#writeTouched();
    clearTimeout(this.#touchTimer);
    this.#connection.database.close();
  }

  async #findCached(
    cache: Map<string, VirtualKeyRow>,
    name: string,
    find: (connection: Connection) => KeyRecord | undefined,
  ): Promise<VirtualKeyRow | undefined> {
    return this.#read((connection) => {
      this.#dropStaleRows(connection);
      const cached = cache.get(name);
      if (cached !== undefined) return cached;
      const record = find(connection);
      if (record === undefined) return undefined;
      const row = toRow(record);
      cache.set(name, row);
      return row;
    });
  }

  /** `PRAGMA data_version` moves when another connection commits; our own writes clear the cache themselves. */
  #dropStaleRows(connection: Connection): void {
    const dataVersion = connection.dataVersion.get() ?? -1;
    if (dataVersion !== this.#seenDataVersion) this.#dropRows(dataVersion);
  }

  #dropRows(dataVersion: number): void {
    this.#seenDataVersion = dataVersion;
    this.#bySha256.clear();
    this.#byAccessKeyId.clear();
    this.#anyKey = false;
  }

  async #read<T>(work: (connection: Connection) => T): Promise<T> {
    return retryWhileBusy(this.#path, READ_PATIENCE_MS, () => work(this.#freshConnection()));
  }

  async #write<T>(work: (connection: Connection) => T): Promise<T> {
    const result = await retryWhileBusy(this.#path, WRITE_PATIENCE_MS, () => work(this.#freshConnection()));
    this.#dropRows(-1);
    return result;
  }

  /**
   * The open connection, as long as the path still leads to the same file. SQLite would go on answering from a deleted
   * file, and a revocation made in its successor would never be seen.
   */
  #freshConnection(): Connection {
    const nowMs = Date.now();
    if (nowMs - this.#checkedAtMs < FILE_CHECK_INTERVAL_MS) return this.#connection;
    const identity = findFileIdentity(this.#path);
    if (identity === undefined) {
      throw unavailable(this.#path, 'is gone', 'Restore it, or restart the proxy to begin with an empty one.');
    }
    if (identity !== this.#connection.fileIdentity) {
      const replacement = connect(this.#path);
      this.#connection.database.close();
      this.#connection = replacement;
      this.#dropRows(-1);
    }
    this.#checkedAtMs = nowMs;
    return this.#connection;
  }

  /** Last-used times are a convenience: when the database is busy they wait for the next round, and errors are not told. */
  #writeTouched(): void {
    const touched = this.#touched;
    if (touched.size === 0) return;
    this.#touched = new Map();
    try {
      const { database, touch } = this.#connection;
      database.transaction(() => {
        for (const [id, usedAtMs] of touched) touch.run(usedAtMs, id);
      })();
    } catch {
      for (const [id, usedAtMs] of touched) if (!this.#touched.has(id)) this.touchKey(id, usedAtMs);
    }
  }
}

function connect(path: string): Connection {
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

function toRow(record: KeyRecord): VirtualKeyRow {
  return {
    id: record.id,
    alias: record.alias ?? undefined,
    keySha256: record.key_sha256,
    lastFour: record.last_four,
    accessKeyId: record.access_key_id,
    sealedKey: record.sealed_key,
    createdAtMs: record.created_at_ms,
    lastUsedAtMs: record.last_used_at_ms ?? undefined,
    revokedAtMs: record.revoked_at_ms ?? undefined,
    endsAtMs: record.ends_at_ms ?? undefined,
  };
}

function findFileIdentity(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}

/** Runs `work`, again and again while SQLite says busy, then gives up; every other failure becomes ERR_STORE_UNAVAILABLE. */
async function retryWhileBusy<T>(path: string, patienceMs: number, work: () => T): Promise<T> {
  const deadlineMs = Date.now() + patienceMs;
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

function isSqliteError(error: unknown): error is InstanceType<typeof Database.SqliteError> {
  return error instanceof Database.SqliteError;
}

function alreadyEnds(id: string): ProxyError {
  return new ProxyError('ERR_BAD_REQUEST', `The key ${id} is revoked or rotated already.`, {
    hint: 'See `bedrock-proxy key list`.',
  });
}

function toUnavailable(path: string, error: unknown): ProxyError {
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

function unavailable(path: string, what: string, hint: string, cause?: unknown): ProxyError {
  return new ProxyError('ERR_STORE_UNAVAILABLE', `The key database ${what}.`, { hint, detail: path, cause });
}
