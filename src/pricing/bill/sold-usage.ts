/**
 * What a line of a bill sells: of which model, by what, at which tier. The ARN of a model says it best, then the usage
 * type, then the product. Pure.
 */
import { withoutGeography } from '../../domain/model-name.ts';
import { parseUsageType } from '../aws-usage-type.ts';
import type { BillLine } from './bill-line.ts';
import { findBilledRegion } from './region-codes.ts';

/** What tokens are compared by. Writes to a cache of whatever time, and speech, count with the rest of their kind. */
export const TOKEN_KINDS = ['input', 'output', 'cacheRead', 'cacheWrite'] as const;
/** One of `TOKEN_KINDS`. */
export type TokenKind = (typeof TOKEN_KINDS)[number];

/** What is sold. */
export interface SoldUsage {
  /** The model as AWS names it on bills (`NovaPro`, `Claude Sonnet 4.5 (Amazon Bedrock Edition)`), or its id. */
  readonly name: string;
  readonly isGlobal: boolean;
  /** That is called; empty if it is not told. */
  readonly region: string;
  /** `standard`, `flex`, `priority`, `batch`, …; empty if it is not told. */
  readonly tier: string;
  /** Undefined if it is not told. */
  readonly kind: TokenKind | 'piece' | undefined;
  /** Of that kind, how many an amount of 1 is: 1,000 for `1K tokens`. Undefined if it is not told. */
  readonly perAmount: bigint | undefined;
}

const KINDS: Readonly<Record<string, TokenKind>> = {
  input: 'input',
  inputAudio: 'input',
  output: 'output',
  outputAudio: 'output',
  cacheRead: 'cacheRead',
  cacheWrite: 'cacheWrite',
  cacheWrite1h: 'cacheWrite',
};
/** `arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0`; of profiles those that AWS makes. */
const MODEL_ARN = /^arn:aws[a-z-]*:bedrock:([a-z0-9-]*):\d*:(?:foundation-model|inference-profile)\/([^/]+)$/;
const MARKETPLACE_REGION = /^AWS Marketplace software usage\|([a-z0-9-]+)\|/;
const EDITION = / \(Amazon Bedrock Edition\)$/;

/** Undefined if nobody knows, or if it is sold neither by the token nor by the piece. */
export function readSoldUsage(line: BillLine): SoldUsage | undefined {
  const [, arnRegion = '', id = ''] = MODEL_ARN.exec(line.resource) ?? [];
  const product = [line.product, line.service].find((name) => EDITION.test(name)) ?? '';
  const region =
    line.region ||
    (findBilledRegion(line.usageType) ?? '') ||
    (MARKETPLACE_REGION.exec(line.description)?.[1] ?? '') ||
    arnRegion;
  const common = { region, isGlobal: id.startsWith('global.') };
  if (line.usageType === '') {
    return product === '' ? undefined : { ...common, name: product, tier: '', kind: undefined, perAmount: undefined };
  }
  const meter = parseUsageType(line.usageType);
  if (meter === undefined) return undefined;
  const name = (id === '' ? '' : withoutGeography(id)) || meter.name || product;
  if (name === '') return undefined;
  const kind = Object.hasOwn(KINDS, meter.unit) ? KINDS[meter.unit] : 'piece';
  return {
    ...common,
    name,
    isGlobal: common.isGlobal || meter.scopes.includes('global'),
    tier: meter.tier,
    kind,
    perAmount: kind === 'piece' ? 1n : sizeOf(line, meter.style === 'marketplace'),
  };
}

/** Units are `1K tokens`, `1M tokens`, and in the marketplace `Units`, which are millions if nothing else is said. */
function sizeOf({ unit, description }: BillLine, isMarketplace: boolean): bigint | undefined {
  if (/^1k\b/i.test(unit)) return 1_000n;
  if (/^1m\b/i.test(unit)) return 1_000_000n;
  if (/^tokens?$/i.test(unit)) return 1n;
  if (unit !== '' && !/^units?$/i.test(unit)) return undefined;
  if (isMarketplace) return /thousand|\b1k\b|\b1,?000\b(?!,)/i.test(description) ? 1_000n : 1_000_000n;
  return unit === '' ? 1_000n : undefined;
}
