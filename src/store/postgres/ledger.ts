/** The ledger in PostgreSQL: read in pages, pruned, and added up. */
import { createHash } from 'node:crypto';
import type { LedgerEntry, LedgerFilter, UsageQuery, UsageSums } from '../../domain/ledger.ts';
import { rowFromSql, type SqlValue } from '../../domain/ledger-columns.ts';
import type { Database, SqlStatement } from './database.ts';
import { BoundValues, toLedgerConditions, toTimes } from './ledger-filter.ts';

/** How often partitions for times to come are looked for. */
const PARTITIONS_INTERVAL_MS = 3_600_000;

const STATEMENTS = {
  prune: { name: 'prune_ledger', text: 'SELECT bedrock_proxy.prune_ledger($1::bigint, $2::bigint) AS count' },
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

/** A row of the ledger as the database gives it. */
type LedgerRecord = Readonly<Record<string, SqlValue>> & { readonly sequence: number };

/** The ledger: each method is one of `LedgerStore`. */
export class PostgresLedger {
  readonly #database: Database;
  #partitionsMadeAtMs = Number.NEGATIVE_INFINITY;

  constructor(database: Database) {
    this.#database = database;
  }

  read(
    filter: LedgerFilter,
    { after, limit }: { readonly after: number; readonly limit: number },
  ): Promise<LedgerEntry[]> {
    const bound = new BoundValues();
    const page = `sequence > ${bound.bind(after, 'bigint')}`;
    return this.#readPage(filter, bound, { page, order: 'ASC', limit });
  }

  readBackwards(
    filter: LedgerFilter,
    { before, limit }: { readonly before?: number | undefined; readonly limit: number },
  ): Promise<LedgerEntry[]> {
    const bound = new BoundValues();
    const page = `sequence < ${bound.bind(before ?? Number.MAX_SAFE_INTEGER, 'bigint')}`;
    return this.#readPage(filter, bound, { page, order: 'DESC', limit });
  }

  sumUsage(_query: UsageQuery): Promise<UsageSums> {
    return Promise.reject(new Error('sums: to be done'));
  }

  async prune(beforeMs: number, maxRows: number): Promise<number> {
    const [pruned] = await this.#database.query<{ count: number }>(STATEMENTS.prune, [beforeMs, maxRows]);
    return pruned?.count ?? 0;
  }

  prepareReports(_maxRows: number): Promise<number> {
    return Promise.resolve(0);
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

  async #readPage(
    filter: LedgerFilter,
    bound: BoundValues,
    { page, order, limit }: { readonly page: string; readonly order: 'ASC' | 'DESC'; readonly limit: number },
  ): Promise<LedgerEntry[]> {
    const conditions = [page, ...toLedgerConditions(filter, bound), ...toTimes(filter, bound)].join(' AND ');
    const text = `SELECT * FROM bedrock_proxy.ledger WHERE ${conditions}
      ORDER BY sequence ${order} LIMIT ${bound.bind(limit, 'bigint')}`;
    const records = await this.#database.query<LedgerRecord>({ name: nameOf(text), text }, bound.values);
    return records.map((record) => ({ sequence: record.sequence, ...rowFromSql(record) }));
  }
}

/** One for each text: filters ask for a few dozen of them. */
function nameOf(text: string): string {
  return `ledger_page_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}
