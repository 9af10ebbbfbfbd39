/**
 * The store's file as its statements see it: one connection with all of them prepared, which retries while other
 * processes write. What is done to the file from outside while it is open is noticed here, and told: a file that was
 * replaced is followed once all of the old one is closed; one that cannot be trusted any more is not used.
 */
import { type MonotonicClock, MACHINE_TICKS } from '../../lib/clock.ts';
import type { ProxyError } from '../../lib/errors.ts';
import { Checkpoints } from './checkpoints.ts';
import { Reports } from './reports.ts';
import { type BudgetStatements, prepareBudget } from './budget.ts';
import { checkpoint, type Connection, connect, refuseDamage, type Upgrade } from './connection.ts';
import { findIdentity, hasSameLog, removeLeftLog } from './identity.ts';
import { type KeyStatements, prepareKeys } from './keys.ts';
import { type KeyTotalStatements, prepareKeyTotals } from './key-totals.ts';
import { type LedgerStatements, prepareLedger } from './ledger.ts';
import { MIGRATIONS } from './migrations.ts';
import { BusyError, isBusy, retryWhileBusy, toUnavailable, unavailable } from './trouble.ts';
import { Writer } from './writer.ts';
import { carryOut, type WriteOrder } from './writes.ts';

/** How long a busy database is asked again before the store counts as unavailable: reads stand on a request's way. */
const READ_TIMEOUT_MS = 500;
const WRITE_TIMEOUT_MS = 5_000;
/** How often it is looked whether the files still are those that were opened. */
const FILE_CHECK_INTERVAL_MS = 250;

/** A connection with all its statements. */
export interface Opened extends Connection {
  readonly keys: KeyStatements;
  readonly budget: BudgetStatements;
  readonly ledger: LedgerStatements;
  readonly keyTotals: KeyTotalStatements;
  readonly checkpoints: Checkpoints;
  /** Undefined: the ledger is read on the event loop. */
  readonly reports: Reports | undefined;
  /** Undefined: everything is written on the event loop. */
  readonly writer: Writer | undefined;
}

/** How a store is opened; what is left out is what commands need. */
export interface FileOptions {
  /**
   * Told, once each time, when the files of the database are replaced or removed while it is open, or when a newer
   * program migrates it, also while nobody asks the store. Whoever asks gets the very same error. Must not throw.
   */
  readonly onProblem?: (error: ProxyError) => void;
  /** Told when the database was written by an older program, and is a present one now. Must not throw. */
  readonly onUpgrade?: (upgrade: Upgrade) => void;
  readonly tickMs?: MonotonicClock;
  /** A server: threads write and read the ledger, and a key that others change may be the old one for 50 ms. */
  readonly threads?: boolean;
  /** See `Writer`. */
  readonly writesBeforeWriter?: number;
}

function open(
  path: string,
  { threads = false, writesBeforeWriter, onUpgrade, tickMs = MACHINE_TICKS }: Omit<FileOptions, 'onProblem'>,
): Opened {
  const connection = connect(path, onUpgrade);
  const target = { path, identity: connection.identity };
  try {
    if (threads) refuseDamage(connection.database, path);
    return {
      ...connection,
      keys: prepareKeys(connection),
      budget: prepareBudget(connection),
      ledger: prepareLedger(connection),
      keyTotals: prepareKeyTotals(connection),
      checkpoints: new Checkpoints(path, connection),
      reports: threads ? new Reports(target) : undefined,
      writer: threads ? new Writer(target, tickMs, writesBeforeWriter) : undefined,
    };
  } catch (error) {
    connection.database.close();
    throw error;
  }
}

async function closeThreads({ checkpoints, reports, writer }: Opened): Promise<void> {
  await Promise.all([checkpoints.close(), reports?.close(), writer?.close()]);
}

/** Connections that are never closed: see `SqliteFile.close`. Named here so that they are not collected either. */
const LEFT_OPEN: Opened[] = [];

const REPLACED_HINT =
  'The proxy goes on with the new file. End every proxy before you replace a database: `bedrock-proxy db restore`.';
const LOG_LOST_HINT =
  'End every process that uses the database, and start again. The last changes may be lost: check keys and budgets.';

/** Its methods throw ERR_STORE_UNAVAILABLE, and any ProxyError that the work throws. The caller closes it. */
export class SqliteFile {
  readonly #path: string;
  readonly #onProblem: (error: ProxyError) => void;
  readonly #tickMs: MonotonicClock;
  readonly #options: FileOptions;
  readonly #watch: NodeJS.Timeout | undefined;
  /** Undefined from the moment that it was found replaced until its successor is open. */
  #opened: Opened | undefined;
  #checkedAtTick: number;
  /** What is wrong just now, and told. */
  #trouble: ProxyError | undefined;
  /** Why what is open is not to be used again, whatever comes back. */
  #spoiltBy: 'log' | 'schema' | undefined;
  /** Set while a replaced file is being closed. */
  #closing: Promise<void> | undefined;

  private constructor(path: string, opened: Opened, options: FileOptions) {
    const { onProblem, tickMs = MACHINE_TICKS } = options;
    this.#path = path;
    this.#opened = opened;
    this.#tickMs = tickMs;
    this.#options = options;
    this.#checkedAtTick = tickMs();
    this.#onProblem = onProblem ?? (() => {});
    if (onProblem === undefined) return;
    this.#watch = setInterval(() => this.#look(), FILE_CHECK_INTERVAL_MS).unref();
  }

  static async open(path: string, options: FileOptions): Promise<SqliteFile> {
    const retry = { path, timeoutMs: WRITE_TIMEOUT_MS, tickMs: options.tickMs ?? MACHINE_TICKS };
    return new SqliteFile(path, await retryWhileBusy(retry, () => open(path, options)), options);
  }

  async read<T>(work: (opened: Opened) => T): Promise<T> {
    return this.#retry(READ_TIMEOUT_MS, () => work(this.#findFresh()));
  }

  /** One transaction. Tried within this turn of the event loop first of all, and again later only if SQLite is busy. */
  async write<T>(work: (opened: Opened) => T): Promise<T> {
    return this.#retry(WRITE_TIMEOUT_MS, () => {
      const opened = this.#findFresh();
      const result = opened.atomically(() => {
        this.refuseNewer(opened);
        return work(opened);
      });
      opened.checkpoints.noteWrite();
      return result;
    });
  }

  /** One transaction, by the thread if there is one and it can; otherwise as `write`. */
  async writeApart(order: WriteOrder): Promise<number> {
    const opened = this.#opened;
    const writing = this.#isFresh() ? opened?.writer?.write(order) : undefined;
    const count = writing && (await writing);
    if (count === undefined) return this.write((fresh) => carryOut(fresh, order));
    opened?.checkpoints.noteWrite(count);
    return count;
  }

  /** Throws if a newer bedrock-proxy has migrated the database: what its columns mean is not known here. */
  refuseNewer({ schemaVersion }: Opened): void {
    if ((schemaVersion.get() ?? 0) > MIGRATIONS.length) this.#spoil('schema');
  }

  /**
   * Closes the connection, which copies the log and takes it away, unless the log is not ours: SQLite would then write
   * over what others have written since. Such a connection ends with the process.
   */
  async close(): Promise<void> {
    clearInterval(this.#watch);
    await this.#closing;
    const opened = this.#opened;
    if (opened === undefined) return;
    const found = findIdentity(this.#path);
    if (found.main !== opened.identity.main) return this.#closeMoved(opened);
    await closeThreads(opened);
    if (this.#spoiltBy === 'log' || !hasSameLog(found, opened.identity)) LEFT_OPEN.push(opened);
    else opened.database.close();
  }

  #retry<T>(timeoutMs: number, work: () => T): Promise<T> {
    const untilIdle = (): Promise<void> | undefined => this.#opened?.writer?.untilIdle();
    return retryWhileBusy({ path: this.#path, timeoutMs, tickMs: this.#tickMs, untilIdle }, work);
  }

  /** The open connection, as long as the path still leads to the files that it has open. */
  #findFresh(): Opened {
    if (this.#opened !== undefined && this.#isFresh()) return this.#opened;
    const tick = this.#tickMs();
    const opened = this.#check();
    this.#checkedAtTick = tick;
    this.#trouble = undefined;
    return opened;
  }

  #isFresh(): boolean {
    return this.#trouble === undefined && this.#tickMs() - this.#checkedAtTick < FILE_CHECK_INTERVAL_MS;
  }

  /** Notices what happens while nobody asks. */
  #look(): void {
    try {
      this.refuseNewer(this.#findFresh());
    } catch {
      // It was told where it was found.
    }
  }

  /** SQLite would go on with files that nobody else sees: a revocation made in their successors would never be seen. */
  #check(): Opened {
    if (this.#closing !== undefined) throw new BusyError(this.#beingReplaced());
    const opened = this.#opened ?? this.#openSuccessor();
    const found = findIdentity(this.#path);
    if (found.main === undefined) {
      return this.#fail('is gone', 'Put it back, or restart the proxy to begin with an empty one.');
    }
    if (found.main !== opened.identity.main) return this.#replace(opened);
    if (this.#spoiltBy !== undefined) return this.#spoil(this.#spoiltBy);
    if (!hasSameLog(found, opened.identity)) return this.#spoil('log');
    return opened;
  }

  #spoil(by: 'log' | 'schema'): never {
    this.#spoiltBy = by;
    if (by === 'log') return this.#fail('has lost its write-ahead log, which somebody removed', LOG_LOST_HINT);
    return this.#fail('was upgraded by a newer bedrock-proxy', 'Restart the proxy with the new version.');
  }

  /** The old one first, with its thread and its log: SQLite would take that for the log of the new file. */
  #replace(opened: Opened): never {
    const error = unavailable(this.#path, 'was replaced while it was in use', { hint: REPLACED_HINT });
    this.#onProblem(error);
    this.#opened = undefined;
    this.#closing = this.#closeMoved(opened).finally(() => {
      this.#closing = undefined;
      this.#spoiltBy = undefined;
      this.#trouble = undefined;
    });
    throw new BusyError(this.#beingReplaced());
  }

  #beingReplaced(): ProxyError {
    return unavailable(this.#path, 'is being replaced', { hint: 'Try again.' });
  }

  #openSuccessor(): Opened {
    try {
      return (this.#opened = open(this.#path, this.#options));
    } catch (error) {
      if (isBusy(error)) throw error;
      throw this.#tellOnce(toUnavailable(this.#path, error));
    }
  }

  /**
   * Closes a file that is not at its path any more. Its log goes into it, wherever it is now. SQLite itself copies no
   * log and removes none if the path leads to another file.
   */
  async #closeMoved(opened: Opened): Promise<void> {
    await closeThreads(opened);
    try {
      if (this.#spoiltBy !== 'log') checkpoint(opened.database, 'TRUNCATE');
    } catch {
      // Nobody sees that file any more.
    }
    opened.database.close();
    removeLeftLog({ path: this.#path, identity: opened.identity });
  }

  /** Told once, until something else is wrong. */
  #fail(what: string, hint: string): never {
    throw this.#tellOnce(unavailable(this.#path, what, { hint }));
  }

  #tellOnce(error: ProxyError): ProxyError {
    if (this.#trouble?.message === error.message) return this.#trouble;
    this.#trouble = error;
    this.#onProblem(error);
    return error;
  }
}
