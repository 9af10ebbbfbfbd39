/**
 * What exchanges have together: conversations that go on, and pieces of requests that come again. Looked into beside
 * the way of requests.
 */
import { MACHINE_TICKS } from '../lib/clock.ts';
import { ConversationIndex } from './conversation.ts';
import { PieceStore } from './pieces.ts';
import type { ExchangeRing } from './ring.ts';

/** Smaller requests have little in common that is worth keeping once. */
const SMALL_BYTES = 4 * 1024;
const MIN_WAITING = 2_000;
/** So many wait to be told at most: then each that ends waits for the one before. Memory must not let go of them. */
const MAX_UNTOLD = 32;
/** Then requests have their turn. */
const SLICE_MS = 5;

/** An exchange that has ended, and was not looked into yet. */
export interface Linkable {
  readonly id: string;
  readonly requestBytes: number;
  /** Whether that shows. */
  link(): boolean;
}

/**
 * What exchanges have together. Small requests are looked into when somebody looks at them, large ones at once, and
 * what came before them: there is memory to be saved. State: those that were not looked into yet.
 */
export class ExchangeLinks {
  readonly conversations = new ConversationIndex();
  readonly pieces: PieceStore;
  readonly #ring: ExchangeRing;
  readonly #isBesideFile: boolean;
  #waiting: Linkable[] = [];
  #isDue = false;
  /** So many may wait until it is seen which of them are gone. */
  #most = MIN_WAITING;

  constructor(ring: ExchangeRing, isBesideFile: boolean) {
    this.#ring = ring;
    this.#isBesideFile = isBesideFile;
    this.pieces = new PieceStore(ring);
  }

  add(capture: Linkable): void {
    this.#waiting.push(capture);
    if (!this.#isBesideFile) this.#ring.touch(capture.id);
    else if (this.#waiting.length > MAX_UNTOLD) this.#link(this.#waiting.shift() ?? capture);
    if (this.#waiting.length >= this.#most) this.#forget();
    if (this.#isDue || (capture.requestBytes < SMALL_BYTES && !this.#isBesideFile)) return;
    this.#isDue = true;
    // Nobody waits for that.
    setImmediate(() => this.#work());
  }

  /** As many as are done in a moment, then the others. */
  #work(): void {
    const started = MACHINE_TICKS();
    for (const [at, capture] of this.#waiting.entries()) {
      if (MACHINE_TICKS() - started < SLICE_MS) {
        this.#link(capture);
        continue;
      }
      this.#waiting.splice(0, at);
      setImmediate(() => this.#work());
      return;
    }
    this.#waiting = [];
    this.#isDue = false;
  }

  /** Those that are gone. */
  #forget(): void {
    this.#waiting = this.#waiting.filter(({ id }) => this.#ring.find(id) !== undefined);
    this.#most = Math.max(MIN_WAITING, 2 * this.#waiting.length);
  }

  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const capture of waiting) this.#link(capture);
  }

  #link(capture: Linkable): void {
    if (this.#ring.find(capture.id) === undefined) return;
    const hasChanged = capture.link();
    if (hasChanged || this.#isBesideFile) this.#ring.touch(capture.id);
  }
}
