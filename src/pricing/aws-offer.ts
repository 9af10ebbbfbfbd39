/**
 * AWS's own price list as facts: a file of an offer, which https://pricing.us-east-1.amazonaws.com publishes without
 * credentials. Pure. A row that is strange is counted and left out; what is told twice and differently is not believed.
 */
import { asObject, asText, isObject, type JsonObject } from '../lib/json.ts';
import { indexListedNames } from './aws-names.ts';
import { type Meter, parseUsageType } from './aws-usage-type.ts';
import type { PicoUsd } from './cost.ts';
import { type FactUnit, GUARDRAILS, type PriceFact } from './price-fact.ts';

/** The offers with what Bedrock bills for models; the first two hold those that AWS sells, the last those of others. */
export const OFFERS = ['AmazonBedrock', 'AmazonBedrockService', 'AmazonBedrockFoundationModels'] as const;

/** What a reader of offers has to know of models. */
export interface OfferModels {
  /** Every id there is, without geographies. */
  readonly ids: readonly string[];
  /** The input above which the model costs more, in tokens; the list does not say it. Undefined: nobody knows. */
  readonly findLongContext: (id: string) => number | undefined;
}

/** An offer, read. */
export interface OfferReading {
  /** The day of its publication, `2026-11-28`. */
  readonly publishedOn: string;
  readonly facts: readonly PriceFact[];
  /** Rows that are left out: of what is not counted by the use, or not understood. */
  readonly skipped: number;
  /** Some of them, by their usage types. */
  readonly examples: readonly string[];
}

const MAX_EXAMPLES = 20;
const REGION = /^[a-z]{2}(?:-[a-z]+)+-\d$/;
const USD = /^(\d{1,9})(?:\.(\d{1,18}))?$/;

/** The address of the file with the prices of one region, or of all. */
export function offerUrl(offer: (typeof OFFERS)[number], region?: string): string {
  const folder = region === undefined ? '' : `${region}/`;
  return `https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/${offer}/current/${folder}index.json`;
}

/** Throws Error with the reason if the text is no offer, or not all of it. */
export function readOffer(text: string, models: OfferModels): OfferReading {
  const offer = parseJson(text);
  const products = isObject(offer) ? offer['products'] : undefined;
  const publishedOn = isObject(offer) ? asText(offer['publicationDate']).slice(0, 10) : '';
  if (!isObject(offer) || !isObject(products) || !isObject(asObject(offer['terms'])['OnDemand'])) {
    throw new Error('it is no offer of the AWS Price List');
  }
  if (!/^\d{4}-\d\d-\d\d$/.test(publishedOn)) throw new Error('it does not say when it was published');
  const terms = asObject(asObject(offer['terms'])['OnDemand']);
  const findModels = indexListedNames(models.ids);
  const book = new FactBook();
  const examples: string[] = [];
  let skipped = 0;
  for (const [sku, product] of Object.entries(products)) {
    const attributes = asObject(asObject(product)['attributes']);
    const facts = readProduct(attributes, asObject(terms[sku]), { findModels, models, asOf: publishedOn });
    book.add(facts);
    if (facts.length > 0) continue;
    skipped += 1;
    if (examples.length < MAX_EXAMPLES) examples.push(asText(attributes['usagetype']).slice(0, 200));
  }
  return { publishedOn, facts: book.facts(), skipped: skipped + book.conflicts, examples };
}

interface OfferContext {
  readonly findModels: ReturnType<typeof indexListedNames>;
  readonly models: OfferModels;
  readonly asOf: string;
}

/** A fact, and whether another row on the same counts before it. */
interface RankedFact {
  readonly fact: PriceFact;
  readonly isFallback: boolean;
}

function readProduct(attributes: JsonObject, terms: JsonObject, context: OfferContext): RankedFact[] {
  const meter = parseUsageType(asText(attributes['usagetype']));
  const place = asText(attributes['regionCode']);
  const picoUsd = meter && readPrice(terms, meter);
  if (meter === undefined || picoUsd === undefined || !REGION.test(place)) return [];
  const { models, isOptimized } = findModelsOf(meter, attributes, context.findModels);
  // A tier of a tier: nothing that a request can ask for.
  if (isOptimized && meter.tier !== 'standard') return [];
  const tier = isOptimized ? 'optimized' : meter.tier;
  return models.flatMap((model) => {
    const { unit, limits } = meter;
    const aboveTokens = meter.isLong ? context.models.findLongContext(model) : 0;
    if (aboveTokens === undefined || (picoUsd === 0 && !isFree(model, unit))) return [];
    const common = { model, place, tier, aboveTokens, unit, ...(limits === undefined ? {} : { limits }) };
    return meter.scopes.map((scope) => ({
      fact: { ...common, scope, picoUsd, source: 'aws' as const, asOf: context.asOf },
      isFallback: meter.isFallback || (scope === 'geo' && meter.scopes.length > 1),
    }));
  });
}

/** The list has zeros where a price is not there yet. These are meant. */
function isFree(model: string, unit: FactUnit): boolean {
  return model === GUARDRAILS || (unit === 'cacheWrite' && model.startsWith('amazon.'));
}

/** The product's attribute and the usage type name the model: both, or one. If both are known, they have to agree. */
function findModelsOf(
  { name, style }: Meter,
  attributes: JsonObject,
  findModels: OfferContext['findModels'],
): { readonly models: readonly string[]; readonly isOptimized: boolean } {
  if (name === GUARDRAILS) return { models: [GUARDRAILS], isOptimized: false };
  const attribute = asText(attributes['model']) || asText(attributes['titanModel']);
  const listed = findModels(style === 'marketplace' ? asText(attributes['servicename']) : attribute);
  const metered = findModels(name);
  const { isOptimized } = listed;
  if (listed.models.length === 0 || metered.models.length === 0) {
    return { models: [...listed.models, ...metered.models], isOptimized };
  }
  return { models: listed.models.filter((id) => metered.models.includes(id)), isOptimized };
}

/** The price of one unit; undefined if the terms have none in dollars, or several. */
function readPrice(terms: JsonObject, meter: Meter): PicoUsd | undefined {
  const dimensions = Object.values(terms).flatMap((term) => Object.values(asObject(asObject(term)['priceDimensions'])));
  const prices = dimensions.map((dimension) => readDimension(asObject(dimension), meter));
  return new Set(prices).size === 1 ? prices[0] : undefined;
}

function readDimension(dimension: JsonObject, meter: Meter): PicoUsd | undefined {
  const [, whole, fraction = ''] = USD.exec(asText(asObject(dimension['pricePerUnit'])['USD'])) ?? [];
  const size = sizeOf(dimension, meter);
  if (whole === undefined || size === undefined) return undefined;
  // In units of 1e-18 dollars, then up to the next whole pico-dollar.
  const atto = BigInt(whole + fraction.padEnd(18, '0'));
  const divisor = BigInt(size) * 1_000_000n;
  const pico = Number((atto + divisor - 1n) / divisor);
  return Number.isSafeInteger(pico) ? pico : undefined;
}

/** How many units the price is for. */
function sizeOf(dimension: JsonObject, { style, unit }: Meter): number | undefined {
  const name = asText(dimension['unit']).toLowerCase();
  if (/^1k\b/.test(name)) return 1000;
  if (/^1m\b/.test(name)) return 1_000_000;
  if (!TOKEN_UNITS.has(unit)) return 1;
  // The marketplace counts by the million, and says so in its description, if anywhere.
  const isThousand = /thousand|\b1k\b|\b1,?000\b(?!,)/i.test(asText(dimension['description']));
  return style === 'marketplace' && name === 'units' && !isThousand ? 1_000_000 : undefined;
}

const TOKEN_UNITS: ReadonlySet<string> = new Set([
  'input',
  'output',
  'cacheRead',
  'cacheWrite',
  'cacheWrite1h',
  'inputAudio',
  'outputAudio',
]);

/** Facts by their keys: of those that say the same twice one, of those that contradict each other none. */
class FactBook {
  readonly #entries = new Map<string, RankedFact | 'conflict'>();
  conflicts = 0;

  add(entries: readonly RankedFact[]): void {
    for (const entry of entries) {
      const { model, place, scope, tier, aboveTokens, unit, limits } = entry.fact;
      const key = JSON.stringify([model, place, scope, tier, aboveTokens, unit, limits ?? null, entry.isFallback]);
      const known = this.#entries.get(key);
      if (known === undefined) this.#entries.set(key, entry);
      else if (known !== 'conflict' && known.fact.picoUsd !== entry.fact.picoUsd) {
        this.#entries.set(key, 'conflict');
        this.conflicts += 1;
      }
    }
  }

  facts(): PriceFact[] {
    return [...this.#entries].flatMap(([key, entry]) => {
      if (entry === 'conflict') return [];
      return entry.isFallback && this.#entries.has(key.replace(/true\]$/, 'false]')) ? [] : [entry.fact];
    });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not JSON, or not all of it');
  }
}
