/**
 * The prices of a running server: taken anew when `prices update`, or the owner, changes one of their files. What
 * cannot be read replaces nothing.
 */
import { ProxyError, toProxyError } from '../lib/errors.ts';
import type { ModelPrice, PriceBook, PriceMoment } from '../pricing/cost.ts';
import { describeAge } from '../pricing/price-age.ts';
import { FileWatch } from './file-watch.ts';

/** Where prices come from, and who hears of a change. */
export interface LivePricesOptions {
  /** They may be missing. */
  readonly files: readonly string[];
  /** Reads them; throws if one of them is wrong. */
  readonly load: () => Promise<PriceBook>;
  /** One sentence: prices were taken anew, or could not be. */
  readonly tell: (message: string) => void;
  readonly lookEveryMs?: number | undefined;
}

/** The owner's price file, and what `prices update` writes; either may be missing. */
export interface PriceFiles {
  readonly priceFile: string | undefined;
  readonly refreshedFile: string;
}

/** State: the book in force. `open` reads the files for the first time. */
export class LivePrices implements PriceBook {
  readonly #options: LivePricesOptions;
  readonly #watch: FileWatch;
  #book: PriceBook;

  /** Throws as `load` does. */
  static async open(options: LivePricesOptions): Promise<LivePrices> {
    const { files, lookEveryMs, load } = options;
    let take: (() => Promise<void>) | undefined;
    const watch = await FileWatch.open({ files, lookEveryMs, onChange: async () => take?.() });
    try {
      const prices = new LivePrices(options, await load(), watch);
      take = () => prices.#take();
      return prices;
    } catch (thrown) {
      watch.close();
      throw thrown;
    }
  }

  private constructor(options: LivePricesOptions, book: PriceBook, watch: FileWatch) {
    this.#options = options;
    this.#book = book;
    this.#watch = watch;
  }

  find(name: string, moment: PriceMoment): ModelPrice | undefined {
    return this.#book.find(name, moment);
  }

  findGuardrail(moment: PriceMoment): ModelPrice | undefined {
    return this.#book.findGuardrail(moment);
  }

  list(moment: PriceMoment): ReturnType<PriceBook['list']> {
    return this.#book.list(moment);
  }

  /** Reads the files again if one of them is another than before. Never rejects. */
  async look(): Promise<void> {
    await this.#watch.look();
  }

  async #take(): Promise<void> {
    const { load, tell } = this.#options;
    try {
      this.#book = await load();
      tell('The prices were taken anew: their files have changed.');
    } catch (thrown) {
      tell(`The prices have changed, but those of before stay in force: ${toProxyError(thrown).message}`);
    }
  }

  /** Nothing is looked at any more. */
  close(): void {
    this.#watch.close();
  }
}

/**
 * The prices of a server with these files. `talk` is told in one sentence what is wrong with them, that they are old,
 * or have changed. At the start, fetched prices that are damaged leave the built-in ones in force; later, those of
 * before. Throws as `loadPrices` does.
 */
export async function openLivePrices(
  { priceFile, refreshedFile }: PriceFiles,
  talk: (message: string) => void,
  lookEveryMs?: number,
): Promise<LivePrices> {
  const { loadPrices } = await import('../pricing/price-book.ts');
  const warn = (message: string): void => talk(`warning: ${message}`);
  const options = { priceFile, refreshedFile };
  let isFirst = true;
  const load = async (): Promise<PriceBook> => {
    if (!isFirst) return loadPrices({ ...options, warn: refuseDamaged(refreshedFile) });
    isFirst = false;
    const book = await loadPrices({ ...options, warn });
    const age = describeAge(book.sources, Date.now());
    if (age !== undefined) warn(`${age} Newer ones: \`bedrock-proxy prices update\`.`);
    return book;
  };
  const files = [refreshedFile, ...(priceFile === undefined ? [] : [priceFile])];
  return LivePrices.open({ files, load, tell: talk, lookEveryMs });
}

function refuseDamaged(path: string): () => never {
  return () => {
    throw new ProxyError('ERR_BAD_OPTION', `${path} is damaged.`);
  };
}
