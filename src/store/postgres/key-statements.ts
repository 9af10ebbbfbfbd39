/** The statements of keys. Each is one round trip, and whole or not at all. */
import type { SqlStatement } from './database.ts';

const SELECT = 'SELECT * FROM bedrock_proxy.virtual_keys WHERE deleted_at_ms IS NULL';
const ORDER = 'ORDER BY created_at_ms, position';
const COLUMNS = `id, alias, key_sha256, last_four, access_key_id, sealed_key, created_at_ms, updated_at_ms,
  expires_at_ms, policy, tags, note, metadata, exec_command`;
const VALUES = '$1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11, $12, $13';
/** A SELECT does not take the types from the columns. */
const TYPED_VALUES = VALUES.replaceAll('$6', '$6::bytea').replaceAll(/\$[78]\b/g, '$&::bigint');
/** More of them at once are more than it is worth to tell one by one. */
const MAX_CHANGED_IDS = 1_000;

/** Takes the text of the changes that are to be made, as JSON; what is absent stays. */
const change = (column: string, type = 'text'): string =>
  `${column} = CASE WHEN $2::jsonb ? '${column}' THEN ($2::jsonb ->> '${column}')::${type} ELSE ${column} END`;

/** By what each does; the values of each are where it is used. */
export const KEY_STATEMENTS = {
  findBySha256: { name: 'key_by_sha256', text: `${SELECT} AND key_sha256 = $1` },
  findByAccessKeyId: { name: 'key_by_access_key_id', text: `${SELECT} AND access_key_id = $1` },
  any: {
    name: 'key_any',
    text: 'SELECT EXISTS (SELECT 1 FROM bedrock_proxy.virtual_keys WHERE exec_command IS NULL) AS any_key',
  },
  list: { name: 'key_list', text: `${SELECT} ${ORDER}` },
  listFirst: { name: 'key_list_first', text: `${SELECT} ${ORDER} LIMIT $1` },
  // A deleted key still has its place in the order.
  listAfter: {
    name: 'key_list_after',
    text:
      `${SELECT} AND (created_at_ms, position) > ` +
      `(SELECT created_at_ms, position FROM bedrock_proxy.virtual_keys WHERE id = $1) ${ORDER} LIMIT $2`,
  },
  find: {
    name: 'key_find',
    text: `${SELECT} AND (id = ANY($1::text[]) OR alias = ANY($2::text[]) OR starts_with(alias, $3::text)) ${ORDER}`,
  },
  insert: {
    name: 'key_insert',
    text: `INSERT INTO bedrock_proxy.virtual_keys (${COLUMNS}) VALUES (${VALUES})`,
  },
  // The key that it follows is ended, and the account goes on. No row: that one has an end already.
  rotate: {
    name: 'key_rotate',
    text: `WITH ended AS (
      UPDATE bedrock_proxy.virtual_keys
      SET revoked_at_ms = CASE WHEN $15::bigint IS NULL THEN $7::bigint END, ends_at_ms = $15::bigint,
        updated_at_ms = $7::bigint
      WHERE id = $14 AND revoked_at_ms IS NULL AND ends_at_ms IS NULL
      RETURNING coalesce(account_id, id) AS account_id)
    INSERT INTO bedrock_proxy.virtual_keys (${COLUMNS}, account_id)
    SELECT ${TYPED_VALUES}, ended.account_id
    FROM ended RETURNING id`,
  },
  revoke: {
    name: 'key_revoke',
    text: `UPDATE bedrock_proxy.virtual_keys SET revoked_at_ms = $2, updated_at_ms = $2
           WHERE id = $1 AND revoked_at_ms IS NULL`,
  },
  update: {
    name: 'key_update',
    text: `UPDATE bedrock_proxy.virtual_keys SET
      ${change('alias')}, ${change('expires_at_ms', 'bigint')}, ${change('blocked_at_ms', 'bigint')},
      ${change('policy')}, ${change('tags')}, ${change('note')}, ${change('metadata')}, updated_at_ms = $3
    WHERE id = $1 AND deleted_at_ms IS NULL RETURNING *`,
  },
  // The row stays, so that the proxy does not open again and the ledger's id means something; the secret goes.
  softDelete: {
    name: 'key_delete',
    text: `UPDATE bedrock_proxy.virtual_keys SET deleted_at_ms = $2, updated_at_ms = $2,
      revoked_at_ms = coalesce(revoked_at_ms, $2), alias = NULL, key_sha256 = 'deleted ' || id,
      access_key_id = 'deleted ' || id, sealed_key = '', note = NULL, metadata = '{}'
    WHERE id = $1 AND deleted_at_ms IS NULL RETURNING id`,
  },
  // In the order of ids, so that proxies which note the same keys wait for each other, and no more.
  touch: {
    name: 'key_touch',
    text: `WITH used AS MATERIALIZED (
      SELECT k.id, t.at_ms FROM unnest($1::text[], $2::bigint[]) AS t (id, at_ms)
      JOIN bedrock_proxy.virtual_keys k ON k.id = t.id
      WHERE coalesce(k.last_used_at_ms, 0) < t.at_ms ORDER BY k.id FOR NO KEY UPDATE OF k)
    UPDATE bedrock_proxy.virtual_keys k SET last_used_at_ms = greatest(coalesce(k.last_used_at_ms, 0), used.at_ms)
    FROM used WHERE k.id = used.id`,
  },
  changes: {
    name: 'key_changes',
    text: `SELECT c.version, pg_postmaster_start_time()::text AS server, s.version AS schema_version, s.compatible_from,
      floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock_ms,
      CASE WHEN c.removed_in > $1 THEN NULL
        WHEN c.version = $1 THEN '{}'::text[]
        ELSE ARRAY(SELECT id FROM bedrock_proxy.virtual_keys WHERE changed_in > $1 LIMIT ${MAX_CHANGED_IDS + 1})
      END AS changed_ids
    FROM bedrock_proxy.key_changes c, bedrock_proxy.schema_version s`,
  },
} as const satisfies Record<string, SqlStatement>;

/** What `changes` gives. */
export interface ChangesRecord {
  readonly version: number;
  readonly server: string;
  readonly schema_version: number;
  readonly compatible_from: number;
  readonly clock_ms: number;
  readonly changed_ids: readonly string[] | null;
}

/** The ids, if they are all; undefined: nobody knows which. */
export function findChangedIds({ changed_ids }: ChangesRecord): readonly string[] | undefined {
  return changed_ids === null || changed_ids.length > MAX_CHANGED_IDS ? undefined : changed_ids;
}
