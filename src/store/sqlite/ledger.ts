/**
 * The ledger in SQLite: one row per request, written, read in pages and pruned. Undefined is NULL; names of keys that
 * do not exist are never made up.
 */
import { rowFromSql, SQL_COLUMNS, type SqlValue } from '../../domain/ledger-columns.ts';
import { type Connection, type KnownRange, pluck, type Statement } from './connection.ts';
import type { LedgerEntry, LedgerFilter, LedgerRow } from '../../domain/ledger.ts';

/** A row of `ledger` as SQLite gives it: its sequence, and the columns by name. */
type LedgerRecord = Readonly<Record<string, SqlValue>> & { readonly sequence: number };

/** What a row that is there already was charged. */
export interface Charged {
  readonly sequence: number;
  readonly charged_nano: number;
  readonly window_start_ms: number | null;
}

/** The prepared statements of the ledger. */
export interface LedgerStatements {
  readonly insert: Statement<SqlValue[]>;
  readonly findCharged: Statement<[string], Charged>;
  readonly remove: Statement<[number]>;
  readonly prune: Statement<[number, number]>;
  /** Of all pages in use. */
  readonly sizeBytes: Statement<[], number>;
}

/** Prepares them, once per connection. */
export function prepareLedger({ database }: Connection): LedgerStatements {
  const columns = [...SQL_COLUMNS.map(({ name }) => name), 'window_start_ms'];
  return {
    insert: database.prepare(
      `INSERT INTO ledger (${columns.join()}) VALUES (${columns.map(() => '?').join()}) ON CONFLICT DO NOTHING`,
    ),
    findCharged: database.prepare('SELECT sequence, charged_nano, window_start_ms FROM ledger WHERE id = ?'),
    remove: database.prepare('DELETE FROM ledger WHERE sequence = ?'),
    prune: database.prepare(
      `DELETE FROM ledger WHERE sequence IN
         (SELECT sequence FROM ledger WHERE started_at_ms < ? ORDER BY started_at_ms LIMIT ?)`,
    ),
    sizeBytes: pluck(
      database,
      `SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
    ),
  };
}

/** `windowStartMs`: the budget window of the charge. Does nothing and returns false if there is a row of that id. */
export function insertLedgerRow(ledger: LedgerStatements, row: LedgerRow, windowStartMs: number | null): boolean {
  return ledger.insert.run(...SQL_COLUMNS.map(({ toSql }) => toSql(row)), windowStartMs).changes === 1;
}

/** Under which a connection remembers the sequences of a time; undefined for all time, which needs no look. */
export function nameRange({ sinceMs, untilMs }: LedgerFilter): string | undefined {
  return sinceMs === undefined && untilMs === undefined ? undefined : `${sinceMs}-${untilMs}`;
}

/** What reading needs of a connection. */
export type LedgerReader = Pick<Connection, 'database' | 'ranges'>;

/** Which rows a page may have: those between two sequences that are not included themselves. */
export interface LedgerPage {
  readonly above: number;
  readonly below: number;
  readonly limit: number;
  readonly newestFirst: boolean;
}

/** One page of the rows that `filter` keeps. */
export function readLedger(reader: LedgerReader, filter: LedgerFilter, page: LedgerPage): LedgerEntry[] {
  const { sql, values } = toConditions(filter);
  // A range of sequences beside the range of time: SQLite then walks the table in its order instead of sorting.
  const { first, last } = findSequences(reader, filter);
  const records = reader.database
    .prepare<SqlValue[], LedgerRecord>(
      `SELECT * FROM ledger WHERE sequence BETWEEN ? AND ?${sql}
       ORDER BY sequence ${page.newestFirst ? 'DESC' : 'ASC'} LIMIT ?`,
    )
    .all(Math.max(first, page.above + 1), Math.min(last, page.below - 1), ...values, page.limit);
  return records.map((record) => ({ sequence: record.sequence, ...rowFromSql(record) }));
}

/** What `filter` asks as SQL: conditions that begin with ` AND`, and their values. Values are always bound. */
export function toConditions(filter: LedgerFilter): { readonly sql: string; readonly values: readonly SqlValue[] } {
  const conditions: [sql: string, ...values: SqlValue[]][] = [];
  // The plus sign keeps the index over time out of it: the range of sequences does its work already.
  if (filter.sinceMs !== undefined) conditions.push(['+started_at_ms >= ?', filter.sinceMs]);
  if (filter.untilMs !== undefined) conditions.push(['+started_at_ms < ?', filter.untilMs]);
  if (filter.keyIds !== undefined) {
    const ids = filter.keyIds.filter((id) => id !== '');
    conditions.push(['key_id IN (SELECT value FROM json_each(?))', JSON.stringify(ids)]);
  }
  if (filter.principal !== undefined) conditions.push(['principal = ?', filter.principal]);
  if (filter.id !== undefined) conditions.push(['id = ?', filter.id]);
  if (filter.status !== undefined) conditions.push(['status BETWEEN ? AND ?', ...filter.status]);
  if (filter.model !== undefined) conditions.push(['model = ?', filter.model]);
  if (filter.operation !== undefined) conditions.push(['operation = ?', filter.operation]);
  if (filter.session !== undefined) conditions.push(['session = ?', filter.session]);
  for (const [name, value] of Object.entries(filter.tags ?? {})) {
    conditions.push(['EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND value = ?)', name, value]);
  }
  return {
    sql: conditions.map(([sql]) => ` AND ${sql}`).join(''),
    values: conditions.flatMap(([, ...values]) => values),
  };
}

/** Times whose sequences are remembered. */
const MAX_RANGES = 20;

/**
 * The first and the last sequence that rows of the filter's time can have; `first` is above `last` if there are none.
 * Looks at all rows of that time once, and from then on only at those that have come since: sequences only grow, and
 * rows that are deleted make no range too small.
 */
export function findSequences({ database, ranges }: LedgerReader, filter: LedgerFilter): KnownRange {
  const ends = database
    .prepare<[], Range>(
      'SELECT (SELECT min(sequence) FROM ledger) AS first, (SELECT max(sequence) FROM ledger) AS last',
    )
    .get();
  const [oldest, until] = [ends?.first ?? 1, ends?.last ?? 0];
  const name = nameRange(filter);
  if (name === undefined) return { first: oldest, last: until, until };
  const times = [filter.sinceMs ?? Number.MIN_SAFE_INTEGER, filter.untilMs ?? Number.MAX_SAFE_INTEGER] as const;
  const before = ranges.get(name);
  const found =
    before === undefined
      ? database
          .prepare<[number, number], Range>(
            'SELECT min(sequence) AS first, max(sequence) AS last FROM ledger WHERE started_at_ms >= ? AND ' +
              'started_at_ms < ?',
          )
          .get(...times)
      : database
          .prepare<[number, number, number, number], Range>(
            'SELECT min(sequence) AS first, max(sequence) AS last FROM ledger WHERE sequence > ? AND sequence <= ? ' +
              'AND +started_at_ms >= ? AND +started_at_ms < ?',
          )
          .get(before.until, until, ...times);
  const range = {
    first: Math.min(before?.first ?? Infinity, found?.first ?? Infinity),
    last: Math.max(before?.last ?? 0, found?.last ?? 0),
    until: Math.max(before?.until ?? 0, until),
  };
  ranges.delete(name);
  ranges.set(name, range);
  const [leastUsed] = ranges.keys();
  if (ranges.size > MAX_RANGES && leastUsed !== undefined) ranges.delete(leastUsed);
  return range;
}

interface Range {
  readonly first: number | null;
  readonly last: number | null;
}
