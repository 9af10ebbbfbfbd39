/** Regions, and patterns of them, that match none of Bedrock's that is known: a slip, or newer than this program. */
import { matchesAnyGlob } from '../lib/glob.ts';
import { findNearest } from '../lib/nearest-name.ts';

/** A sentence for each, with the one that was probably meant. */
export async function findUnknownRegions(patterns: readonly string[]): Promise<string[]> {
  const { BEDROCK_REGIONS } = await import('../upstream/offline/places.ts');
  const unknown = patterns.filter((pattern) => !BEDROCK_REGIONS.some((region) => matchesAnyGlob([pattern], region)));
  return unknown.map((pattern) => {
    const meant = findNearest(pattern, BEDROCK_REGIONS);
    const hint = meant === undefined ? '' : ` Did you mean ${meant}?`;
    return `No region of Bedrock that is known here matches "${pattern}".${hint}`;
  });
}
