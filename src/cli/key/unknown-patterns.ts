/**
 * Patterns of a key that match nothing that is known, told when they are given: a key with a mistyped one is refused
 * later, and nobody sees why. What is known is loaded only then, and may be older than AWS is: they are taken as they
 * are.
 */
import { printTalk } from '../../app/print.ts';
import { findUnknownRegions } from '../../app/unknown-regions.ts';
import type { KeyPolicy } from '../../domain/key.ts';
import { parseModelName } from '../../domain/model-name.ts';
import { matchesAnyGlob } from '../../lib/glob.ts';
import { findNearest } from '../../lib/nearest-name.ts';

/** What a person named: an ARN, or the id of an application inference profile. It is in no list. */
const OWN_NAME = /^arn:|^(?=[a-z0-9]*\d)[a-z0-9]{12}$/;
const GEOGRAPHY = /^[a-z]{2}[a-z-]{0,6}\.(?=[a-z0-9-]*\.)/;

/** A note for each. */
export async function tellUnknownPatterns({ models, regions }: Pick<KeyPolicy, 'models' | 'regions'>): Promise<void> {
  const notes = [
    ...(models.some(isJudged) ? await findUnknownModels(models.filter(isJudged)) : []),
    ...(regions.length > 0 ? await findUnknownRegions(regions) : []),
  ];
  for (const note of notes) printTalk(`note: ${note}`);
}

/** Without a dot it matches by its star, or is told otherwise. */
function isJudged(pattern: string): boolean {
  return !OWN_NAME.test(pattern) && /[*.]/.test(pattern);
}

async function findUnknownModels(patterns: readonly string[]): Promise<string[]> {
  const { readSnapshot } = await import('../../pricing/snapshot.ts');
  const { models } = readSnapshot();
  const forms = models.flatMap((model) => parseModelName(model).forms);
  return patterns.flatMap((pattern) => {
    const bare = pattern.replace(/^bedrock\//, '').replace(GEOGRAPHY, '');
    if (forms.some((form) => matchesAnyGlob([bare], form) || matchesAnyGlob([pattern], form))) return [];
    // A whole id that nobody knows may be a new model; one that is nearly a known one is a mistake.
    const meant = findNearest(bare.replaceAll('*', ''), models) ?? findNearestStart(bare, models);
    const hint = meant === undefined ? '' : ` Did you mean ${meant}?`;
    return [`No model that is known here matches "${pattern}".${hint}`];
  });
}

/** The known text up to where the star of the pattern stands. */
function findNearestStart(pattern: string, models: readonly string[]): string | undefined {
  const start = pattern.replace(/\*.*$/s, '');
  const found = findNearest(
    start,
    models.map((model) => model.slice(0, start.length)),
  );
  return found === undefined || found === start ? undefined : `${found}*`;
}
