/**
 * The ledger in SQLite: one row per request, written, read in pages and pruned. What rows add up to is
 * `sqlite-usage.ts`'s business, what they cost a key `sqlite-budget.ts`'s. Undefined is NULL; names of keys that do not
 * exist are never made up.
 */
import type { Usage } from '../../domain/usage.ts';
import type { Connection, Sqlite, Statement } from './connection.ts';
import type { LedgerEntry, LedgerFilter, LedgerRow } from '../../domain/ledger.ts';

/** A row of `ledger` as SQLite gives it. `key_id` is '' for the master key and open mode. */
interface LedgerRecord {
  readonly sequence: number;
  readonly id: string;
  readonly started_at_ms: number;
  readonly principal: LedgerRow['principal'];
  readonly key_id: string;
  readonly key_label: string;
  readonly service: string | null;
  readonly operation: string | null;
  readonly region: string | null;
  readonly model: string | null;
  readonly status: number | null;
  readonly error_code: string | null;
  readonly upstream_request_id: string | null;
  readonly has_usage: number;
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  readonly cache_read_tokens: number | null;
  readonly cache_write_tokens: number | null;
  readonly cache_write_1h_tokens: number | null;
  readonly input_audio_tokens: number | null;
  readonly output_audio_tokens: number | null;
  readonly images: number | null;
  readonly guardrail_units: string | null;
  readonly service_tier: string | null;
  readonly pricing: LedgerRow['pricing'];
  readonly cost_nano: number | null;
  readonly charged_nano: number;
  readonly partial: number;
  readonly first_byte_ms: number | null;
  readonly total_ms: number | null;
  readonly request_bytes: number;
  readonly response_bytes: number;
  readonly tags: string | null;
  readonly user_agent_family: string | null;
}

/** In the order of `toValues`. */
const COLUMNS = `id, started_at_ms, principal, key_id, key_label, service, operation, region, model, status, error_code,
  upstream_request_id, has_usage, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
  cache_write_1h_tokens,
  input_audio_tokens, output_audio_tokens, images, guardrail_units, service_tier, pricing, cost_nano,
  charged_nano, partial,
  first_byte_ms, total_ms, request_bytes, response_bytes, tags, user_agent_family, window_start_ms`;

type Value = string | number | null;

/** What a row that is there already was booked as. */
interface Booked {
  readonly sequence: number;
  readonly charged_nano: number;
  readonly window_start_ms: number | null;
}

/** The prepared statements of the ledger. */
export interface LedgerStatements {
  readonly insert: Statement<Value[]>;
  readonly findBooked: Statement<[string], Booked>;
  readonly remove: Statement<[number]>;
  readonly prune: Statement<[number, number]>;
}

/** Prepares them, once per connection. */
export function prepareLedger({ database }: Connection): LedgerStatements {
  const places = COLUMNS.split(',').map(() => '?');
  return {
    insert: database.prepare(`INSERT INTO ledger (${COLUMNS}) VALUES (${places.join(', ')})`),
    findBooked: database.prepare('SELECT sequence, charged_nano, window_start_ms FROM ledger WHERE id = ?'),
    remove: database.prepare('DELETE FROM ledger WHERE sequence = ?'),
    prune: database.prepare(
      `DELETE FROM ledger WHERE sequence IN
         (SELECT sequence FROM ledger WHERE started_at_ms < ? ORDER BY started_at_ms LIMIT ?)`,
    ),
  };
}

/** `windowStartMs`: the budget window that the charge was booked in. */
export function insertLedgerRow(ledger: LedgerStatements, row: LedgerRow, windowStartMs: number | null): void {
  ledger.insert.run(...toValues(row), windowStartMs);
}

function toValues(row: LedgerRow): Value[] {
  const { usage } = row;
  return [
    row.id,
    row.startedAtMs,
    row.principal,
    row.keyId ?? '',
    row.keyLabel,
    row.service ?? null,
    row.operation ?? null,
    row.region ?? null,
    row.model ?? null,
    row.status ?? null,
    row.errorCode ?? null,
    row.upstreamRequestId ?? null,
    usage === undefined ? 0 : 1,
    usage?.inputTokens ?? null,
    usage?.outputTokens ?? null,
    usage?.cacheReadTokens ?? null,
    usage?.cacheWriteTokens ?? null,
    usage?.cacheWrite1hTokens ?? null,
    usage?.inputAudioTokens ?? null,
    usage?.outputAudioTokens ?? null,
    usage?.images ?? null,
    usage?.guardrailUnits === undefined ? null : JSON.stringify(usage.guardrailUnits),
    row.serviceTier ?? null,
    row.pricing,
    row.costNanoUsd ?? null,
    row.chargedNanoUsd,
    row.partial ? 1 : 0,
    row.firstByteMs ?? null,
    row.totalMs ?? null,
    row.requestBytes,
    row.responseBytes,
    isEmpty(row.tags) ? null : JSON.stringify(row.tags),
    row.userAgentFamily ?? null,
  ];
}

function isEmpty(tags: Readonly<Record<string, string>>): boolean {
  for (const _ in tags) return false;
  return true;
}

function toEntry(record: LedgerRecord): LedgerEntry {
  return {
    sequence: record.sequence,
    id: record.id,
    startedAtMs: record.started_at_ms,
    principal: record.principal,
    keyId: record.key_id === '' ? undefined : record.key_id,
    keyLabel: record.key_label,
    service: record.service ?? undefined,
    operation: record.operation ?? undefined,
    region: record.region ?? undefined,
    model: record.model ?? undefined,
    status: record.status ?? undefined,
    errorCode: record.error_code ?? undefined,
    upstreamRequestId: record.upstream_request_id ?? undefined,
    usage: record.has_usage === 0 ? undefined : toUsage(record),
    serviceTier: record.service_tier ?? undefined,
    pricing: record.pricing,
    costNanoUsd: record.cost_nano ?? undefined,
    chargedNanoUsd: record.charged_nano,
    partial: record.partial === 1,
    firstByteMs: record.first_byte_ms ?? undefined,
    totalMs: record.total_ms ?? undefined,
    requestBytes: record.request_bytes,
    responseBytes: record.response_bytes,
    tags: record.tags === null ? {} : (JSON.parse(record.tags) as Record<string, string>),
    userAgentFamily: record.user_agent_family ?? undefined,
  };
}

function toUsage(record: LedgerRecord): Usage {
  const { guardrail_units: units } = record;
  return {
    inputTokens: record.input_tokens ?? undefined,
    outputTokens: record.output_tokens ?? undefined,
    cacheReadTokens: record.cache_read_tokens ?? undefined,
    cacheWriteTokens: record.cache_write_tokens ?? undefined,
    cacheWrite1hTokens: record.cache_write_1h_tokens ?? undefined,
    inputAudioTokens: record.input_audio_tokens ?? undefined,
    outputAudioTokens: record.output_audio_tokens ?? undefined,
    images: record.images ?? undefined,
    guardrailUnits: units === null ? undefined : (JSON.parse(units) as Record<string, number>),
  };
}

/** One page of the rows that `filter` keeps, between two sequences that are not included themselves. */
export function readLedger(
  database: Sqlite,
  filter: LedgerFilter,
  page: { readonly above: number; readonly below: number; readonly limit: number; readonly newestFirst: boolean },
): LedgerEntry[] {
  const { sql, values } = toConditions(filter);
  // A range of sequences beside the range of time: SQLite then walks the table in its order instead of sorting.
  const { first, last } = findSequences(database, filter);
  const records = database
    .prepare<Value[], LedgerRecord>(
      `SELECT * FROM ledger WHERE sequence BETWEEN ? AND ?${sql}
       ORDER BY sequence ${page.newestFirst ? 'DESC' : 'ASC'} LIMIT ?`,
    )
    .all(Math.max(first, page.above + 1), Math.min(last, page.below - 1), ...values, page.limit);
  return records.map(toEntry);
}

/** What `filter` asks as SQL: conditions that begin with ` AND`, and their values. Values are always bound. */
export function toConditions(filter: LedgerFilter): { readonly sql: string; readonly values: readonly Value[] } {
  const conditions: [sql: string, ...values: Value[]][] = [];
  // The plus sign keeps the index over time out of it: the range of sequences does its work already.
  if (filter.sinceMs !== undefined) conditions.push(['+started_at_ms >= ?', filter.sinceMs]);
  if (filter.untilMs !== undefined) conditions.push(['+started_at_ms < ?', filter.untilMs]);
  if (filter.keyIds !== undefined) {
    const ids = filter.keyIds.filter((id) => id !== '');
    conditions.push(['key_id IN (SELECT value FROM json_each(?))', JSON.stringify(ids)]);
  }
  if (filter.id !== undefined) conditions.push(['id = ?', filter.id]);
  if (filter.status !== undefined) conditions.push(['status BETWEEN ? AND ?', ...filter.status]);
  if (filter.model !== undefined) conditions.push(['model = ?', filter.model]);
  if (filter.operation !== undefined) conditions.push(['operation = ?', filter.operation]);
  for (const [name, value] of Object.entries(filter.tags ?? {})) {
    conditions.push(['EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND value = ?)', name, value]);
  }
  return {
    sql: conditions.map(([sql]) => ` AND ${sql}`).join(''),
    values: conditions.flatMap(([, ...values]) => values),
  };
}

/**
 * The first and the last sequence that rows of the filter's time can have; `first` is above `last` where there are
 * none.
 */
export function findSequences(
  database: Sqlite,
  { sinceMs, untilMs }: LedgerFilter,
): { readonly first: number; readonly last: number } {
  const range =
    sinceMs === undefined && untilMs === undefined
      ? database
          .prepare<[], Range>(
            'SELECT (SELECT min(sequence) FROM ledger) AS first, (SELECT max(sequence) FROM ledger) AS last',
          )
          .get()
      : database
          .prepare<[number, number], Range>(
            'SELECT min(sequence) AS first, max(sequence) AS last FROM ledger WHERE started_at_ms >= ? AND ' +
              'started_at_ms < ?',
          )
          .get(sinceMs ?? Number.MIN_SAFE_INTEGER, untilMs ?? Number.MAX_SAFE_INTEGER);
  return { first: range?.first ?? 1, last: range?.last ?? 0 };
}

interface Range {
  readonly first: number | null;
  readonly last: number | null;
}
