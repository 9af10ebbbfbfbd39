/**
 * What keys do in a minute, and at the same time. Nothing of it outlives a crash of the server, which truncates what is
 * unlogged: what is under way is counted anew as its proxies renew their slots. Whoever counts holds the lock of the
 * key, and reads the clock then, so that seconds do not go back.
 */
export const RATES_SCHEMA = `
CREATE UNLOGGED TABLE bedrock_proxy.rate_counts (
  key_id   text    NOT NULL,
  second   bigint  NOT NULL,
  requests bigint  NOT NULL DEFAULT 0,
  tokens   bigint  NOT NULL DEFAULT 0,
  PRIMARY KEY (key_id, second)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

CREATE UNLOGGED TABLE bedrock_proxy.rate_slots (
  request        text   PRIMARY KEY,
  key_id         text   NOT NULL,
  lease_until_ms bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX rate_slots_key ON bedrock_proxy.rate_slots (key_id);

-- "BdPr": the locks of keys whose rates are counted.
CREATE FUNCTION bedrock_proxy.rate_lock(p_key_id text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1113870450, hashtext(p_key_id));
  RETURN bedrock_proxy.now_ms() / 1000;
END $$;

-- Seconds until no more than p_allowed is left of a minute whose counts these are, the oldest first.
CREATE FUNCTION bedrock_proxy.rate_room_in(p_now bigint, p_seconds bigint[], p_counts bigint[], p_allowed bigint)
RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_left bigint := (SELECT sum(c) FROM unnest(p_counts) AS c);
BEGIN
  FOR i IN 1 .. coalesce(array_length(p_counts, 1), 0) LOOP
    EXIT WHEN v_left <= p_allowed OR p_seconds[i] >= p_now;
    v_left := v_left - p_counts[i];
    IF v_left <= p_allowed THEN RETURN 60 - (p_now - p_seconds[i]); END IF;
  END LOOP;
  RETURN CASE WHEN v_left <= p_allowed THEN 0 ELSE 60 END;
END $$;

-- One row for each of the requests, in their order. "second": in which it was counted, or after how many there is room.
CREATE FUNCTION bedrock_proxy.rate_enter(
  p_key_id text, p_requests text[], p_most bigint, p_parallel bigint, p_lease_ms bigint
) RETURNS TABLE (kind text, used bigint, second bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_now bigint := bedrock_proxy.rate_lock(p_key_id);
  v_now_ms bigint := bedrock_proxy.now_ms();
  v_slots bigint := 0;
  v_used bigint := 0;
  v_seconds bigint[];
  v_counts bigint[];
  v_passed text[] := '{}';
  v_new bigint;
BEGIN
  IF p_parallel IS NOT NULL THEN
    v_slots := (SELECT count(*) FROM bedrock_proxy.rate_slots s
      WHERE s.key_id = p_key_id AND s.lease_until_ms > v_now_ms AND s.request <> ALL (p_requests));
  END IF;
  IF p_most IS NOT NULL THEN
    SELECT coalesce(sum(c.requests), 0), array_agg(c.second ORDER BY c.second), array_agg(c.requests ORDER BY c.second)
      INTO v_used, v_seconds, v_counts FROM bedrock_proxy.rate_counts c
      WHERE c.key_id = p_key_id AND c.second BETWEEN v_now - 59 AND v_now + 60;
  END IF;
  FOR i IN 1 .. array_length(p_requests, 1) LOOP
    v_new := coalesce(array_length(v_passed, 1), 0);
    IF p_parallel IS NOT NULL AND v_slots + v_new >= p_parallel THEN
      RETURN QUERY SELECT 'parallel', v_slots + v_new, 1::bigint;
    ELSIF p_most IS NOT NULL AND v_used + v_new >= p_most THEN
      RETURN QUERY SELECT 'requests', v_used + v_new,
        bedrock_proxy.rate_room_in(v_now, v_seconds, v_counts, p_most - 1 - v_new);
    ELSE
      v_passed := v_passed || p_requests[i];
      RETURN QUERY SELECT 'counted', 0::bigint, v_now;
    END IF;
  END LOOP;
  v_new := coalesce(array_length(v_passed, 1), 0);
  IF v_new = 0 THEN RETURN; END IF;
  IF p_most IS NOT NULL THEN
    INSERT INTO bedrock_proxy.rate_counts AS c (key_id, second, requests) VALUES (p_key_id, v_now, v_new)
      ON CONFLICT ON CONSTRAINT rate_counts_pkey DO UPDATE SET requests = c.requests + excluded.requests;
  END IF;
  IF p_parallel IS NOT NULL THEN
    INSERT INTO bedrock_proxy.rate_slots AS s (request, key_id, lease_until_ms)
      SELECT r, p_key_id, v_now_ms + p_lease_ms FROM unnest(v_passed) AS r
      ON CONFLICT ON CONSTRAINT rate_slots_pkey DO UPDATE SET lease_until_ms = excluded.lease_until_ms;
  END IF;
END $$;

-- The same for the tokens of several requests.
CREATE FUNCTION bedrock_proxy.rate_add_tokens(p_key_id text, p_most bigint, p_tokens bigint[])
RETURNS TABLE (kind text, used bigint, second bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_now bigint := bedrock_proxy.rate_lock(p_key_id);
  v_used bigint;
  v_new bigint := 0;
  v_seconds bigint[];
  v_counts bigint[];
BEGIN
  SELECT coalesce(sum(c.tokens), 0), array_agg(c.second ORDER BY c.second), array_agg(c.tokens ORDER BY c.second)
    INTO v_used, v_seconds, v_counts FROM bedrock_proxy.rate_counts c
    WHERE c.key_id = p_key_id AND c.second BETWEEN v_now - 59 AND v_now + 60;
  FOR i IN 1 .. array_length(p_tokens, 1) LOOP
    IF v_used + v_new > 0 AND v_used + v_new + p_tokens[i] > p_most THEN
      RETURN QUERY SELECT 'tokens', v_used + v_new, CASE
        -- What was counted in this very step stays for the whole minute.
        WHEN v_new > greatest(0, p_most - p_tokens[i]) THEN 60
        ELSE bedrock_proxy.rate_room_in(v_now, v_seconds, v_counts, greatest(0, p_most - p_tokens[i]) - v_new) END;
    ELSE
      v_new := v_new + p_tokens[i];
      RETURN QUERY SELECT 'counted', 0::bigint, v_now;
    END IF;
  END LOOP;
  IF v_new > 0 THEN
    INSERT INTO bedrock_proxy.rate_counts AS c (key_id, second, tokens) VALUES (p_key_id, v_now, v_new)
      ON CONFLICT ON CONSTRAINT rate_counts_pkey DO UPDATE SET tokens = c.tokens + excluded.tokens;
  END IF;
END $$;

-- A second of 0: of a request, it was not counted; of tokens, they count as of now.
CREATE FUNCTION bedrock_proxy.rate_leave(
  p_key_id text, p_requests text[], p_request_seconds bigint[], p_tokens bigint[], p_tokens_seconds bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := bedrock_proxy.rate_lock(p_key_id);
  v_more bigint := (SELECT coalesce(sum(t.tokens), 0) FROM unnest(p_tokens, p_tokens_seconds) AS t (tokens, at)
    WHERE t.at = 0);
BEGIN
  DELETE FROM bedrock_proxy.rate_slots WHERE request = ANY (p_requests);
  UPDATE bedrock_proxy.rate_counts c SET requests = c.requests - u.requests
    FROM (SELECT s.at, count(*) AS requests FROM unnest(p_request_seconds) AS s (at) WHERE s.at > 0 GROUP BY s.at) u
    WHERE c.key_id = p_key_id AND c.second = u.at;
  UPDATE bedrock_proxy.rate_counts c SET tokens = c.tokens + u.tokens
    FROM (SELECT t.at, sum(t.tokens)::bigint AS tokens FROM unnest(p_tokens, p_tokens_seconds) AS t (tokens, at)
      WHERE t.at > 0 GROUP BY t.at) u
    WHERE c.key_id = p_key_id AND c.second = u.at;
  IF v_more <> 0 THEN
    INSERT INTO bedrock_proxy.rate_counts AS c (key_id, second, tokens) VALUES (p_key_id, v_now, v_more)
      ON CONFLICT ON CONSTRAINT rate_counts_pkey DO UPDATE SET tokens = c.tokens + excluded.tokens;
  END IF;
END $$;

-- Removes what is over as well: one proxy at a time, and nobody waits for it.
CREATE FUNCTION bedrock_proxy.rate_renew(p_requests text[], p_key_ids text[], p_lease_ms bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_now_ms bigint := bedrock_proxy.now_ms();
BEGIN
  INSERT INTO bedrock_proxy.rate_slots AS s (request, key_id, lease_until_ms)
    SELECT r.request, r.key_id, v_now_ms + p_lease_ms FROM unnest(p_requests, p_key_ids) AS r (request, key_id)
    ON CONFLICT (request) DO UPDATE SET lease_until_ms = excluded.lease_until_ms;
  IF pg_try_advisory_xact_lock(1113870451, 0) THEN
    DELETE FROM bedrock_proxy.rate_slots WHERE request IN (
      SELECT request FROM bedrock_proxy.rate_slots WHERE lease_until_ms <= v_now_ms FOR UPDATE SKIP LOCKED);
    DELETE FROM bedrock_proxy.rate_counts WHERE ctid IN (
      SELECT ctid FROM bedrock_proxy.rate_counts
        WHERE second < v_now_ms / 1000 - 90 OR second > v_now_ms / 1000 + 90 FOR UPDATE SKIP LOCKED);
  END IF;
END $$;
`;
