/**
 * Decides the region of one request, and knows AWS's partitions. Pure. Every region is checked against the partitions'
 * own patterns before a host name is built from it: the caller can name it, so an unchecked one could name any host.
 */
import { ProxyError } from '../lib/errors.ts';
import { quote } from '../lib/printable.ts';
import { type Partition, PARTITIONS } from './partitions.ts';

/** What named the region of a request. */
export type RegionSource = 'header' | 'scope' | 'arn' | 'default';

/** The regions that a request may go to, by what names them. */
export interface RegionCandidates {
  /** `x-bedrock-proxy-region`. */
  readonly header: string | undefined;
  /** The client's SigV4 credential scope. */
  readonly scope: string | undefined;
  /** A full ARN in the path. */
  readonly arn: string | undefined;
  /** Configuration. */
  readonly default: string | undefined;
}

/** The region of a request, and its partition. */
export interface ChosenRegion {
  readonly region: string;
  readonly source: RegionSource;
  readonly partition: Partition;
}

const ORDER: readonly RegionSource[] = ['header', 'scope', 'arn', 'default'];

const SOURCE_NAMES: Readonly<Record<RegionSource, string>> = {
  header: 'the header x-bedrock-proxy-region',
  scope: "the client's credential scope",
  arn: 'the ARN in the path',
  default: 'the configured default',
};

/**
 * No region has more than 63 characters, the limit of a DNS label; AWS's patterns would let capitals and `_` through.
 */
const REGION_SHAPE = /^[a-z0-9-]{1,63}$/;

/**
 * The first region named, in the order of the fields. Throws ERR_REGION_INVALID if that one is none of AWS's, naming
 * its source (a later source is not tried, because the caller meant this one), and ERR_REGION_MISSING if there is none.
 */
export function chooseRegion(candidates: RegionCandidates): ChosenRegion {
  for (const source of ORDER) {
    const region = candidates[source];
    if (region === undefined || region === '') continue;
    const partition = findPartition(region);
    if (partition === undefined) throw invalidRegion(region, source);
    return { region, source, partition };
  }
  throw new ProxyError('ERR_REGION_MISSING', 'Nothing names an AWS region for this request.', {
    hint: 'Start the proxy with --region or AWS_REGION, or send the header x-bedrock-proxy-region.',
  });
}

/** The partition a region belongs to, by AWS's patterns; undefined for what is no region. */
export function findPartition(region: string): Partition | undefined {
  if (!REGION_SHAPE.test(region)) return undefined;
  return PARTITIONS.find(({ regionPattern }) => regionPattern.test(region));
}

function invalidRegion(region: string, source: RegionSource): ProxyError {
  return new ProxyError(
    'ERR_REGION_INVALID',
    `${quote(region, 40)}, from ${SOURCE_NAMES[source]}, is not an AWS region.`,
    {
      hint: 'A region looks like us-east-1.',
    },
  );
}
