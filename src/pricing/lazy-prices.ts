/**
 * A price book that is opened after the port: the library behind it takes longer to load than everything else that a
 * start waits for. Whoever asks for a price waits for `load` first.
 */
import type { ModelPrice, PriceBook, PriceMoment } from './cost.ts';

/** Nothing has a price before `load` has come to its end. */
export class LazyPrices implements PriceBook {
  readonly #open: () => Promise<PriceBook>;
  #loading: Promise<void> | undefined;
  #book: PriceBook | undefined;

  constructor(open: () => Promise<PriceBook>) {
    this.#open = open;
  }

  /** Begins once, however often it is called. Rejects as `open` does. */
  load(): Promise<void> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load(): Promise<void> {
    this.#book = await this.#open();
  }

  find(name: string, moment: PriceMoment): ModelPrice | undefined {
    return this.#book?.find(name, moment);
  }

  findGuardrail(): ModelPrice | undefined {
    return this.#book?.findGuardrail();
  }

  list(atMs: number): ReturnType<PriceBook['list']> {
    return this.#book?.list(atMs) ?? [];
  }
}
