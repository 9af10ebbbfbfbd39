/**
 * Prices in words and JSON, in USD as people know them: per million tokens, or each. Pure.
 */
import { type ModelPrice, TOKEN_RATES, type TokenRate } from '../../pricing/cost.ts';

/** The prices per token; `name` as in the price file and in the published data. */
export const RATES = Object.entries(TOKEN_RATES).map(([name, field]) => ({
  name,
  words: name.replace('_mtok', '').replaceAll('_', ' '),
  field,
}));
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
  return members;
}
