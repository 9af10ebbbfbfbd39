/**
 * Prices in words and JSON, in USD as people know them: per million tokens, or each. Pure.
 */
import { type ModelPrice, TOKEN_RATES, type TokenRate } from '../../pricing/cost.ts';
import type { PriceFact } from '../../pricing/price-fact.ts';

/** The prices per token; `name` as in the price file and in the published data. */
export const RATES = Object.entries(TOKEN_RATES).map(([name, field]) => ({
  name,
  words: name.replace('_mtok', '').replaceAll('_', ' '),
  field,
}));
/** Whose prices are shown if no region is configured. */
export const DEFAULT_PRICE_REGION = 'us-east-1';
/** What is sold by the piece. */
export const PIECES = ['image', 'request'] as const satisfies readonly (keyof ModelPrice)[];

/** Exact: a double shows the shortest decimal that it stands for. */
export function perMillion(picoUsdPerToken: number): string {
  return String(picoUsdPerToken / 1e6);
}

/** A price per piece, in words. The amount is pico-dollars. */
export function each(picoUsd: number): string {
  return String(picoUsd / 1e12);
}

/** In one cell: `3`, `3+` where long inputs cost more, `-` where nobody knows. */
export function shortRate(rate: TokenRate | undefined): string {
  if (rate === undefined) return '-';
  return typeof rate === 'number' ? perMillion(rate) : `${perMillion(rate.base)}+`;
}

/** A number, or with steps an object in the shape of the published data. */
export function rateToJson(rate: TokenRate): unknown {
  if (typeof rate === 'number') return Number(perMillion(rate));
  return {
    base: Number(perMillion(rate.base)),
    tiers: rate.steps.map(({ aboveTokens, price }) => ({ start: aboveTokens, price: Number(perMillion(price)) })),
  };
}

/** The members of a price file's entry. */
export function priceToJson(price: ModelPrice): Record<string, unknown> {
  const members: Record<string, unknown> = {};
  for (const { name, field } of RATES) {
    const rate = price[field];
    if (rate !== undefined) members[name] = rateToJson(rate);
  }
  for (const name of PIECES) {
    const pico = price[name];
    if (pico !== undefined) members[name] = Number(each(pico));
  }
  const units = Object.entries(price.units ?? {}).map(([name, pico]) => [name, Number(each(pico))]);
  if (units.length > 0) members['units'] = Object.fromEntries(units);
  return members;
}

/** `input 0.8`, `input above 200000 tokens 1.6`. */
export function describeFact(fact: PriceFact): string {
  const { unit, aboveTokens, picoUsd } = fact;
  const step = aboveTokens === 0 ? '' : ` above ${aboveTokens} tokens`;
  const isRate = RATES.some(({ field }) => field === unit);
  return `${factName(fact)}${step} ${isRate ? perMillion(picoUsd) : each(picoUsd)}`;
}

/** `input`, `image (premium, up to 1024 px)`. */
export function factName({ unit, limits }: PriceFact): string {
  const { quality, maxSide, maxSteps } = limits ?? {};
  const kind = [
    quality,
    maxSide === undefined ? undefined : `up to ${maxSide} px`,
    maxSteps === undefined ? undefined : `up to ${maxSteps} steps`,
  ].filter((limit) => limit !== undefined);
  const words = RATES.find(({ field }) => field === unit)?.words ?? unitWords(unit);
  return kind.length === 0 ? words : `${words} (${kind.join(', ')})`;
}

/** `web searches` for `webSearches`. */
export function unitWords(unit: string): string {
  return unit.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
