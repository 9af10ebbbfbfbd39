/**
 * Why AWS's bill and the ledger differ, told by what is seen: what AWS counted more or less is valued at AWS's own unit
 * prices, and what then remains of the difference is one of prices. Pure.
 */
import { TOKEN_KINDS, type TokenKind } from '../../pricing/bill/sold-usage.ts';

/** Tokens by kind. */
export type TokenCounts = Readonly<Record<TokenKind, number>>;

/** What the ledger has of a group. Money in nano-dollars. */
export interface OurSide {
  readonly costNanoUsd: number;
  readonly tokens: TokenCounts;
  readonly requests: number;
  readonly unpriced: number;
  readonly partial: number;
}

/** What the bill has of it. */
export interface AwsSide {
  readonly costNanoUsd: number;
  readonly tokens: TokenCounts;
  /** Nano-dollars, by kind. */
  readonly tokenCosts: TokenCounts;
  /** Images, seconds, queries. */
  readonly pieces: number;
  /** False if the bill does not tell how much was used. */
  readonly hasUsage: boolean;
}

/**
 * - `elsewhere`: AWS counted more: calls that did not pass here.
 * - `partial`: AWS counted more, and requests here were not seen whole.
 * - `pending`: AWS counted less on the last days of the bill, which is not complete.
 * - `missing`: AWS counted less: the calls are on the bill of another account, or not in this file.
 * - `unpriced`: requests here have no price.
 * - `price`: the same usage has another price.
 * - `pieces`: sold by the piece, which is not counted here.
 * - `unknown`: the bill does not tell usage.
 */
export type CauseKind = 'elsewhere' | 'partial' | 'pending' | 'missing' | 'unpriced' | 'price' | 'pieces' | 'unknown';

/** A part of a difference. */
export interface Cause {
  readonly kind: CauseKind;
  /** AWS's cost less ours, nano-dollars: of this cause. */
  readonly nanoUsd: number;
  /** That the other side does not have. */
  readonly tokens?: number;
  readonly pieces?: number;
  readonly requests?: number;
  readonly prices?: readonly UnitPrices[];
}

/** Nano-dollars for a million tokens, in the ledger and at AWS; without a kind for tokens as they were used here. */
export interface UnitPrices {
  readonly kind?: TokenKind;
  readonly ours: number;
  readonly aws: number;
}

/** Amounts below a cent are roundings. */
export const CENT_NANO_USD = 10_000_000;

/** Of AWS's cost less ours. `lateTokens`: those on the last two days of the bill that AWS has not. */
export function findCauses(ours: OurSide, aws: AwsSide, lateTokens: number): readonly Cause[] {
  const difference = aws.costNanoUsd - ours.costNanoUsd;
  if (!aws.hasUsage) return [causeWithoutUsage(ours, difference)];
  const { more, less, sameUsageNanoUsd } = compareUsage(ours, aws);
  const pieceNanoUsd = aws.costNanoUsd - sumTokens(aws.tokenCosts);
  return [
    ...(more.tokens > 0 ? [causeOfMore(ours, more)] : []),
    ...(less.tokens > 0 ? [causeOfLess(less, lateTokens)] : []),
    ...causesOfPrice(ours, aws, { sameUsageNanoUsd, pieceNanoUsd }),
  ].filter(({ nanoUsd }) => Math.round(nanoUsd) !== 0);
}

interface Excess {
  readonly tokens: number;
  readonly nanoUsd: number;
}

/** `sameUsageNanoUsd`: what our tokens cost at AWS's prices. */
function compareUsage(ours: OurSide, aws: AwsSide): { more: Excess; less: Excess; sameUsageNanoUsd: number } {
  const all = sumTokens(ours.tokens);
  let [moreTokens, moreNanoUsd, lessTokens, lessNanoUsd, sameUsageNanoUsd] = [0, 0, 0, 0, 0];
  for (const kind of TOKEN_KINDS) {
    const [here, there] = [ours.tokens[kind], aws.tokens[kind]];
    // Of what AWS has nothing at all, the price is not told: the ledger's own, on average, stands for it.
    const unitPrice = there > 0 ? aws.tokenCosts[kind] / there : all > 0 ? ours.costNanoUsd / all : 0;
    sameUsageNanoUsd += here * unitPrice;
    if (there > here) {
      moreTokens += there - here;
      moreNanoUsd += (there - here) * unitPrice;
    } else {
      lessTokens += here - there;
      lessNanoUsd -= (here - there) * unitPrice;
    }
  }
  const more = { tokens: moreTokens, nanoUsd: moreNanoUsd };
  return { more, less: { tokens: lessTokens, nanoUsd: lessNanoUsd }, sameUsageNanoUsd };
}

/** How many times the tokens of a usual request one may have that was not seen whole. */
const MAX_PARTIAL_SIZE = 4;

function causeOfMore(ours: OurSide, { tokens, nanoUsd }: Excess): Cause {
  const usual = ours.requests === 0 ? 0 : sumTokens(ours.tokens) / ours.requests;
  const isPartial = ours.partial > 0 && tokens <= ours.partial * usual * MAX_PARTIAL_SIZE;
  return isPartial
    ? { kind: 'partial', nanoUsd, tokens, requests: ours.partial }
    : { kind: 'elsewhere', nanoUsd, tokens };
}

function causeOfLess({ tokens, nanoUsd }: Excess, lateTokens: number): Cause {
  // Most of it: a request near midnight counts on another day at AWS.
  return { kind: lateTokens >= 0.9 * tokens ? 'pending' : 'missing', nanoUsd, tokens };
}

function causesOfPrice(
  ours: OurSide,
  aws: AwsSide,
  { sameUsageNanoUsd, pieceNanoUsd }: { readonly sameUsageNanoUsd: number; readonly pieceNanoUsd: number },
): Cause[] {
  const nanoUsd = sameUsageNanoUsd + pieceNanoUsd - ours.costNanoUsd;
  const { pieces } = aws;
  if (pieces > 0 && ours.requests === 0) return [{ kind: 'elsewhere', nanoUsd, pieces }];
  if (ours.unpriced > 0 && nanoUsd > 0) return [{ kind: 'unpriced', nanoUsd, requests: ours.unpriced }];
  if (pieceNanoUsd !== 0) return [{ kind: 'pieces', nanoUsd, pieces }];
  const tokens = sumTokens(ours.tokens);
  if (tokens === 0) return [{ kind: 'unknown', nanoUsd }];
  const perMillion = 1e6 / tokens;
  return [
    { kind: 'price', nanoUsd, prices: [{ ours: ours.costNanoUsd * perMillion, aws: sameUsageNanoUsd * perMillion }] },
  ];
}

function causeWithoutUsage({ requests, unpriced, partial }: OurSide, nanoUsd: number): Cause {
  if (requests === 0) return { kind: 'elsewhere', nanoUsd };
  if (unpriced > 0 && nanoUsd > 0) return { kind: 'unpriced', nanoUsd, requests: unpriced };
  if (partial > 0 && nanoUsd > 0) return { kind: 'partial', nanoUsd, requests: partial };
  return { kind: 'unknown', nanoUsd };
}

/** Over all kinds. */
export function sumTokens(counts: TokenCounts): number {
  return TOKEN_KINDS.reduce((total, kind) => total + counts[kind], 0);
}
