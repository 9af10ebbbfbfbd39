/**
 * Virtual keys. Each change of them gets the next number of `key_changes`, in the order of commits, since whoever
 * changes a key holds that row until then: a process that has seen a number has seen everything below it. The id of a
 * changed key is notified too. The notes of a key's use are no change.
 */
export const KEYS_SCHEMA = `
CREATE TABLE bedrock_proxy.virtual_keys (
  position        bigint GENERATED ALWAYS AS IDENTITY,
  id              text PRIMARY KEY,
  alias           text COLLATE "C",
  key_sha256      text NOT NULL UNIQUE,
  last_four       text NOT NULL,
  access_key_id   text NOT NULL UNIQUE,
  sealed_key      bytea NOT NULL,
  created_at_ms   bigint NOT NULL,
  updated_at_ms   bigint NOT NULL,
  last_used_at_ms bigint,
  revoked_at_ms   bigint,
  ends_at_ms      bigint,
  expires_at_ms   bigint,
  blocked_at_ms   bigint,
  deleted_at_ms   bigint,
  policy          text NOT NULL,
  tags            text NOT NULL,
  note            text,
  metadata        text NOT NULL,
  exec_command    text,
  account_id      text,
  changed_in      bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX virtual_keys_active_alias ON bedrock_proxy.virtual_keys (alias)
  WHERE alias IS NOT NULL AND revoked_at_ms IS NULL AND ends_at_ms IS NULL;
CREATE INDEX virtual_keys_alias ON bedrock_proxy.virtual_keys (alias) WHERE alias IS NOT NULL;
CREATE INDEX virtual_keys_in_order ON bedrock_proxy.virtual_keys (created_at_ms, position);
CREATE INDEX virtual_keys_changed ON bedrock_proxy.virtual_keys (changed_in);

CREATE TABLE bedrock_proxy.key_changes (
  only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version    bigint NOT NULL,
  -- Rows were removed in this version, and nobody can ask which.
  removed_in bigint NOT NULL
);
INSERT INTO bedrock_proxy.key_changes (version, removed_in) VALUES (0, 0);

CREATE FUNCTION bedrock_proxy.begin_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE bedrock_proxy.key_changes SET version = version + 1;
  RETURN NULL;
END $$;
CREATE FUNCTION bedrock_proxy.note_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed_in := (SELECT version FROM bedrock_proxy.key_changes);
  PERFORM pg_notify('bedrock_proxy_keys', NEW.id);
  RETURN NEW;
END $$;
CREATE FUNCTION bedrock_proxy.note_key_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE bedrock_proxy.key_changes SET version = version + 1, removed_in = version + 1;
  PERFORM pg_notify('bedrock_proxy_keys', '');
  RETURN NULL;
END $$;

CREATE TRIGGER key_change_begins BEFORE INSERT OR UPDATE OF id, alias, key_sha256, last_four, access_key_id, sealed_key,
  created_at_ms, updated_at_ms, revoked_at_ms, ends_at_ms, expires_at_ms, blocked_at_ms, deleted_at_ms, policy, tags,
  note, metadata, exec_command, account_id ON bedrock_proxy.virtual_keys
  FOR EACH STATEMENT EXECUTE FUNCTION bedrock_proxy.begin_key_change();
CREATE TRIGGER key_changed BEFORE INSERT OR UPDATE OF id, alias, key_sha256, last_four, access_key_id, sealed_key,
  created_at_ms, updated_at_ms, revoked_at_ms, ends_at_ms, expires_at_ms, blocked_at_ms, deleted_at_ms, policy, tags,
  note, metadata, exec_command, account_id ON bedrock_proxy.virtual_keys
  FOR EACH ROW EXECUTE FUNCTION bedrock_proxy.note_key_change();
CREATE TRIGGER key_removed AFTER DELETE OR TRUNCATE ON bedrock_proxy.virtual_keys
  FOR EACH STATEMENT EXECUTE FUNCTION bedrock_proxy.note_key_removal();`;
