/**
 * How many exchanges are kept in a second. At a desk it is no limit; a load test would have each of its exchanges kept
 * for a fraction of a second, and pay for it with a quarter of its speed.
 */
import type { MonotonicClock } from '../lib/clock.ts';

/** Unless told otherwise: some two per cent of a core. */
export const MAX_CAPTURED_PER_SECOND = 500;
/** What was not used of so much time may come at once. */
const BURST_SECONDS = 0.5;

/** A token bucket. State: how many may come now. */
export class CaptureRate {
  readonly #perSecond: number;
  readonly #tickMs: MonotonicClock;
  /** At once. */
  readonly #most: number;
  #left: number;
  #filledAt: number;

  constructor(perSecond: number, tickMs: MonotonicClock) {
    this.#perSecond = perSecond;
    this.#tickMs = tickMs;
    this.#most = Math.max(perSecond * BURST_SECONDS, 1);
    this.#left = this.#most;
    this.#filledAt = tickMs();
  }

  /** Whether one more is kept; it is counted. */
  take(): boolean {
    const now = this.#tickMs();
    const filled = this.#left + ((now - this.#filledAt) * this.#perSecond) / 1_000;
    this.#filledAt = now;
    this.#left = Math.min(filled, this.#most);
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
