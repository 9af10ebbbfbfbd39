/**
 * Takes the rows of the ledger that the database does not take, keeps them in files until it does, and hands them to it
 * then. Once by the id of the request, because settling a row again changes nothing: so a file is read from its
 * beginning by whoever finds it, however often.
 *
 * - direct: rows go to the database.
 * - away: the database did not take the last ones. All go to the file, and it is asked again after a pause.
 * - catching up: it takes them again. New rows go to it directly, if the file has no older state of the same request.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MACHINE_TICKS } from '../../lib/clock.ts';
import { within } from '../../lib/deadline.ts';
import { ProxyError, toProxyError } from '../../lib/errors.ts';
import type { LedgerRow } from '../../domain/ledger.ts';
import { IdFilter } from './id-filter.ts';
import { type SpilledRows, type SpillFile, SpillFolder, type SpillFolderOptions } from './spill-folder.ts';

/** The database has so long to take rows before they go to the file as well. */
const SETTLE_TIMEOUT_MS = 1_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** Rows of one transaction. */
const MAX_TOGETHER = 500;
/** A row that failed alone so often, while others got through, is what is wrong. */
const MAX_ATTEMPTS = 5;
/** How often files of processes that are gone are looked for. */
const ADOPT_INTERVAL_MS = 30_000;
const TOUCH_INTERVAL_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;

/** Who takes the rows, and where they wait. */
export interface SpillOptions extends SpillFolderOptions {
  /** All of them, or none; to be asked for the same rows again. */
  readonly settleAll: (rows: readonly LedgerRow[]) => Promise<void>;
  /** Told when rows begin to go to the file, and when one is put away for good: never once per row. Must not throw. */
  readonly onProblem: (error: ProxyError) => void;
  /** Told when all rows of files are in the database, or which of them wait at the end. Must not throw. */
  readonly tell: (message: string) => void;
  readonly settleTimeoutMs?: number | undefined;
  readonly longestPauseMs?: number | undefined;
}

/** How it goes: for whoever watches the proxy. */
export interface SpillState {
  /** Rows that wait in files. */
  readonly spilledRows: number;
  /** Rows that the database will never take, since the start; they are in a file apart. */
  readonly refusedRows: number;
  /** For how long the database has taken no rows; undefined if it took those that it was given last. */
  readonly awayForMs: number | undefined;
}

/** State: whether the database takes rows, and which of them wait. */
export class Spill {
  readonly #options: SpillOptions;
  readonly #folder: SpillFolder;
  /** The requests of which the files have a row. */
  readonly #spilledIds = new IdFilter();
  readonly #attempts = new Map<string, number>();
  readonly #timers: readonly NodeJS.Timeout[];
  #awaySinceTick: number | undefined;
  /** That rows wait was told. */
  #isTold = false;
  #isClosed = false;
  #appending = 0;
  #refused = 0;
  /** Rows that were taken out of files since it was last told. */
  #caughtUp = 0;
  /** Attempts that the database has not responded to: the same rows are not given to it again before it has. */
  #hanging: Promise<unknown> = Promise.resolve();
  /** Set while rows wait. */
  #draining: Promise<void> | undefined;
  #endPause = (): void => {};

  constructor(options: SpillOptions) {
    this.#options = options;
    this.#folder = new SpillFolder(options);
    this.#timers = [
      setInterval(() => void this.#adopt(), ADOPT_INTERVAL_MS).unref(),
      setInterval(() => void this.#folder.touch(), TOUCH_INTERVAL_MS).unref(),
    ];
    void this.#adopt();
  }

  /** Once it resolves, the database or a file has the rows. Throws ERR_STORE_UNAVAILABLE if neither takes them. */
  async settleAll(rows: readonly LedgerRow[]): Promise<void> {
    if (rows.length === 0) return;
    const isKnown = rows.some(({ id }) => this.#spilledIds.mayHave(id));
    if (this.#awaySinceTick !== undefined || isKnown) return this.#spill(rows);
    const settled = this.#options.settleAll(rows);
    const { settleTimeoutMs = SETTLE_TIMEOUT_MS } = this.#options;
    const failure = await within(settleTimeoutMs, findFailure(settled)).then((found) => found ?? tookTooLong());
    if (failure === 'none') return;
    this.#hanging = Promise.allSettled([this.#hanging, settled]);
    this.#awaySinceTick ??= MACHINE_TICKS();
    await this.#spill(rows);
    if (!this.#isTold) this.#options.onProblem(spilling(failure, this.#folder.path));
    this.#isTold = true;
  }

  readState(): SpillState {
    const awayForMs = this.#awaySinceTick === undefined ? undefined : MACHINE_TICKS() - this.#awaySinceTick;
    return { spilledRows: this.#folder.rows, refusedRows: this.#refused, awayForMs };
  }

  /** Hands over what waits if the database takes it within a moment; the rest stays in its files. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#isClosed = true;
    this.#endPause();
    if (this.#draining !== undefined) await within(CLOSE_TIMEOUT_MS, this.#draining);
    await this.#folder.close();
    const { rows, path } = this.#folder;
    if (rows > 0) {
      const words = rows === 1 ? '1 row of the ledger waits' : `${rows} rows of the ledger wait`;
      this.#options.tell(`${words} for the database in ${path}; the next start takes them in.`);
    }
  }

  async #spill(rows: readonly LedgerRow[]): Promise<void> {
    for (const { id } of rows) this.#spilledIds.add(id);
    this.#appending += 1;
    try {
      await this.#folder.append(rows);
    } catch (error) {
      throw notKept(this.#folder.path, error);
    } finally {
      this.#appending -= 1;
      this.#startDraining();
    }
  }

  async #adopt(): Promise<void> {
    // A folder that cannot be read is told of when rows are to be written there.
    const rows = await this.#folder.adopt(this.#options.nowMs()).catch(() => 0);
    if (rows > 0) this.#startDraining();
  }

  #startDraining(): void {
    if (this.#isClosed) return;
    this.#draining ??= this.#drain();
  }

  /** Never rejects. */
  async #drain(): Promise<void> {
    const { longestPauseMs = LONGEST_PAUSE_MS } = this.#options;
    let pauseMs = this.#awaySinceTick === undefined ? 0 : FIRST_PAUSE_MS;
    do {
      if (pauseMs > 0) await this.#pause(pauseMs);
      else await nextTurn();
      await this.#hanging;
      const taken = await this.#round().catch(() => 'none' as const);
      if (taken !== 'none') this.#awaySinceTick = undefined;
      else this.#awaySinceTick ??= MACHINE_TICKS();
      if (taken === 'none' && this.#isClosed) return;
      pauseMs = taken === 'all' ? 0 : Math.min(Math.max(FIRST_PAUSE_MS, pauseMs * 2), longestPauseMs);
    } while (this.#folder.rows > 0 || this.#appending > 0);
    // In the same turn as it was found empty: nobody can have added a row.
    this.#draining = undefined;
    this.#spilledIds.clear();
    this.#isTold = false;
    const taken = this.#caughtUp;
    this.#caughtUp = 0;
    const words = taken === 1 ? '1 row of the ledger that waited is' : `${taken} rows of the ledger that waited are`;
    if (taken > 0) this.#options.tell(`${words} in the database now.`);
  }

  /** Hands the oldest rows over, and says how many of them the database took. */
  async #round(): Promise<'all' | 'some' | 'none'> {
    const files = await this.#folder.oldest(MAX_TOGETHER);
    if (files.length === 0) return 'all';
    const read: (SpilledRows & { readonly file: SpillFile })[] = [];
    for (const file of files) read.push({ file, ...(await this.#folder.read(file)) });
    const left = await this.#settle(read.flatMap(({ rows }) => rows));
    if (left === undefined) return 'none';
    await this.#putAway(read.flatMap(({ damaged }) => damaged));
    for (const { file, rows } of read) {
      const kept = rows.filter((row) => left.has(row));
      this.#caughtUp += rows.length - kept.length;
      await this.#folder.keep(file, kept);
    }
    // They are tried again, but not at once.
    return left.size === 0 ? 'all' : 'some';
  }

  /** Those that it did not take; undefined if it took none. */
  async #settle(rows: readonly LedgerRow[]): Promise<ReadonlySet<LedgerRow> | undefined> {
    const left = new Set<LedgerRow>();
    let isAnyTaken = false;
    for (let first = 0; first < rows.length; first += MAX_TOGETHER) {
      const batch = rows.slice(first, first + MAX_TOGETHER);
      const failure = await findFailure(this.#options.settleAll(batch));
      if (failure === 'none') isAnyTaken = true;
      else if (!(await this.#settleEach(batch, left))) {
        for (const row of rows.slice(first)) left.add(row);
        break;
      } else isAnyTaken = true;
      this.#awaySinceTick = undefined;
    }
    return isAnyTaken || rows.length === 0 ? left : undefined;
  }

  /** False if it does not take one of them, whichever: then they are not what is wrong. */
  async #settleEach(batch: readonly LedgerRow[], left: Set<LedgerRow>): Promise<boolean> {
    const probe = batch[Math.floor(Math.random() * batch.length)];
    if (probe === undefined || (await findFailure(this.#options.settleAll([probe]))) !== 'none') return false;
    for (const row of batch) {
      const failure = await findFailure(this.#options.settleAll([row]));
      if (failure === 'none') continue;
      const attempts = (this.#attempts.get(row.id) ?? 0) + 1;
      this.#attempts.set(row.id, attempts);
      if (attempts < MAX_ATTEMPTS) left.add(row);
      else {
        await this.#putAway([JSON.stringify(row)], failure);
        this.#attempts.delete(row.id);
      }
    }
    return true;
  }

  async #putAway(lines: readonly string[], failure?: ProxyError): Promise<void> {
    if (lines.length === 0) return;
    const path = await this.#folder.refuse(lines);
    if (this.#refused === 0) this.#options.onProblem(refused(path, failure));
    this.#refused += lines.length;
  }

  #pause(ms: number): Promise<void> {
    // Several proxies must not ask all at once.
    const spread = ms * (0.75 + Math.random() / 2);
    return new Promise((resolve) => {
      if (this.#isClosed) return resolve();
      const timer = setTimeout(resolve, spread).unref();
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function findFailure(settled: Promise<void>): Promise<ProxyError | 'none'> {
  return settled.then(
    () => 'none',
    (thrown: unknown) => toProxyError(thrown),
  );
}

function tookTooLong(): ProxyError {
  return new ProxyError('ERR_STORE_UNAVAILABLE', 'The database takes too long to take rows of the ledger.');
}

function spilling(failure: ProxyError, path: string): ProxyError {
  return new ProxyError('ERR_STORE_UNAVAILABLE', failure.message, {
    hint: `Rows of the ledger wait in a file until it takes them. ${failure.hint ?? ''}`.trimEnd(),
    detail: failure.detail === undefined ? path : `${failure.detail}; ${path}`,
    cause: failure.cause,
  });
}

function notKept(path: string, error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  const message = 'Neither the database nor a file takes rows of the ledger.';
  return new ProxyError('ERR_STORE_UNAVAILABLE', message, {
    hint: 'Bring the database back, or make room on this disk: rows wait in memory, and not for long.',
    detail: path,
    cause: error,
  });
}

function refused(path: string, failure?: ProxyError): ProxyError {
  return new ProxyError('ERR_STORE_UNAVAILABLE', 'The database does not take a row of the ledger.', {
    hint: 'It is kept apart, for a report to whoever develops this proxy; the other rows go on.',
    detail: path,
    cause: failure,
  });
}
