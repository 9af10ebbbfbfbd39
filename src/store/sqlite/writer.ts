/**
 * Keeps what is written after requests off the event loop: a thread (`writer-worker.ts`) writes it, started after some
 * writes, for commands end before. What comes within a few milliseconds goes to it together: a message and a
 * transaction cost more than a row. What the thread cannot write, its caller does on the event loop, where errors have
 * their words.
 */
import { Worker } from 'node:worker_threads';
import type { MonotonicClock } from '../../lib/clock.ts';
import { within } from '../../lib/deadline.ts';
import type { ConnectionTarget } from './identity.ts';
import type { WriteOrder } from './writes.ts';

/** Writes before there is a thread: few requests need none. */
const WRITES_BEFORE_THREAD = 20;
/**
 * From one message to the thread to the next. Twice as long, and its work, may pass before a request is on the disk.
 */
const PACE_MS = 4;
/** A thread that waits for a disk for ever holds up neither reports nor reservations. */
const IDLE_TIMEOUT_MS = 500;
/** Twice this is what the end waits for a thread that does not respond. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Messages from the thread: that it is there, and for each order of a message how many rows it was about. */
export type WriterReport = 'ready' | readonly (number | undefined)[];

interface Waiting {
  readonly order: WriteOrder;
  readonly resolve: (count: number | undefined) => void;
}

/** The writer of one open database. The caller closes it, before the database. */
export class Writer {
  readonly #target: ConnectionTarget;
  readonly #tickMs: MonotonicClock;
  readonly #writesBefore: number;
  #worker: Worker | undefined;
  #writes = 0;
  #isReady = false;
  #isOver = false;
  /** Not handed over yet. */
  #waiting: Waiting[] = [];
  /** With the thread: one message at a time. */
  #handedOver: readonly Waiting[] = [];
  #handedOverAtTick = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #onIdle: (() => void)[] = [];

  /**
   * `writesBefore`: so many are left to the caller; if 0, the thread starts at once, and the first write waits for it.
   */
  constructor(target: ConnectionTarget, tickMs: MonotonicClock, writesBefore = WRITES_BEFORE_THREAD) {
    this.#target = target;
    this.#tickMs = tickMs;
    this.#writesBefore = writesBefore;
    if (writesBefore === 0) this.#start();
  }

  /**
   * Resolves to the number of rows that were written, durably; undefined, now or later, if the thread cannot, and
   * nothing was written.
   */
  write(order: WriteOrder): Promise<number | undefined> | undefined {
    if (this.#worker === undefined) this.#countWrite();
    const isUsable = this.#isReady || this.#writesBefore === 0;
    if (!isUsable || this.#isOver) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push({ order, resolve });
      if (this.#isReady && this.#handedOver.length === 0) this.#schedule();
    });
  }

  /** Resolves when the thread has written what it has now, or does not respond; undefined if it has nothing. */
  untilIdle(): Promise<void> | undefined {
    if (this.#isReady && this.#waiting.length > 0 && this.#handedOver.length === 0) this.#handOver();
    if (this.#waiting.length + this.#handedOver.length === 0) return undefined;
    return within(IDLE_TIMEOUT_MS, new Promise<void>((resolve) => this.#onIdle.push(resolve)));
  }

  /** Ends the thread and its connection when it has written what it has; a thread that hangs is not waited for. */
  async close(): Promise<void> {
    await within(CLOSE_TIMEOUT_MS, this.#untilAllWritten());
    this.#isOver = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    worker.ref();
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    this.#post('close');
    await within(CLOSE_TIMEOUT_MS, ended);
    await worker.terminate();
  }

  async #untilAllWritten(): Promise<void> {
    for (let idle = this.untilIdle(); idle !== undefined; idle = this.untilIdle()) await idle;
  }

  #countWrite(): void {
    this.#writes += 1;
    if (this.#writes >= this.#writesBefore && !this.#isOver) this.#start();
  }

  #start(): void {
    // As for checkpoints: neither the environment, which has secrets, nor Node's options.
    const script = new URL(import.meta.url.replace(/writer(?=\.\w+$)/, 'writer-worker'));
    const options = { env: {}, execArgv: [], stdout: true, stderr: true, name: 'writer' };
    let worker: Worker;
    try {
      worker = new Worker(script, { ...options, workerData: this.#target });
    } catch {
      this.#isOver = true;
      return;
    }
    this.#worker = worker;
    worker.unref();
    worker.on('message', (report: WriterReport) => this.#onReport(report));
    // It does not come back: after one failure, the event loop writes again.
    worker.on('error', () => {});
    worker.on('exit', () => {
      this.#worker = undefined;
      this.#isOver = true;
      const unwritten = this.#waiting;
      this.#waiting = [];
      for (const { resolve } of unwritten) resolve(undefined);
      this.#onReport([]);
    });
  }

  #schedule(): void {
    const pauseMs = this.#handedOverAtTick + PACE_MS - this.#tickMs();
    if (pauseMs <= 0) this.#handOver();
    else this.#timer ??= setTimeout(() => this.#handOver(), pauseMs);
  }

  #handOver(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#handedOver = this.#waiting;
    this.#waiting = [];
    this.#handedOverAtTick = this.#tickMs();
    this.#post(this.#handedOver.map(({ order }) => order));
  }

  #post(message: readonly WriteOrder[] | 'close'): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread; origins are a browser's.
    this.#worker?.postMessage(message);
  }

  #onReport(report: WriterReport): void {
    if (report === 'ready') {
      this.#isReady = true;
      if (this.#waiting.length > 0) this.#schedule();
      return;
    }
    const written = this.#handedOver;
    this.#handedOver = [];
    for (const [index, { resolve }] of written.entries()) resolve(report[index]);
    for (const resolve of this.#onIdle.splice(0)) resolve();
    if (this.#waiting.length > 0 && !this.#isOver) this.#schedule();
  }
}
