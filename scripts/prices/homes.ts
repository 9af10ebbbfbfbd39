/** Where a price holds that a source gives without saying where, and which of several ids are one model's. */
import { indexModels } from '../../src/pricing/price-data.ts';
import type { PriceFact } from '../../src/pricing/price-fact.ts';

/** A place and a scope. */
export type Home = Pick<PriceFact, 'place' | 'scope'>;

/** AWS's prices of Claude are the same in every commercial region; those of others differ, and are known of these. */
const ALIKE_EVERYWHERE = /^(?:anthropic\.|guardrails$)/;
const QUOTED_REGIONS = ['us-east-1', 'us-west-2'];

/**
 * Of `regions`, or if none are named of those that the sources mean. AWS bills the profile of a geography that is
 * called in a region like the region itself.
 */
export function homesOf(
  model: string,
  { regions, isGlobal = false }: { readonly regions?: readonly string[]; readonly isGlobal?: boolean },
): readonly Home[] {
  const places = regions ?? (ALIKE_EVERYWHERE.test(model) ? ['*'] : QUOTED_REGIONS);
  const scopes = isGlobal ? (['global'] as const) : (['region', 'geo'] as const);
  return places.flatMap((place) => scopes.map((scope) => ({ place, scope })));
}

/** One id for all that mean the same model: of the first list that has one, and there the one that says most. */
export function mergeIds(...lists: readonly (readonly string[])[]): (id: string) => string {
  const chosen: string[] = [];
  const merged = new Map<string, string>();
  for (const id of lists.flatMap((ids) => ids.toSorted((one, other) => other.length - one.length))) {
    const known = chosen.includes(id) ? id : indexModels(chosen.map((other) => ({ id: other })))(id)?.id;
    if (known === undefined) chosen.push(id);
    if (!merged.has(id)) merged.set(id, known ?? id);
  }
  return (id) => merged.get(id) ?? id;
}
