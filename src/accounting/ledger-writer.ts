/**
 * Keeps the ledger: one row per finished request, handed to the store before the turn of the event loop is over in
 * which the request ended, together with the others that end in it: a transaction costs more than a row. If the store
 * is busy or cannot take a row, the row waits here and is tried again: a request never fails, and never waits, for its
 * row. What else the ledger needs (leases renewed, old rows pruned) is in `maintenance.ts`.
 */
import type { MonotonicClock, WallClock } from '../lib/clock.ts';
import { within } from '../lib/deadline.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import type { LedgerRow } from '../domain/ledger.ts';
import type { Store } from '../domain/store.ts';
import { Deferred } from './deferred.ts';
import { startLedgerMaintenance } from './maintenance.ts';
import { Refusals } from './refusals.ts';
import { rowOf } from '../domain/ledger-row.ts';

/** Rows that may wait for the store: some 10 MB. */
const MAX_WAITING = 10_000;
/** Rows of one transaction: some ten milliseconds. */
const MAX_TOGETHER = 500;
/** A database of this size has some 25 million requests. */
const MAX_STORE_BYTES = 8 * 1024 ** 3;
/** The part of it below which a full one counts as having room again. */
const ROOM_AGAIN = 0.98;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
/**
 * A row that failed this often lets others pass; if they get through and it still does not, the row is what is wrong.
 */
const MAX_ATTEMPTS_IN_FRONT = 5;
/** A store that has rows for so long without a word counts as failing: a thread may wait for a disk for ever. */
const STUCK_MS = 5_000;
/** How long the end waits for rows that wait. */
const CLOSE_TIMEOUT_MS = 3_000;

/** What a ledger writes to, and how long it keeps its rows. */
export interface LedgerOptions {
  readonly store: Pick<
    Store,
    'settleAll' | 'renewLeases' | 'settleLost' | 'pruneLedger' | 'prepareReports' | 'findSizeBytes' | 'readHealth'
  >;
  /** Epoch milliseconds. */
  readonly nowMs: WallClock;
  readonly tickMs: MonotonicClock;
  /**
   * Told when rows begin to wait, when they begin to be lost, and how many were: never once per row. Must not throw.
   */
  readonly onProblem: (error: ProxyError) => void;
  /** Rows older than this are deleted; undefined keeps them all. */
  readonly retentionMs: number | undefined;
  /** Beyond it, only rows are written for which money is reserved. */
  readonly maxStoreBytes?: number | undefined;
}

/**
 * How far a request came: `refused` before it was admitted, `admitted`, or `reserved` if money was set aside for it as
 * well.
 */
export type SettledStage = 'refused' | 'admitted' | 'reserved';

/** How the writing goes: for whoever watches the proxy. */
export interface LedgerState {
  /** Rows that wait for the store, those that are being written among them. */
  readonly waitingRows: number;
  /** Since the start; those that a full database has no room for are among them, and those that it refused for good. */
  readonly lostRows: number;
  /** For how long the store has taken no row; undefined if it takes them, or has none to take. */
  readonly failingForMs: number | undefined;
  /** Rows that wait in files until a shared database is back; undefined if it is not shared. */
  readonly spilledRows?: number | undefined;
}

/** Writes one row per finished request, and settles what was reserved for it. */
export interface Ledger {
  /**
   * Writes the row of a finished request and settles its reservation, before this turn of the event loop is over if the
   * store is free; then tells `onWritten`, also if the row has to wait. Called once per request, and again if money was
   * reserved for it after all. A request without a principal has no row, and of many refused ones several have one row
   * together, ten seconds later. Never throws.
   */
  settle(record: RequestRecord, stage: SettledStage, onWritten?: () => void): void;
  /**
   * For a row that lacks one thing: calls `settle` when `work` has ended, or after some seconds; see `deferred.ts`.
   * `settle` must not throw.
   */
  defer(work: Promise<unknown>, settle: () => void): void;
  /** Settles what is deferred, within two seconds. To be called before that ends on which the work relies. */
  endDeferred(): Promise<void>;
  readState(): LedgerState;
  /** Ends the maintenance and writes what waits, for at most a few seconds. The store stays open. */
  close(): Promise<void>;
}

/** Opens the ledger of a store and starts its maintenance. Whoever opens it closes it, before the store. */
export function createLedger(options: LedgerOptions): Ledger {
  const { maxStoreBytes = MAX_STORE_BYTES, store } = options;
  const writer = new LedgerWriter(options);
  const stopMaintenance = startLedgerMaintenance(options, async () => {
    writer.noteSize((await store.findSizeBytes()) / maxStoreBytes);
  });
  const refusals = new Refusals((row) => writer.write(row, 'refused', () => {}));
  const deferred = new Deferred();
  return {
    settle: (record, stage, onWritten = () => {}) => {
      const all = record.principal && rowOf(record, record.principal);
      const row = all !== undefined && stage === 'refused' ? refusals.add(all) : all;
      if (row === undefined) onWritten();
      else writer.write(row, stage, onWritten);
    },
    defer: (work, settle) => deferred.defer(work, settle),
    endDeferred: () => deferred.close(),
    readState: () => {
      const { shared } = store.readHealth();
      const state = writer.readState();
      if (shared === undefined) return state;
      const { spilledRows, refusedRows } = shared;
      return { ...state, lostRows: state.lostRows + refusedRows, spilledRows };
    },
    close: async () => {
      await deferred.close();
      stopMaintenance();
      refusals.flush();
      await writer.close();
    },
  };
}

interface WaitingRow {
  readonly row: LedgerRow;
  /** Those in which it was alone. */
  attempts: number;
  /** How many rows had been written when this one began to wait. */
  readonly writtenBefore: number;
}

/**
 * A bounded queue of rows, and one transaction at a time that writes its front.
 *
 * - idle: the queue is empty. The end of a turn with rows begins to write.
 * - writing: the front is with the store, and stays in the queue until the store has it. Others wait behind it.
 * - pausing: the store did not take the first row. After a while it is asked for that row alone: writing again.
 * - closing: no pause is long any more, until the queue is empty or the time of the end is over: closed.
 */
class LedgerWriter {
  readonly #store: LedgerOptions['store'];
  readonly #onProblem: LedgerOptions['onProblem'];
  readonly #tickMs: MonotonicClock;
  /** What has ended in this turn of the event loop. */
  #turn: { readonly row: LedgerRow; readonly onWritten: () => void }[] = [];
  readonly #queue: WaitingRow[] = [];
  #state: 'open' | 'closing' | 'closed' = 'open';
  /** Set while it is not idle. */
  #writing: Promise<void> | undefined;
  #endPause = (): void => {};
  #written = 0;
  /** The store has all that it may have: money is settled, and nothing else is kept. */
  #isFull = false;
  #leftOut = 0;
  #lost = 0;
  /** The time of the first failure, until a row gets through: what is wrong is told once. */
  #failingSinceTick: number | undefined;
  /** Set while rows are with the store. */
  #attemptedAtTick: number | undefined;

  constructor({ store, onProblem, tickMs }: LedgerOptions) {
    this.#store = store;
    this.#onProblem = onProblem;
    this.#tickMs = tickMs;
  }

  readState(): LedgerState {
    const nowTick = this.#tickMs();
    const isStuck = this.#attemptedAtTick !== undefined && nowTick - this.#attemptedAtTick >= STUCK_MS;
    const sinceTick = this.#failingSinceTick ?? (isStuck ? this.#attemptedAtTick : undefined);
    return {
      waitingRows: this.#queue.length,
      lostRows: this.#lost + this.#leftOut,
      failingForMs: sinceTick === undefined ? undefined : nowTick - sinceTick,
    };
  }

  /** `used`: the part of its room that the store has taken. */
  noteSize(used: number): void {
    if (used >= 1 && !this.#isFull) this.#onProblem(storeFull());
    this.#isFull = used >= (this.#isFull ? ROOM_AGAIN : 1);
  }

  write(row: LedgerRow, stage: SettledStage, onWritten: () => void): void {
    if (this.#isFull && stage !== 'reserved') {
      this.#leftOut += row.requests;
      return onWritten();
    }
    if (this.#turn.length === 0) setImmediate(() => this.#endTurn());
    this.#turn.push({ row, onWritten });
  }

  #endTurn(): void {
    const ended = this.#turn;
    this.#turn = [];
    for (const { row } of ended) {
      if (this.#queue.length < MAX_WAITING) this.#queue.push({ row, attempts: 0, writtenBefore: this.#written });
      else this.#lose();
    }
    if (this.#queue.length > 0) this.#writing ??= this.#writeQueue();
    for (const { onWritten } of ended) onWritten();
  }

  async close(): Promise<void> {
    this.#endTurn();
    this.#state = 'closing';
    this.#endPause();
    if (this.#writing !== undefined) await within(CLOSE_TIMEOUT_MS, this.#writing);
    this.#state = 'closed';
    this.#endPause();
    this.#lost += this.#queue.length;
    if (this.#lost > 0) this.#onProblem(rowsLost(this.#lost));
    if (this.#leftOut > 0) this.#onProblem(storeFull(this.#leftOut));
  }

  /** The first attempt is made at once. Never rejects. */
  async #writeQueue(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    /** So many rows at the front are tried alone: one that the store cannot take keeps none of the others from it. */
    let alone = 0;
    do {
      const rows = this.#queue.slice(0, alone > 0 ? 1 : MAX_TOGETHER);
      const failure = await this.#attempt(rows);
      if (failure === undefined) {
        this.#queue.splice(0, rows.length);
        alone = Math.max(0, alone - 1);
        pauseMs = FIRST_PAUSE_MS;
      } else if (rows.length > 1) alone = rows.length;
      else {
        alone = Math.max(1, alone);
        this.#noteFailure(failure);
        await this.#pause(this.#state === 'open' ? pauseMs : FIRST_PAUSE_MS);
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      }
    } while (this.#queue.length > 0 && this.#state !== 'closed');
    this.#writing = undefined;
  }

  async #attempt(rows: readonly WaitingRow[]): Promise<ProxyError | undefined> {
    this.#attemptedAtTick = this.#tickMs();
    try {
      await this.#store.settleAll(rows.map(({ row }) => row));
      this.#written += rows.length;
      this.#failingSinceTick = undefined;
      return undefined;
    } catch (thrown) {
      return toProxyError(thrown);
    } finally {
      this.#attemptedAtTick = undefined;
    }
  }

  /** The first row of the queue did not get through. */
  #noteFailure(failure: ProxyError): void {
    if (this.#failingSinceTick === undefined) this.#onProblem(failure);
    this.#failingSinceTick ??= this.#tickMs();
    const [first] = this.#queue;
    if (first === undefined || (first.attempts += 1) < MAX_ATTEMPTS_IN_FRONT) return;
    this.#queue.shift();
    if (this.#written > first.writtenBefore) this.#lose();
    else this.#queue.push(first);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#state === 'closed') return resolve();
      const timer = setTimeout(resolve, ms).unref();
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #lose(): void {
    this.#lost += 1;
    if (this.#lost === 1) this.#onProblem(rowsLost(undefined));
  }
}

function storeFull(leftOut?: number): ProxyError {
  const what = leftOut === undefined ? 'The ledger keeps no' : `The ledger did not keep ${leftOut}`;
  const why = 'the database has its full size';
  return new ProxyError('ERR_STORE_UNAVAILABLE', `${what} requests without a budget: ${why}.`, {
    hint: 'They are not in `bedrock-proxy usage`; budgets go on. Keep requests for less long (--ledger-days).',
  });
}

function rowsLost(count: number | undefined): ProxyError {
  const what = count === undefined ? 'The ledger loses rows' : `The ledger has lost ${count} rows`;
  return new ProxyError('ERR_STORE_UNAVAILABLE', `${what}: the store does not take them.`, {
    hint: 'What is missing is not in `bedrock-proxy usage`; check the disk and the database.',
  });
}
