/**
 * What the rows of each key add up to, kept in a table beside them up to some sequence, so that a report by key need
 * not read a million rows: it reads the totals, and the rows after that sequence. A server moves the sequence on, a few
 * rows at a time; until then a report reads more rows. Triggers (see the migrations) take off the totals what is
 * deleted of the rows that they hold, whoever deletes it.
 */
import type { SqlValue } from '../../domain/ledger-columns.ts';
import { type Connection, pluck, type Sqlite, type Statement } from './connection.ts';

/** A report reads as many rows in ten milliseconds: so few are not worth a write. */
const ROWS_LEFT = 10_000;

/** Keys that are read at once: more keep the garbage collector busy. */
const PAGE_KEYS = 2_000;

const TOKENS = ['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_write_tokens'] as const;
/** How many rows have a count of such tokens: without any, the sum is unknown. */
const TOKEN_ROWS = TOKENS.map((column) => column.replace('tokens', 'rows'));
const COUNTS = ['requests', 'errors', 'unpriced', 'partial'] as const;
const ADDED = ['row_count', ...COUNTS, ...TOKENS, ...TOKEN_ROWS, 'cost_nano', 'estimated_nano'];
const COLUMNS = ['key_id', 'last_sequence', 'key_label', ...ADDED];

/**
 * The same of the rows up to a sequence. SQLite takes bare columns from the row that has the maximum: this is the label
 * of the last row.
 */
const SUMMED = `SELECT key_id, max(sequence), key_label, count(*), sum(requests),
  coalesce(sum(requests) FILTER (WHERE status IS NULL OR status >= 400), 0),
  coalesce(sum(requests) FILTER (WHERE pricing = 'unpriced'), 0),
  coalesce(sum(requests) FILTER (WHERE partial), 0),
  ${TOKENS.map((column) => `coalesce(sum(${column}), 0)`).join()},
  ${TOKENS.map((column) => `count(${column})`).join()},
  coalesce(sum(cost_nano), 0), sum(max(charged_nano - coalesce(cost_nano, 0), 0))
  FROM ledger NOT INDEXED WHERE sequence <= ?`;

const TOLD = [
  ...COUNTS,
  ...TOKENS.map((column, index) => `CASE WHEN ${TOKEN_ROWS[index]} > 0 THEN ${column} END`),
  'cost_nano',
  'estimated_nano',
];

/** The prepared statements of the totals. */
export interface KeyTotalStatements {
  readonly findEnd: Statement<[], number>;
  readonly findNextEnd: Statement<[number, number], number | null>;
  readonly countLeft: Statement<[number], number>;
  readonly addRows: Statement<[number, number]>;
  readonly setEnd: Statement<[number]>;
  /** From a key on, one more than PAGE_KEYS. */
  readonly readPage: Statement<[string], SqlValue[]>;
}

/** Prepares them, once per connection. */
export function prepareKeyTotals({ database }: Pick<Connection, 'database'>): KeyTotalStatements {
  return {
    findEnd: pluck(database, 'SELECT last_sequence FROM key_totals_end'),
    findNextEnd: pluck(
      database,
      'SELECT max(sequence) FROM (SELECT sequence FROM ledger WHERE sequence > ? ORDER BY sequence LIMIT ?)',
    ),
    countLeft: pluck(database, 'SELECT max(sequence) - ? FROM ledger'),
    addRows: database.prepare(
      `INSERT INTO key_totals (${COLUMNS.join()}) ${SUMMED} AND sequence > ? GROUP BY key_id
       ON CONFLICT DO UPDATE SET last_sequence = excluded.last_sequence, key_label = excluded.key_label,
         ${ADDED.map((column) => `${column} = ${column} + excluded.${column}`).join()}`,
    ),
    setEnd: database.prepare('UPDATE key_totals_end SET last_sequence = ?'),
    readPage: database
      .prepare<[string], SqlValue[]>(
        `SELECT key_id, last_sequence, key_label, ${TOLD.join()} FROM key_totals WHERE key_id >= ? ORDER BY key_id
         LIMIT ${PAGE_KEYS + 1}`,
      )
      .raw() as Statement<[string], SqlValue[]>,
  };
}

/**
 * Within a transaction. Adds at most so many rows to the totals; returns the number of sequences that it has moved on,
 * 0 if few rows are left.
 */
export function moveKeyTotals(totals: KeyTotalStatements, maxRows: number, rowsLeft = ROWS_LEFT): number {
  const end = totals.findEnd.get() ?? 0;
  if ((totals.countLeft.get(end) ?? 0) <= rowsLeft) return 0;
  const nextEnd = totals.findNextEnd.get(end, maxRows) ?? end;
  totals.addRows.run(nextEnd, end);
  totals.setEnd.run(nextEnd);
  return nextEnd - end;
}

/** What reading needs of a connection. */
export interface KeyTotalReader extends Pick<Connection, 'database'> {
  readonly keyTotals: KeyTotalStatements;
}

/**
 * Hands over what stands in the table, of each key a record as `Tallies` has it, and returns up to which sequence. If
 * that is not at least `from`, hands over nothing and returns 0: too much is missing.
 */
export function readKeyTotals(
  { database, keyTotals }: KeyTotalReader,
  from: number,
  take: (record: SqlValue[]) => void,
): number {
  // One moment for all of it.
  return database.transaction(() => {
    const end = keyTotals.findEnd.get() ?? 0;
    if (end < from) return 0;
    for (let key: string | undefined = ''; key !== undefined;) {
      const records: SqlValue[][] = keyTotals.readPage.all(key);
      const next = records[PAGE_KEYS]?.[0];
      for (const record of records.slice(0, PAGE_KEYS)) take(record);
      key = typeof next === 'string' ? next : undefined;
    }
    return end;
  })();
}

/** How many keys have totals that are not what their rows say: none, unless somebody wrote past the program. */
export function countWrongTotals(database: Sqlite): number {
  const end = pluck<[], number>(database, 'SELECT last_sequence FROM key_totals_end').get() ?? 0;
  return Number(
    pluck<[number], number>(
      database,
      `WITH summed AS (${SUMMED} GROUP BY key_id), kept AS (SELECT ${COLUMNS.join()} FROM key_totals)
       SELECT count(DISTINCT key_id) FROM (
         SELECT * FROM (SELECT * FROM summed EXCEPT SELECT * FROM kept)
         UNION ALL SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM summed))`,
    ).get(end),
  );
}
