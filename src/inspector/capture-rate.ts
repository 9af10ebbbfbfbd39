/**
 * How many exchanges are kept in a second. At a desk it is all of them. A load test would have each of its exchanges
 * kept for a moment, and pay for it with a quarter of its speed: of that, a sample is kept.
 */
import type { MonotonicClock } from '../lib/clock.ts';

/** More in a second is a load test, unless told otherwise. */
export const MAX_CAPTURED_PER_SECOND = 500;
/** Of a load test, one of so many that fit. */
const SAMPLED = 10;
/** It is over when it has been calm for so long. */
const CALM_MS = 5_000;
const WINDOW_MS = 1_000;

/** State: what has come in this second, and until when that counts as a load test. */
export class CaptureRate {
  readonly #perSecond: number;
  readonly #tickMs: MonotonicClock;
  #windowFrom = Number.NEGATIVE_INFINITY;
  #seen = 0;
  #kept = 0;
  #isLoadUntil = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number, tickMs: MonotonicClock) {
    this.#perSecond = perSecond;
    this.#tickMs = tickMs;
  }

  /** Whether one more is kept; it is counted. */
  take(): boolean {
    const now = this.#tickMs();
    if (now - this.#windowFrom >= WINDOW_MS) {
      this.#windowFrom = now;
      this.#seen = this.#kept = 0;
    }
    this.#seen += 1;
    if (this.#seen > this.#perSecond) this.#isLoadUntil = now + CALM_MS;
    const most = now < this.#isLoadUntil ? Math.max(this.#perSecond / SAMPLED, 1) : this.#perSecond;
    if (this.#kept >= most) return false;
    this.#kept += 1;
    return true;
  }
}
