/** The virtual keys in PostgreSQL; a server has those that are in use in a cache, and keeps that true. */
import type { KeyChanges, KeyNames, NewVirtualKeyRow, VirtualKeyRow } from '../../domain/key.ts';
import { within } from '../../lib/deadline.ts';
import { findCode } from '../../lib/errno.ts';
import { aliasTaken, keyHasEnded, type KeyRecord, toChangeable, toKeyRow } from '../key-record.ts';
import type { Database, SqlParameter, SqlStatement } from './database.ts';
import type { KeyCacheState } from './key-cache.ts';
import { KEY_STATEMENTS } from './key-statements.ts';
import { type KeysWatching, KeyWatch } from './key-watch.ts';

/** Uses of keys are noted in groups at this pace. */
const TOUCH_INTERVAL_MS = 1_000;
/** How long the end waits for the notes of the last uses. */
const CLOSE_TIMEOUT_MS = 2_000;
const UNIQUE_VIOLATION = '23505';

/** Keys: each method is one of `KeyStore`. */
export class PostgresKeys {
  readonly #database: Database;
  /** Undefined: a command, which asks the database for each key. */
  readonly #watch: KeyWatch | undefined;
  #touched = new Map<string, number>();
  /** Set until its note is written, so that there is one at a time. */
  #touchTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(database: Database, watching: KeysWatching | undefined) {
    this.#database = database;
    this.#watch = watching && new KeyWatch(watching, database);
  }

  async findBySha256(keySha256: string): Promise<VirtualKeyRow | undefined> {
    const find = (): Promise<VirtualKeyRow | undefined> => this.#findOne(KEY_STATEMENTS.findBySha256, keySha256);
    return this.#watch === undefined ? find() : this.#watch.trusted().findKey('keySha256', keySha256, find);
  }

  async findByAccessKeyId(id: string): Promise<VirtualKeyRow | undefined> {
    const find = (): Promise<VirtualKeyRow | undefined> => this.#findOne(KEY_STATEMENTS.findByAccessKeyId, id);
    return this.#watch === undefined ? find() : this.#watch.trusted().findKey('accessKeyId', id, find);
  }

  async hasAny(): Promise<boolean> {
    const find = async (): Promise<boolean> => {
      const [row] = await this.#database.query<{ any_key: boolean }>(KEY_STATEMENTS.any);
      return row?.any_key === true;
    };
    return this.#watch === undefined ? find() : this.#watch.trusted().hasAny(find);
  }

  async insert(row: NewVirtualKeyRow): Promise<void> {
    await this.#change(row.id, row.alias, KEY_STATEMENTS.insert, toValues(row));
  }

  async rotate(id: string, successor: NewVirtualKeyRow, endsAtMs: number | undefined): Promise<void> {
    const values = [...toValues(successor), id, endsAtMs ?? null];
    const rows = await this.#change(id, successor.alias, KEY_STATEMENTS.rotate, values);
    if (rows.length === 0) throw keyHasEnded(id);
  }

  async list(page?: { readonly after: string | undefined; readonly limit: number }): Promise<VirtualKeyRow[]> {
    if (page === undefined) return this.#findAll(KEY_STATEMENTS.list);
    const { after, limit } = page;
    if (after === undefined) return this.#findAll(KEY_STATEMENTS.listFirst, [limit]);
    return this.#findAll(KEY_STATEMENTS.listAfter, [after, limit]);
  }

  async find({ ids = [], aliases = [], aliasPrefix }: KeyNames): Promise<VirtualKeyRow[]> {
    return this.#findAll(KEY_STATEMENTS.find, [
      ids.filter(isText),
      aliases.filter(isText),
      toText(aliasPrefix ?? null),
    ]);
  }

  async revoke(id: string, revokedAtMs: number): Promise<void> {
    await this.#change(id, undefined, KEY_STATEMENTS.revoke, [id, revokedAtMs]);
  }

  async update(id: string, changes: KeyChanges, updatedAtMs: number): Promise<VirtualKeyRow | undefined> {
    const values = [id, JSON.stringify(toChangedColumns(changes)), updatedAtMs];
    const [record] = await this.#change(id, changes.alias, KEY_STATEMENTS.update, values);
    return record && toKeyRow(record);
  }

  async delete(id: string, deletedAtMs: number): Promise<boolean> {
    return (await this.#change(id, undefined, KEY_STATEMENTS.softDelete, [id, deletedAtMs])).length > 0;
  }

  touch(id: string, usedAtMs: number): void {
    this.#touched.set(id, usedAtMs);
    this.#scheduleTouched();
  }

  /** How well the keys in use are known; undefined for a command. */
  readState(): KeyCacheState | undefined {
    return this.#watch?.cache.readState();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#touchTimer);
    this.#watch?.close();
    await within(CLOSE_TIMEOUT_MS, this.#writeTouched());
  }

  async #findOne(statement: SqlStatement, name: string): Promise<VirtualKeyRow | undefined> {
    return isText(name) ? (await this.#findAll(statement, [name]))[0] : undefined;
  }

  async #findAll(statement: SqlStatement, values: readonly SqlParameter[] = []): Promise<VirtualKeyRow[]> {
    return (await this.#database.query<KeyRecord>(statement, values)).map(toKeyRow);
  }

  /** What was read before, and what is being read, is forgotten before anybody learns that the change is done. */
  async #change(
    id: string,
    alias: string | undefined,
    statement: SqlStatement,
    values: readonly SqlParameter[],
  ): Promise<KeyRecord[]> {
    try {
      return await this.#database.query<KeyRecord>(statement, values.map(toText));
    } catch (error) {
      throw isTakenAlias(error) ? aliasTaken(alias) : error;
    } finally {
      this.#watch?.cache.forget(id);
    }
  }

  #scheduleTouched(): void {
    this.#touchTimer ??= setTimeout(async () => {
      await this.#writeTouched();
      this.#touchTimer = undefined;
      if (this.#touched.size > 0 && !this.#isClosed) this.#scheduleTouched();
    }, TOUCH_INTERVAL_MS).unref();
  }

  /** Last-used times are a convenience: if the database does not take them now, they wait, and nobody hears of it. */
  async #writeTouched(): Promise<void> {
    const keys = [...this.#touched];
    this.#touched = new Map();
    if (keys.length === 0) return;
    const values = [keys.map(([id]) => id), keys.map(([, usedAtMs]) => usedAtMs)];
    await this.#database.query(KEY_STATEMENTS.touch, values).catch(() => {
      this.#touched = new Map([...keys, ...this.#touched]);
    });
  }
}

function toValues(row: NewVirtualKeyRow): SqlParameter[] {
  const { alias, expiresAtMs, policy, tags, note, metadata } = toChangeable(row);
  const { id, keySha256, lastFour, accessKeyId, sealedKey, createdAtMs, execCommand = null } = row;
  const fixed = [id, alias, keySha256, lastFour, accessKeyId, sealedKey, createdAtMs];
  return [...fixed, expiresAtMs, policy, tags, note, metadata, execCommand];
}

/** The columns that are to be changed. */
function toChangedColumns(changes: KeyChanges): Record<string, string | number | null> {
  const columns: Record<string, string | number | null> = {};
  if ('alias' in changes) columns['alias'] = changes.alias ?? null;
  if ('expiresAtMs' in changes) columns['expires_at_ms'] = changes.expiresAtMs ?? null;
  if ('blockedAtMs' in changes) columns['blocked_at_ms'] = changes.blockedAtMs ?? null;
  if ('note' in changes) columns['note'] = changes.note ?? null;
  for (const field of ['policy', 'tags', 'metadata'] as const) {
    if (changes[field] !== undefined) columns[field] = JSON.stringify(changes[field]);
  }
  return Object.fromEntries(Object.entries(columns).map(([name, value]) => [name, toText(value)]));
}

/** PostgreSQL has no text with a NUL in it. */
function isText(text: string): boolean {
  return !text.includes('\0');
}

function toText<T extends SqlParameter>(value: T): T | string {
  return typeof value === 'string' ? value.replaceAll('\0', '\u{fffd}').toWellFormed() : value;
}

function isTakenAlias(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  if (findCode(cause) !== UNIQUE_VIOLATION) return false;
  return cause instanceof Error && 'constraint' in cause && cause.constraint === 'virtual_keys_active_alias';
}
