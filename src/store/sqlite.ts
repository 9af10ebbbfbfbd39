/**
 * The embedded store: one SQLite file in WAL mode, shared by the running server and any number of CLI processes.
 * Its place is beside the way: `auth/` asks it through the `Store` interface.
 * It never waits inside SQLite (that would stop the event loop): a busy database is asked again a few milliseconds later.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ProxyError } from '../errors.ts';
import {
  type Connection,
  connect,
  findFileIdentity,
  isSqliteError,
  type KeyRecord,
  toUnavailable,
  unavailable,
} from './sqlite-connection.ts';
import type { NewVirtualKeyRow, Store, VirtualKeyRow } from './store.ts';

/** How long a busy database is asked again before the store counts as unavailable: reads stand on a request's way. */
const READ_PATIENCE_MS = 500;
const WRITE_PATIENCE_MS = 5_000;
/** How often the server looks whether the file still is the one it opened. */
const FILE_CHECK_INTERVAL_MS = 1_000;
/** Uses of keys are noted in groups at this pace. */
const TOUCH_INTERVAL_MS = 1_000;

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

function alreadyEnds(id: string): ProxyError {
  return new ProxyError('ERR_BAD_REQUEST', `The key ${id} is revoked or rotated already.`, {
    hint: 'See `bedrock-proxy key list`.',
  });
}
