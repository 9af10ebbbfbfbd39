/**
 * What the rows of the ledger add up to, by group. Works through the ledger in slices and lets the program do other
 * things between two of them: a report over a million rows must not hold up a stream. Only reads.
 */
import type { Connection } from './connection.ts';
import { findSequences, toConditions } from './ledger.ts';
import type { LedgerFilter, UsageGroup, UsageGrouping, UsageTotals } from '../../domain/ledger.ts';

/** Rows of one slice: some ten milliseconds. */
const SLICE_ROWS = 25_000;
const DAY_MS = 86_400_000;

type Value = string | number | null;

/** Runs a piece of work on the database as it is then. */
type Read = <T>(work: (connection: Connection) => T) => Promise<T>;

/** Name, last sequence, label of that, and the sums in the order of `SUMS`; null where no row had the count. */
type SumRecord = [name: Value, lastSequence: number, label: string | null, ...sums: (number | null)[]];

const SUMS = `count(*), sum(status IS NULL OR status >= 400), sum(pricing = 'unpriced'), sum(partial),
  sum(input_tokens),
  sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(cost_nano),
  sum(max(charged_nano - coalesce(cost_nano, 0), 0))`;

/** What rows are counted under while they are read. */
const NAMES: Readonly<Record<UsageGrouping, string>> = {
  key: 'key_id',
  model: 'model',
  day: `started_at_ms / ${DAY_MS}`,
  operation: 'operation',
  region: 'region',
  // All tags of a row together: they are told apart at the end, once for each combination.
  tag: 'tags',
};

/** A part of the ledger: a condition, and how SQLite is to find its rows. */
interface Slice {
  readonly index: string;
  readonly sql: string;
  readonly values: readonly Value[];
}

/** Sums over the rows that `filter` keeps; see `Store.sumUsage`. Rows that come while it runs are not in it. */
export async function sumUsage(
  read: Read,
  filter: LedgerFilter,
  by: UsageGrouping,
): Promise<{ readonly groups: UsageGroup[]; readonly total: UsageTotals }> {
  const range = await read(({ database }) => findSequences(database, filter));
  const slices = mayWalkByKey(filter, by, range) ? sliceByKey(read, range.last) : sliceBySequence(range, filter);
  const sums = new Map<Value, SumRecord>();
  for await (const slice of slices) {
    for (const record of await read((connection) => sumSlice(connection, slice, filter, by))) {
      add(sums, record[0], record);
    }
    await new Promise(setImmediate);
  }
  const total = new Map<Value, SumRecord>();
  for (const record of sums.values()) add(total, null, record);
  const groups = [...(by === 'tag' ? splitTags(sums) : sums)].map(([name, record]) => toGroup(name, record, by));
  return { groups: groups.toSorted(by === 'day' ? byName : byCost), total: toTotals(total.get(null)) };
}

function sumSlice({ database }: Connection, slice: Slice, filter: LedgerFilter, by: UsageGrouping): SumRecord[] {
  const conditions = toConditions(filter);
  // SQLite takes bare columns from the row that has the maximum: this is the label of the last row.
  return database
    .prepare<Value[], SumRecord>(
      `SELECT ${NAMES[by]}, max(sequence), key_label, ${SUMS} FROM ledger ${slice.index}
       WHERE ${slice.sql}${conditions.sql} GROUP BY 1`,
    )
    .raw()
    .all(...slice.values, ...conditions.values) as unknown as SumRecord[];
}

interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * Over much of the ledger, a hundred thousand keys are summed in the order of their index, which holds all that is
 * asked.
 */
function mayWalkByKey(filter: LedgerFilter, by: UsageGrouping, { first, last }: Range): boolean {
  const needsMore = [filter.keyIds, filter.id, filter.model, filter.operation].some((wish) => wish !== undefined);
  return by === 'key' && !needsMore && last - first > 4 * SLICE_ROWS;
}

function* sliceBySequence({ first, last }: Range, filter: LedgerFilter): Generator<Slice> {
  const index = filter.keyIds === undefined && filter.id === undefined ? 'NOT INDEXED' : '';
  for (let from = first; from <= last; from += SLICE_ROWS) {
    const to = Math.min(from + SLICE_ROWS - 1, last);
    yield { index, sql: 'sequence BETWEEN ? AND ?', values: [from, to] };
  }
}

/** A key of many rows is in several slices. */
async function* sliceByKey(read: Read, last: number): AsyncGenerator<Slice> {
  const next = `SELECT key_id, sequence FROM ledger INDEXED BY ledger_key WHERE (key_id, sequence) > (?, ?)
    ORDER BY key_id, sequence LIMIT 1 OFFSET ${SLICE_ROWS - 1}`;
  const sql = 'sequence <= ? AND (key_id, sequence) > (?, ?)';
  const index = 'INDEXED BY ledger_key';
  for (let after: [string, number] = ['', 0]; ;) {
    const end = await read(({ database }) =>
      database
        .prepare<Value[], [string, number]>(next)
        .raw()
        .get(...after),
    );
    if (end === undefined) return yield { index, sql, values: [last, ...after] };
    yield { index, sql: `${sql} AND (key_id, sequence) <= (?, ?)`, values: [last, ...after, ...end] };
    after = end as unknown as [string, number];
  }
}

function add(sums: Map<Value, SumRecord>, name: Value, record: SumRecord): void {
  const before = sums.get(name);
  if (before === undefined) {
    sums.set(name, [...record]);
    return;
  }
  if (record[1] > before[1]) [before[1], before[2]] = [record[1], record[2]];
  for (let index = 3; index < record.length; index += 1) {
    before[index] = Number(before[index] ?? 0) + Number(record[index] ?? 0);
  }
}

/** A row counts under each of its tags. */
function splitTags(sums: ReadonlyMap<Value, SumRecord>): Map<Value, SumRecord> {
  const split = new Map<Value, SumRecord>();
  for (const [tags, record] of sums) {
    if (tags === null) add(split, null, record);
    else for (const [tag, value] of Object.entries(JSON.parse(String(tags)))) add(split, `${tag}=${value}`, record);
  }
  return split;
}

function toGroup(name: Value, record: SumRecord, by: UsageGrouping): UsageGroup {
  const text = by === 'day' ? new Date(Number(name) * DAY_MS).toISOString().slice(0, 10) : String(name);
  return {
    name: name === null || name === '' ? undefined : text,
    label: by === 'key' ? (record[2] ?? undefined) : undefined,
    ...toTotals(record),
  };
}

function toTotals(record: SumRecord | undefined): UsageTotals {
  const [, , , ...sums] = record ?? [null, 0, null];
  return {
    requests: sums[0] ?? 0,
    errors: sums[1] ?? 0,
    unpriced: sums[2] ?? 0,
    partial: sums[3] ?? 0,
    inputTokens: sums[4] ?? 0,
    outputTokens: sums[5] ?? 0,
    cacheReadTokens: sums[6] ?? 0,
    cacheWriteTokens: sums[7] ?? 0,
    costNanoUsd: sums[8] ?? 0,
    estimatedNanoUsd: sums[9] ?? 0,
  };
}

function byName(a: UsageGroup, b: UsageGroup): number {
  return (a.name ?? '') < (b.name ?? '') ? -1 : 1;
}

function byCost(a: UsageGroup, b: UsageGroup): number {
  return (
    b.costNanoUsd - a.costNanoUsd || b.estimatedNanoUsd - a.estimatedNanoUsd || b.requests - a.requests || byName(a, b)
  );
}
