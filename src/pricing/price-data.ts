/**
 * Published prices as data: which model of the data a name stands for, and a record of genai-prices as one of our
 * prices. A name that merely contains another one does not mean it (Titan's embeddings v2 cost a fifth of v1): a wrong
 * price is worse than none. Pure.
 */
import { withoutGeography } from '../domain/model-name.ts';
import { type ModelPrice, type PicoUsd, TOKEN_RATES, type TokenRate, toPicoUsd } from './cost.ts';

/**
 * A model of the data. Its id may begin with `regional.` or `global.`; without either it is priced alike everywhere but
 * globally.
 */
export interface DataModel {
  readonly id: string;
}

/** What two names of one model have in common, and what tells them apart. */
interface ModelIdentity {
  /** Provider and name, version and date taken off; with `global.` before it where that is its geography. */
  readonly family: string;
  /** `-v2:0` is 2; a name without a version means the first. */
  readonly version: number;
  readonly minor: number | undefined;
  readonly date: string | undefined;
}

/** `-v1`, `-v1:0`, `-1:0`, `:0`, and then perhaps the length of a context (`:24k`). */
const VERSION =
  /(?:-v(?<version>\d+)(?::(?<minor>\d+))?|-(?<plain>\d+):(?<plainMinor>\d+)|:(?<alone>\d+))(?::[a-z0-9]+)?$/;
const DATE = /-(20\d{6})$/;

/**
 * Names as bedrock-mantle and bedrock-runtime have them: `-v1:0` and dates left out, and `-instruct` added to Qwen's.
 */
function identify(id: string): ModelIdentity {
  const isGlobal = id.startsWith('global.');
  let name = isGlobal ? id.slice('global.'.length) : withoutGeography(id.replace(/^regional\./, ''));
  const found = VERSION.exec(name)?.groups ?? {};
  name = name.replace(VERSION, '');
  const date = DATE.exec(name)?.[1];
  name = name.replace(DATE, '').replace(/^(qwen\.qwen3-.+)-instruct$/, '$1');
  const minor = found['minor'] ?? found['plainMinor'] ?? found['alone'];
  return {
    family: isGlobal ? `global.${name}` : name,
    version: Number(found['version'] ?? found['plain'] ?? 1),
    minor: minor === undefined ? undefined : Number(minor),
    date,
  };
}

/** Finds the one model that a name means; undefined where there is none, or several with equal right. */
export function indexModels<T extends DataModel>(models: readonly T[]): (name: string) => T | undefined {
  const families = Map.groupBy(
    models.map((model) => ({ model, identity: identify(model.id) })),
    ({ identity }) => identity.family,
  );
  return (name) => {
    const asked = identify(name);
    const fitting = (families.get(asked.family) ?? []).filter(
      ({ identity }) =>
        identity.version === asked.version && agree(identity.minor, asked.minor) && agree(identity.date, asked.date),
    );
    const exact = fitting.filter(({ identity }) => identity.date === asked.date);
    return (exact.length > 0 ? exact : fitting).length === 1 ? (exact[0] ?? fitting[0])?.model : undefined;
  };
}

function agree<T>(one: T | undefined, other: T | undefined): boolean {
  return one === undefined || other === undefined || one === other;
}

const isTokenRate = (name: string): name is keyof typeof TOKEN_RATES => Object.hasOwn(TOKEN_RATES, name);

/**
 * A price record in pico-dollars. Undefined if it prices something that we do not count (images, searches), so that the
 * sum would be wrong, and if a number cannot be told exactly.
 */
export function readPriceRecord(modelId: string, record: Readonly<Record<string, unknown>>): ModelPrice | undefined {
  const prices: Partial<Record<(typeof TOKEN_RATES)[keyof typeof TOKEN_RATES], TokenRate>> = {};
  for (const [name, value] of Object.entries(record)) {
    if (value === undefined) continue;
    const rate = isTokenRate(name) ? readRate(value) : undefined;
    if (!isTokenRate(name) || rate === undefined) return undefined;
    prices[TOKEN_RATES[name]] = rate;
  }
  return prices.input === undefined ? undefined : withHourWrites(prices, modelId);
}

/**
 * Writes to Claude's cache for an hour cost twice the input (Anthropic's price list, and so wherever a source has
 * them); most have no price for them, and that of the five-minute ones would be too low.
 */
export function withHourWrites(price: ModelPrice, modelId: string): ModelPrice {
  const { input, cacheWrite, cacheWrite1h } = price;
  if (input === undefined || cacheWrite === undefined || cacheWrite1h !== undefined) return price;
  return /(?:^|\.)anthropic\.claude-/.test(modelId) ? { ...price, cacheWrite1h: doubled(input) } : price;
}

function doubled(rate: TokenRate): TokenRate {
  if (typeof rate === 'number') return 2 * rate;
  return { base: 2 * rate.base, steps: rate.steps.map((step) => ({ ...step, price: 2 * step.price })) };
}

function readRate(value: unknown): TokenRate | undefined {
  if (typeof value === 'number') return toPicoUsd(value, 6);
  if (typeof value !== 'object' || value === null || !('base' in value) || !('tiers' in value)) return undefined;
  const base = typeof value.base === 'number' ? toPicoUsd(value.base, 6) : undefined;
  if (base === undefined || !Array.isArray(value.tiers)) return undefined;
  const steps = value.tiers.map(readStep).filter((step) => step !== undefined);
  if (steps.length < value.tiers.length) return undefined;
  return { base, steps: steps.toSorted((a, b) => a.aboveTokens - b.aboveTokens) };
}

function readStep(value: unknown): { readonly aboveTokens: number; readonly price: PicoUsd } | undefined {
  if (typeof value !== 'object' || value === null || !('start' in value) || !('price' in value)) return undefined;
  const { start, price } = value;
  const pico = typeof price === 'number' ? toPicoUsd(price, 6) : undefined;
  if (pico === undefined || typeof start !== 'number' || !Number.isSafeInteger(start) || start < 0) return undefined;
  return { aboveTokens: start, price: pico };
}
