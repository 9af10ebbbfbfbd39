/**
 * The ledger: one row per request, in partitions by week. The sequences of rows that are visible only grow: rows are
 * written under one lock, so that whoever reads on from a sequence misses none.
 */

/** The lock of whoever writes rows: "BdPl". */
export const LEDGER_LOCK = 0x42_64_50_6c;
/** The lock of whoever makes partitions: "BdPp". */
const PARTITIONS_LOCK = 0x42_64_50_70;
/** From midnight to midnight, UTC. */
const WEEK_MS = 604_800_000;

const LEDGER_TABLE = `
CREATE SEQUENCE bedrock_proxy.ledger_sequence;
CREATE TABLE bedrock_proxy.ledger (
  sequence            bigint NOT NULL DEFAULT nextval('bedrock_proxy.ledger_sequence'),
  started_at_ms       bigint NOT NULL,
  id                  text COLLATE "C" NOT NULL,
  key_id              text COLLATE "C" NOT NULL,
  key_label           text NOT NULL,
  principal           text NOT NULL,
  requests            bigint NOT NULL DEFAULT 1,
  status              bigint,
  pricing             text NOT NULL,
  partial             bigint NOT NULL,
  cost_nano           bigint,
  charged_nano        bigint NOT NULL,
  has_usage           bigint NOT NULL,
  input_tokens        bigint,
  output_tokens       bigint,
  cache_read_tokens   bigint,
  cache_write_tokens  bigint,
  cache_write_1h_tokens bigint,
  input_audio_tokens  bigint,
  output_audio_tokens bigint,
  images              bigint,
  units               text,
  guardrail_units     text,
  service             text,
  operation           text,
  region              text,
  upstream            text,
  attempts            bigint,
  model               text,
  model_alias         text,
  inference_profile   text,
  service_tier        text,
  price_source        text,
  error_code          text,
  error_message       text,
  method              text,
  path                text,
  upstream_request_id text,
  first_byte_ms       double precision,
  total_ms            double precision,
  request_bytes       bigint NOT NULL,
  response_bytes      bigint NOT NULL,
  source              text,
  fault               text,
  cache_verdict       text,
  cache_lost_nano     bigint,
  user_agent          text,
  session             text,
  agent               text,
  tags                text,
  window_start_ms     bigint
) PARTITION BY RANGE (started_at_ms);
ALTER SEQUENCE bedrock_proxy.ledger_sequence OWNED BY bedrock_proxy.ledger.sequence;
CREATE UNIQUE INDEX ledger_id ON bedrock_proxy.ledger (id, started_at_ms);
CREATE INDEX ledger_order ON bedrock_proxy.ledger (sequence);
CREATE INDEX ledger_time ON bedrock_proxy.ledger (started_at_ms);
CREATE INDEX ledger_key ON bedrock_proxy.ledger (key_id, sequence);
-- Rows of all other times: nothing is lost if no partition was made.
CREATE TABLE bedrock_proxy.ledger_other PARTITION OF bedrock_proxy.ledger DEFAULT;`;

const PARTITIONS = `
-- Makes the partitions of this week and the next two. Rows that are there already move. As the owner of the tables,
-- whoever asks.
CREATE FUNCTION bedrock_proxy.make_partitions() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
  this_week bigint := bedrock_proxy.now_ms() / ${WEEK_MS};
  partition text;
  from_ms bigint;
  until_ms bigint;
  made integer := 0;
BEGIN
  IF NOT pg_try_advisory_xact_lock(${PARTITIONS_LOCK}) THEN RETURN 0; END IF;
  FOR week IN this_week .. this_week + 2 LOOP
    partition := 'ledger_week_' || week;
    CONTINUE WHEN to_regclass('bedrock_proxy.' || partition) IS NOT NULL;
    from_ms := week::bigint * ${WEEK_MS};
    until_ms := from_ms + ${WEEK_MS};
    EXECUTE format('CREATE TABLE bedrock_proxy.%I (LIKE bedrock_proxy.ledger INCLUDING ALL)', partition);
    -- Nobody may add a row to those that move.
    LOCK TABLE bedrock_proxy.ledger_other IN ACCESS EXCLUSIVE MODE;
    EXECUTE format(
      'WITH moved AS (
         DELETE FROM bedrock_proxy.ledger_other WHERE started_at_ms >= %s AND started_at_ms < %s RETURNING *)
       INSERT INTO bedrock_proxy.%I SELECT * FROM moved', from_ms, until_ms, partition);
    EXECUTE format('ALTER TABLE bedrock_proxy.ledger ATTACH PARTITION bedrock_proxy.%I FOR VALUES FROM (%s) TO (%s)',
      partition, from_ms, until_ms);
    made := made + 1;
  END LOOP;
  RETURN made;
END $$;
SELECT bedrock_proxy.make_partitions();

-- Drops a partition that is too old as a whole, and only if there is none deletes rows, the oldest first. Returns how
-- many rows that was; of a large partition, about how many.
CREATE FUNCTION bedrock_proxy.prune_ledger(before_ms bigint, max_rows bigint) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
  partition record;
  dropped bigint;
  deleted bigint;
BEGIN
  -- Whoever may only read has as much right to call this as all others.
  IF NOT has_table_privilege(coalesce(nullif(current_setting('role'), 'none'), session_user),
    'bedrock_proxy.ledger', 'DELETE') THEN
    RAISE insufficient_privilege USING MESSAGE = 'permission denied for table ledger';
  END IF;
  FOR partition IN
    SELECT c.relname AS name, c.reltuples AS about, substr(c.relname, 13)::bigint AS week
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'bedrock_proxy.ledger'::regclass AND c.relname ~ '^ledger_week_[0-9]+$'
      AND (substr(c.relname, 13)::bigint + 1) * ${WEEK_MS} <= before_ms
    ORDER BY 3
  LOOP
    dropped := partition.about;
    IF dropped < 100000 THEN
      EXECUTE format('SELECT count(*) FROM bedrock_proxy.%I', partition.name) INTO dropped;
    END IF;
    EXECUTE format('DROP TABLE bedrock_proxy.%I', partition.name);
    -- What the rows added up to goes with them.
    PERFORM bedrock_proxy.forget_usage(partition.week * ${WEEK_MS}, (partition.week + 1) * ${WEEK_MS});
    IF dropped > 0 THEN RETURN dropped; END IF;
  END LOOP;
  -- Never waits for whoever replaces a row.
  DELETE FROM bedrock_proxy.ledger l USING (
    SELECT o.id, o.started_at_ms FROM bedrock_proxy.ledger o WHERE o.started_at_ms < before_ms
    ORDER BY o.started_at_ms LIMIT max_rows FOR UPDATE SKIP LOCKED
  ) AS old WHERE l.id = old.id AND l.started_at_ms = old.started_at_ms;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  -- So that the size counts without them at once.
  IF to_regproc('pg_stat_force_next_flush') IS NOT NULL THEN PERFORM pg_stat_force_next_flush(); END IF;
  RETURN deleted;
END $$;`;

/** The table, its partitions, and what makes and drops them. */
export const LEDGER_SCHEMA = `${LEDGER_TABLE}${PARTITIONS}`;
