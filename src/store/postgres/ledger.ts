/** The ledger in PostgreSQL: read in pages, pruned, and added up. */
import type { LedgerEntry, LedgerFilter, UsageQuery, UsageSums } from '../../domain/ledger.ts';
import type { Database } from './database.ts';

/** The ledger: each method is one of `LedgerStore`. */
export class PostgresLedger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  read(_filter: LedgerFilter, _page: { readonly after: number; readonly limit: number }): Promise<LedgerEntry[]> {
    return this.#todo();
  }

  readBackwards(
    _filter: LedgerFilter,
    _page: { readonly before?: number | undefined; readonly limit: number },
  ): Promise<LedgerEntry[]> {
    return this.#todo();
  }

  sumUsage(_query: UsageQuery): Promise<UsageSums> {
    return this.#todo();
  }

  prune(_beforeMs: number, _maxRows: number): Promise<number> {
    return this.#todo();
  }

  prepareReports(_maxRows: number): Promise<number> {
    return Promise.resolve(0);
  }

  findSizeBytes(): Promise<number> {
    return this.#todo();
  }

  #todo(): Promise<never> {
    return Promise.reject(new Error(`ledger: to be done in ${this.#database.shownUrl}`));
  }
}
