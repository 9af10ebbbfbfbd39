/**
 * Requests that are over, and whose row waits for one thing more: the model behind an inference profile, which AWS is
 * being asked for. Their clients have their responses; what is bounded here is how long a row waits, and how many do.
 */
import { within } from '../lib/deadline.ts';

/** A look-up has ended by then; this is for one that does not. */
const TIMEOUT_MS = 6_000;
/** Records, closed and small. */
const MAX_WAITING = 10_000;
/** How long the end waits for those that wait. */
const CLOSE_TIMEOUT_MS = 2_000;

/** State: what waits. */
export class Deferred {
  readonly #waiting = new Set<() => void>();
  #onEmpty = (): void => {};
  #isClosed = false;

  /**
   * Calls `settle` once: when `work` has ended, however it did, or at the latest after some seconds. At once if too
   * many wait already, or after the end. `settle` must not throw.
   */
  defer(work: Promise<unknown>, settle: () => void): void {
    if (this.#isClosed || this.#waiting.size >= MAX_WAITING) return settle();
    const end = (): void => {
      if (!this.#waiting.delete(end)) return;
      clearTimeout(timer);
      settle();
      if (this.#waiting.size === 0) this.#onEmpty();
    };
    const timer = setTimeout(end, TIMEOUT_MS).unref();
    this.#waiting.add(end);
    work.then(end, end);
  }

  /** Waits a moment for what waits, then settles it as it is. From here on nothing waits. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#waiting.size === 0) return;
    await within(CLOSE_TIMEOUT_MS, new Promise<void>((resolve) => (this.#onEmpty = resolve)));
    for (const end of this.#waiting) end();
  }
}
