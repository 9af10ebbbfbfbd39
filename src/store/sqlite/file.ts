/**
 * The store's file as its statements see it: one connection with all of them prepared, which follows the path when the
 * file is replaced, and retries while other processes write.
 */
import { Checkpoints } from './checkpoints.ts';
import { type BudgetStatements, prepareBudget } from './budget.ts';
import { type Connection, connect, findFileIdentity, retryWhileBusy, unavailable } from './connection.ts';
import { type KeyStatements, prepareKeys } from './keys.ts';
import { type LedgerStatements, prepareLedger } from './ledger.ts';

/** How long a busy database is asked again before the store counts as unavailable: reads stand on a request's way. */
const READ_TIMEOUT_MS = 500;
const WRITE_TIMEOUT_MS = 5_000;
/** How often the server looks whether the file still is the one it opened. */
const FILE_CHECK_INTERVAL_MS = 1_000;

/** A connection with all its statements. */
export interface Opened extends Connection {
  readonly keys: KeyStatements;
  readonly budget: BudgetStatements;
  readonly ledger: LedgerStatements;
  readonly checkpoints: Checkpoints;
}

function open(path: string): Opened {
  const connection = connect(path);
  try {
    return {
      ...connection,
      keys: prepareKeys(connection),
      budget: prepareBudget(connection),
      ledger: prepareLedger(connection),
      checkpoints: new Checkpoints(path, connection),
    };
  } catch (error) {
    connection.database.close();
    throw error;
  }
}

async function close({ checkpoints, database }: Opened): Promise<void> {
  await checkpoints.close();
  database.close();
}

/** Its methods throw ERR_STORE_UNAVAILABLE, and any ProxyError that the work throws. The caller closes it. */
export class SqliteFile {
  readonly #path: string;
  #opened: Opened;
  #checkedAtMs = Date.now();

  private constructor(path: string, opened: Opened) {
    this.#path = path;
    this.#opened = opened;
  }

  static async open(path: string): Promise<SqliteFile> {
    return new SqliteFile(path, await retryWhileBusy(path, WRITE_TIMEOUT_MS, () => open(path)));
  }

  async read<T>(work: (opened: Opened) => T): Promise<T> {
    return retryWhileBusy(this.#path, READ_TIMEOUT_MS, () => work(this.#findFresh()));
  }

  /** One transaction. Tried within this turn of the event loop first of all, and again later only if SQLite is busy. */
  async write<T>(work: (opened: Opened) => T): Promise<T> {
    return retryWhileBusy(this.#path, WRITE_TIMEOUT_MS, () => {
      const opened = this.#findFresh();
      const result = opened.atomically(() => work(opened));
      opened.checkpoints.noteWrite();
      return result;
    });
  }

  /** One transaction, now or not at all. Throws what SQLite throws. */
  writeOnce(work: (opened: Opened) => void): void {
    const opened = this.#opened;
    opened.atomically(() => work(opened));
  }

  async close(): Promise<void> {
    await close(this.#opened);
  }

  /**
   * The open connection, as long as the path still leads to the same file. SQLite would go on reading a deleted file,
   * and a revocation made in its successor would never be seen.
   */
  #findFresh(): Opened {
    const nowMs = Date.now();
    if (nowMs - this.#checkedAtMs < FILE_CHECK_INTERVAL_MS) return this.#opened;
    const identity = findFileIdentity(this.#path);
    if (identity === undefined) {
      throw unavailable(this.#path, 'is gone', 'Restore it, or restart the proxy to begin with an empty one.');
    }
    if (identity !== this.#opened.fileIdentity) {
      const replacement = open(this.#path);
      void close(this.#opened);
      this.#opened = replacement;
    }
    this.#checkedAtMs = nowMs;
    return this.#opened;
  }
}
