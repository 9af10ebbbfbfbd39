/**
 * What is known of the cost of one request. A guardrail, a search, a tool of the provider are billed besides the model:
 * if one of them has no count or no price, the rest is the cost in part, and nobody may take it for all of it. Pure.
 */
import { costOf, type ModelPrice } from '../pricing/cost.ts';
import type { Usage } from '../domain/usage.ts';

/** A cost, or as much of it as is known. */
export interface KnownCost {
  /** In nano-dollars; undefined if nothing of it is known, and if all that is known of a part is that it is not 0. */
  readonly costNanoUsd: number | undefined;
  /** More was billed than that. */
  readonly isPart: boolean;
}

/** `hasUnknownPart`: something is billed of which the usage has no count. */
export function findKnownCost(usage: Usage, price: ModelPrice, hasUnknownPart: boolean): KnownCost {
  const all = costOf(usage, price);
  if (all !== undefined) return hasUnknownPart ? partOf(all) : { costNanoUsd: all, isPart: false };
  const rest = costOf(withoutUnpriced(usage, price), price);
  // What is sold by the request is sold with all that it has.
  const isAll = isSoldByRequest(price) && rest !== undefined && !hasUnknownPart;
  return isAll ? { costNanoUsd: rest, isPart: false } : partOf(rest);
}

/** 0 and something that nobody knows is no cost. */
function partOf(known: number | undefined): KnownCost {
  return { costNanoUsd: known === 0 ? undefined : known, isPart: true };
}

/** Of what is billed besides tokens, only what has a price. */
export function withoutUnpriced(
  { images, units = {}, guardrailUnits = {}, ...tokens }: Usage,
  price: ModelPrice,
): Usage {
  return {
    ...tokens,
    ...(images === undefined || price.image === undefined ? {} : { images }),
    units: keep(units, (counts) => costOf({ units: counts }, price) !== undefined),
    guardrailUnits: keep(guardrailUnits, (counts) => costOf({ guardrailUnits: counts }, price) !== undefined),
  };
}

/** The counts that are kept if each of them stands alone. */
function keep(
  counts: Readonly<Record<string, number>>,
  isKept: (counts: Readonly<Record<string, number>>) => boolean,
): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counts).filter(([name, count]) => isKept({ [name]: count })));
}

function isSoldByRequest({ request, input, output }: ModelPrice): boolean {
  return request !== undefined && input === undefined && output === undefined;
}
