/**
 * A ledger in PostgreSQL as it is after a quarter of a year, with a partition for each week. The database makes the
 * rows itself, past the store's interface, which would take an hour for ten million.
 */
import type { Client } from 'pg';
import { DAY_MS, DAYS } from './ledger-rows.ts';

const WEEK_MS = 7 * DAY_MS;

/** What a ledger is made of. */
export interface LedgerSize {
  readonly rows: number;
  readonly keys: number;
}

/** One row; `i` is its number, beginning with 0, and `at` its time. Few keys make the most requests. */
const COLUMNS = {
  started_at_ms: 'at',
  id: 'gen_random_uuid()::text',
  key_id: "'vk_' || md5('key ' || key)",
  key_label: "'developer-' || key",
  principal: "'key'",
  requests: '1',
  status: 'CASE WHEN dice >= 0.03 THEN 200 WHEN dice >= 0.02 THEN 429 WHEN dice >= 0.01 THEN 500 END',
  pricing: "CASE WHEN dice < 0.02 THEN 'free' ELSE 'priced' END",
  partial: 'CASE WHEN dice < 0.01 THEN 1 ELSE 0 END',
  cost_nano: 'CASE WHEN dice < 0.02 THEN 0 ELSE 1000 * tokens END',
  charged_nano: 'CASE WHEN dice < 0.02 THEN 0 ELSE 1000 * tokens END',
  has_usage: '1',
  input_tokens: 'tokens',
  output_tokens: 'tokens / 4',
  cache_read_tokens: 'CASE WHEN key % 2 = 0 THEN 10 * tokens END',
  cache_write_tokens: 'CASE WHEN key % 2 = 0 THEN tokens END',
  service: "'bedrock-runtime'",
  operation: "(ARRAY['Converse', 'ConverseStream', 'InvokeModel', 'InvokeModelWithResponseStream'])[1 + (i % 4)]",
  region: "(ARRAY['us-east-1', 'us-west-2', 'eu-central-1'])[1 + (i % 3)]",
  model: "'us.anthropic.claude-sonnet-' || (key + floor(dice * 3)::int) % 20 || '-20250929-v1:0'",
  price_source: "CASE WHEN dice < 0.02 THEN NULL ELSE 'aws' END",
  upstream_request_id: 'gen_random_uuid()::text',
  first_byte_ms: '200 + 100 * dice',
  total_ms: '1000 + 4000 * dice',
  request_bytes: '4 * tokens',
  response_bytes: 'tokens',
  user_agent: "(ARRAY['claude-code', 'boto3', 'aws-sdk-js'])[1 + key % 3]",
  session: "CASE WHEN key % 3 = 0 THEN 'session-' || key || '-' || i / 200000 END",
  tags: `'{"team":"team-' || key % 50 || '"}'`,
};

/** Makes the rows, the last of them now. The schema is there, and no row. */
export async function fillPostgresLedger(client: Client, { rows, keys }: LedgerSize): Promise<void> {
  const until = Date.now();
  const from = until - DAYS * DAY_MS;
  await client.query('SET statement_timeout = 0');
  await client.query('SELECT setseed(0.5)');
  for (let week = Math.floor(from / WEEK_MS); week * WEEK_MS < until; week += 1) {
    const [first, end] = [week, week + 1].map((edge) =>
      Math.min(rows, Math.max(0, Math.ceil(((edge * WEEK_MS - from) / (until - from)) * rows))),
    );
    const name = `bedrock_proxy.ledger_week_${week}`;
    const { rows: found } = await client.query('SELECT FROM pg_class WHERE oid = to_regclass($1)', [name]);
    // Indexes are built when the rows are there, which is many times faster than row by row.
    if (found.length === 0) await client.query(`CREATE TABLE ${name} (LIKE bedrock_proxy.ledger INCLUDING DEFAULTS)`);
    await client.query(
      `INSERT INTO ${name} (${Object.keys(COLUMNS).join()}) SELECT ${Object.values(COLUMNS).join()}
       FROM (
         SELECT i, ${from} + floor(i::float8 / ${rows} * ${until - from})::bigint AS at, random() AS dice,
           floor(power(random(), 2) * ${keys})::int AS key, 500 + floor(random() * 4000)::int AS tokens
         FROM generate_series(${first}, ${(end ?? 0) - 1}) AS i
       ) AS made`,
    );
    if (found.length > 0) continue;
    const [start, stop] = [week * WEEK_MS, (week + 1) * WEEK_MS];
    await client.query(
      `ALTER TABLE bedrock_proxy.ledger ATTACH PARTITION ${name} FOR VALUES FROM (${start}) TO (${stop})`,
    );
  }
  await client.query('VACUUM ANALYZE bedrock_proxy.ledger');
}

/** How many rows the ledger has. */
export async function countRows(client: Client): Promise<number> {
  const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM bedrock_proxy.ledger');
  return Number(rows[0]?.count);
}

/** Of the ledger and of the sums that are kept beside it, with their indexes; after VACUUM ANALYZE. */
export async function measureSizes(
  client: Client,
): Promise<{ readonly name: string; readonly count: number; readonly bytes: number }[]> {
  const { rows } = await client.query<{ name: string; count: string; bytes: string }>(
    `SELECT regexp_replace(relname, '^ledger_.*', 'ledger') AS name, sum(greatest(reltuples, 0)::bigint) AS count,
       sum(pg_total_relation_size(oid)) AS bytes
     FROM pg_class
     WHERE relnamespace = 'bedrock_proxy'::regnamespace AND relkind = 'r' AND relname ~ '^(ledger|usage_by)_'
     GROUP BY 1 ORDER BY 1`,
  );
  return rows.map(({ name, count, bytes }) => ({ name, count: Number(count), bytes: Number(bytes) }));
}
