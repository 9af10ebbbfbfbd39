/**
 * Counts that heal with time, by name: so many at once, and then so many in a time. Bounded, however many names come.
 * The clock is handed in. Pure otherwise.
 */
import type { MonotonicClock } from './clock.ts';

interface Bucket {
  readonly level: number;
  readonly atTick: number;
}

/** State: a level for each name, of those that were counted last. */
export class LeakyBuckets {
  readonly #tickMs: MonotonicClock;
  readonly #leakMs: number;
  readonly #maxNames: number;
  readonly #buckets = new Map<string, Bucket>();

  /** A level falls by one every `leakMs`. Of more than `maxNames`, the one that was counted longest ago goes. */
  constructor(tickMs: MonotonicClock, { leakMs, maxNames }: { readonly leakMs: number; readonly maxNames: number }) {
    this.#tickMs = tickMs;
    this.#leakMs = leakMs;
    this.#maxNames = maxNames;
  }

  /** How many names have a level. */
  get size(): number {
    return this.#buckets.size;
  }

  /** The level now; 0 for a name that is not known. */
  level(name: string): number {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) return 0;
    return Math.max(0, bucket.level - (this.#tickMs() - bucket.atTick) / this.#leakMs);
  }

  /** The level with one more. */
  count(name: string): number {
    const level = this.level(name) + 1;
    this.#buckets.delete(name);
    this.#buckets.set(name, { level, atTick: this.#tickMs() });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > this.#maxNames && oldest !== undefined) this.#buckets.delete(oldest);
    return level;
  }
}
