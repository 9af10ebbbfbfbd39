/** What keys spend, in PostgreSQL: money reserved before a request, charged after it. */
import type { KeySpend, NewReservation, ReserveOutcome } from '../../domain/budget.ts';
import type { VirtualKeyRow } from '../../domain/key.ts';
import type { LedgerRow } from '../../domain/ledger.ts';
import type { Database } from './database.ts';

/** Budgets: each method is one of `BudgetStore`. */
export class PostgresBudgets {
  readonly #database: Database;
  readonly #owner: string;

  constructor(database: Database, owner: string) {
    this.#database = database;
    this.#owner = owner;
  }

  findSpend(_rows: readonly Pick<VirtualKeyRow, 'id' | 'policy'>[], _nowMs: number): Promise<Map<string, KeySpend>> {
    return this.#todo();
  }

  reserve(_reservation: NewReservation): Promise<ReserveOutcome> {
    return this.#todo();
  }

  settleAll(_rows: readonly LedgerRow[]): Promise<void> {
    return this.#todo();
  }

  renewLeases(_nowMs: number): Promise<void> {
    return this.#todo();
  }

  settleLost(_nowMs: number): Promise<number> {
    return this.#todo();
  }

  /** Resolves when what was settled before is written, or failed. */
  async untilSettled(): Promise<void> {}

  async close(): Promise<void> {}

  #todo(): Promise<never> {
    return Promise.reject(new Error(`budgets: to be done in ${this.#database.shownUrl} by ${this.#owner}`));
  }
}
