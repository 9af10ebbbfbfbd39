/**
 * Where and how a model is called, as prices have it: the scope that its name says, and the places whose prices hold
 * for the region that is called, the most exact first. Pure.
 */
import { withoutGeography } from '../domain/model-name.ts';
import { findPartition } from '../protocol/region.ts';
import type { PriceScope } from './price-fact.ts';

/** What is looked for in the facts of a model, besides tier, day and kind of media. */
export interface PlaceKey {
  /** The id without geography. */
  readonly model: string;
  readonly scope: PriceScope;
  /** The most exact first. */
  readonly places: readonly string[];
  /** AWS's id of the partition that is called: what another one charges says nothing. */
  readonly partition: string;
}

/** The place that stands for every commercial region. */
export const EVERYWHERE = '*';
const COMMERCIAL = 'aws';
const GOVERNMENT = 'us-gov';

/**
 * Geographies of regions, the smallest first. One that is in none has no profiles but `global.` ones.
 *
 * Source: AWS, "Supported Regions and models for inference profiles".
 */
const GEOGRAPHIES: readonly (readonly [regions: RegExp, geographies: readonly string[]])[] = [
  [/^us-gov-/, [GOVERNMENT]],
  [/^us-/, ['us']],
  [/^ca-/, ['ca', 'us']],
  [/^eu-/, ['eu']],
  [/^ap-northeast-[13]$/, ['jp', 'apac']],
  [/^ap-southeast-[24]$/, ['au', 'apac']],
  [/^ap-/, ['apac']],
];

/** The key of a model's price by the name under which prices are known (`ModelName.priceName`), called in a region. */
export function keyOfPrice(priceName: string, region: string): PlaceKey {
  const model = withoutGeography(priceName);
  const prefix = model === priceName ? undefined : priceName.slice(0, priceName.length - model.length - 1);
  const scope = prefix === undefined ? 'region' : prefix === 'global' ? 'global' : 'geo';
  const geographies = geographiesOf(region);
  const near = scope === 'geo' && prefix !== undefined ? [prefix, ...geographies] : geographies;
  const partition = prefix === GOVERNMENT ? partitionOf(GOVERNMENT) : partitionOf(region);
  const places = [region, ...(scope === 'global' ? [] : near), EVERYWHERE];
  // A geography of one partition may stand before a model that is called in another one.
  const own = places.filter((place) => partitionOf(place) === partition);
  return { model, scope, places: [...new Set(own)], partition };
}

/** The partition of a region, a geography or `*`. */
export function partitionOf(place: string): string {
  if (place === GOVERNMENT) return 'aws-us-gov';
  return findPartition(place)?.id ?? COMMERCIAL;
}

/** The geographies that a region is in, the smallest first. */
function geographiesOf(region: string): readonly string[] {
  return GEOGRAPHIES.find(([regions]) => regions.test(region))?.[1] ?? [];
}
