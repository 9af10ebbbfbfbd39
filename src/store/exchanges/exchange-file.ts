/**
 * Exchanges on disk (`--inspect-db`): a source that is read in this process, and written by a thread
 * (`file-worker.ts`), so that no request waits for hashing, compression or a disk. What has ended is written a moment
 * later; until then it is here. What cannot be written is dropped, and counted.
 */
import type { WallClock } from '../../lib/clock.ts';
import { Worker } from 'node:worker_threads';
import type {
  Exchange,
  ExchangeChange,
  ExchangePage,
  ExchangeQuery,
  ExchangeSource,
  ExchangeSourceState,
  Omission,
} from '../../inspector/exchange.ts';
import { ChangeLog } from '../../inspector/change-log.ts';
import { pageOf } from '../../inspector/list-exchanges.ts';
import type { ExchangeCaps } from '../../inspector/ring.ts';
import { within } from '../../lib/deadline.ts';
import type { ProxyError } from '../../lib/errors.ts';
import { FILE_CAPS } from './caps.ts';
import { exchangeFileError, lockFile, openToRead, openToWrite, toExchangeFileError } from './open-file.ts';
import type { FileOrder, FileReport, WrittenExchange } from './orders.ts';
import { ExchangeReader } from './read-exchanges.ts';
import { contentBytesOf, copyExchange, toWritten, withoutContent } from './written-exchange.ts';

/** A batch is written when it is so large, or so old. */
const BATCH_EXCHANGES = 50;
const BATCH_BYTES = 1024 * 1024;
const BATCH_MS = 250;
/** What waits to be written. Beyond the first two, content is dropped and the row kept; beyond the last, all of it. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
const MAX_WAITING_WITH_CONTENT = 1_000;
const MAX_WAITING = 5_000;
/** An exchange whose bytes are more than this part of what the file may have is kept without them. */
const LARGEST_PART = 4;
const CLOSE_TIMEOUT_MS = 10_000;

/** What a file of exchanges is opened with. */
export interface ExchangeFileOptions {
  /** Cursors of changes begin with it, so that one of a process before this one is known to be none of it. */
  readonly nowMs?: WallClock;
  /** Told when exchanges cannot be written: once, until some can be again. Must not throw. */
  readonly onProblem?: (error: ProxyError) => void;
}

/** What is to be read otherwise than the file has it, because the thread has not come to it yet. */
interface Marks {
  readonly isPinned: boolean;
  readonly note: string | undefined;
}

/** Opens it, and makes it if there is none. Throws ERR_STORE_UNAVAILABLE: also if another proxy writes it. */
export function openExchangeFile(
  path: string,
  caps: ExchangeCaps = FILE_CAPS,
  options: ExchangeFileOptions = {},
): ExchangeFile {
  const unlock = lockFile(path);
  try {
    openToWrite(path).close();
    return new ExchangeFile({ path, caps, unlock, options });
  } catch (error) {
    unlock();
    throw toExchangeFileError(path, error);
  }
}

/** The caller closes it, which writes what is waiting. */
export class ExchangeFile implements ExchangeSource {
  readonly #path: string;
  readonly #caps: ExchangeCaps;
  readonly #unlock: () => void;
  readonly #onProblem: (error: ProxyError) => void;
  readonly #worker: Worker;
  readonly #database: ReturnType<typeof openToRead>;
  readonly #reader: ExchangeReader;
  readonly #changes: ChangeLog;
  /** Sequences that are the file's own begin after it. */
  readonly #first: number;
  #last: number;
  /** Ended, and not on the disk yet. */
  readonly #waiting = new Map<string, Exchange>();
  /** What each of them had when it came: it may lose some meanwhile. */
  readonly #sizes = new Map<string, number>();
  #waitingBytes = 0;
  /** Of `#waiting` those that the thread has not got yet. */
  #batch: Exchange[] = [];
  #batchBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #full: NodeJS.Immediate | undefined;
  /** With the thread, in their order. */
  readonly #orders: FileOrder[] = [];
  readonly #marks = new Map<string, Marks>();
  readonly #gone = new Set<string>();
  readonly #dropped: Partial<Record<Omission, number>> = {};
  #isClosed = false;
  #isBroken = false;
  #hasTold = false;
  #onIdle: (() => void)[] = [];

  /** To be made by `openExchangeFile`. */
  constructor(opening: {
    readonly path: string;
    readonly caps: ExchangeCaps;
    readonly unlock: () => void;
    readonly options: ExchangeFileOptions;
  }) {
    const { path, caps, unlock, options } = opening;
    this.#path = path;
    this.#caps = caps;
    this.#unlock = unlock;
    this.#onProblem = options.onProblem ?? (() => {});
    this.#database = openToRead(path);
    this.#reader = new ExchangeReader(path, this.#database);
    this.#first = this.#reader.lastSequence();
    this.#last = this.#first;
    // Above those of processes before: whoever asks with a cursor of theirs begins anew.
    this.#changes = new ChangeLog(options.nowMs?.() ?? 1);
    this.#worker = this.#start();
  }

  /** The highest sequence so far: a ring beside it begins after that. */
  get lastSequence(): number {
    return this.#last;
  }

  get cursor(): number {
    return this.#changes.cursor;
  }

  /** Keeps an exchange that has ended, in the place of one of the same id. Never throws, and waits for nothing. */
  add(exchange: Exchange): void {
    if (this.#isClosed) return;
    if (this.#isBroken || this.#waiting.size >= MAX_WAITING) return this.#drop(this.#isBroken ? 'failed' : 'memory');
    const sizeBytes = contentBytesOf(exchange);
    const reason = this.#findReason(sizeBytes);
    if (reason !== undefined) this.#drop(reason);
    const numbered = copyExchange(
      reason === undefined ? exchange : withoutContent(exchange, reason),
      this.#number(exchange),
    );
    this.#forgetWaiting(exchange.id);
    this.#gone.delete(exchange.id);
    const keptBytes = reason === undefined ? sizeBytes : 0;
    this.#waiting.set(exchange.id, numbered);
    this.#sizes.set(exchange.id, keptBytes);
    this.#waitingBytes += keptBytes;
    this.#batch.push(numbered);
    this.#batchBytes += keptBytes;
    this.#changes.add(exchange.id, 'upsert');
    // Copying is for another turn of the event loop.
    const isFull = this.#batch.length >= BATCH_EXCHANGES || this.#batchBytes >= BATCH_BYTES;
    if (isFull) this.#full ??= setImmediate(() => this.#handOver());
    this.#timer ??= setTimeout(() => this.#handOver(), BATCH_MS).unref();
  }

  /** Whether an exchange is not written yet, so that a newer state of it costs nothing more. */
  isWaiting(id: string): boolean {
    return this.#batch.some((exchange) => exchange.id === id);
  }

  list(query: ExchangeQuery): ExchangePage {
    return pageOf(this.#newestFirst(query.before ?? Number.MAX_SAFE_INTEGER), query);
  }

  find(id: string): Exchange | undefined {
    if (this.#gone.has(id)) return undefined;
    const found = this.#waiting.get(id) ?? this.#reader.find(id);
    return found && this.#mark(found);
  }

  mark(id: string, marks: { readonly isPinned?: boolean; readonly note?: string }): Exchange | undefined {
    const found = this.find(id);
    if (found === undefined) return undefined;
    const note = (marks.note ?? found.note) || undefined;
    const marked = { isPinned: marks.isPinned ?? found.isPinned, note };
    this.#marks.set(id, marked);
    this.#handOver();
    this.#post({ kind: 'mark', id, isPinned: marked.isPinned, note: note ?? null });
    this.#changes.add(id, 'upsert');
    return { ...found, ...marked };
  }

  remove(id?: string): number {
    if (id !== undefined) {
      if (this.find(id) === undefined) return 0;
      this.#handOver();
      this.#forget([id]);
      this.#post({ kind: 'remove', id });
      return 1;
    }
    this.#handOver();
    const upTo = this.#last;
    const isPinned = (each: string): boolean => (this.#marks.get(each) ?? this.#waiting.get(each))?.isPinned ?? false;
    const ids = new Set([...this.#waiting.keys(), ...this.#reader.listUnpinned(upTo)]);
    const unpinned = [...ids].filter((each) => !isPinned(each) && !this.#gone.has(each));
    this.#forget(unpinned);
    this.#post({ kind: 'clear', upTo });
    return unpinned.length;
  }

  changesAfter(cursor: number): readonly ExchangeChange[] | undefined {
    return this.#changes.after(cursor);
  }

  watch(listener: (change: ExchangeChange) => void): () => void {
    return this.#changes.watch(listener);
  }

  state(): ExchangeSourceState {
    const { exchanges, bytes } = this.#reader.measure();
    const { maxBytes, maxAgeMs, maxExchanges } = this.#caps;
    return {
      kind: 'file',
      exchanges: exchanges + this.#countUnwritten(),
      maxExchanges,
      bytes: bytes + this.#waitingBytes,
      maxBytes,
      maxAgeMs,
      dropped: { ...this.#dropped },
    };
  }

  /** Resolves when all that was added is on the disk, or could not be written. */
  async flush(): Promise<void> {
    this.#handOver();
    if (this.#orders.length > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await within(CLOSE_TIMEOUT_MS, this.flush());
    if (!this.#isBroken) {
      this.#worker.ref();
      const ended = new Promise((resolve) => this.#worker.once('exit', resolve));
      this.#post({ kind: 'close' });
      await within(CLOSE_TIMEOUT_MS, ended);
    }
    await this.#worker.terminate();
    this.#database.close();
    this.#unlock();
  }

  /** By how many the file will have more than it has now, when all is done that was ordered. */
  #countUnwritten(): number {
    const isStored = (id: string): boolean => this.#reader.sequenceOf(id) !== undefined;
    const added = [...this.#waiting.keys()].filter((id) => !isStored(id)).length;
    return added - [...this.#gone].filter(isStored).length;
  }

  #start(): Worker {
    // Neither the environment, which has secrets, nor Node's options.
    const script = new URL(import.meta.url.replace(/exchange-file(?=\.\w+$)/, 'file-worker'));
    const options = { env: {}, execArgv: [], stdout: true, stderr: true, name: 'exchanges' };
    const worker = new Worker(script, { ...options, workerData: { path: this.#path, caps: this.#caps } });
    worker.unref();
    worker.on('message', (report: FileReport) => this.#onReport(report));
    worker.on('error', (error) => this.#break(error));
    worker.on('exit', () => this.#break(undefined));
    return worker;
  }

  /** Of a ring that began after this file, its own number: so they are in the same order in both. */
  #number({ id, sequence }: Exchange): number {
    const known = this.#waiting.get(id)?.sequence ?? this.#reader.sequenceOf(id);
    if (known !== undefined) return known;
    const isTaken = (): boolean =>
      this.#reader.has(sequence) || [...this.#waiting.values()].some((other) => other.sequence === sequence);
    const number = sequence > this.#first && !isTaken() ? sequence : this.#last + 1;
    this.#last = Math.max(this.#last, number);
    return number;
  }

  #findReason(sizeBytes: number): Omission | undefined {
    if (sizeBytes > this.#caps.maxBytes / LARGEST_PART) return 'size';
    const isFull = this.#waitingBytes + sizeBytes > MAX_WAITING_BYTES || this.#waiting.size >= MAX_WAITING_WITH_CONTENT;
    return isFull && sizeBytes > 0 ? 'memory' : undefined;
  }

  #drop(reason: Omission, count = 1): void {
    if (count > 0) this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
  }

  *#newestFirst(before: number): Generator<Exchange, void> {
    const waiting = [...this.#waiting.values()]
      .filter(({ id, sequence }) => sequence < before && !this.#gone.has(id))
      .toSorted((one, other) => other.sequence - one.sequence);
    for (const stored of this.#reader.list(before)) {
      while ((waiting[0]?.sequence ?? 0) > stored.sequence) yield* this.#marked(waiting.shift());
      if (!this.#waiting.has(stored.id) && !this.#gone.has(stored.id)) yield* this.#marked(stored);
      else if (waiting[0]?.id === stored.id) yield* this.#marked(waiting.shift());
    }
    for (const exchange of waiting) yield this.#mark(exchange);
  }

  *#marked(exchange: Exchange | undefined): Generator<Exchange, void> {
    if (exchange !== undefined) yield this.#mark(exchange);
  }

  #mark(exchange: Exchange): Exchange {
    const marks = this.#marks.get(exchange.id);
    return marks === undefined ? exchange : { ...exchange, ...marks };
  }

  #handOver(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#full);
    this.#timer = undefined;
    this.#full = undefined;
    const batch = this.#batch.filter((exchange) => this.#waiting.get(exchange.id) === exchange);
    this.#batch = [];
    this.#batchBytes = 0;
    const written = batch.flatMap((exchange) => this.#toWritten(exchange) ?? []);
    if (written.length > 0) this.#post({ kind: 'write', exchanges: written });
  }

  /** Undefined: its bytes are not there any more. */
  #toWritten(exchange: Exchange): WrittenExchange | undefined {
    try {
      return toWritten(this.#mark(exchange));
    } catch {
      this.#forget([exchange.id]);
      this.#drop('failed');
      return undefined;
    }
  }

  #post(order: FileOrder): void {
    if (this.#isBroken) return;
    this.#orders.push(order);
    const transfer =
      order.kind === 'write' ? order.exchanges.flatMap(({ bodies }) => bodies.map(({ bytes }) => bytes.buffer)) : [];
    this.#worker.postMessage(order, transfer);
  }

  #onReport({ order, failed, removed, code }: FileReport): void {
    if (removed.length > 0) this.#forget(removed.filter((id) => !this.#waiting.has(id)));
    for (const id of removed) this.#gone.delete(id);
    if (order === 'evict') return;
    const done = this.#orders.shift();
    if (done !== undefined) this.#settle(done, failed);
    if (code !== undefined) this.#tell(toExchangeFileError(this.#path, Object.assign(new Error(code), { code })));
    else if (order === 'write') this.#hasTold = false;
    if (this.#orders.length === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #settle(order: FileOrder, failed: readonly string[]): void {
    if (order.kind === 'write') {
      for (const { id, sequence } of order.exchanges) {
        // One that was added again since then waits for its own turn.
        if (this.#waiting.get(id)?.sequence === sequence && !this.isWaiting(id)) this.#forgetWaiting(id);
      }
      this.#drop('failed', failed.length);
      this.#forget(failed);
      for (const id of failed) this.#gone.delete(id);
    }
    const isLast = (id: string): boolean => !this.#orders.some((other) => 'id' in other && other.id === id);
    if (order.kind === 'mark' && isLast(order.id)) this.#marks.delete(order.id);
    if (order.kind === 'remove' && isLast(order.id)) this.#gone.delete(order.id);
    if (order.kind !== 'clear' || this.#orders.some(({ kind }) => kind === 'clear')) return;
    for (const id of this.#gone) if (isLast(id)) this.#gone.delete(id);
  }

  /** They are no more, whatever the disk still has. */
  #forget(ids: readonly string[]): void {
    for (const id of ids) {
      this.#forgetWaiting(id);
      this.#marks.delete(id);
      this.#gone.add(id);
      this.#changes.add(id, 'remove');
    }
  }

  #forgetWaiting(id: string): void {
    this.#waiting.delete(id);
    this.#waitingBytes -= this.#sizes.get(id) ?? 0;
    this.#sizes.delete(id);
  }

  #tell(error: ProxyError): void {
    if (this.#hasTold) return;
    this.#hasTold = true;
    this.#onProblem(error);
  }

  #break(error: unknown): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    if (!this.#isClosed) {
      this.#drop('failed', this.#waiting.size);
      const hint = 'Restart the proxy; what comes until then is not kept.';
      this.#tell(exchangeFileError(this.#path, 'is not written any more', hint, error));
    }
    this.#orders.length = 0;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
