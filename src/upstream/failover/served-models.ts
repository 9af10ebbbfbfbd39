/**
 * Which models an upstream serves, and by which name: the request's own where that is valid, else the one that the
 * owner has written down. Never a guess. Pure.
 */
import type { UpstreamModels } from '../../config/upstreams.ts';
import { parseModelName, withoutGeography } from '../../domain/model-name.ts';
import { matchesAnyGlob } from '../../lib/glob.ts';
import { GEOGRAPHY_NAMES, isGeographyOf } from '../offline/places.ts';

/** Where an upstream is, and where the request would go by itself. */
export interface UpstreamRegions {
  readonly region: string;
  readonly own: string;
}

/** What has an account in it belongs to that account: profiles, deployments, prompts, models of one's own. */
const ACCOUNT_ARN = /^arn:[^:]*:[^:]*:[^:]*:\d{12}:/;

/** What the model is called at an upstream in this region; undefined if it does not serve it. */
export function findNameThere(
  { served, mapped }: UpstreamModels,
  modelId: string,
  regions: UpstreamRegions,
): string | undefined {
  const written = mapped.get(modelId);
  if (written !== undefined) return written;
  if (served !== undefined && !listsModel({ served, mapped }, modelId)) return undefined;
  return isValidIn(modelId, regions) ? modelId : undefined;
}

/** Whether the owner has named the model for this upstream, by a name, a pattern, or in the map. */
export function listsModel({ served = [], mapped }: UpstreamModels, modelId: string): boolean {
  return mapped.has(modelId) || parseModelName(modelId).forms.some((form) => matchesAnyGlob(served, form));
}

/** Whether the name says that only one account has it. */
export function isBoundToAccount(modelId: string): boolean {
  return ACCOUNT_ARN.test(modelId) || parseModelName(modelId).lookup !== undefined;
}

/** A profile of a geography is called in its regions alone; one of a geography that is not known, where it was. */
function isValidIn(modelId: string, { region, own }: UpstreamRegions): boolean {
  const { priceName } = parseModelName(modelId);
  if (priceName === undefined || modelId.startsWith('arn:')) return true;
  const bare = withoutGeography(priceName);
  if (bare === priceName) return true;
  const geography = priceName.slice(0, -bare.length - 1);
  return GEOGRAPHY_NAMES.includes(geography) ? isGeographyOf(geography, region) : region === own;
}
