/**
 * Prices of Bedrock's models as the project genai-prices publishes them, as facts. Pure; the library of that project is
 * not needed. A record that prices what this program does not count is left out: its sum would be wrong.
 */
import { isObject } from '../lib/json.ts';
import { TOKEN_RATES } from './cost.ts';
import { type FactFile, makeFactFile } from './fact-file.ts';
import { readPriceRecord } from './price-data.ts';
import type { ModelWindow, PriceFact, PriceScope } from './price-fact.ts';
import { EVERYWHERE } from './price-key.ts';

/** The provider under which the document has Bedrock's models. */
const PROVIDER = 'aws';

/**
 * The published document, a list of providers. `asOf` is the day on which it was read. Throws Error with the reason if
 * it is no such thing.
 */
export function readGenaiDocument(text: string, asOf: string): FactFile {
  const document = parseJson(text);
  if (!Array.isArray(document)) throw new Error('it is no list of providers');
  const provider: unknown = document.find((one: unknown) => isObject(one) && one['id'] === PROVIDER);
  if (!isObject(provider)) throw new Error(`it has no provider "${PROVIDER}"`);
  return readGenaiPrices(provider['models'], asOf);
}

/** The models of the document. Throws Error with the reason if they are no models, or none has a price. */
export function readGenaiPrices(models: unknown, asOf: string): FactFile {
  if (!Array.isArray(models) || models.length === 0) throw new Error('it has no models of Bedrock');
  const facts: PriceFact[] = [];
  const windows = new Map<string, ModelWindow>();
  for (const model of models as unknown[]) {
    if (!isObject(model) || typeof model['id'] !== 'string') throw new Error('it has a model without an id');
    const { id, prices, context_window: window } = model;
    const { name, scopes } = readId(id);
    facts.push(...readDated(prices, id).flatMap((dated) => readFacts(dated, { name, scopes, asOf })));
    if (isCount(window)) windows.set(name, { contextTokens: window });
  }
  if (facts.length === 0) throw new Error('none of its prices can be read');
  return makeFactFile({ teller: 'genai-prices', title: 'genai-prices', asOf }, facts, windows);
}

/** AWS's prices of Claude are the same in every commercial region; those of others differ, and are known of these. */
const ALIKE_EVERYWHERE = /^anthropic\./;
const QUOTED_REGIONS = ['us-east-1', 'us-west-2'];

/** A name without a geography is priced alike by itself and by the profile of a geography. */
function readId(id: string): { readonly name: string; readonly scopes: readonly PriceScope[] } {
  if (id.startsWith('global.')) return { name: id.slice('global.'.length), scopes: ['global'] };
  return { name: id.replace(/^regional\./, ''), scopes: ['region', 'geo'] };
}

interface DatedRecord {
  readonly record: Readonly<Record<string, unknown>>;
  readonly from: string | undefined;
}

/** None if one of them holds under a condition that is no day. */
function readDated(prices: unknown, id: string): readonly DatedRecord[] {
  if (isObject(prices)) return [{ record: prices, from: undefined }];
  if (!Array.isArray(prices) || prices.length === 0) throw new Error(`it has no prices for ${id}`);
  const dated = prices.map((one: unknown): DatedRecord | undefined => {
    const record = isObject(one) ? one['prices'] : undefined;
    if (!isObject(one) || !isObject(record)) throw new Error(`it has no prices for ${id}`);
    const { constraint } = one;
    if (constraint === undefined || constraint === null) return { record, from: undefined };
    const from = isObject(constraint) ? constraint['start_date'] : undefined;
    return typeof from === 'string' && /^\d{4}-\d\d-\d\d$/.test(from) ? { record, from } : undefined;
  });
  const known = dated.filter((one) => one !== undefined);
  return known.length === dated.length ? known : [];
}

interface Of {
  readonly name: string;
  readonly scopes: readonly PriceScope[];
  readonly asOf: string;
}

function readFacts({ record, from }: DatedRecord, { name, scopes, asOf }: Of): PriceFact[] {
  const price = readPriceRecord(name, record) ?? {};
  const rates = Object.values(TOKEN_RATES).flatMap((unit) => {
    const rate = price[unit];
    if (rate === undefined) return [];
    const { base, steps } = typeof rate === 'number' ? { base: rate, steps: [] } : rate;
    return [{ aboveTokens: 0, price: base }, ...steps.map(withoutEarlyStart)].map((step) => ({ unit, ...step }));
  });
  const places = ALIKE_EVERYWHERE.test(name) ? [EVERYWHERE] : QUOTED_REGIONS;
  const homes = places.flatMap((place) => scopes.map((scope) => ({ place, scope })));
  const of = { model: name, tier: 'standard', source: 'genai-prices', asOf } as const;
  return homes.flatMap((home) =>
    rates.map(({ unit, aboveTokens, price: picoUsd }) => ({
      ...of,
      ...home,
      unit,
      aboveTokens,
      picoUsd,
      ...(from === undefined ? {} : { from }),
    })),
  );
}

/** A step of the data that begins at 271,999 is AWS's above 272,000 tokens, told one too early. */
function withoutEarlyStart<T extends { readonly aboveTokens: number }>(step: T): T {
  const { aboveTokens } = step;
  return aboveTokens % 1000 === 999 ? { ...step, aboveTokens: aboveTokens + 1 } : step;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not JSON, or not all of it');
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}
