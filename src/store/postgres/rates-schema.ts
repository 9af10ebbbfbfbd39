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

CREATE FUNCTION bedrock_proxy.rate_enter(
  p_key_id text, p_request text, p_most bigint, p_parallel bigint, p_lease_ms bigint,
  OUT kind text, OUT used bigint, OUT second bigint
) LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := bedrock_proxy.rate_lock(p_key_id);
  v_seconds bigint[];
  v_counts bigint[];
BEGIN
  IF p_parallel IS NOT NULL THEN
    SELECT count(*) INTO used FROM bedrock_proxy.rate_slots s
      WHERE s.key_id = p_key_id AND s.request <> p_request AND s.lease_until_ms > bedrock_proxy.now_ms();
    IF used >= p_parallel THEN kind := 'parallel'; second := 1; RETURN; END IF;
  END IF;
  IF p_most IS NOT NULL THEN
    SELECT coalesce(sum(c.requests), 0), array_agg(c.second ORDER BY c.second), array_agg(c.requests ORDER BY c.second)
      INTO used, v_seconds, v_counts FROM bedrock_proxy.rate_counts c
      WHERE c.key_id = p_key_id AND c.second BETWEEN v_now - 59 AND v_now + 60;
    IF used >= p_most THEN
      kind := 'requests';
      second := bedrock_proxy.rate_room_in(v_now, v_seconds, v_counts, p_most - 1);
      RETURN;
    END IF;
    INSERT INTO bedrock_proxy.rate_counts AS c (key_id, second, requests) VALUES (p_key_id, v_now, 1)
      ON CONFLICT ON CONSTRAINT rate_counts_pkey DO UPDATE SET requests = c.requests + 1;
  END IF;
  IF p_parallel IS NOT NULL THEN
    INSERT INTO bedrock_proxy.rate_slots AS s (request, key_id, lease_until_ms)
      VALUES (p_request, p_key_id, bedrock_proxy.now_ms() + p_lease_ms)
      ON CONFLICT (request) DO UPDATE SET lease_until_ms = excluded.lease_until_ms;
  END IF;
  kind := 'counted';
  second := v_now;
END $$;

CREATE FUNCTION bedrock_proxy.rate_add_tokens(
  p_key_id text, p_most bigint, p_tokens bigint,
  OUT kind text, OUT used bigint, OUT second bigint
) LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := bedrock_proxy.rate_lock(p_key_id);
  v_seconds bigint[];
  v_counts bigint[];
BEGIN
  SELECT coalesce(sum(c.tokens), 0), array_agg(c.second ORDER BY c.second), array_agg(c.tokens ORDER BY c.second)
    INTO used, v_seconds, v_counts FROM bedrock_proxy.rate_counts c
    WHERE c.key_id = p_key_id AND c.second BETWEEN v_now - 59 AND v_now + 60;
  IF used > 0 AND used + p_tokens > p_most THEN
    kind := 'tokens';
    second := bedrock_proxy.rate_room_in(v_now, v_seconds, v_counts, greatest(0, p_most - p_tokens));
    RETURN;
  END IF;
  INSERT INTO bedrock_proxy.rate_counts AS c (key_id, second, tokens) VALUES (p_key_id, v_now, p_tokens)
    ON CONFLICT ON CONSTRAINT rate_counts_pkey DO UPDATE SET tokens = c.tokens + excluded.tokens;
  kind := 'counted';
  second := v_now;
END $$;

CREATE FUNCTION bedrock_proxy.rate_leave(
  p_key_id text, p_request text, p_request_second bigint, p_tokens bigint, p_tokens_second bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := bedrock_proxy.rate_lock(p_key_id);
BEGIN
  DELETE FROM bedrock_proxy.rate_slots WHERE request = p_request;
  IF p_request_second IS NOT NULL THEN
    UPDATE bedrock_proxy.rate_counts SET requests = requests - 1 WHERE key_id = p_key_id AND second = p_request_second;
  END IF;
  IF p_tokens_second IS NOT NULL THEN
    UPDATE bedrock_proxy.rate_counts SET tokens = tokens + p_tokens
      WHERE key_id = p_key_id AND second = p_tokens_second;
  ELSIF p_tokens <> 0 THEN
    INSERT INTO bedrock_proxy.rate_counts AS c (key_id, second, tokens) VALUES (p_key_id, v_now, p_tokens)
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
