/**
 * Keeps the ledger: one row per finished exchange, handed to the store before the turn of the event loop is over in
 * which the exchange ended, together with the others that end in it: a transaction costs more than a row. Where the
 * store cannot take a row, it waits here and is tried again: a request never fails, and never waits, for its row. The
 * chores of the ledger (keeping reservations alive, pruning) are in `ledger-chores.ts`.
 */
import { ProxyError, toProxyError } from '../lib/errors.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import type { LedgerRow } from '../domain/ledger.ts';
import type { Store } from '../domain/store.ts';
import { startLedgerMaintenance } from './maintenance.ts';
import { rowOf } from './ledger-row.ts';

/** Rows that may wait for the store: some 10 MB. */
const MAX_WAITING = 10_000;
/** Turns whose rows may be with the store at once: a busy one asks its database again for each of them. */
const MAX_ATTEMPTS_AT_ONCE = 64;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
/**
 * A row that failed this often lets others pass; if they get through and it still does not, the row is what is wrong.
 */
const TIMEOUT_OF_ONE = 5;
/** How long the end waits for rows that wait. */
const CLOSE_TIMEOUT_MS = 3_000;

/** What a ledger writes to, and how long it keeps its rows. */
export interface LedgerOptions {
  readonly store: Pick<Store, 'settle' | 'settleAll' | 'renewLeases' | 'settleLost' | 'pruneLedger'>;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
  /**
   * Told when rows begin to wait, when they begin to be lost, and how many were: never once per row. Must not throw.
   */
  readonly onProblem: (error: ProxyError) => void;
  /** Rows older than this are deleted; undefined keeps them all. */
  readonly retentionMs: number | undefined;
}

/** Writes one row per finished request, and settles what was reserved for it. */
export interface Ledger {
  /**
   * Writes the row of a finished exchange and settles its reservation, before this turn of the event loop is over; then
   * tells `onWritten`, also where the store did not take the row and it waits. Called once per exchange. An exchange
   * without a principal has no row. Never throws.
   */
  settle(record: RequestRecord, onWritten?: () => void): void;
  /** Ends the chores and writes what waits, for at most a few seconds. The store stays open. */
  close(): Promise<void>;
}

/** Opens the ledger of a store and starts its chores. Whoever opens it closes it, before the store. */
export function createLedger(options: LedgerOptions): Ledger {
  const stopMaintenance = startLedgerMaintenance(options);
  const writer = new LedgerWriter(options);
  return {
    settle: (record, onWritten = () => {}) => {
      if (record.principal === undefined) onWritten();
      else writer.write(rowOf(record, record.principal), onWritten);
    },
    close: async () => {
      stopMaintenance();
      await writer.close();
    },
  };
}

interface WaitingRow {
  readonly row: LedgerRow;
  attempts: number;
  /** How many rows had been written when this one began to wait. */
  readonly writtenBefore: number;
}

class LedgerWriter {
  readonly #store: LedgerOptions['store'];
  readonly #onProblem: LedgerOptions['onProblem'];
  readonly #firstAttempts = new Set<Promise<void>>();
  /** Rows of those attempts that neither are written nor wait. */
  #rowsUnderWay = 0;
  #nextAttempts: Promise<void> | undefined;
  /** What has ended in this turn of the event loop. */
  #turn: { readonly row: LedgerRow; readonly onWritten: () => void }[] = [];
  #waiting: WaitingRow[] = [];
  #written = 0;
  #lost = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;
  /** Set from the first failure until a row gets through: what is wrong is told once. */
  #isTroubled = false;
  #isClosing = false;

  constructor({ store, onProblem }: LedgerOptions) {
    this.#store = store;
    this.#onProblem = onProblem;
  }

  write(row: LedgerRow, onWritten: () => void): void {
    if (this.#turn.length === 0) setImmediate(() => this.#endTurn());
    this.#turn.push({ row, onWritten });
  }

  #endTurn(): void {
    const ended = this.#turn;
    this.#turn = [];
    const rows = ended.map(({ row }) => ({ row, attempts: 0, writtenBefore: this.#written }));
    // Behind others that wait: the store is not to be asked for every row while it cannot answer.
    if (this.#waiting.length > 0 || this.#firstAttempts.size >= MAX_ATTEMPTS_AT_ONCE) {
      for (const row of rows) this.#wait(row);
    } else if (rows.length > 0) {
      this.#rowsUnderWay += rows.length;
      const attempt = this.#attemptFirst(rows).finally(() => this.#firstAttempts.delete(attempt));
      this.#firstAttempts.add(attempt);
    }
    for (const { onWritten } of ended) onWritten();
  }

  async close(): Promise<void> {
    this.#endTurn();
    this.#isClosing = true;
    clearTimeout(this.#timer);
    let isOver = false;
    const end = startTimer(CLOSE_TIMEOUT_MS);
    await Promise.race([this.#writeOut(() => isOver), end.done]);
    isOver = true;
    end.clear();
    this.#lost += this.#waiting.length + this.#rowsUnderWay;
    this.#waiting = [];
    if (this.#lost > 0) this.#onProblem(rowsLost(this.#lost));
  }

  async #writeOut(isOver: () => boolean): Promise<void> {
    while (!isOver() && this.#firstAttempts.size + this.#waiting.length > 0) {
      await Promise.all([this.#nextAttempts, ...this.#firstAttempts]);
      if (!(await this.#writeWaiting())) await startTimer(FIRST_PAUSE_MS).done;
    }
  }

  /**
   * One row that the store cannot take keeps none of the others from it: where all fail together, each is tried alone.
   */
  async #attemptFirst(fresh: readonly WaitingRow[]): Promise<void> {
    if (fresh.length > 1 && (await this.#attemptTogether(fresh))) return;
    for (const row of fresh) {
      const isWritten = this.#waiting.length === 0 && (await this.#attempt(row));
      this.#rowsUnderWay -= 1;
      if (!isWritten) this.#wait(row);
    }
  }

  async #attemptTogether(fresh: readonly WaitingRow[]): Promise<boolean> {
    try {
      await this.#store.settleAll(fresh.map(({ row }) => row));
      this.#rowsUnderWay -= fresh.length;
      this.#written += fresh.length;
      this.#isTroubled = false;
      return true;
    } catch {
      return false;
    }
  }

  #wait(row: WaitingRow): void {
    if (this.#waiting.length >= MAX_WAITING) return this.#lose();
    this.#waiting.push(row);
    if (!this.#isClosing) this.#schedule();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#nextAttempts = this.#attemptNext();
    }, this.#pauseMs).unref();
  }

  async #attemptNext(): Promise<void> {
    const isAll = await this.#writeWaiting();
    this.#timer = undefined;
    this.#pauseMs = isAll ? FIRST_PAUSE_MS : Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    if (this.#waiting.length > 0 && !this.#isClosing) this.#schedule();
  }

  /** Writes waiting rows, oldest first, until one does not get through. True where all did. */
  async #writeWaiting(): Promise<boolean> {
    for (let oldest = this.#waiting[0]; oldest !== undefined; oldest = this.#waiting[0]) {
      const isWritten = await this.#attempt(oldest);
      if (isWritten) this.#waiting.shift();
      else if (oldest.attempts < TIMEOUT_OF_ONE) return false;
      else {
        this.#waiting.shift();
        if (this.#written > oldest.writtenBefore) this.#lose();
        else this.#waiting.push(oldest);
        return false;
      }
    }
    return true;
  }

  /** Never rejects. */
  async #attempt(waiting: WaitingRow): Promise<boolean> {
    waiting.attempts += 1;
    try {
      await this.#store.settle(waiting.row);
      this.#written += 1;
      this.#isTroubled = false;
      return true;
    } catch (thrown) {
      if (!this.#isTroubled) this.#onProblem(toProxyError(thrown));
      this.#isTroubled = true;
      return false;
    }
  }

  #lose(): void {
    this.#lost += 1;
    if (this.#lost === 1) this.#onProblem(rowsLost(undefined));
  }
}

function rowsLost(count: number | undefined): ProxyError {
  const what = count === undefined ? 'The ledger loses rows' : `The ledger has lost ${count} rows`;
  return new ProxyError('ERR_STORE_UNAVAILABLE', `${what}: the store does not take them.`, {
    hint: 'What is missing is not in `bedrock-proxy usage`; check the disk and the database.',
  });
}

function startTimer(ms: number): { readonly done: Promise<void>; readonly clear: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const done = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  return { done, clear: () => clearTimeout(timer) };
}
