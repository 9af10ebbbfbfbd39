/**
 * Keeps checkpoints off the event loop: each takes ten milliseconds and more, most of them waiting for the disk. A
 * thread does them (`checkpoint-worker.ts`), started after some writes: commands end before. Without the thread, SQLite
 * does them itself, at the end of a commit.
 */
import { Worker } from 'node:worker_threads';
import type { Connection } from './connection.ts';
import type { ConnectionTarget } from './identity.ts';

/**
 * Transactions before there is a thread: fewer pages than SQLite lets come together, and more than a command writes.
 */
const WRITES_BEFORE_THREAD = 100;
/** Transactions from one checkpoint to the next: some 10 MB of log; rows that follow each other share pages. */
const WRITES_PER_CHECKPOINT = 400;
/** Rows of one transaction that change as many pages as another transaction. */
const ROWS_PER_WRITE = 5;
/**
 * Pages of a log that is to begin anew: 16 MB. By itself it does so only if nobody commits during a checkpoint, which
 * several busy processes never let happen.
 */
export const MAX_LOG_PAGES = 4_000;
/** After the last write, the log is emptied: the largest that it ever was would stay on the disk. */
const IDLE_MS = 10_000;
/** At how many pages SQLite itself does it: before there is a thread, and beside one, if that is stuck. */
const AUTOCHECKPOINT_PAGES = 1_000;
const LAST_RESORT_PAGES = 4 * MAX_LOG_PAGES;

/** Messages to the thread: copy the log, empty it, end. */
export type CheckpointOrder = 'checkpoint' | 'truncate' | 'close';
/** Messages from the thread: that it is there, and that an order is carried out. */
export type CheckpointReport = 'ready' | 'done';

/** The checkpoints of one connection. The caller closes it, and the connection after it. */
export class Checkpoints {
  readonly #path: string;
  readonly #connection: Connection;
  #worker: Worker | undefined;
  #writes = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  /** The thread is starting or at work. */
  #isBusy = false;
  #isOver = false;

  constructor(path: string, connection: Connection) {
    this.#path = path;
    this.#connection = connection;
  }

  /** To be called after every commit, of so many rows. Waits for nothing and never throws. */
  noteWrite(rows = 1): void {
    this.#writes += 1 + Math.floor(rows / ROWS_PER_WRITE);
    if (this.#worker !== undefined) this.#waitForIdle();
    const due = this.#worker === undefined ? WRITES_BEFORE_THREAD : WRITES_PER_CHECKPOINT;
    if (this.#writes < due || this.#isBusy || this.#isOver) return;
    if (this.#worker !== undefined) return this.#order('checkpoint');
    this.#isBusy = true;
    try {
      this.#start();
    } catch {
      this.#isOver = true;
    }
  }

  /** Ends the thread and its connection, so that the end of the last one checkpoints all and takes the log away. */
  async close(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#idleTimer);
    const worker = this.#worker;
    if (worker === undefined) return;
    worker.ref();
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    this.#order('close');
    await ended;
  }

  #waitForIdle(): void {
    if (this.#idleTimer !== undefined) return void this.#idleTimer.refresh();
    this.#idleTimer = setTimeout(() => {
      if (!this.#isBusy && !this.#isOver) this.#order('truncate');
    }, IDLE_MS).unref();
  }

  #start(): void {
    const workerData: ConnectionTarget = { path: this.#path, identity: this.#connection.identity };
    // `.ts` in a checkout, `.js` if it was built. It gets neither the environment, which has secrets, nor Node's
    // options; and no way to our stdout and stderr, which Node would put into another mode for it.
    const script = new URL(import.meta.url.replace(/checkpoints(?=\.\w+$)/, 'checkpoint-worker'));
    const worker = new Worker(script, {
      workerData,
      env: {},
      execArgv: [],
      stdout: true,
      stderr: true,
      name: 'checkpoints',
    });
    this.#worker = worker;
    worker.unref();
    worker.on('message', (report: CheckpointReport) => this.#onReport(report));
    // It does not come back: after one failure, SQLite does the checkpoints again.
    worker.on('error', () => {});
    worker.on('exit', () => {
      this.#worker = undefined;
      this.#isOver = true;
      this.#setAutocheckpoint(AUTOCHECKPOINT_PAGES);
    });
  }

  #order(order: CheckpointOrder): void {
    this.#writes = 0;
    this.#isBusy = true;
    this.#worker?.postMessage(order);
  }

  #onReport(report: CheckpointReport): void {
    this.#isBusy = false;
    if (report === 'ready') this.#setAutocheckpoint(LAST_RESORT_PAGES);
  }

  #setAutocheckpoint(pages: number): void {
    const { database } = this.#connection;
    if (database.open) database.pragma(`wal_autocheckpoint = ${pages}`);
  }
}
