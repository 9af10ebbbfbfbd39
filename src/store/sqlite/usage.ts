/**
 * What the rows of the ledger add up to, by group. Works through the ledger in slices and lets the program do other
 * things between two of them: a report over a million rows must not hold up a stream. Only reads.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { findSequences, type LedgerReader, toConditions } from './ledger.ts';
import { type KeyTotalReader, readKeyTotals } from './key-totals.ts';
import { type GroupRecord, type SummedValue, Tallies, unpackGroups } from './tallies.ts';
import type { UsageGroup, UsageGrouping, UsageQuery, UsageSums, UsageTotals } from '../../domain/ledger.ts';

/** Rows of one slice: some ten milliseconds. */
const SLICE_ROWS = 25_000;
/** The same if a group has several names, or tags are looked into. */
const SMALL_SLICE_ROWS = 5_000;
/** So many rows are summed in their order; of more, those of each key one after the other. */
const MAX_ROWS_BESIDE = 4 * SLICE_ROWS;
const DAY_MS = 86_400_000;

/** Runs a piece of work on the database as it is then. */
type Read = <T>(work: (reader: ReportReader) => T) => Promise<T>;

/** What a report needs of a connection. */
export type ReportReader = LedgerReader & KeyTotalReader;

/**
 * In the order of `toTotals`. A filter keeps most rows from being summed at all, which is cheaper than to sum 0. A
 * row whose charge is its cost, as of nearly all, is told by one comparison.
 */
const SUMS = `sum(requests), sum(requests) FILTER (WHERE status IS NULL OR status >= 400),
  sum(requests) FILTER (WHERE pricing = 'unpriced'), sum(requests) FILTER (WHERE partial), sum(input_tokens),
  sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(cost_nano),
  sum(charged_nano - coalesce(cost_nano, 0))
    FILTER (WHERE charged_nano IS NOT cost_nano AND charged_nano > coalesce(cost_nano, 0))`;

/** What rows are counted under while they are read. */
const NAMES: Readonly<Record<Exclude<UsageGrouping, `tag:${string}`>, string>> = {
  key: 'key_id',
  principal: 'principal',
  model: 'model',
  day: `started_at_ms / ${DAY_MS}`,
  operation: 'operation',
  region: 'region',
  upstream: 'upstream',
  // AWS's default is the tier of what asks for none; OpenAI's and Anthropic's word for it is another one.
  tier: `CASE WHEN coalesce(service_tier, 'standard') <> 'standard' THEN service_tier
    WHEN service_tier IS NOT NULL OR pricing <> 'free' THEN 'default' END`,
  source: 'price_source',
  client: 'user_agent',
  session: 'session',
  agent: 'agent',
  // All tags of a row together: they are split at the end, once for each combination.
  tag: 'tags',
};

/** A part of the ledger: a condition, and how SQLite is to find its rows. */
interface Slice {
  readonly index: string;
  readonly sql: string;
  readonly values: readonly SummedValue[];
}

/** What rows add up to. `places`: of the groups, in the order in which they are told. */
export interface LedgerSums {
  readonly tallies: Tallies;
  readonly places: readonly number[];
  readonly total: UsageTotals;
}

/** Sums over the rows that the filter keeps; see `LedgerStore.sumUsage`. Rows that come while it runs are not in it. */
export async function sumUsage(read: Read, query: UsageQuery): Promise<UsageSums> {
  const { tallies, places, total } = await sumRows(read, query);
  const groups: UsageGroup[] = [];
  while (groups.length < places.length) {
    unpackGroups(tallies.pack(places.slice(groups.length, groups.length + SMALL_SLICE_ROWS)), groups);
    await nextTurn();
  }
  return { groups, total };
}

/** The same, before the groups are told. */
export async function sumRows(read: Read, query: UsageQuery): Promise<LedgerSums> {
  const { filter, by } = query;
  const range = await read((reader) => findSequences(reader, filter));
  const known = new Tallies(by);
  const knownUntil = mayBeginWithTotals(query)
    ? await read((reader) => readKeyTotals(reader, range.last - MAX_ROWS_BESIDE, (record) => known.begin(record)))
    : 0;
  const rest = { first: Math.max(range.first, knownUntil + 1), last: range.last };
  const slices = mayWalkByKey(query, rest) ? sliceByKey(read, rest.last) : sliceBySequence(rest, query);
  const found = new Tallies(by);
  for await (const slice of slices) {
    for (const record of await read((reader) => sumSlice(reader, slice, query))) found.add(record);
    await nextTurn();
  }
  const tallies = known.size === 0 ? found : known;
  if (tallies === known) known.addAll(found);
  const total = tallies.sumUp();
  const tagAt = by.indexOf('tag');
  const told = tagAt === -1 ? tallies : tallies.splitTags(tagAt);
  return { tallies: told, places: told.inOrder().slice(0, query.limit), total };
}

function sumSlice({ database }: LedgerReader, slice: Slice, { filter, by }: UsageQuery): GroupRecord[] {
  const conditions = toConditions(filter);
  const names = by.map(toName);
  // SQLite takes bare columns from the row that has the maximum: this is the label of the last row.
  return database
    .prepare<SummedValue[], GroupRecord>(
      `SELECT ${names.map(({ sql }) => sql).join(', ')}, max(sequence), key_label, ${SUMS} FROM ledger ${slice.index}
       WHERE ${slice.sql}${conditions.sql} GROUP BY ${names.map((_, index) => index + 1).join(', ')}`,
    )
    .raw()
    .all(...names.flatMap(({ values }) => values), ...slice.values, ...conditions.values);
}

function toName(by: UsageGrouping): { readonly sql: string; readonly values: readonly SummedValue[] } {
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

/** Whether all rows are asked for by key, as `key_totals` has the most of them. */
function mayBeginWithTotals({ filter, by }: UsageQuery): boolean {
  return by.join() === 'key' && Object.values(filter).every((condition) => condition === undefined);
}

/**
 * Over much of the ledger, a hundred thousand keys are summed in the order of their index, which holds all that is
 * asked.
 */
function mayWalkByKey({ filter, by }: UsageQuery, { first, last }: Range): boolean {
  const needsMore = [
    filter.keyIds,
    filter.principal,
    filter.id,
    filter.model,
    filter.operation,
    filter.session,
    filter.tags,
  ].some((condition) => condition !== undefined);
  return by.join() === 'key' && !needsMore && last - first > MAX_ROWS_BESIDE;
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
  const slice = (sql: string, ...values: SummedValue[]): Slice => ({ index, sql, values });
  const findEnd = (sql: string, ...values: SummedValue[]): Promise<[string, number] | undefined> => {
    const text = `SELECT key_id, sequence FROM ledger ${index} WHERE ${sql} ORDER BY key_id, sequence
      LIMIT 1 OFFSET ${SLICE_ROWS - 1}`;
    return read(({ database }) =>
      database
        .prepare<SummedValue[], [string, number]>(text)
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
