/**
 * Watches one exchange for a cassette: what came, and when. It keeps copies, because what passes belongs to others;
 * never waits, never throws, and gives up what is too large.
 */
import type { MonotonicClock } from '../lib/clock.ts';
import { findHeader, type HeaderPair } from '../http/message.ts';
import type { ResponseObserver } from '../upstream/upstream.ts';
import type { TimedBytes } from './proof.ts';

/** Of one exchange, and of all that are not written yet. */
const MAX_CAPTURE_BYTES = 64 * 1024 * 1024;
const MAX_WAITING_BYTES = 256 * 1024 * 1024;

/** Counts what all captures hold together. */
export class CaptureRoom {
  #heldBytes = 0;

  /** False: there is no room. */
  take(sizeBytes: number): boolean {
    if (this.#heldBytes + sizeBytes > MAX_WAITING_BYTES) return false;
    this.#heldBytes += sizeBytes;
    return true;
  }

  give(sizeBytes: number): void {
    this.#heldBytes -= sizeBytes;
  }
}

/** State: what has come of one response. */
export class Capture {
  readonly #room: CaptureRoom;
  readonly #tickMs: MonotonicClock;
  status: number | undefined;
  headers: readonly HeaderPair[] = [];
  received: TimedBytes[] = [];
  sent: TimedBytes[] = [];
  hasEnded = false;
  /** It was larger than what is kept. */
  isTooLarge = false;
  #sentTick: number;
  #firstByteTick: number | undefined;
  #headTick: number | undefined;
  #sizeBytes = 0;

  constructor(room: CaptureRoom, tickMs: MonotonicClock) {
    this.#room = room;
    this.#tickMs = tickMs;
    this.#sentTick = tickMs();
  }

  /** From when it left until the first byte, or the head of a response without a body. */
  get firstByteMs(): number {
    return Math.max(0, (this.#firstByteTick ?? this.#headTick ?? this.#sentTick) - this.#sentTick);
  }

  get contentType(): string | undefined {
    return findHeader(this.headers, 'content-type');
  }

  /** An observer that sees what this one sees, and tells it on. */
  watch(observer: ResponseObserver): ResponseObserver {
    return {
      ...observer,
      onAttempt: (way, failed) => {
        this.#begin();
        observer.onAttempt(way, failed);
      },
      onUnsent: () => {
        this.#begin();
        observer.onUnsent();
      },
      onSent: () => {
        this.#sentTick = this.#tickMs();
        observer.onSent();
      },
      onHead: (status, headers) => {
        this.#headTick = this.#tickMs();
        this.status = status;
        this.headers = headers;
        observer.onHead(status, headers);
      },
      onBytes: (chunk) => {
        this.#firstByteTick ??= this.#tickMs();
        this.#keep(this.received, chunk);
        observer.onBytes(chunk);
      },
      onEnd: () => {
        this.hasEnded = true;
        observer.onEnd();
      },
      onClientBytes: (chunk) => {
        this.#keep(this.sent, chunk);
        observer.onClientBytes(chunk);
      },
    };
  }

  /** What it holds is needed no more. */
  release(): void {
    this.#room.give(this.#sizeBytes);
    this.#sizeBytes = 0;
    this.received = [];
    this.sent = [];
  }

  #begin(): void {
    this.release();
    this.status = undefined;
    this.#firstByteTick = undefined;
    this.#headTick = undefined;
    this.hasEnded = false;
    this.#sentTick = this.#tickMs();
  }

  #keep(list: TimedBytes[], chunk: Buffer): void {
    if (this.isTooLarge) return;
    const isFull = this.#sizeBytes + chunk.length > MAX_CAPTURE_BYTES || !this.#room.take(chunk.length);
    if (isFull) {
      this.isTooLarge = true;
      return this.release();
    }
    this.#sizeBytes += chunk.length;
    const from = this.#firstByteTick ?? this.#headTick ?? this.#sentTick;
    list.push({ atMs: Math.max(0, this.#tickMs() - from), bytes: Buffer.from(chunk) });
  }
}
