/** How old prices are, and what is said of it. Pure. */
import type { FactSource } from './price-fact.ts';

const DAY_MS = 86_400_000;
/** Prices and models change every few weeks. */
const OLD_AFTER_DAYS = 60;

/** The youngest day on which one of the sources was read, `2026-11-28`; undefined if there is none. */
function newestDay(sources: readonly Pick<FactSource, 'asOf'>[]): string | undefined {
  return sources
    .map(({ asOf }) => asOf)
    .toSorted()
    .at(-1);
}

/** What is to be said of prices that nobody has looked at for 60 days; undefined if they are younger. */
export function describeAge(sources: readonly Pick<FactSource, 'asOf'>[], nowMs: number): string | undefined {
  const day = newestDay(sources);
  if (day === undefined) return undefined;
  const days = Math.floor((nowMs - Date.parse(day)) / DAY_MS);
  return days > OLD_AFTER_DAYS ? `The newest prices are of ${day}, ${days} days ago.` : undefined;
}
