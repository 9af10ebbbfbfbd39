/**
 * Plays what was recorded at the times at which it came: each piece is due at a time counted from the first byte, so
 * that the errors of timers do not add up. One timer, and whatever is due leaves together. Whoever takes no more shifts
 * the rest, as in life.
 */
import type { MonotonicClock } from '../lib/clock.ts';
import type { TimedBytes } from './proof.ts';

/** Who gets it. */
export interface PlaybackSink {
  /** The head is due: before the first byte. */
  onHead(): void;
  onBytes(chunk: Buffer): void;
  /** Nothing is left. */
  onEnd(): void;
}

/** When it is played. */
export interface PlaybackTiming {
  readonly tickMs: MonotonicClock;
  /** From the beginning, as recorded. */
  readonly firstByteMs: number;
  /** 1: as recorded; 10: ten times as fast; Infinity: at once. */
  readonly speed: number;
}

/** So much leaves together; then it is seen whether there is room for more. */
const MAX_PIECE_BYTES = 64 * 1024;
/** Timers have whole milliseconds. */
const EARLY_MS = 0.5;

/** State: how far it is, and whether it is paused. */
export class Playback {
  readonly #pieces: readonly TimedBytes[];
  readonly #sink: PlaybackSink;
  readonly #timing: PlaybackTiming;
  #firstTick: number;
  #next = 0;
  #hasHead = false;
  #isPaused = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(pieces: readonly TimedBytes[], sink: PlaybackSink, timing: PlaybackTiming) {
    this.#pieces = pieces;
    this.#sink = sink;
    this.#timing = timing;
    this.#firstTick = timing.tickMs() + timing.firstByteMs / timing.speed;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  start(): void {
    this.#advance();
  }

  /** Nothing more is played. */
  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  pause(): void {
    this.#isPaused = true;
    clearTimeout(this.#timer);
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const late = this.#timing.tickMs() - this.#dueTick();
    if (late > 0 && this.#hasHead) this.#firstTick += late;
    this.#advance();
  }

  /** When the next piece is due; the end is due with the last one. */
  #dueTick(): number {
    const piece = this.#pieces[this.#next];
    return piece === undefined || !this.#hasHead ? this.#firstTick : this.#firstTick + piece.atMs / this.#timing.speed;
  }

  #advance(): void {
    while (!this.#isOver && !this.#isPaused) {
      const waitMs = this.#next >= this.#pieces.length && this.#hasHead ? 0 : this.#dueTick() - this.#timing.tickMs();
      if (waitMs > EARLY_MS) {
        this.#timer = setTimeout(() => this.#advance(), waitMs);
        return;
      }
      if (!this.#hasHead) {
        this.#hasHead = true;
        this.#sink.onHead();
      } else if (this.#next >= this.#pieces.length) {
        this.#isOver = true;
        this.#sink.onEnd();
      } else this.#sink.onBytes(this.#takeDue());
    }
  }

  /** The next piece, and those that are due as well. */
  #takeDue(): Buffer {
    const nowTick = this.#timing.tickMs() + EARLY_MS;
    const due: Buffer[] = [];
    let sizeBytes = 0;
    do {
      const piece = this.#pieces[this.#next] ?? { atMs: 0, bytes: Buffer.alloc(0) };
      due.push(piece.bytes);
      sizeBytes += piece.bytes.length;
      this.#next += 1;
    } while (this.#next < this.#pieces.length && sizeBytes < MAX_PIECE_BYTES && this.#dueTick() <= nowTick);
    return due.length === 1 && due[0] !== undefined ? due[0] : Buffer.concat(due);
  }
}
