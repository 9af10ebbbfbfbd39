/**
 * Prices newer than those this program came with: what of the published document is kept, and the file in which it
 * waits for the next start. Pure: texts in, values out. A document that is not whole is refused whole.
 */
import { isObject } from '../lib/json.ts';
import { isCounted } from './price-data.ts';

/** A model as the published document has it; what its prices mean is the library's business. */
export interface PublishedModel {
  readonly id: string;
  readonly prices: PriceRecord | readonly { readonly prices: PriceRecord }[];
  /** Tokens. */
  readonly context_window?: number;
}

/** A record of the published data, not yet read. */
export type PriceRecord = Readonly<Record<string, unknown>>;

/** What `prices update` keeps. */
export interface RefreshedPrices {
  readonly fetchedAtMs: number;
  readonly models: readonly PublishedModel[];
}

/** The provider under which the document has Bedrock's models. */
export const BEDROCK_PROVIDER = 'aws';

/**
 * Bedrock's models of the published document: a list of providers. Throws Error with the reason where it is no such
 * thing.
 */
export function readPublished(text: string): readonly PublishedModel[] {
  const providers = parseJson(text);
  if (!Array.isArray(providers)) throw new Error('it is no list of providers');
  const provider: unknown = providers.find((one: unknown) => isObject(one) && one['id'] === BEDROCK_PROVIDER);
  if (!isObject(provider)) throw new Error(`it has no provider "${BEDROCK_PROVIDER}"`);
  return readModels(provider['models']);
}

/** The text of the file that keeps them. */
export function formatRefreshed({ fetchedAtMs, models }: RefreshedPrices): string {
  return `${JSON.stringify({ fetchedAt: new Date(fetchedAtMs).toISOString(), models })}\n`;
}

/** What `formatRefreshed` wrote. Throws Error with the reason where the file is damaged. */
export function parseRefreshed(text: string): RefreshedPrices {
  const file = parseJson(text);
  if (!isObject(file)) throw new Error('it is no object');
  const fetchedAtMs = typeof file['fetchedAt'] === 'string' ? Date.parse(file['fetchedAt']) : NaN;
  if (Number.isNaN(fetchedAtMs)) throw new Error('it does not say when it was fetched');
  return { fetchedAtMs, models: readModels(file['models']) };
}

function readModels(list: unknown): PublishedModel[] {
  if (!Array.isArray(list) || list.length === 0) throw new Error('it has no models of Bedrock');
  return list.map((model: unknown) => {
    if (!isObject(model) || typeof model['id'] !== 'string') throw new Error('it has a model without an id');
    const { id, prices, context_window: window } = model;
    return { id, prices: readPrices(prices, id), ...(isCount(window) ? { context_window: window } : {}) };
  });
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function readPrices(prices: unknown, id: string): PublishedModel['prices'] {
  if (isObject(prices)) return readRecord(prices);
  const isList = Array.isArray(prices) && prices.length > 0;
  if (!isList) throw new Error(`it has no prices for ${id}`);
  return prices.map((dated: unknown) => {
    const record = isObject(dated) ? dated['prices'] : undefined;
    if (!isObject(dated) || !isObject(record)) throw new Error(`it has no prices for ${id}`);
    return { ...dated, prices: readRecord(record) };
  });
}

/** Emptied where it prices what we do not count: no price then, and no warning of the library on our standard error. */
function readRecord(record: PriceRecord): PriceRecord {
  return Object.keys(record).every(isCounted) ? record : {};
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not JSON, or not all of it');
  }
}
