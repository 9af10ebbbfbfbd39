/** A likely cause in the words of the table: 78 columns at most. Pure. */
import { compactCount, formatCount } from '../../lib/format.ts';
import { formatUsd } from '../../lib/usd.ts';
import type { TokenKind } from '../../pricing/bill/sold-usage.ts';
import type { Cause, UnitPrices } from './causes.ts';

const KIND_WORDS: Readonly<Record<TokenKind, string>> = {
  input: 'input',
  output: 'output',
  cacheRead: 'cache read',
  cacheWrite: 'cache write',
};

/** The two that matter most: a line has room for them. */
function describePrices(prices: readonly UnitPrices[]): string {
  return prices
    .slice(0, 2)
    .map(
      ({ kind, ours, aws }) =>
        `${kind === undefined ? 'tokens' : KIND_WORDS[kind]} ${formatUsd(ours)}, AWS ${formatUsd(aws)}`,
    )
    .join('; ');
}

/** A cause in a few words. */
export function describeCause({ kind, nanoUsd, tokens, pieces, requests = 0, prices }: Cause): string {
  const amount = formatUsd(Math.abs(nanoUsd));
  const used =
    tokens === undefined
      ? pieces === undefined
        ? 'calls'
        : `${formatCount(pieces)} pieces`
      : `${compactCount(tokens)} tokens`;
  switch (kind) {
    case 'elsewhere':
      return `${used} did not pass here: ${amount}`;
    case 'partial':
      return `${countOf(requests)} partial here: ${amount}`;
    case 'pending':
      return `AWS has not billed the last ${used} yet: ${amount}`;
    case 'missing':
      return `${used} not on this bill, other account?: ${amount}`;
    case 'unpriced':
      return `${countOf(requests)} unpriced here: ${amount}`;
    case 'price':
      return prices === undefined ? `other prices: ${amount}` : `price of 1M ${describePrices(prices)}: ${amount}`;
    case 'pieces':
      return `sold by the piece, not counted here: ${amount}`;
    case 'unknown':
      return `the bill does not tell usage: ${amount}`;
  }
}

function countOf(requests: number): string {
  return `${formatCount(requests)} ${requests === 1 ? 'request' : 'requests'}`;
}
