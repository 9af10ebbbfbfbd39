/**
 * What keys spend: accounts, money that is reserved for requests under way, and the functions that move it. Each is one
 * statement of its caller. All of them lock in this order: reservations by id, accounts by id, the ledger; what would
 * have to wait out of order is skipped.
 */
import { LEDGER_LOCK } from './ledger-schema.ts';
import { RESERVATION_LEASE_MS } from '../../domain/budget.ts';

/** By then nothing is under way any more that began before a reservation was cancelled. */
const CANCELLED_MS = 300_000;
/** How many lost ones are settled in one transaction. */
const LOST_AT_ONCE = 100;

const TABLES = `
CREATE TABLE bedrock_proxy.key_spend (
  account_id      text COLLATE "C" PRIMARY KEY,
  total_nano      bigint NOT NULL,
  window_start_ms bigint,
  window_nano     bigint NOT NULL,
  reserved_nano   bigint NOT NULL
) WITH (fillfactor = 50);
-- Without if_lost: cancelled, and nobody may reserve under this id.
CREATE TABLE bedrock_proxy.reservations (
  id             text COLLATE "C" PRIMARY KEY,
  account_id     text COLLATE "C" NOT NULL,
  amount_nano    bigint NOT NULL,
  owner          text NOT NULL,
  lease_until_ms bigint NOT NULL,
  if_lost        jsonb
);
CREATE INDEX reservations_lease ON bedrock_proxy.reservations (lease_until_ms);
CREATE FUNCTION bedrock_proxy.find_account(of_key text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce((SELECT k.account_id FROM bedrock_proxy.virtual_keys k WHERE k.id = of_key), of_key)
$$;
-- What counts against the limit. A window begins anew with one that begins later than it, and never goes back.
CREATE FUNCTION bedrock_proxy.count_spent(account bedrock_proxy.key_spend, window_from bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN window_from IS NULL THEN coalesce((account).total_nano, 0)
    WHEN coalesce((account).window_start_ms, window_from - 1) < window_from THEN 0
    ELSE (account).window_nano
  END
$$;`;

const SETTLE = `
-- Takes rows of the ledger, each id once. Gives back what was reserved under their ids, charges the accounts, writes
-- the rows. A row that is there already is replaced under a new sequence, and its charge corrected.
CREATE FUNCTION bedrock_proxy.settle(settled jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  taken bedrock_proxy.reservations[];
  -- Of each row; NULL if it is of no key.
  account_ids text[];
  -- The accounts that are charged, and the window of each.
  charged_ids text[];
  window_starts bigint[];
  placed jsonb;
  written text[];
  earlier bedrock_proxy.ledger[];
BEGIN
  taken := ARRAY(
    SELECT r FROM bedrock_proxy.reservations r
    WHERE r.if_lost IS NOT NULL
      AND r.id = ANY (ARRAY(
        SELECT i.id FROM jsonb_to_recordset(settled) AS i (id text, key_id text) WHERE i.key_id <> ''))
    ORDER BY r.id FOR UPDATE);
  IF cardinality(taken) > 0 THEN
    DELETE FROM bedrock_proxy.reservations r USING unnest(taken) t WHERE r.id = t.id;
  END IF;
  account_ids := ARRAY(
    SELECT CASE WHEN i.key_id <> '' THEN coalesce(t.account_id, bedrock_proxy.find_account(i.key_id)) END
    FROM ROWS FROM (jsonb_to_recordset(settled) AS (id text, key_id text)) WITH ORDINALITY AS i (id, key_id, n)
    LEFT JOIN unnest(taken) t ON t.id = i.id ORDER BY i.n);
  WITH charged AS (
    INSERT INTO bedrock_proxy.key_spend AS a (account_id, total_nano, window_nano, reserved_nano)
    SELECT account_ids[i.n], sum(i.charged_nano), sum(i.charged_nano), -sum(coalesce(t.amount_nano, 0))
    FROM ROWS FROM (jsonb_to_recordset(settled) AS (id text, charged_nano bigint)) WITH ORDINALITY
      AS i (id, charged_nano, n)
    LEFT JOIN unnest(taken) t ON t.id = i.id
    WHERE account_ids[i.n] IS NOT NULL GROUP BY 1 ORDER BY account_ids[i.n] COLLATE "C"
    ON CONFLICT (account_id) DO UPDATE SET total_nano = a.total_nano + excluded.total_nano,
      window_nano = a.window_nano + excluded.window_nano, reserved_nano = a.reserved_nano + excluded.reserved_nano
    RETURNING a.account_id, a.window_start_ms
  )
  SELECT coalesce(array_agg(c.account_id), '{}'), coalesce(array_agg(c.window_start_ms), '{}')
    INTO charged_ids, window_starts FROM charged c;

  PERFORM pg_advisory_xact_lock(${LEDGER_LOCK});
  SELECT jsonb_agg(p.value || jsonb_build_object('sequence', nextval('bedrock_proxy.ledger_sequence'),
      'window_start_ms', window_starts[array_position(charged_ids, account_ids[p.n])]))
    INTO placed FROM (
      SELECT value, n FROM jsonb_array_elements(settled) WITH ORDINALITY AS e (value, n) ORDER BY n
    ) AS p;
  WITH inserted AS (
    INSERT INTO bedrock_proxy.ledger SELECT r.* FROM jsonb_populate_recordset(NULL::bedrock_proxy.ledger, placed) r
    ON CONFLICT (id, started_at_ms) DO NOTHING RETURNING id
  )
  SELECT coalesce(array_agg(id), '{}') INTO written FROM inserted;
  IF cardinality(written) = jsonb_array_length(settled) THEN RETURN; END IF;

  earlier := ARRAY(
    SELECT l FROM jsonb_to_recordset(settled) AS i (id text, started_at_ms bigint)
    JOIN bedrock_proxy.ledger l ON l.id = i.id AND l.started_at_ms = i.started_at_ms WHERE i.id <> ALL (written));
  -- What was charged in an earlier window is taken off this one up to the new charge, so that this one never gets
  -- emptier.
  UPDATE bedrock_proxy.key_spend a SET total_nano = a.total_nano - c.total, window_nano = a.window_nano - c.in_window
  FROM (
    SELECT account_ids[i.n] AS account_id, sum(e.charged_nano) AS total, sum(CASE
        WHEN e.window_start_ms IS NOT DISTINCT FROM window_starts[array_position(charged_ids, account_ids[i.n])]
        THEN e.charged_nano ELSE least(e.charged_nano, i.charged_nano) END) AS in_window
    FROM ROWS FROM (jsonb_to_recordset(settled) AS (id text, charged_nano bigint)) WITH ORDINALITY
      AS i (id, charged_nano, n)
    JOIN unnest(earlier) e ON e.id = i.id GROUP BY 1
  ) AS c WHERE a.account_id = c.account_id;
  DELETE FROM bedrock_proxy.ledger l USING unnest(earlier) e WHERE l.id = e.id AND l.started_at_ms = e.started_at_ms;
  SELECT jsonb_agg(p.value || jsonb_build_object('sequence', nextval('bedrock_proxy.ledger_sequence'),
      'window_start_ms', p.window_start_ms))
    INTO placed FROM (
      SELECT i.value, e.window_start_ms FROM jsonb_array_elements(settled) WITH ORDINALITY AS i (value, n)
      JOIN unnest(earlier) e ON e.id = i.value ->> 'id' ORDER BY i.n
    ) AS p;
  INSERT INTO bedrock_proxy.ledger SELECT r.* FROM jsonb_populate_recordset(NULL::bedrock_proxy.ledger, placed) r;
END $$;

-- Settles reservations whose lease is over, not all of them if they are many, and none that somebody else is at.
-- Returns the number of them.
CREATE FUNCTION bedrock_proxy.settle_lost(of_account text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  moment bigint := bedrock_proxy.now_ms();
  lost jsonb;
BEGIN
  SELECT jsonb_agg(r.if_lost) INTO lost FROM (
    SELECT if_lost FROM bedrock_proxy.reservations
    WHERE lease_until_ms <= moment AND if_lost IS NOT NULL AND (of_account IS NULL OR account_id = of_account)
    LIMIT ${LOST_AT_ONCE} FOR UPDATE SKIP LOCKED
  ) AS r;
  IF lost IS NULL THEN RETURN 0; END IF;
  PERFORM bedrock_proxy.settle(lost);
  RETURN jsonb_array_length(lost);
END $$;`;

const RESERVE = `
-- \`window_from\`: where the present window of the budget begins; NULL if it has none. Asked again by the same owner,
-- it says the same. The spend is told if the money is not reserved; if that window has not begun yet, the time, and
-- nothing is done: a clock that is ahead opens no window.
CREATE FUNCTION bedrock_proxy.reserve(of_id text, of_key text, amount bigint, limit_nano bigint, window_from bigint,
  of_owner text, lost jsonb)
RETURNS TABLE (kind text, total bigint, window_start bigint, window_spent bigint, reserved bigint)
LANGUAGE plpgsql AS $$
DECLARE
  of_account text := bedrock_proxy.find_account(of_key);
  account bedrock_proxy.key_spend;
  free bigint;
BEGIN
  IF window_from > bedrock_proxy.now_ms() THEN
    RETURN QUERY SELECT 'early', bedrock_proxy.now_ms(), 0::bigint, 0::bigint, 0::bigint;
    RETURN;
  END IF;
  -- What is spent is not given back by waiting: no lock, and nothing is written.
  SELECT a.* INTO account FROM bedrock_proxy.key_spend a WHERE a.account_id = of_account;
  free := limit_nano - bedrock_proxy.count_spent(account, window_from);
  IF amount <= free THEN
    INSERT INTO bedrock_proxy.reservations
      VALUES (of_id, of_account, amount, of_owner, bedrock_proxy.now_ms() + ${RESERVATION_LEASE_MS}, lost)
      ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
      PERFORM FROM bedrock_proxy.reservations r WHERE r.id = of_id AND r.owner = of_owner AND r.if_lost IS NOT NULL;
      IF NOT FOUND THEN RAISE EXCEPTION 'the reservation is cancelled' USING ERRCODE = 'unique_violation'; END IF;
      RETURN QUERY SELECT 'reserved', 0::bigint, 0::bigint, 0::bigint, 0::bigint;
      RETURN;
    END IF;
    IF account.account_id IS NULL THEN
      INSERT INTO bedrock_proxy.key_spend VALUES (of_account, 0, NULL, 0, 0) ON CONFLICT DO NOTHING;
    END IF;
    LOOP
      UPDATE bedrock_proxy.key_spend a SET reserved_nano = a.reserved_nano + amount,
        window_start_ms = greatest(a.window_start_ms, window_from),
        window_nano = CASE WHEN coalesce(a.window_start_ms, window_from - 1) < window_from THEN 0 ELSE a.window_nano END
      WHERE a.account_id = of_account
        AND a.reserved_nano + amount <= limit_nano - bedrock_proxy.count_spent(a, window_from);
      IF FOUND THEN
        RETURN QUERY SELECT 'reserved', 0::bigint, 0::bigint, 0::bigint, 0::bigint;
        RETURN;
      END IF;
      SELECT a.* INTO account FROM bedrock_proxy.key_spend a WHERE a.account_id = of_account FOR NO KEY UPDATE;
      free := limit_nano - bedrock_proxy.count_spent(account, window_from);
      CONTINUE WHEN account.reserved_nano + amount <= free;
      -- Reservations that are lost are not in the way.
      EXIT WHEN amount > free OR bedrock_proxy.settle_lost(of_account) = 0;
    END LOOP;
    DELETE FROM bedrock_proxy.reservations r WHERE r.id = of_id;
  END IF;
  RETURN QUERY SELECT CASE WHEN amount <= free THEN 'held' ELSE 'exhausted' END, coalesce(account.total_nano, 0),
    account.window_start_ms, coalesce(account.window_nano, 0), coalesce(account.reserved_nano, 0);
END $$;

-- For a reservation of which its owner does not know whether it was made: gives it back, also if it is taken for lost
-- by now, and sees to it that it is not made later.
CREATE FUNCTION bedrock_proxy.cancel(of_id text, of_key text, of_owner text, of_start_ms bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  reservation bedrock_proxy.reservations;
  lost bedrock_proxy.ledger;
BEGIN
  INSERT INTO bedrock_proxy.reservations AS r
    VALUES (of_id, bedrock_proxy.find_account(of_key), 0, of_owner, bedrock_proxy.now_ms() + ${CANCELLED_MS}, NULL)
    ON CONFLICT (id) DO NOTHING;
  SELECT r.* INTO reservation FROM bedrock_proxy.reservations r WHERE r.id = of_id AND r.owner = of_owner FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE bedrock_proxy.reservations r
    SET amount_nano = 0, if_lost = NULL, lease_until_ms = bedrock_proxy.now_ms() + ${CANCELLED_MS} WHERE r.id = of_id;
  -- Locks the account, if it gives nothing back as well.
  UPDATE bedrock_proxy.key_spend a SET reserved_nano = a.reserved_nano - reservation.amount_nano
    WHERE a.account_id = reservation.account_id;
  PERFORM pg_advisory_xact_lock(${LEDGER_LOCK});
  DELETE FROM bedrock_proxy.ledger l WHERE l.id = of_id AND l.started_at_ms = of_start_ms AND l.status IS NULL
    AND l.partial = 1 AND l.pricing = 'unpriced' AND l.cost_nano IS NULL RETURNING l.* INTO lost;
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE bedrock_proxy.key_spend a SET total_nano = a.total_nano - lost.charged_nano, window_nano = a.window_nano -
      CASE WHEN a.window_start_ms IS NOT DISTINCT FROM lost.window_start_ms THEN lost.charged_nano ELSE 0 END
    WHERE a.account_id = reservation.account_id;
END $$;

-- Renews leases. What somebody else is at needs none.
CREATE FUNCTION bedrock_proxy.renew(ids text[], of_owner text) RETURNS void LANGUAGE sql AS $$
  WITH mine AS (
    SELECT r.id FROM bedrock_proxy.reservations r
    WHERE r.id = ANY (ids) AND r.owner = of_owner AND r.if_lost IS NOT NULL ORDER BY r.id FOR UPDATE SKIP LOCKED
  )
  UPDATE bedrock_proxy.reservations r SET lease_until_ms = bedrock_proxy.now_ms() + ${RESERVATION_LEASE_MS}
  FROM mine WHERE r.id = mine.id
$$;

-- Nothing that was cancelled long ago is under way any more.
CREATE FUNCTION bedrock_proxy.forget_cancelled() RETURNS void LANGUAGE sql AS $$
  WITH old AS (
    SELECT r.id FROM bedrock_proxy.reservations r
    WHERE r.if_lost IS NULL AND r.lease_until_ms <= (SELECT bedrock_proxy.now_ms()) FOR UPDATE SKIP LOCKED
  )
  DELETE FROM bedrock_proxy.reservations r USING old WHERE r.id = old.id
$$;`;

/** The tables, and the functions that move money. */
export const BUDGET_SCHEMA = `${TABLES}${SETTLE}${RESERVE}`;
