/**
 * The schema of the SQLite store, as numbered steps. Append-only: a step that was ever released is never edited; step N
 * takes a database from `user_version` N-1 to N.
 */

/**
 * Marks a file as ours (`PRAGMA application_id`), so that another program's database is never migrated by mistake:
 * "BdPx".
 */
export const APPLICATION_ID = 0x42_64_50_78;

/** The steps, the first one at index 0. */
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
  // What a key may do, what it spent, and a row per request. A policy of '{}' is the one without limits, in the default
  // scope: keys of before get it. The successor of a rotated key spends from the same budget account as the key it
  // follows.
  `ALTER TABLE virtual_keys ADD COLUMN expires_at_ms INTEGER;
   ALTER TABLE virtual_keys ADD COLUMN blocked_at_ms INTEGER;
   ALTER TABLE virtual_keys ADD COLUMN updated_at_ms INTEGER;
   ALTER TABLE virtual_keys ADD COLUMN deleted_at_ms INTEGER;
   ALTER TABLE virtual_keys ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
   ALTER TABLE virtual_keys ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
   ALTER TABLE virtual_keys ADD COLUMN note TEXT;
   ALTER TABLE virtual_keys ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
   ALTER TABLE virtual_keys ADD COLUMN purse_id TEXT;

   CREATE INDEX virtual_keys_alias ON virtual_keys (alias) WHERE alias IS NOT NULL;
   CREATE INDEX virtual_keys_age ON virtual_keys (created_at_ms);

   CREATE TABLE key_spend (
     purse_id        TEXT PRIMARY KEY,
     total_nano      INTEGER NOT NULL,
     window_start_ms INTEGER,
     window_nano     INTEGER NOT NULL,
     reserved_nano   INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;

   CREATE TABLE reservations (
     id             TEXT PRIMARY KEY,
     purse_id       TEXT NOT NULL,
     amount_nano    INTEGER NOT NULL,
     owner          TEXT NOT NULL,
     lease_until_ms INTEGER NOT NULL,
     if_lost        TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;

   CREATE TABLE ledger (
     sequence            INTEGER PRIMARY KEY AUTOINCREMENT,
     started_at_ms       INTEGER NOT NULL,
     key_id              TEXT NOT NULL,
     key_label           TEXT NOT NULL,
     status              INTEGER,
     pricing             TEXT NOT NULL,
     partial             INTEGER NOT NULL,
     cost_nano           INTEGER,
     charged_nano        INTEGER NOT NULL,
     has_usage           INTEGER NOT NULL,
     input_tokens        INTEGER,
     output_tokens       INTEGER,
     cache_read_tokens   INTEGER,
     cache_write_tokens  INTEGER,
     cache_write_1h_tokens INTEGER,
     input_audio_tokens  INTEGER,
     output_audio_tokens INTEGER,
     images              INTEGER,
     guardrail_units     TEXT,
     principal           TEXT NOT NULL,
     service             TEXT,
     operation           TEXT,
     region              TEXT,
     model               TEXT,
     service_tier        TEXT,
     error_code          TEXT,
     first_byte_ms       REAL,
     total_ms            REAL,
     request_bytes       INTEGER NOT NULL,
     response_bytes      INTEGER NOT NULL,
     tags                TEXT,
     user_agent_family   TEXT,
     id                  TEXT NOT NULL,
     upstream_request_id TEXT,
     window_start_ms     INTEGER
   ) STRICT;
   CREATE UNIQUE INDEX ledger_id ON ledger (id);
   CREATE INDEX ledger_time ON ledger (started_at_ms);
   CREATE INDEX ledger_key ON ledger (key_id, sequence, started_at_ms, key_label, status, pricing, partial, cost_nano,
     charged_nano, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens);`,
  // One name for one thing, here as in JSON.
  `ALTER TABLE ledger RENAME COLUMN user_agent_family TO user_agent;
   ALTER TABLE virtual_keys RENAME COLUMN purse_id TO account_id;
   ALTER TABLE key_spend RENAME COLUMN purse_id TO account_id;
   ALTER TABLE reservations RENAME COLUMN purse_id TO account_id;`,
  // The caller of open mode was called `anyone`. Such rows have no key, so that the index over keys finds them.
  `UPDATE ledger SET principal = 'anonymous', key_label = 'anonymous' WHERE key_id = '' AND principal = 'anyone';`,
  // A row may stand for several requests. The index over keys holds all that is summed by key.
  `ALTER TABLE ledger ADD COLUMN requests INTEGER NOT NULL DEFAULT 1;
   DROP INDEX ledger_key;
   CREATE INDEX ledger_key ON ledger (key_id, sequence, started_at_ms, key_label, status, pricing, partial, cost_nano,
     charged_nano, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, requests);`,
  // A number that every change of a key moves, but not the notes of its use: a server that sees it unmoved need not
  // look at its keys again. Triggers, so that whoever writes moves it.
  `CREATE TABLE key_changes (version INTEGER NOT NULL) STRICT;
   INSERT INTO key_changes VALUES (0);
   CREATE TRIGGER virtual_keys_inserted AFTER INSERT ON virtual_keys BEGIN
     UPDATE key_changes SET version = version + 1;
   END;
   CREATE TRIGGER virtual_keys_deleted AFTER DELETE ON virtual_keys BEGIN
     UPDATE key_changes SET version = version + 1;
   END;
   CREATE TRIGGER virtual_keys_updated AFTER UPDATE OF id, alias, key_sha256, last_four, access_key_id, sealed_key,
     created_at_ms, revoked_at_ms, ends_at_ms, expires_at_ms, blocked_at_ms, updated_at_ms, deleted_at_ms, policy, tags,
     note, metadata, account_id ON virtual_keys BEGIN
     UPDATE key_changes SET version = version + 1;
   END;`,
  // What the rows of each key add up to, up to a sequence: see key-totals.ts. Nothing at first. What is deleted of
  // those rows is taken off; rows are never changed, so that whoever does it makes all of it begin anew.
  `CREATE TABLE key_totals (
     key_id             TEXT PRIMARY KEY,
     last_sequence      INTEGER NOT NULL,
     key_label          TEXT NOT NULL,
     row_count          INTEGER NOT NULL,
     requests           INTEGER NOT NULL,
     errors             INTEGER NOT NULL,
     unpriced           INTEGER NOT NULL,
     partial            INTEGER NOT NULL,
     input_tokens       INTEGER NOT NULL,
     output_tokens      INTEGER NOT NULL,
     cache_read_tokens  INTEGER NOT NULL,
     cache_write_tokens INTEGER NOT NULL,
     input_rows         INTEGER NOT NULL,
     output_rows        INTEGER NOT NULL,
     cache_read_rows    INTEGER NOT NULL,
     cache_write_rows   INTEGER NOT NULL,
     cost_nano          INTEGER NOT NULL,
     estimated_nano     INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE key_totals_end (last_sequence INTEGER NOT NULL) STRICT;
   INSERT INTO key_totals_end VALUES (0);
   CREATE TRIGGER ledger_deleted AFTER DELETE ON ledger
   WHEN OLD.sequence <= (SELECT last_sequence FROM key_totals_end) BEGIN
     UPDATE key_totals SET
       row_count = row_count - 1,
       requests = requests - OLD.requests,
       errors = errors - iif(OLD.status IS NULL OR OLD.status >= 400, OLD.requests, 0),
       unpriced = unpriced - iif(OLD.pricing = 'unpriced', OLD.requests, 0),
       partial = partial - iif(OLD.partial, OLD.requests, 0),
       input_tokens = input_tokens - coalesce(OLD.input_tokens, 0),
       output_tokens = output_tokens - coalesce(OLD.output_tokens, 0),
       cache_read_tokens = cache_read_tokens - coalesce(OLD.cache_read_tokens, 0),
       cache_write_tokens = cache_write_tokens - coalesce(OLD.cache_write_tokens, 0),
       input_rows = input_rows - (OLD.input_tokens IS NOT NULL),
       output_rows = output_rows - (OLD.output_tokens IS NOT NULL),
       cache_read_rows = cache_read_rows - (OLD.cache_read_tokens IS NOT NULL),
       cache_write_rows = cache_write_rows - (OLD.cache_write_tokens IS NOT NULL),
       cost_nano = cost_nano - coalesce(OLD.cost_nano, 0),
       estimated_nano = estimated_nano - max(OLD.charged_nano - coalesce(OLD.cost_nano, 0), 0)
       WHERE key_id = OLD.key_id;
     DELETE FROM key_totals WHERE key_id = OLD.key_id AND row_count <= 0;
     UPDATE key_totals SET (last_sequence, key_label) =
       (SELECT sequence, key_label FROM ledger
          WHERE key_id = OLD.key_id AND sequence < OLD.sequence ORDER BY sequence DESC LIMIT 1)
       WHERE key_id = OLD.key_id AND last_sequence = OLD.sequence;
   END;
   CREATE TRIGGER ledger_updated AFTER UPDATE ON ledger
   WHEN min(OLD.sequence, NEW.sequence) <= (SELECT last_sequence FROM key_totals_end) BEGIN
     DELETE FROM key_totals;
     UPDATE key_totals_end SET last_sequence = 0;
   END;`,
  // What is sold by the piece, who told the price, and what one session cost.
  `ALTER TABLE ledger ADD COLUMN units TEXT;
   ALTER TABLE ledger ADD COLUMN price_source TEXT;
   ALTER TABLE ledger ADD COLUMN session TEXT;`,
  // An agent in a session.
  `ALTER TABLE ledger ADD COLUMN agent TEXT;`,
  // The name that a request had for its model, if it was an alias.
  `ALTER TABLE ledger ADD COLUMN model_alias TEXT;`,
  // What an error said, and of what failed the way it came: a path without an operation has no other name.
  `ALTER TABLE ledger ADD COLUMN error_message TEXT;
   ALTER TABLE ledger ADD COLUMN method TEXT;
   ALTER TABLE ledger ADD COLUMN path TEXT;`,
  // The command that `exec` made a key for. Such a key does not close an open proxy; those that are there already do,
  // because no upgrade may open one.
  `ALTER TABLE virtual_keys ADD COLUMN exec_command TEXT;
   CREATE INDEX virtual_keys_asked_for ON virtual_keys (id) WHERE exec_command IS NULL;`,
  // Of several upstreams, the one that responded, and how many attempts were made.
  `ALTER TABLE ledger ADD COLUMN upstream TEXT;
   ALTER TABLE ledger ADD COLUMN attempts INTEGER;`,
  // The application inference profile that stood in for the model. Keys have AWS identities from here on: a proxy of
  // before would sign for them with its own.
  `ALTER TABLE ledger ADD COLUMN inference_profile TEXT;`,
  // A fault that was injected: no trouble of AWS's.
  `ALTER TABLE ledger ADD COLUMN fault TEXT;`,
  // What was played from a cassette, and cost nothing.
  `ALTER TABLE ledger ADD COLUMN source TEXT;`,
  // What became of the cache of a prompt, and what was paid more for it.
  `ALTER TABLE ledger ADD COLUMN cache_verdict TEXT;
   ALTER TABLE ledger ADD COLUMN cache_lost_nano INTEGER;`,
];
