/** The ledger in PostgreSQL: read in pages, pruned, and added up. */
import { createHash } from 'node:crypto';
import type { LedgerEntry, LedgerFilter, UsageQuery, UsageSums } from '../../domain/ledger.ts';
import { rowFromSql, type SqlValue } from '../../domain/ledger-columns.ts';
import type { Database, SqlStatement } from './database.ts';
import { BoundValues, toLedgerConditions, toTimes } from './ledger-filter.ts';
import { PostgresUsage } from './usage.ts';

/** How often partitions for times to come are looked for. */
const PARTITIONS_INTERVAL_MS = 3_600_000;

/** Rows of the first slice that is looked through, and at most: less than a second. */
const FIRST_SLICE_ROWS = 50_000;
const SLICE_ROWS = 800_000;

const STATEMENTS = {
  ends: { name: 'ledger_ends', text: 'SELECT min(sequence) AS first, max(sequence) AS last FROM bedrock_proxy.ledger' },
  // A clock that is ahead deletes nothing too early.
  prune: {
    name: 'prune_ledger',
    text: `SELECT bedrock_proxy.prune_ledger(
        $1::bigint - greatest(0, coalesce($3::bigint - bedrock_proxy.now_ms(), 0)), $2::bigint) AS count`,
  },
  makePartitions: { name: 'make_partitions', text: 'SELECT bedrock_proxy.make_partitions()' },
  // Without what deleted rows have left in the files.
  sizeBytes: {
    name: 'size_bytes',
    text: `SELECT coalesce(sum(pg_total_relation_size(c.oid) * CASE WHEN s.dead = 0 THEN 1
          ELSE s.live::numeric / (s.live + s.dead) END), 0)::bigint AS bytes
      FROM pg_class c, LATERAL (SELECT greatest(pg_stat_get_live_tuples(c.oid), 0) AS live,
        greatest(pg_stat_get_dead_tuples(c.oid), 0) AS dead) AS s
      WHERE c.relnamespace = to_regnamespace('bedrock_proxy') AND c.relkind = 'r'`,
  },
} as const satisfies Record<string, SqlStatement>;

/** Both ends included. */
interface SequenceRange {
  readonly first: number;
  readonly last: number;
}

/** A row of the ledger as the database gives it. */
type LedgerRecord = Readonly<Record<string, SqlValue>> & { readonly sequence: number };

/** The ledger: each method is one of `LedgerStore`. */
export class PostgresLedger {
  readonly #database: Database;
  readonly #usage: PostgresUsage;
  #partitionsMadeAtMs = Number.NEGATIVE_INFINITY;

  constructor(database: Database) {
    this.#database = database;
    this.#usage = new PostgresUsage(database);
  }

  read(
    filter: LedgerFilter,
    { after, limit }: { readonly after: number; readonly limit: number },
  ): Promise<LedgerEntry[]> {
    return this.#readPage(filter, { first: after + 1, last: Number.MAX_SAFE_INTEGER }, 'ASC', limit);
  }

  readBackwards(
    filter: LedgerFilter,
    { before, limit }: { readonly before?: number | undefined; readonly limit: number },
  ): Promise<LedgerEntry[]> {
    return this.#readPage(filter, { first: 0, last: (before ?? Number.MAX_SAFE_INTEGER) - 1 }, 'DESC', limit);
  }

  sumUsage(query: UsageQuery): Promise<UsageSums> {
    return this.#usage.sum(query);
  }

  async prune(beforeMs: number, maxRows: number, nowMs?: number): Promise<number> {
    const values = [beforeMs, maxRows, nowMs ?? null];
    const [pruned] = await this.#database.query<{ count: number }>(STATEMENTS.prune, values);
    return pruned?.count ?? 0;
  }

  prepareReports(maxRows: number): Promise<number> {
    return this.#usage.sumUp(maxRows);
  }

  /** Sees to it, now and then, that there are partitions for the weeks to come. */
  async makePartitions(nowMs: number): Promise<void> {
    if (Math.abs(nowMs - this.#partitionsMadeAtMs) < PARTITIONS_INTERVAL_MS) return;
    this.#partitionsMadeAtMs = nowMs;
    // Without them, rows go to the partition of all other times, and move later.
    await this.#database.query(STATEMENTS.makePartitions).catch(() => {});
  }

  async findSizeBytes(): Promise<number> {
    const [size] = await this.#database.query<{ bytes: number }>(STATEMENTS.sizeBytes);
    return size?.bytes ?? 0;
  }

  /** Rows that no index finds are looked for in slices: of few in ten million, one statement would take too long. */
  async #readPage(
    filter: LedgerFilter,
    page: SequenceRange,
    order: 'ASC' | 'DESC',
    limit: number,
  ): Promise<LedgerEntry[]> {
    if (isFoundAtOnce(filter)) return this.#readSlice(filter, page, order, limit);
    const [ends] = await this.#database.query<{ first: number | null; last: number | null }>(STATEMENTS.ends);
    const entries: LedgerEntry[] = [];
    let first = Math.max(page.first, ends?.first ?? 1);
    let last = Math.min(page.last, ends?.last ?? 0);
    for (let rows = FIRST_SLICE_ROWS; first <= last && entries.length < limit; rows = Math.min(2 * rows, SLICE_ROWS)) {
      const slice =
        order === 'ASC'
          ? { first, last: Math.min(last, first + rows - 1) }
          : { first: Math.max(first, last - rows + 1), last };
      entries.push(...(await this.#readSlice(filter, slice, order, limit - entries.length)));
      if (order === 'ASC') first = slice.last + 1;
      else last = slice.first - 1;
    }
    return entries;
  }

  async #readSlice(
    filter: LedgerFilter,
    { first, last }: SequenceRange,
    order: 'ASC' | 'DESC',
    limit: number,
  ): Promise<LedgerEntry[]> {
    const bound = new BoundValues();
    const slice = `sequence BETWEEN ${bound.bind(first, 'bigint')} AND ${bound.bind(last, 'bigint')}`;
    const conditions = [slice, ...toLedgerConditions(filter, bound), ...toTimes(filter, bound)].join(' AND ');
    const text = `SELECT * FROM bedrock_proxy.ledger WHERE ${conditions}
      ORDER BY sequence ${order} LIMIT ${bound.bind(limit, 'bigint')}`;
    const records = await this.#database.query<LedgerRecord>({ name: nameOf(text), text }, bound.values);
    return records.map((record) => ({ sequence: record.sequence, ...rowFromSql(record) }));
  }
}

/** By an index, or because nothing but their time is asked of them. */
function isFoundAtOnce({ id, sinceMs: _since, untilMs: _until, ...conditions }: LedgerFilter): boolean {
  return id !== undefined || Object.values(conditions).every((condition) => condition === undefined);
}

/** One for each text: filters ask for a few dozen of them. */
function nameOf(text: string): string {
  return `ledger_page_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}
