/**
 * Where the offline Bedrock is: the regions that AWS has, and which geographies have inference profiles in a region.
 * Data and look-ups; pure. https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
 */

/** AWS's regions with a Bedrock endpoint, by what they start with. As in the endpoints of botocore 1.43. */
export const BEDROCK_REGIONS: readonly string[] = [
  'af-south-1',
  'ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2',
  'ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1',
  'eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 eusc-de-east-1',
  'il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2',
  'us-gov-east-1 us-gov-west-1 us-iso-east-1 us-isob-east-1 us-isof-east-1 us-isof-south-1',
].flatMap((line) => line.split(' '));

const KNOWN = new Set(BEDROCK_REGIONS);

/** The regions whose profiles a geography is, by their starts; and where its requests go. */
const GEOGRAPHIES: Readonly<Record<string, { readonly from: readonly string[]; readonly to: readonly string[] }>> = {
  us: { from: ['us-east-', 'us-west-', 'ca-'], to: ['us-east-1', 'us-east-2', 'us-west-2'] },
  'us-gov': { from: ['us-gov-'], to: ['us-gov-east-1', 'us-gov-west-1'] },
  eu: { from: ['eu-'], to: ['eu-central-1', 'eu-west-1', 'eu-west-3'] },
  apac: { from: ['ap-'], to: ['ap-northeast-1', 'ap-southeast-1', 'ap-southeast-2'] },
  jp: { from: ['ap-northeast-1', 'ap-northeast-3'], to: ['ap-northeast-1', 'ap-northeast-3'] },
  au: { from: ['ap-southeast-2', 'ap-southeast-4', 'ap-southeast-6'], to: ['ap-southeast-2', 'ap-southeast-4'] },
  ca: { from: ['ca-'], to: ['ca-central-1', 'ca-west-1'] },
  in: { from: ['ap-south-'], to: ['ap-south-1', 'ap-south-2'] },
  // Partitions of their own have no global profiles.
  global: { from: ['af-', 'ap-', 'ca-', 'eu-', 'il-', 'me-', 'mx-', 'sa-', 'us-east-', 'us-west-'], to: [] },
};

/** What may stand before a model's id: `us`, `eu`, …, `global`. */
export const GEOGRAPHY_NAMES: readonly string[] = Object.keys(GEOGRAPHIES);

/** True if AWS has a Bedrock in this region. */
export function isBedrockRegion(region: string): boolean {
  return KNOWN.has(region);
}

/** True if the profiles of this geography can be called in this region. */
export function isGeographyOf(geography: string, region: string): boolean {
  return GEOGRAPHIES[geography]?.from.some((start) => region.startsWith(start)) ?? false;
}

/** Where the profiles of a geography send requests; those of `global` name the region that is asked. */
export function destinationsOf(geography: string, region: string): readonly string[] {
  const { to = [] } = GEOGRAPHIES[geography] ?? {};
  return to.length === 0 ? [region] : to;
}
