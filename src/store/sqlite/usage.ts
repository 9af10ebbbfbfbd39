/**
 * What the rows of the ledger add up to, by group. Works through the ledger in slices and lets the program do other
 * things between two of them: a report over a million rows must not hold up a stream. Only reads.
 */
import { findSequences, type LedgerReader, toConditions } from './ledger.ts';
import type { UsageGroup, UsageGrouping, UsageQuery, UsageSums, UsageTotals } from '../../domain/ledger.ts';

/** Rows of one slice: some ten milliseconds. */
const SLICE_ROWS = 25_000;
/** The same if a group has several names, or tags are looked into. */
const SMALL_SLICE_ROWS = 5_000;
const DAY_MS = 86_400_000;

type Value = string | number | null;

/** Runs a piece of work on the database as it is then. */
type Read = <T>(work: (reader: LedgerReader) => T) => Promise<T>;

/** What rows of one group add up to so far. `sums` in the order of `SUMS`; null if no row had the count. */
interface Tally {
  readonly names: readonly Value[];
  lastSequence: number;
  /** Of the row with that sequence. */
  label: string | null;
  readonly sums: (number | null)[];
}

const SUMS = `sum(requests), sum(requests * (status IS NULL OR status >= 400)), sum(requests * (pricing = 'unpriced')),
  sum(requests * partial), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens),
  sum(cost_nano), sum(max(charged_nano - coalesce(cost_nano, 0), 0))`;

/** What rows are counted under while they are read. */
const NAMES: Readonly<Record<Exclude<UsageGrouping, `tag:${string}`>, string>> = {
  key: 'key_id',
  principal: 'principal',
  model: 'model',
  day: `started_at_ms / ${DAY_MS}`,
  operation: 'operation',
  region: 'region',
  // All tags of a row together: they are split at the end, once for each combination.
  tag: 'tags',
};

/** A part of the ledger: a condition, and how SQLite is to find its rows. */
interface Slice {
  readonly index: string;
  readonly sql: string;
  readonly values: readonly Value[];
}

/** Sums over the rows that the filter keeps; see `LedgerStore.sumUsage`. Rows that come while it runs are not in it. */
export async function sumUsage(read: Read, query: UsageQuery): Promise<UsageSums> {
  const { filter, by } = query;
  const range = await read((reader) => findSequences(reader, filter));
  const slices = mayWalkByKey(query, range) ? sliceByKey(read, range.last) : sliceBySequence(range, query);
  const tallies = new Map<string, Tally>();
  const total: Tally = { names: [], lastSequence: 0, label: null, sums: [] };
  for await (const slice of slices) {
    for (const tally of await read((reader) => sumSlice(reader, slice, query))) {
      add(tallies, tally);
      merge(total, tally);
    }
    await new Promise(setImmediate);
  }
  const tagAt = by.indexOf('tag');
  const groups: UsageGroup[] = [];
  for (const tally of (tagAt === -1 ? tallies : splitTags(tallies, tagAt)).values()) {
    groups.push(toGroup(tally, by));
    if (groups.length % SMALL_SLICE_ROWS === 0) await new Promise(setImmediate);
  }
  if (by.length === 1) groups.sort(by[0] === 'day' ? byName : byCost);
  return { groups, total: toTotals(total.sums) };
}

function sumSlice({ database }: LedgerReader, slice: Slice, { filter, by }: UsageQuery): Tally[] {
  const conditions = toConditions(filter);
  const names = by.map(toName);
  // SQLite takes bare columns from the row that has the maximum: this is the label of the last row.
  const records = database
    .prepare<Value[], Value[]>(
      `SELECT ${names.map(({ sql }) => sql).join(', ')}, max(sequence), key_label, ${SUMS} FROM ledger ${slice.index}
       WHERE ${slice.sql}${conditions.sql} GROUP BY ${names.map((_, index) => index + 1).join(', ')}`,
    )
    .raw()
    .all(...names.flatMap(({ values }) => values), ...slice.values, ...conditions.values) as Value[][];
  return records.map((record) => ({
    names: record.slice(0, by.length),
    lastSequence: Number(record[by.length]),
    label: record[by.length + 1] as string | null,
    sums: record.slice(by.length + 2) as (number | null)[],
  }));
}

function toName(by: UsageGrouping): { readonly sql: string; readonly values: readonly Value[] } {
  if (!isOneTag(by)) return { sql: NAMES[by], values: [] };
  return { sql: '(SELECT value FROM json_each(tags) WHERE key = ?)', values: [by.slice('tag:'.length)] };
}

function isOneTag(by: UsageGrouping): by is `tag:${string}` {
  return by.startsWith('tag:');
}

interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * Over much of the ledger, a hundred thousand keys are summed in the order of their index, which holds all that is
 * asked.
 */
function mayWalkByKey({ filter, by }: UsageQuery, { first, last }: Range): boolean {
  const needsMore = [filter.keyIds, filter.id, filter.model, filter.operation, filter.tags].some(
    (condition) => condition !== undefined,
  );
  return by.join() === 'key' && !needsMore && last - first > 4 * SLICE_ROWS;
}

function* sliceBySequence({ first, last }: Range, { filter, by }: UsageQuery): Generator<Slice> {
  const index = filter.keyIds === undefined && filter.id === undefined ? 'NOT INDEXED' : '';
  const rows = by.length > 1 || filter.tags !== undefined || by.some(isOneTag) ? SMALL_SLICE_ROWS : SLICE_ROWS;
  for (let from = first; from <= last; from += rows) {
    yield { index, sql: 'sequence BETWEEN ? AND ?', values: [from, Math.min(from + rows - 1, last)] };
  }
}

/**
 * Along the index of keys. A key of many rows is in several slices. Each slice is of one key, or of whole keys: a row
 * value, `(key_id, sequence) > (?, ?)`, would bound the index by the key alone, and walk a large one from its start.
 */
async function* sliceByKey(read: Read, last: number): AsyncGenerator<Slice> {
  const index = 'INDEXED BY ledger_key';
  const slice = (sql: string, ...values: Value[]): Slice => ({ index, sql, values });
  const findEnd = (sql: string, ...values: Value[]): Promise<[string, number] | undefined> => {
    const text = `SELECT key_id, sequence FROM ledger ${index} WHERE ${sql} ORDER BY key_id, sequence
      LIMIT 1 OFFSET ${SLICE_ROWS - 1}`;
    return read(({ database }) =>
      database
        .prepare<Value[], [string, number]>(text)
        .raw()
        .get(...values),
    );
  };
  // One end of a range, not two: SQLite would look for the first one it is given, and walk to that.
  const partOfKey = 'key_id = ? AND sequence > ? AND sequence <= ?';
  for (let [key, after] = ['', 0]; ;) {
    const end = await findEnd(partOfKey, key, after, last);
    yield slice(partOfKey, key, after, end?.[1] ?? last);
    if (end !== undefined) {
      after = end[1];
      continue;
    }
    const next = await findEnd('key_id > ?', key);
    if (next === undefined) return yield slice('key_id > ? AND sequence <= ?', key, last);
    yield slice('key_id > ? AND key_id < ? AND sequence <= ?', key, next[0], last);
    [key, after] = [next[0], 0];
  }
}

function add(tallies: Map<string, Tally>, tally: Tally): void {
  const id = JSON.stringify(tally.names);
  const before = tallies.get(id);
  if (before === undefined) tallies.set(id, { ...tally, sums: [...tally.sums] });
  else merge(before, tally);
}

function merge(before: Tally, tally: Tally): void {
  if (tally.lastSequence > before.lastSequence) {
    before.lastSequence = tally.lastSequence;
    before.label = tally.label;
  }
  for (const [index, sum] of tally.sums.entries()) {
    if (sum !== null) before.sums[index] = (before.sums[index] ?? 0) + sum;
  }
}

/** A row counts under each of its tags, which are the name at `at`. */
function splitTags(tallies: ReadonlyMap<string, Tally>, at: number): Map<string, Tally> {
  const split = new Map<string, Tally>();
  for (const tally of tallies.values()) {
    const tags = tally.names[at];
    if (typeof tags !== 'string') add(split, tally);
    else {
      for (const [tag, value] of Object.entries(JSON.parse(tags))) {
        add(split, { ...tally, names: tally.names.with(at, `${tag}=${value}`) });
      }
    }
  }
  return split;
}

function toGroup({ names, label, sums }: Tally, by: readonly UsageGrouping[]): UsageGroup {
  return {
    names: names.map((name, index) => showName(name, by[index] ?? 'key')),
    label: by.length === 1 && by[0] === 'key' ? (label ?? undefined) : undefined,
    ...toTotals(sums),
  };
}

function showName(name: Value, by: UsageGrouping): string | undefined {
  if (name === null || (name === '' && !isOneTag(by))) return undefined;
  return by === 'day' ? new Date(Number(name) * DAY_MS).toISOString().slice(0, 10) : String(name);
}

function toTotals(sums: readonly (number | null)[]): UsageTotals {
  return {
    requests: sums[0] ?? 0,
    errors: sums[1] ?? 0,
    unpriced: sums[2] ?? 0,
    partial: sums[3] ?? 0,
    inputTokens: sums[4] ?? undefined,
    outputTokens: sums[5] ?? undefined,
    cacheReadTokens: sums[6] ?? undefined,
    cacheWriteTokens: sums[7] ?? undefined,
    costNanoUsd: sums[8] ?? 0,
    estimatedNanoUsd: sums[9] ?? 0,
  };
}

function byName(a: UsageGroup, b: UsageGroup): number {
  return (a.names[0] ?? '') < (b.names[0] ?? '') ? -1 : 1;
}

function byCost(a: UsageGroup, b: UsageGroup): number {
  return (
    b.costNanoUsd - a.costNanoUsd || b.estimatedNanoUsd - a.estimatedNanoUsd || b.requests - a.requests || byName(a, b)
  );
}
