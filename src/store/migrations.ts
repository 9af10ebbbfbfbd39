/**
 * The schema of the SQLite store, as numbered steps. Append-only: a step that was ever released is never edited; step N
 * takes a database from `user_version` N-1 to N.
 */

/** Marks a file as ours (`PRAGMA application_id`), so that another program's database is never migrated by mistake: "BdPx". */
export const APPLICATION_ID = 0x42_64_50_78;

export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE virtual_keys (
     id              TEXT PRIMARY KEY,
     alias           TEXT,
     key_sha256      TEXT NOT NULL UNIQUE,
     last_four       TEXT NOT NULL,
     access_key_id   TEXT NOT NULL UNIQUE,
     sealed_key      BLOB NOT NULL,
     created_at_ms   INTEGER NOT NULL,
     last_used_at_ms INTEGER,
     revoked_at_ms   INTEGER
   ) STRICT;
   CREATE UNIQUE INDEX virtual_keys_active_alias ON virtual_keys (alias) WHERE alias IS NOT NULL AND revoked_at_ms IS NULL;`,
  // A key that was rotated still works until its end; its alias belongs to its successor already.
  `ALTER TABLE virtual_keys ADD COLUMN ends_at_ms INTEGER;
   DROP INDEX virtual_keys_active_alias;
   CREATE UNIQUE INDEX virtual_keys_active_alias ON virtual_keys (alias)
     WHERE alias IS NOT NULL AND revoked_at_ms IS NULL AND ends_at_ms IS NULL;`,
];
