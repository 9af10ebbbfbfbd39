/**
 * The last changes of exchanges, for those who follow them: whoever was away for a while asks what he missed.
 */
import type { ExchangeChange } from './exchange.ts';

/** So many are kept. */
const MAX_CHANGES = 10_000;

/** State: the last changes, and who is told of the next. */
export class ChangeLog {
  readonly #changes: ExchangeChange[] = [];
  readonly #listeners = new Set<(change: ExchangeChange) => void>();
  #cursor: number;

  /** `cursor`: of the last change, before there was any. */
  constructor(cursor = 0) {
    this.#cursor = cursor;
  }

  get cursor(): number {
    return this.#cursor;
  }

  /** Tells it at once. What a listener throws is its own business. */
  add(id: string, kind: ExchangeChange['kind']): void {
    this.#cursor += 1;
    const change = { cursor: this.#cursor, id, kind };
    this.#changes.push(change);
    // Not at each: that would move all of them.
    if (this.#changes.length > 2 * MAX_CHANGES) this.#changes.splice(0, this.#changes.length - MAX_CHANGES);
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch {
        // The others are told nevertheless.
      }
    }
  }

  /** Each exchange once, with its last change; undefined: they are not kept any more. */
  after(cursor: number): readonly ExchangeChange[] | undefined {
    if (cursor > this.#cursor || cursor < this.#cursor - this.#changes.length) return undefined;
    const missed = this.#changes.slice(this.#changes.length - (this.#cursor - cursor));
    const last = new Map(missed.map((change) => [change.id, change]));
    return missed.filter((change) => last.get(change.id) === change);
  }

  /** Gives the function that ends it. */
  watch(listener: (change: ExchangeChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
