/**
 * The unit prices of both sides, for a group whose usage is the same and whose cost is not. The bill has AWS's. Ours
 * are those of the price book, if they give what the ledger has: a row does not say by which prices it was made. Pure.
 */
import type { ModelPrice, TokenRate } from '../../pricing/cost.ts';
import { TOKEN_KINDS } from '../../pricing/bill/sold-usage.ts';
import type { AwsSide, OurSide, UnitPrices } from './causes.ts';

/** How far a sum may be off: of a request some have long inputs, which cost more. */
const TOLERANCE = 0.001;
/** A million pico-dollars are a thousand nano-dollars. */
const NANO_PER_MILLION = 1_000;

/** Of the kinds whose prices differ, what matters most first; undefined if ours are not known. */
export function findUnitPrices(ours: OurSide, aws: AwsSide, price: ModelPrice): readonly UnitPrices[] | undefined {
  const rates = TOKEN_KINDS.map((kind) => ({ kind, here: rateOf(price[kind]), tokens: ours.tokens[kind] }));
  const reckoned = rates.reduce(
    (all, { here, tokens }) => all + (tokens === 0 ? 0 : ((here ?? Number.NaN) * tokens) / 1e6),
    0,
  );
  if (!(Math.abs(reckoned - ours.costNanoUsd) <= TOLERANCE * ours.costNanoUsd)) return undefined;
  const pairs = rates.flatMap(({ kind, here, tokens }) => {
    const there = aws.tokens[kind] === 0 ? undefined : (1e6 * aws.tokenCosts[kind]) / aws.tokens[kind];
    if (here === undefined || there === undefined || tokens === 0) return [];
    return Math.abs(there - here) <= TOLERANCE * here ? [] : [{ kind, ours: here, aws: there }];
  });
  const weigh = (pair: (typeof pairs)[number]): number => Math.abs(pair.aws - pair.ours) * ours.tokens[pair.kind];
  return pairs.toSorted((a, b) => weigh(b) - weigh(a));
}

/** Nano-dollars for a million tokens. */
function rateOf(rate: TokenRate | undefined): number | undefined {
  if (rate === undefined) return undefined;
  return (typeof rate === 'number' ? rate : rate.base) * NANO_PER_MILLION;
}
