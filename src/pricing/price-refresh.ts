/**
 * Prices newer than those this program came with: the file in which `prices update` keeps them, each document that it
 * fetched with its address and its facts. Pure: texts in, values out. A file that is not whole is refused whole.
 */
import { checkFactFile, type FactFile, formatFactFile, readFactFile } from './fact-file.ts';
import { readGenaiPrices } from './genai-prices.ts';
import { asObject, isObject } from '../lib/json.ts';

/** A document that was fetched. */
export interface PriceFetch {
  /** Where it came from; of each address, the last fetch counts. */
  readonly url: string;
  /** What the server said, for a request that asks whether there is a newer one. */
  readonly etag: string | undefined;
  readonly fetchedAtMs: number;
  readonly file: FactFile;
}

/** What `prices update` keeps. */
export interface RefreshedPrices {
  readonly fetches: readonly PriceFetch[];
}

const FORMAT = 2;
/** Where the project genai-prices publishes its data; earlier versions fetched nothing else. */
export const GENAI_PRICES_URL =
  'https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/new_data/v2/data.json';

/** What was kept, with what was fetched since: of one address, the later. */
export function mergeFetches(before: RefreshedPrices, later: readonly PriceFetch[]): RefreshedPrices {
  const fetches = new Map([...before.fetches, ...later].map((fetch) => [fetch.url, fetch]));
  return { fetches: [...fetches.values()] };
}

/** The text of the file that keeps them. */
export function formatRefreshed({ fetches }: RefreshedPrices): string {
  const documents = fetches.map(({ url, etag, fetchedAtMs, file }) => {
    const head = { url, ...(etag !== undefined && { etag }), fetchedAt: new Date(fetchedAtMs).toISOString() };
    return `${JSON.stringify(head).slice(0, -1)}, "prices": ${formatFactFile(file)}}`;
  });
  return `{ "format": ${FORMAT}, "fetches": [\n${documents.join(',\n')}] }\n`;
}

/**
 * What `formatRefreshed` wrote, or an earlier version did: that had the prices of genai-prices alone. Throws Error with
 * the reason if the file is damaged.
 */
export function parseRefreshed(text: string): RefreshedPrices {
  const file = parseJson(text);
  if (!isObject(file)) throw new Error('it is no object');
  if (file['format'] === undefined) return { fetches: [readFirstFormat(file)] };
  if (file['format'] !== FORMAT) throw new Error('a later version wrote it');
  if (!Array.isArray(file['fetches'])) throw new Error('it does not say what was fetched');
  return {
    fetches: file['fetches'].map((one: unknown) => {
      const { url, etag, fetchedAt, prices } = asObject(one);
      if (typeof url !== 'string') throw new Error('it does not say where its prices are from');
      const known = { url, etag: typeof etag === 'string' ? etag : undefined, fetchedAtMs: readTime(fetchedAt) };
      const facts = readFactFile(prices);
      checkFactFile(facts);
      return { ...known, file: facts };
    }),
  };
}

function readFirstFormat({ fetchedAt, models }: Readonly<Record<string, unknown>>): PriceFetch {
  const fetchedAtMs = readTime(fetchedAt);
  const asOf = new Date(fetchedAtMs).toISOString().slice(0, 10);
  return { url: GENAI_PRICES_URL, etag: undefined, fetchedAtMs, file: readGenaiPrices(models, asOf) };
}

function readTime(value: unknown): number {
  const timeMs = typeof value === 'string' ? Date.parse(value) : NaN;
  if (Number.isNaN(timeMs)) throw new Error('it does not say when it was fetched');
  return timeMs;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not JSON, or not all of it');
  }
}
