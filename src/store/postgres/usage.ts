/**
 * What the rows of the ledger add up to, by group. PostgreSQL sums, beside whatever else it does: of days that are
 * asked for in full from the tables that are kept of them (`usage-schema.ts`), of the rest from the rows. Only reads.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type {
  LedgerFilter,
  UsageGroup,
  UsageGrouping,
  UsageQuery,
  UsageSums,
  UsageTotals,
} from '../../domain/ledger.ts';
import type { Database, SqlParameter, SqlStatement, Transaction } from './database.ts';
import { BoundValues, toLedgerConditions, toTimes } from './ledger-filter.ts';
import {
  DAY_MS,
  findLastLabel,
  ROW_LABEL,
  ROW_NAMES,
  ROW_SUMS,
  SUM_COLUMNS,
  toColumns,
  USAGE_TABLES,
} from './usage-names.ts';

/** A report may take longer than a request may wait. */
const REPORT_TIMEOUT_MS = 60_000;
/** Groups that are made at once: a millisecond or two. */
const GROUPS_AT_ONCE = 2_500;
/** So few rows are summed as quickly as they are found: they are left to the reports. */
const ROWS_LEFT = 10_000;
/** For each row that a caller would have summed at once, the database takes as many in the same time. */
const ROWS_FOR_ROW = 20;

const SUM_UP: SqlStatement = { name: 'sum_up', text: 'SELECT bedrock_proxy.sum_up($1::bigint, $2::bigint) AS rows' };

/** The names of rows that a grouping is made of. */
const NAME_OF: Readonly<Record<Exclude<UsageGrouping, `tag:${string}`>, string>> = {
  key: 'key_id',
  principal: 'principal',
  model: 'model',
  day: 'day',
  operation: 'operation',
  region: 'region',
  upstream: 'upstream',
  tier: 'tier',
  source: 'price_source',
  client: 'user_agent',
  session: 'session',
  agent: 'agent',
  tag: 'tags',
};

/** A group as the database tells it; the total is in place 0. */
type GroupRecord = Readonly<Record<`name_${number}`, string | null>> &
  Readonly<Record<keyof typeof TOLD_SUMS, number | null>> & { readonly place: number; readonly label: string | null };

/** If no row has a count of tokens, it is unknown. */
const TOLD_SUMS = {
  requests: 'requests',
  errors: 'errors',
  unpriced: 'unpriced',
  partial: 'partial',
  input_tokens: 'CASE WHEN input_rows > 0 THEN input_tokens END',
  output_tokens: 'CASE WHEN output_rows > 0 THEN output_tokens END',
  cache_read_tokens: 'CASE WHEN cache_read_rows > 0 THEN cache_read_tokens END',
  cache_write_tokens: 'CASE WHEN cache_write_rows > 0 THEN cache_write_tokens END',
  cost_nano: 'cost_nano',
  estimated_nano: 'estimated_nano',
} as const;

const ADDED_UP = SUM_COLUMNS.map((column) => `coalesce(sum(${column}), 0)::bigint AS ${column}`).join(', ');

/** Reports over the ledger: one at a time, so that they never take all connections. */
export class PostgresUsage {
  readonly #database: Database;
  /** The end of the report under way. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(database: Database) {
    this.#database = database;
  }

  /** See `LedgerStore.sumUsage`. */
  sum(query: UsageQuery): Promise<UsageSums> {
    const sums = this.#turn.then(() => this.#sumNow(query));
    this.#turn = sums.catch(() => {});
    return sums;
  }

  /** See `LedgerStore.prepareReports`. One process does it at a time, whichever. */
  async sumUp(maxRows: number): Promise<number> {
    const [result] = await this.#database.query<{ rows: number }>(SUM_UP, [maxRows * ROWS_FOR_ROW, ROWS_LEFT]);
    return result?.rows ?? 0;
  }

  async #sumNow(query: UsageQuery): Promise<UsageSums> {
    const work = async (transaction: Transaction): Promise<GroupRecord[]> => {
      // One snapshot of sums and rows. Compiled, the statement is not quicker.
      await transaction.run('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      const [end] = await transaction.run<{ sequence: number }>(
        `SELECT sequence, set_config('jit', 'off', true) FROM bedrock_proxy.usage_end`,
      );
      const { text, values } = toReport(query, end?.sequence ?? 0);
      return transaction.run<GroupRecord>(text, values);
    };
    const records = await this.#database.transaction(work, { timeoutMs: REPORT_TIMEOUT_MS });
    return toSums(records, query.by);
  }
}

/** `end`: up to which sequence the tables of sums have rows. */
function toReport(query: UsageQuery, end: number): { readonly text: string; readonly values: SqlParameter[] } {
  const { filter, by, limit } = query;
  const bound = new BoundValues();
  const names = [...new Set(by.map(nameOf))];
  const hasLabel = by.includes('key');
  const columns = [...names, ...(hasLabel ? ['last_label'] : []), ...SUM_COLUMNS].join(', ');
  const parts = toParts({ filter, names, hasLabel, end, bound }).map(
    (part) => `SELECT ${columns} FROM (${part}) AS part`,
  );
  const label = hasLabel ? 'max(last_label) AS last_label' : `''::text AS last_label`;
  const tellLabel = (given: string) => (hasLabel ? `substr(${given}, 17)` : 'NULL::text');
  const places = by.map((_, index) => `name_${index}`);
  const text = `WITH sums AS MATERIALIZED (
      SELECT ${names.join(', ')}, ${label}, ${ADDED_UP}
      FROM (${parts.join('\n UNION ALL ')}) AS parts GROUP BY ${names.join(', ')} HAVING sum(row_count) > 0
    ), groups AS (
      SELECT ${by.map((grouping, index) => `${toName(grouping, bound)} AS name_${index}`).join(', ')}, ${label},
        ${ADDED_UP}
      FROM sums ${by.includes('tag') ? `LEFT JOIN LATERAL jsonb_each_text(nullif(tags, '')::jsonb) AS tag ON true` : ''}
      GROUP BY ${by.map((_, index) => index + 1).join(', ')}
    ), placed AS (SELECT row_number() OVER (${orderOf(by)}) AS place, * FROM groups)
    SELECT place, ${places.join(', ')}, ${tellLabel('last_label')} AS label, ${toColumns(TOLD_SUMS)} FROM placed
      ${limit === undefined ? '' : `WHERE place <= ${bound.bind(limit, 'bigint')}`}
    UNION ALL
    SELECT 0, ${places.map(() => 'NULL').join(', ')}, NULL, ${toColumns(TOLD_SUMS)}
      FROM (SELECT ${ADDED_UP} FROM sums) AS total
    ORDER BY place`;
  return { text, values: bound.values };
}

function nameOf(by: UsageGrouping): string {
  return isOneTag(by) ? 'tags' : NAME_OF[by];
}

function isOneTag(by: UsageGrouping): by is `tag:${string}` {
  return by.startsWith('tag:');
}

/** What a group is told by. */
function toName(by: UsageGrouping, bound: BoundValues): string {
  if (isOneTag(by)) return `nullif(tags, '')::jsonb ->> ${bound.bind(by.slice('tag:'.length), 'text')}`;
  if (by === 'tag') return `tag.key || '=' || tag.value`;
  return by === 'day' ? 'day::text' : `nullif(${NAME_OF[by]}, '')`;
}

/** As `UsageSums` says. */
function orderOf(by: readonly UsageGrouping[]): string {
  if (by.length > 1) return '';
  if (by[0] === 'day') return 'ORDER BY name_0::bigint';
  return `ORDER BY cost_nano DESC, estimated_nano DESC, requests DESC, coalesce(name_0, '') COLLATE "C"`;
}

interface PartsQuery {
  readonly filter: LedgerFilter;
  readonly names: readonly string[];
  readonly hasLabel: boolean;
  readonly end: number;
  readonly bound: BoundValues;
}

/** Statements whose sums together are those of all rows that the filter keeps. */
function toParts(query: PartsQuery): string[] {
  const { filter, end, bound } = query;
  const { sinceMs, untilMs } = filter;
  const table = findTable(query);
  const [firstDay, endDay] = [sinceMs && Math.ceil(sinceMs / DAY_MS), untilMs && Math.floor(untilMs / DAY_MS)];
  if (table === undefined || (firstDay ?? 0) >= (endDay ?? Infinity)) return [sumRows(query, toTimes(filter, bound))];
  const days = { sinceMs: firstDay && firstDay * DAY_MS, untilMs: endDay && endDay * DAY_MS };
  const parts = [
    readTable(query, table, days),
    sumRows(query, [`sequence > ${bound.bind(end, 'bigint')}`, ...toTimes(days, bound)]),
  ];
  if (days.sinceMs !== sinceMs) parts.push(sumRows(query, toTimes({ sinceMs, untilMs: days.sinceMs }, bound)));
  if (days.untilMs !== untilMs) parts.push(sumRows(query, toTimes({ sinceMs: days.untilMs, untilMs }, bound)));
  return parts;
}

/** The table that has all names which are asked for, and those that the filter asks about. */
function findTable({ filter, names }: PartsQuery): string | undefined {
  if (filter.id !== undefined || filter.status !== undefined || filter.session !== undefined) return undefined;
  const needed = names.filter((name) => name !== 'day');
  if (filter.model === '' || filter.operation === '') return undefined;
  if (filter.keyIds !== undefined) needed.push('key_id');
  if (filter.tags !== undefined) needed.push('tags');
  for (const name of ['principal', 'model', 'operation'] as const) if (filter[name] !== undefined) needed.push(name);
  return Object.keys(USAGE_TABLES).find((table) => needed.every((name) => USAGE_TABLES[table]?.includes(name)));
}

/** What a table has of these days, and what is to be taken off it. The label of a row that is gone is not its label. */
function readTable(query: PartsQuery, table: string, days: LedgerFilter): string {
  const { filter, names, hasLabel, end, bound } = query;
  const firstDay = days.sinceMs === undefined ? [] : [`day >= ${bound.bind(days.sinceMs / DAY_MS, 'bigint')}`];
  const endDay = days.untilMs === undefined ? [] : [`day < ${bound.bind(days.untilMs / DAY_MS, 'bigint')}`];
  const conditions = [...toLedgerConditions(filter, bound), ...firstDay, ...endDay].join(' AND ');
  const columns = (label: string): string =>
    `${names.join(', ')}, ${hasLabel ? `${label} AS last_label, ` : ''}${SUM_COLUMNS.join(', ')}`;
  const label = hasLabel
    ? `CASE WHEN nullif(left(last_label, 16), '')::bigint
          IN (SELECT unnest(c.sequences) FROM bedrock_proxy.usage_corrections AS c)
        THEN ${findLastLabel(table, bound.bind(end, 'bigint'))} ELSE last_label END`
    : '';
  return `SELECT ${columns(label)} FROM bedrock_proxy.${table} WHERE ${conditions}
    UNION ALL SELECT ${columns(`''`)} FROM bedrock_proxy.usage_corrections
      WHERE ${conditions}`;
}

function sumRows({ filter, names, hasLabel, bound }: PartsQuery, conditions: readonly string[]): string {
  return `SELECT ${toColumns(ROW_NAMES, names)}, ${hasLabel ? `${ROW_LABEL} AS last_label, ` : ''}${toColumns(ROW_SUMS)}
    FROM bedrock_proxy.ledger WHERE ${[...toLedgerConditions(filter, bound), ...conditions].join(' AND ')}
    GROUP BY ${names.map((_, index) => index + 1).join()}`;
}

async function toSums(records: readonly GroupRecord[], by: readonly UsageGrouping[]): Promise<UsageSums> {
  const [total, ...rest] = records;
  const groups: UsageGroup[] = [];
  for (const record of rest) {
    const names = by.map((grouping, index) => showName(record[`name_${index}`] ?? undefined, grouping));
    groups.push({ names, label: by.includes('key') ? (record.label ?? '') : undefined, ...toTotals(record) });
    if (groups.length % GROUPS_AT_ONCE === 0) await nextTurn();
  }
  return { groups, total: toTotals(total) };
}

function showName(name: string | undefined, by: UsageGrouping): string | undefined {
  return name === undefined || by !== 'day' ? name : new Date(Number(name) * DAY_MS).toISOString().slice(0, 10);
}

function toTotals(record: GroupRecord | undefined): UsageTotals {
  return {
    requests: record?.requests ?? 0,
    errors: record?.errors ?? 0,
    unpriced: record?.unpriced ?? 0,
    partial: record?.partial ?? 0,
    inputTokens: record?.input_tokens ?? undefined,
    outputTokens: record?.output_tokens ?? undefined,
    cacheReadTokens: record?.cache_read_tokens ?? undefined,
    cacheWriteTokens: record?.cache_write_tokens ?? undefined,
    costNanoUsd: record?.cost_nano ?? 0,
    estimatedNanoUsd: record?.estimated_nano ?? 0,
  };
}
