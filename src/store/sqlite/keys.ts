/**
 * The virtual keys in SQLite: statements, prepared once per connection, and rows as the rest of the program knows them.
 * Caches nothing and retries nothing.
 */
import { aliasTaken, keyHasEnded, type KeyRecord, toChangeable, toKeyRow } from '../key-record.ts';
import { type Connection, isSqliteError, pluck, type Statement } from './connection.ts';
import type { KeyChanges, KeyNames, NewVirtualKeyRow, VirtualKeyRow } from '../../domain/key.ts';

type Named = [Record<string, unknown>];

/** The prepared statements of keys. */
export interface KeyStatements {
  readonly findBySha256: Statement<[string], KeyRecord>;
  readonly findByAccessKeyId: Statement<[string], KeyRecord>;
  readonly findById: Statement<[string], KeyRecord>;
  readonly any: Statement<[], number>;
  /** Moves with every change of a key but the notes of its use. */
  readonly version: Statement<[], number>;
  readonly list: Statement<[], KeyRecord>;
  readonly listAfter: Statement<[string, number], KeyRecord>;
  readonly listFirst: Statement<[number], KeyRecord>;
  readonly find: Statement<Named, KeyRecord>;
  readonly insert: Statement<Named>;
  readonly revoke: Statement<Named>;
  readonly end: Statement<Named>;
  readonly update: Statement<Named>;
  readonly softDelete: Statement<Named>;
  readonly touch: Statement<[number, string]>;
}

/** Prepares the statements of keys, once per connection. */
export function prepareKeys({ database }: Connection): KeyStatements {
  const select = 'SELECT * FROM virtual_keys WHERE deleted_at_ms IS NULL';
  const order = 'ORDER BY created_at_ms, rowid';
  return {
    findBySha256: database.prepare(`${select} AND key_sha256 = ?`),
    findByAccessKeyId: database.prepare(`${select} AND access_key_id = ?`),
    findById: database.prepare(`${select} AND id = ?`),
    any: pluck(database, 'SELECT EXISTS (SELECT 1 FROM virtual_keys WHERE exec_command IS NULL)'),
    version: pluck(database, 'SELECT version FROM key_changes'),
    list: database.prepare(`${select} ${order}`),
    // A deleted key still has its place in the order.
    listAfter: database.prepare(
      `${select} AND (created_at_ms, rowid) > (SELECT created_at_ms, rowid FROM virtual_keys WHERE id = ?) ` +
        `${order} LIMIT ?`,
    ),
    listFirst: database.prepare(`${select} ${order} LIMIT ?`),
    find: database.prepare(
      `${select} AND (id IN (SELECT value FROM json_each(@ids)) OR alias IN (SELECT value FROM json_each(@aliases))
         OR (alias >= @prefix AND alias < @prefixEnd)) ${order}`,
    ),
    insert: database.prepare(
      `INSERT INTO virtual_keys (id, alias, key_sha256, last_four, access_key_id, sealed_key, created_at_ms,
        updated_at_ms,
         expires_at_ms, policy, tags, note, metadata, exec_command, account_id)
       VALUES (@id, @alias, @keySha256, @lastFour, @accessKeyId, @sealedKey, @createdAtMs, @createdAtMs,
         @expiresAtMs, @policy, @tags, @note, @metadata, @execCommand,
         (SELECT coalesce(account_id, id) FROM virtual_keys WHERE id = @follows))`,
    ),
    revoke: database.prepare(
      `UPDATE virtual_keys SET revoked_at_ms = @atMs, updated_at_ms = @atMs WHERE id = @id AND revoked_at_ms IS NULL`,
    ),
    end: database.prepare(
      `UPDATE virtual_keys SET revoked_at_ms = @revokedAtMs, ends_at_ms = @endsAtMs, updated_at_ms = @atMs
       WHERE id = @id AND revoked_at_ms IS NULL AND ends_at_ms IS NULL`,
    ),
    update: database.prepare(
      `UPDATE virtual_keys SET alias = @alias, expires_at_ms = @expiresAtMs, blocked_at_ms = @blockedAtMs,
        policy = @policy,
         tags = @tags, note = @note, metadata = @metadata, updated_at_ms = @updatedAtMs
       WHERE id = @id`,
    ),
    // The row stays, so that the proxy does not open again and the ledger's id means something; the secret goes.
    softDelete: database.prepare(
      `UPDATE virtual_keys SET deleted_at_ms = @atMs, updated_at_ms = @atMs,
        revoked_at_ms = coalesce(revoked_at_ms, @atMs),
         alias = NULL, key_sha256 = 'deleted ' || id, access_key_id = 'deleted ' || id, sealed_key = x'', note = NULL,
         metadata = '{}'
       WHERE id = @id AND deleted_at_ms IS NULL`,
    ),
    touch: database.prepare(
      'UPDATE virtual_keys SET last_used_at_ms = max(coalesce(last_used_at_ms, 0), ?) WHERE id = ?',
    ),
  };
}

/** Stores a key; `follows` is the id of the key that it replaces. Throws ERR_BAD_REQUEST if the alias is taken. */
export function insertKey(keys: KeyStatements, row: NewVirtualKeyRow, follows?: string): void {
  refusingTakenAlias(row.alias, () =>
    keys.insert.run({
      ...row,
      ...toChangeable(row),
      execCommand: row.execCommand ?? null,
      follows: follows ?? null,
    }),
  );
}

/** All keys, or a page of them. */
export function listKeyRows(
  keys: KeyStatements,
  page: { readonly after: string | undefined; readonly limit: number } | undefined,
): VirtualKeyRow[] {
  if (page === undefined) return keys.list.all().map(toKeyRow);
  const { after, limit } = page;
  return (after === undefined ? keys.listFirst.all(limit) : keys.listAfter.all(after, limit)).map(toKeyRow);
}

/** The rows that have one of these names, oldest first; revoked ones included. */
export function findKeys(keys: KeyStatements, { ids = [], aliases = [], aliasPrefix }: KeyNames): VirtualKeyRow[] {
  const prefix = aliasPrefix ?? null;
  const names = { ids: JSON.stringify(ids), aliases: JSON.stringify(aliases), prefix };
  // The last character there is: SQLite compares by code point.
  return keys.find.all({ ...names, prefixEnd: prefix === null ? null : `${prefix}\u{10ffff}` }).map(toKeyRow);
}

/** Within a transaction. Throws ERR_BAD_REQUEST if the key has an end already. */
export function rotateKeyRow(
  keys: KeyStatements,
  id: string,
  successor: NewVirtualKeyRow,
  endsAtMs: number | undefined,
): void {
  const atMs = successor.createdAtMs;
  const end = { id, atMs, revokedAtMs: endsAtMs === undefined ? atMs : null, endsAtMs: endsAtMs ?? null };
  if (keys.end.run(end).changes === 0) throw keyHasEnded(id);
  insertKey(keys, successor, id);
}

/**
 * Within a transaction. The row as it is then; undefined if there is none. Throws ERR_BAD_REQUEST if the alias is
 * taken.
 */
export function updateKeyRow(
  keys: KeyStatements,
  id: string,
  changes: KeyChanges,
  updatedAtMs: number,
): VirtualKeyRow | undefined {
  const record = keys.findById.get(id);
  if (record === undefined) return undefined;
  const row: VirtualKeyRow = { ...toKeyRow(record), ...changes, updatedAtMs };
  refusingTakenAlias(row.alias, () =>
    keys.update.run({ id, updatedAtMs, blockedAtMs: row.blockedAtMs ?? null, ...toChangeable(row) }),
  );
  return row;
}

function refusingTakenAlias(alias: string | undefined, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (isSqliteError(error) && error.code === 'SQLITE_CONSTRAINT_UNIQUE' && error.message.includes('.alias')) {
      throw aliasTaken(alias);
    }
    throw error;
  }
}
