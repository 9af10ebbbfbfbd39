/**
 * What a usage costs at a price: exact integer arithmetic, rounded once. Also the types of prices, so that what works
 * with them need not load what knows them (`price-book.ts`). Pure; unknown is undefined, never 0.
 */
import type { PieceUnit } from '../domain/units.ts';
import { sumInput, type Usage } from '../domain/usage.ts';

/** Pico-dollars (1e-12 USD), whole. A price of 1 USD per million tokens is 1,000,000 pico-dollars per token. */
export type PicoUsd = number;

/**
 * Per token. Where it depends on the length of the input: the price of the last step whose `aboveTokens` the whole
 * input, caches included, exceeds holds for every token of the request. Steps ascend.
 */
export type TokenRate =
  | PicoUsd
  | { readonly base: PicoUsd; readonly steps: readonly { readonly aboveTokens: number; readonly price: PicoUsd }[] };

/** How a model is served, where that has a price of its own; `standard` is everything else. */
export type Tier = 'standard' | 'flex' | 'priority' | 'batch' | 'reserved' | 'optimized';

/** What one model charges, as it is served (tier, latency, geography) at one moment. Undefined: nobody knows. */
export interface ModelPrice {
  readonly input?: TokenRate | undefined;
  readonly output?: TokenRate | undefined;
  readonly cacheRead?: TokenRate | undefined;
  /** For five minutes. */
  readonly cacheWrite?: TokenRate | undefined;
  readonly cacheWrite1h?: TokenRate | undefined;
  readonly inputAudio?: TokenRate | undefined;
  readonly outputAudio?: TokenRate | undefined;
  /** Per image made. */
  readonly image?: PicoUsd | undefined;
  /** Per request, whatever it uses. */
  readonly request?: PicoUsd | undefined;
  /** Per piece. */
  readonly units?: Readonly<Partial<Record<PieceUnit, PicoUsd>>> | undefined;
  /** Per unit, by AWS's names. */
  readonly guardrailUnits?: Readonly<Record<string, PicoUsd>> | undefined;
  /** The context window of the model: what it reads and writes at most. Undefined: nobody knows. */
  readonly contextTokens?: number | undefined;
  /** What the model writes at most in one response. Undefined: nobody knows. */
  readonly maxOutputTokens?: number | undefined;
  readonly origin?: PriceOrigin | undefined;
  /** The dearer price, if sources differ: what a budget reckons with. */
  readonly ceiling?: ModelPrice | undefined;
}

/** The prices per token, by the names that the published data and the price file have for them (USD per million). */
export const TOKEN_RATES = {
  input_mtok: 'input',
  output_mtok: 'output',
  cache_read_mtok: 'cacheRead',
  cache_write_mtok: 'cacheWrite',
  cache_write_1h_mtok: 'cacheWrite1h',
  input_audio_mtok: 'inputAudio',
  output_audio_mtok: 'outputAudio',
} as const satisfies Record<string, keyof ModelPrice>;

/** Who told a price: AWS, somebody who copies AWS's prices, or the owner's price file. */
export type PriceSourceName = 'aws' | 'litellm' | 'genai-prices' | 'file';

/** Where a price comes from. */
export interface PriceOrigin {
  /** The owner's price file, what `prices update` fetched, or what this program came with. */
  readonly kind: 'file' | 'refreshed' | 'built-in';
  readonly source: PriceSourceName;
  /** Of the entry: a pattern of the price file, or a model in the data. */
  readonly name: string;
  /** The day on which the source was read, `2026-11-28`; undefined for the owner's file. */
  readonly asOf?: string | undefined;
  /** The called region's price is not known: this is the most expensive of other regions, and one of them is this. */
  readonly assumedRegion?: string | undefined;
}

/** Who told a price, for the ledger: `aws`, or `litellm (other region)` if the called region's is not known. */
export function priceSourceOf({ origin }: ModelPrice): string | undefined {
  return origin && (origin.assumedRegion === undefined ? origin.source : `${origin.source} (other region)`);
}

/** What kind of image or video a request asks for, as far as it says. */
export interface MediaVariant {
  /** Pixels. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** In the model's word, lower case: `standard`, `premium`. */
  readonly quality?: string | undefined;
  /** Of diffusion. */
  readonly steps?: number | undefined;
}

/**
 * When, where, and how served. Tier and latency in AWS's words, lower case; undefined counts as `default` and
 * `standard`.
 */
export interface PriceMoment {
  readonly atMs: number;
  /** The one that is called: of an inference profile, the one it is called in. */
  readonly region: string;
  readonly variant?: MediaVariant | undefined;
  readonly serviceTier: string | undefined;
  readonly latency: string | undefined;
}

/** Prices by the names of models. */
export interface PriceBook {
  /**
   * By any name of a model: as the request has it (an application inference profile may stand in the price file by its
   * ARN), or as it was looked up. Undefined where no price is known for it. Throws never.
   */
  find(name: string, moment: PriceMoment): ModelPrice | undefined;
  /** The price of guardrail units alone, for requests without a model; undefined if nobody knows it there. */
  findGuardrail(moment: PriceMoment): ModelPrice | undefined;
  /**
   * Every name that has a price at that moment, patterns of the price file first. A geography's profile is not there:
   * it costs what the model costs in the region.
   */
  list(moment: PriceMoment): readonly { readonly name: string; readonly price: ModelPrice }[];
}

/** The book in which nothing has a price. */
export const NO_PRICES: PriceBook = { find: () => undefined, findGuardrail: () => undefined, list: () => [] };

/**
 * In nano-dollars, rounded half up; undefined where something that was used has no price, where nothing was reported
 * (unless the price is per request alone), and where the counts contradict each other. Throws never.
 */
export function costOf(usage: Usage, price: ModelPrice): number | undefined {
  const items = itemize(usage, price);
  if (items === undefined) return undefined;
  if (items.length === 0 && !isPerRequestAlone(price)) return undefined;
  let pico = BigInt(price.request ?? 0);
  for (const [count, unitPrice] of items) {
    if (count === 0) continue;
    if (unitPrice === undefined) return undefined;
    pico += BigInt(count) * BigInt(unitPrice);
  }
  const nano = Number((pico + 500n) / 1000n);
  return Number.isSafeInteger(nano) ? nano : undefined;
}

type Item = readonly [count: number, price: PicoUsd | undefined];

/** Counts that do not overlap, each with its price; undefined where they make no sense. */
function itemize(usage: Usage, price: ModelPrice): readonly Item[] | undefined {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = usage;
  const wholeInput = usage.longestInputTokens ?? sumInput(usage) ?? 0;
  const items: Item[] = [];
  const add = (count: number | undefined, rate: TokenRate | undefined): void => {
    if (count !== undefined) items.push([count, rateAt(rate, wholeInput)]);
  };
  add(without(inputTokens, usage.inputAudioTokens), price.input);
  add(usage.inputAudioTokens, price.inputAudio);
  add(without(outputTokens, usage.outputAudioTokens), price.output);
  add(usage.outputAudioTokens, price.outputAudio);
  add(cacheReadTokens, price.cacheRead);
  add(without(cacheWriteTokens, usage.cacheWrite1hTokens), price.cacheWrite);
  add(usage.cacheWrite1hTokens, price.cacheWrite1h);
  add(usage.images, price.image);
  // A price per request is for all that it asks for, unless there is one for that.
  const pieces = price.units === undefined && isPerRequestAlone(price) ? {} : (usage.units ?? {});
  for (const name of Object.keys(pieces) as PieceUnit[]) add(pieces[name], price.units?.[name]);
  for (const [name, count] of Object.entries(usage.guardrailUnits ?? {})) {
    items.push([count, guardrailUnitPrice(name, price)]);
  }
  return items.every(([count]) => Number.isSafeInteger(count) && count >= 0) ? items : undefined;
}

/** A whole without a part of it; -1, which no count is, where the part is of nothing or larger. */
function without(whole: number | undefined, part: number | undefined): number | undefined {
  if (part === undefined) return whole;
  return whole === undefined ? (part === 0 ? undefined : -1) : whole - part;
}

function rateAt(rate: TokenRate | undefined, inputTokens: number): PicoUsd | undefined {
  if (rate === undefined || typeof rate === 'number') return rate;
  return rate.steps.findLast(({ aboveTokens }) => inputTokens > aboveTokens)?.price ?? rate.base;
}

function guardrailUnitPrice(name: string, price: ModelPrice): PicoUsd | undefined {
  const units = price.guardrailUnits ?? {};
  if (Object.hasOwn(units, name)) return units[name];
  // `sensitiveInformationPolicyFreeUnits`: AWS says it in the name.
  return name.endsWith('FreeUnits') ? 0 : undefined;
}

/** A search, an image service: sold by the piece, and their responses report nothing. */
function isPerRequestAlone(price: ModelPrice): boolean {
  return price.request !== undefined && price.input === undefined && price.output === undefined;
}

/**
 * A decimal price in USD as whole pico-dollars: per million tokens with `decimals` 6 (per token), per piece with 12.
 * Undefined where it cannot be told exactly, or is negative.
 */
export function toPicoUsd(usd: number, decimals: 6 | 12): PicoUsd | undefined {
  const pico = Math.round(usd * 10 ** decimals);
  // The decimal that was written is the one whose nearest double this is.
  const isExact = Number.isSafeInteger(pico) && pico >= 0 && Number(`${pico}e-${decimals}`) === usd;
  return isExact ? pico : undefined;
}
