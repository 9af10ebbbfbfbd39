/**
 * How much of something there was in the last minute, to the second: sixty buckets of one second each. A number that
 * grew in one second falls out as a whole sixty seconds after that second began. Seconds are handed in.
 */

const WINDOW_SECONDS = 60;

/** State: the buckets of the last minute and their sum. Seconds must not go backwards from call to call. */
export class MinuteWindow {
  readonly #buckets = new Float64Array(WINDOW_SECONDS);
  /** The latest second there is a bucket for. */
  #second: number;
  #sum = 0;

  constructor(second: number) {
    this.#second = second;
  }

  /** What there was in the minute that ends with this second. */
  sum(second: number): number {
    this.#advance(second);
    return this.#sum;
  }

  add(second: number, amount: number): void {
    this.#advance(second);
    this.#change(second, amount);
  }

  /** Takes back what was added in an earlier second; nothing if that has fallen out. */
  takeBack(addedInSecond: number, amount: number): void {
    if (addedInSecond <= this.#second - WINDOW_SECONDS) return;
    this.#change(addedInSecond, -amount);
  }

  /**
   * Seconds from the beginning of this one until no more than `allowed` is left; WINDOW_SECONDS if it takes all of it.
   */
  secondsUntil(second: number, allowed: number): number {
    let left = this.sum(second);
    for (let age = WINDOW_SECONDS - 1; age > 0 && left > allowed; age -= 1) {
      left -= this.#buckets[slotOf(second - age)] ?? 0;
      if (left <= allowed) return WINDOW_SECONDS - age;
    }
    return left <= allowed ? 0 : WINDOW_SECONDS;
  }

  #change(second: number, amount: number): void {
    const slot = slotOf(second);
    this.#buckets[slot] = (this.#buckets[slot] ?? 0) + amount;
    this.#sum += amount;
  }

  #advance(second: number): void {
    const passed = second - this.#second;
    if (passed <= 0) return;
    this.#second = second;
    if (this.#sum === 0 || passed >= WINDOW_SECONDS) {
      this.#buckets.fill(0);
      this.#sum = 0;
      return;
    }
    for (let age = passed - 1; age >= 0; age -= 1) {
      const slot = slotOf(second - age);
      this.#sum -= this.#buckets[slot] ?? 0;
      this.#buckets[slot] = 0;
    }
  }
}

function slotOf(second: number): number {
  return ((second % WINDOW_SECONDS) + WINDOW_SECONDS) % WINDOW_SECONDS;
}
