/** What a cache that was lost has cost: at the price by which the ledger's row was made. Pure. */
import type { Usage } from '../domain/usage.ts';
import { costOf, type ModelPrice } from '../pricing/cost.ts';
import { sumInput } from '../domain/usage.ts';

/** In nano-dollars; undefined: nobody knows. */
export interface CacheMoney {
  readonly actual: number | undefined;
  /** If all that could have been read had been read. */
  readonly withHit: number | undefined;
  /** Without any marker. */
  readonly withoutMarkers: number | undefined;
  readonly lost: number | undefined;
}

/** `lostTokens` could have been read, and were written or taken as input. */
export function reckonCache(usage: Usage | undefined, price: ModelPrice | undefined, lostTokens: number): CacheMoney {
  if (usage === undefined || price === undefined) {
    return { actual: undefined, withHit: undefined, withoutMarkers: undefined, lost: undefined };
  }
  const actual = costOf(usage, price);
  const withHit = costOf(readInstead(usage, lostTokens), price);
  const plain = {
    ...usage,
    inputTokens: sumInput(usage),
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    cacheWrite1hTokens: 0,
  };
  const isKnown = actual !== undefined && withHit !== undefined;
  return {
    actual,
    withHit,
    withoutMarkers: costOf(plain, price),
    lost: isKnown ? Math.max(0, actual - withHit) : undefined,
  };
}

/** The usage if so many of the tokens that were written, else of the input, had been read. */
function readInstead(usage: Usage, tokens: number): Usage {
  const { inputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0, cacheWrite1hTokens } = usage;
  const written = Math.max(0, cacheWriteTokens - tokens);
  const input = Math.max(0, inputTokens - Math.max(0, tokens - cacheWriteTokens));
  const read = cacheReadTokens + (cacheWriteTokens - written) + (inputTokens - input);
  return {
    ...usage,
    inputTokens: input,
    cacheReadTokens: read,
    cacheWriteTokens: written,
    cacheWrite1hTokens: cacheWrite1hTokens === undefined ? undefined : Math.min(cacheWrite1hTokens, written),
  };
}
