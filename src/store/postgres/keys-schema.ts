/**
 * Virtual keys. Each change of a key gets the next number of `key_changes`, in the order of commits, and is notified.
 */
export const KEYS_SCHEMA = `
CREATE TABLE bedrock_proxy.virtual_keys (
  position        bigint GENERATED ALWAYS AS IDENTITY,
  id              text PRIMARY KEY,
  alias           text,
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
);`;
