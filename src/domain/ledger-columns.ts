/**
 * The columns of the ledger: one line for each value that is kept or shown of a request. SQL rows, the JSON lines of
 * `logs` and of `start`, rows of the admin API, attributes of spans and the table in the docs are derived from it, so
 * that a value has one name and one type wherever it is read. Pure.
 */
import { isObject } from '../lib/json.ts';
import { exactUsd } from '../lib/usd.ts';
import type { LedgerRow } from './ledger.ts';
import type { Usage } from './usage.ts';

/** A row of the ledger, or what is shown of a request that gets no row, because its caller is not known. */
export type RecordRow = Omit<LedgerRow, 'principal' | 'keyLabel'> & {
  readonly principal: LedgerRow['principal'] | undefined;
  readonly keyLabel: string | undefined;
};

/** What SQL keeps of a value. */
export type SqlValue = string | number | null;

/** How values of one kind are written. Unknown is null in SQL and in JSON, never 0 or absent. */
interface Kind {
  readonly sqlType: 'TEXT' | 'INTEGER' | 'REAL';
  readonly toSql: (value: unknown) => SqlValue;
  readonly fromSql: (value: SqlValue) => unknown;
  /** What is not given here is the same in JSON as in the row. */
  readonly toJson?: (value: unknown) => unknown;
  /** JSON Schema's names of types. */
  readonly jsonType: 'string' | 'integer' | 'number' | 'boolean' | 'object';
}

const asIs = {
  toSql: (value: unknown) => (value ?? null) as SqlValue,
  fromSql: (value: SqlValue) => value ?? undefined,
};
const asJsonText = {
  toSql: (value: unknown) => (value === undefined ? null : JSON.stringify(value)),
  fromSql: (value: SqlValue): unknown => (value === null ? undefined : JSON.parse(String(value))),
};

const KINDS = {
  text: { sqlType: 'TEXT', jsonType: 'string', ...asIs },
  count: { sqlType: 'INTEGER', jsonType: 'integer', ...asIs },
  milliseconds: { sqlType: 'REAL', jsonType: 'number', ...asIs },
  /** Epoch milliseconds; ISO 8601 in UTC. */
  time: {
    sqlType: 'INTEGER',
    jsonType: 'string',
    ...asIs,
    toJson: (value) => new Date(Number(value)).toISOString(),
  },
  /** Nano-dollars as decimal text of dollars, exact. */
  usd: { sqlType: 'INTEGER', jsonType: 'string', ...asIs, toJson: (value) => exactUsd(Number(value)) },
  flag: {
    sqlType: 'INTEGER',
    jsonType: 'boolean',
    toSql: (value) => (value === true ? 1 : 0),
    fromSql: (value) => value === 1,
  },
  counts: { sqlType: 'TEXT', jsonType: 'object', ...asJsonText },
  /** 1 if it is not there: rows that were written before there was such a column. */
  requests: {
    sqlType: 'INTEGER',
    jsonType: 'integer',
    toSql: (value) => (value ?? 1) as number,
    fromSql: (value) => value ?? 1,
  },
  tags: {
    sqlType: 'TEXT',
    jsonType: 'object',
    toSql: (value) => (isEmpty(value) ? null : JSON.stringify(value)),
    fromSql: (value) => asJsonText.fromSql(value) ?? {},
  },
  /** Never null in SQL, so that sums by key need not think of it: '' is the master key and open mode. */
  keyId: {
    sqlType: 'TEXT',
    jsonType: 'string',
    toSql: (value) => (value ?? '') as string,
    fromSql: (value) => (value === '' ? undefined : value),
  },
} as const satisfies Record<string, Kind>;

/** Where a row has a value: a field, or a count of its usage. */
type Path = Exclude<keyof LedgerRow, 'usage'> | `usage.${keyof Usage}`;

/** One value of a row. */
export interface LedgerColumn {
  /** The name in JSON, and in SQL if `sql` does not name another. */
  readonly name: string;
  readonly kind: keyof typeof KINDS;
  readonly path: Path;
  /** For people, in the docs and the OpenAPI document. */
  readonly description: string;
  /** The name in SQL, or false for what is derived from another column. */
  readonly sql: string | false;
  /** The name of the attribute of a span, by OpenTelemetry's conventions or ours; undefined: in no span. */
  readonly span: string | undefined;
  /** Whether every row has it. */
  readonly isRequired: boolean;
}

function column(
  name: string,
  kind: keyof typeof KINDS,
  path: Path,
  description: string,
  { sql = name, span, isRequired = false }: Partial<Pick<LedgerColumn, 'sql' | 'span' | 'isRequired'>> = {},
): LedgerColumn {
  return { name, kind, path, description, sql, span, isRequired };
}

/** Every column, in the order of JSON lines. */
export const LEDGER_COLUMNS: readonly LedgerColumn[] = [
  column('time', 'time', 'startedAtMs', 'when the request came', { sql: 'started_at_ms', isRequired: true }),
  column('id', 'text', 'id', '`x-bedrock-proxy-request-id` of the response', {
    span: 'bedrock_proxy.request_id',
    isRequired: true,
  }),
  column('requests', 'requests', 'requests', 'requests that the row stands for: 1, or those refused for one reason', {
    isRequired: true,
  }),
  column('principal', 'text', 'principal', '`key`, `master`, or `anonymous` in open mode'),
  column('key', 'text', 'keyLabel', 'alias of the key, or its last four characters', {
    sql: 'key_label',
    span: 'bedrock_proxy.key',
  }),
  column('key_id', 'keyId', 'keyId', 'id of the key', { span: 'bedrock_proxy.key_id' }),
  column('service', 'text', 'service', "AWS's name of the service", { span: 'bedrock_proxy.service' }),
  column('operation', 'text', 'operation', "AWS's name of the operation", { span: 'bedrock_proxy.operation' }),
  column('model', 'text', 'model', 'the model that was called, as the request named it', {
    span: 'gen_ai.request.model',
  }),
  column('model_alias', 'text', 'modelAlias', 'the alias that the request named in its place', {
    span: 'bedrock_proxy.model_alias',
  }),
  column(
    'inference_profile',
    'text',
    'inferenceProfile',
    'the application inference profile that was sent in its place',
    {
      span: 'bedrock_proxy.inference_profile',
    },
  ),
  column('region', 'text', 'region', 'region of the upstream', { span: 'bedrock_proxy.region' }),
  column('upstream', 'text', 'upstream', 'the upstream that responded, or was asked last; null if there is only one', {
    span: 'bedrock_proxy.upstream',
  }),
  column('attempts', 'count', 'attempts', 'how many attempts were made; null if there is only one upstream', {
    span: 'bedrock_proxy.attempts',
  }),
  column('status', 'count', 'status', 'status that the client got', { span: 'http.response.status_code' }),
  column('error', 'text', 'errorCode', "`ERR_…` of the proxy, or the type of AWS's error", {
    sql: 'error_code',
    span: 'error.type',
  }),
  column('error_message', 'text', 'errorMessage', 'what the error said, cut at 500 characters; it may name a resource'),
  column('method', 'text', 'method', "the request's method; the ledger has it of requests that failed"),
  column('path', 'text', 'path', "the request's path without its query; the ledger has it of requests that failed"),
  column('upstream_request_id', 'text', 'upstreamRequestId', "AWS's request id", { span: 'aws.request_id' }),
  column('input_tokens', 'count', 'usage.inputTokens', 'input tokens, without those of caches'),
  column('output_tokens', 'count', 'usage.outputTokens', 'output tokens', { span: 'gen_ai.usage.output_tokens' }),
  column('cache_read_tokens', 'count', 'usage.cacheReadTokens', 'tokens that a cache served', {
    span: 'gen_ai.usage.cache_read.input_tokens',
  }),
  column('cache_write_tokens', 'count', 'usage.cacheWriteTokens', 'tokens that were written to a cache', {
    span: 'gen_ai.usage.cache_creation.input_tokens',
  }),
  column('cache_write_1h_tokens', 'count', 'usage.cacheWrite1hTokens', 'those of them that stay for an hour'),
  column('input_audio_tokens', 'count', 'usage.inputAudioTokens', 'input tokens that were speech'),
  column('output_audio_tokens', 'count', 'usage.outputAudioTokens', 'output tokens that were speech'),
  column('images', 'count', 'usage.images', 'images that were made'),
  column('units', 'counts', 'usage.units', 'what is sold by the piece: seconds, queries, searches'),
  column('guardrail_units', 'counts', 'usage.guardrailUnits', "units of guardrails, by AWS's names of policies"),
  column('service_tier', 'text', 'serviceTier', 'service tier, as AWS names it', {
    span: 'bedrock_proxy.service_tier',
  }),
  column('pricing', 'text', 'pricing', '`priced`, `unpriced` or `free`', {
    span: 'bedrock_proxy.pricing',
    isRequired: true,
  }),
  column('price_source', 'text', 'priceSource', 'who told the price: `aws`, `litellm`, `genai-prices`, or `file`'),
  column('cost_nano_usd', 'count', 'costNanoUsd', 'cost in billionths of a dollar', { sql: 'cost_nano' }),
  column('cost_usd', 'usd', 'costNanoUsd', 'the same in dollars, as decimal text', { sql: false }),
  column('charged_nano_usd', 'count', 'chargedNanoUsd', "what the key's budget was charged, estimates included", {
    sql: 'charged_nano',
    isRequired: true,
  }),
  column('partial', 'flag', 'partial', 'whether usage and cost are of a part only: it cost that at least', {
    span: 'bedrock_proxy.partial',
    isRequired: true,
  }),
  column('first_byte_ms', 'milliseconds', 'firstByteMs', 'milliseconds to the first byte of the response'),
  column('total_ms', 'milliseconds', 'totalMs', 'milliseconds to its end'),
  column('request_bytes', 'count', 'requestBytes', "bytes of the request's body", {
    span: 'http.request.body.size',
    isRequired: true,
  }),
  column('response_bytes', 'count', 'responseBytes', "bytes of the response's body", {
    span: 'http.response.body.size',
    isRequired: true,
  }),
  column(
    'source',
    'text',
    'source',
    '`cassette` if a recording was played: it would have cost that, and was not charged',
    {
      span: 'bedrock_proxy.source',
    },
  ),
  column('fault', 'text', 'fault', 'the fault that was injected, such as `throttle#3`', {
    span: 'bedrock_proxy.fault',
  }),
  column(
    'cache_verdict',
    'text',
    'cacheVerdict',
    "what the cache doctor says of the prompt's cache, such as `changed`",
    {
      span: 'bedrock_proxy.cache_verdict',
    },
  ),
  column('cache_lost_usd', 'usd', 'cacheLostNanoUsd', 'dollars that a read of the cache would have saved', {
    sql: 'cache_lost_nano',
  }),
  column('user_agent', 'text', 'userAgent', 'kind of client, such as `boto3` or `claude-code`', {
    span: 'user_agent.name',
  }),
  column('session', 'text', 'session', 'session of the client, if it named one', { span: 'session.id' }),
  column('agent', 'text', 'agent', 'agent in it, if the client named one', { span: 'gen_ai.agent.id' }),
  column('tags', 'tags', 'tags', 'tags of the key at that time, and those of the request', { isRequired: true }),
];

/** A column as SQL has it. */
export interface SqlColumn {
  readonly name: string;
  readonly type: Kind['sqlType'];
  readonly toSql: (row: LedgerRow) => SqlValue;
}

/** The columns that SQL keeps of a row. Whether it has usage at all is a column of its own: `has_usage`, 0 or 1. */
export const SQL_COLUMNS: readonly SqlColumn[] = [
  ...LEDGER_COLUMNS.flatMap(({ kind, path, sql }): SqlColumn[] => {
    const { sqlType, toSql } = KINDS[kind];
    const read = readerOf(path);
    return sql === false ? [] : [{ name: sql, type: sqlType, toSql: (row) => toSql(read(row)) }];
  }),
  { name: 'has_usage', type: 'INTEGER', toSql: ({ usage }) => (usage === undefined ? 0 : 1) },
];

const SQL_READERS = LEDGER_COLUMNS.flatMap(({ kind, path, sql }) => {
  const [field = '', count] = path.split('.');
  return sql === false ? [] : [{ sql, fromSql: KINDS[kind].fromSql, field, count }];
});

/** The row that SQL has as these values, by the names of columns. Other columns are not looked at. */
export function rowFromSql(record: Readonly<Record<string, SqlValue>>): LedgerRow {
  const row: Record<string, unknown> = {};
  const usage: Record<string, unknown> = {};
  for (const { sql, fromSql, field, count } of SQL_READERS) {
    const value = fromSql(record[sql] ?? null);
    if (count === undefined) row[field] = value;
    else usage[count] = value;
  }
  row['usage'] = record['has_usage'] === 0 ? undefined : usage;
  // Every column has been read, and the table holds rows of ours alone.
  return row as unknown as LedgerRow;
}

const JSON_READERS = LEDGER_COLUMNS.map(({ name, kind, path }) => {
  const read = readerOf(path);
  const { toJson = (value: unknown): unknown => value }: Kind = KINDS[kind];
  return { name, read: (row: RecordRow) => (read(row) === undefined ? null : toJson(read(row))) };
});

/** A row as a JSON object, in the order of the columns. */
export function rowToJson(row: RecordRow): Record<string, unknown> {
  return Object.fromEntries(JSON_READERS.map(({ name, read }) => [name, read(row)]));
}

/** By the types that JSON has. Of a flag, of tags and of requests there is always a value. */
function isOfKind(kind: keyof typeof KINDS, value: unknown): boolean {
  if (kind === 'time') return typeof value === 'string' && Number.isFinite(Date.parse(value));
  if (kind === 'tags') return isObject(value) && Object.values(value).every((item) => typeof item === 'string');
  if (kind === 'counts') return isObject(value) && Object.values(value).every((item) => typeof item === 'number');
  const { jsonType }: Kind = KINDS[kind];
  return jsonType === 'integer' ? Number.isSafeInteger(value) : typeof value === jsonType;
}

const ABSENT: { readonly [Name in keyof typeof KINDS]?: unknown } = { flag: false, tags: {}, requests: 1 };
/** Columns that are one of a few words. */
const WORDS: Readonly<Record<string, readonly unknown[]>> = {
  principal: ['key', 'master', 'anonymous'],
  pricing: ['priced', 'unpriced', 'free'],
  source: ['cassette'],
};

/**
 * The row that a JSON object says (`rowToJson`), whoever wrote it; or the name of the column that is none. Usage that
 * has no count is undefined.
 */
export function rowFromJson(json: Readonly<Record<string, unknown>>): RecordRow | string {
  const row: Record<string, unknown> = {};
  const usage: Record<string, unknown> = {};
  for (const { name, kind, path, isRequired } of LEDGER_COLUMNS) {
    if (kind === 'usd') continue;
    const found = json[name] ?? undefined;
    if (found === undefined ? isRequired && !(kind in ABSENT) : !isOfKind(kind, found)) return name;
    if (found !== undefined && WORDS[name]?.includes(found) === false) return name;
    const value = kind === 'time' ? Date.parse(String(found)) : (found ?? ABSENT[kind]);
    const [field = '', count] = path.split('.');
    if (count === undefined) row[field] = value;
    else if (value !== undefined) usage[count] = value;
  }
  row['usage'] = isEmpty(usage) ? undefined : usage;
  // Every column has been looked at.
  return row as unknown as RecordRow;
}

/** What a span says of a row; what is undefined is left out there. */
export function rowToAttributes(row: RecordRow): Record<string, string | number | boolean | undefined> {
  const named = LEDGER_COLUMNS.flatMap(({ path, span }) => (span === undefined ? [] : [[span, readerOf(path)(row)]]));
  // Columns of tags and of units have no name in a span.
  return Object.fromEntries(named) as Record<string, string | number | boolean | undefined>;
}

/** The type of a column in JSON, in JSON Schema's words, beside null if not every row has it. */
export function jsonTypeOf({ kind }: LedgerColumn): Kind['jsonType'] {
  return KINDS[kind].jsonType;
}

function readerOf(path: Path): (row: RecordRow) => unknown {
  const [field, count] = path.split('.') as [keyof RecordRow, (keyof Usage)?];
  return count === undefined ? (row) => row[field] : ({ usage }) => usage?.[count];
}

function isEmpty(tags: unknown): boolean {
  for (const _ in tags as object) return false;
  return true;
}
