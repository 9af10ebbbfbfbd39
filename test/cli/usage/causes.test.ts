import { describe, expect, it } from 'vitest';
import { type AwsSide, findCauses, type OurSide, type TokenCounts } from '../../../src/cli/usage/causes.ts';

const NONE: TokenCounts = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
const MILLION = 1_000_000;
const USD = 1_000_000_000;

const ours = (costUsd: number, tokens: Partial<TokenCounts>, fields: Partial<OurSide> = {}): OurSide => ({
  costNanoUsd: costUsd * USD,
  tokens: { ...NONE, ...tokens },
  requests: 10,
  unpriced: 0,
  partial: 0,
  ...fields,
});
/** Tokens with their costs in dollars. */
const aws = (
  sold: Partial<Record<keyof TokenCounts, readonly [number, number]>>,
  fields: Partial<AwsSide> = {},
): AwsSide => {
  const entries = Object.entries(sold);
  const costs = Object.fromEntries(entries.map(([kind, [, usd]]) => [kind, usd * USD]));
  return {
    costNanoUsd: entries.reduce((all, [, [, usd]]) => all + usd * USD, 0),
    tokens: { ...NONE, ...Object.fromEntries(entries.map(([kind, [count]]) => [kind, count])) },
    tokenCosts: { ...NONE, ...costs },
    pieces: 0,
    hasUsage: true,
    ...fields,
  };
};
const NO_CALLS: Partial<OurSide> = { requests: 0 };

describe('findCauses', () => {
  it.each([
    {
      name: 'nothing, if both agree',
      sides: [ours(3, { input: MILLION }), aws({ input: [MILLION, 3] })],
      causes: [],
    },
    {
      name: 'calls that did not pass here, at their price',
      sides: [ours(3, { input: MILLION }), aws({ input: [3 * MILLION, 9] })],
      causes: [{ kind: 'elsewhere', tokens: 2 * MILLION, nanoUsd: 6 * USD }],
    },
    {
      name: 'calls of a model that was never used here',
      sides: [ours(0, {}, NO_CALLS), aws({ input: [MILLION, 3], output: [10, 0.5] })],
      causes: [{ kind: 'elsewhere', tokens: MILLION + 10, nanoUsd: 3.5 * USD }],
    },
    {
      name: 'requests that were not seen whole',
      sides: [ours(3, { input: MILLION }, { partial: 2 }), aws({ input: [1.1 * MILLION, 3.3] })],
      causes: [{ kind: 'partial', requests: 2, tokens: 100_000, nanoUsd: 0.3 * USD }],
    },
    {
      name: 'calls elsewhere, if a few partial requests cannot be that much',
      sides: [ours(3, { input: MILLION }, { partial: 1 }), aws({ input: [10 * MILLION, 30] })],
      causes: [{ kind: 'elsewhere', tokens: 9 * MILLION, nanoUsd: 27 * USD }],
    },
    {
      name: 'another price for the same usage, with both',
      sides: [ours(6, { input: MILLION, output: MILLION }), aws({ input: [MILLION, 3.3], output: [MILLION, 3.3] })],
      causes: [{ kind: 'price', nanoUsd: 0.6 * USD, prices: [{ ours: 3 * USD, aws: 3.3 * USD }] }],
    },
    {
      name: 'more usage and another price apart',
      sides: [ours(3, { input: MILLION }), aws({ input: [2 * MILLION, 8] })],
      causes: [
        { kind: 'elsewhere', tokens: MILLION, nanoUsd: 4 * USD },
        { kind: 'price', nanoUsd: USD, prices: [{ ours: 3 * USD, aws: 4 * USD }] },
      ],
    },
    {
      name: 'requests without a price',
      sides: [ours(0, { input: MILLION }, { unpriced: 4 }), aws({ input: [MILLION, 3] })],
      causes: [{ kind: 'unpriced', requests: 4, nanoUsd: 3 * USD }],
    },
    {
      name: 'a price and not the unpriced, if we cost more',
      sides: [ours(4, { input: MILLION }, { unpriced: 1 }), aws({ input: [MILLION, 3] })],
      causes: [{ kind: 'price', nanoUsd: -USD }],
    },
    {
      name: 'a model that the bill does not have',
      sides: [ours(3, { input: MILLION }), aws({})],
      causes: [{ kind: 'missing', tokens: MILLION, nanoUsd: -3 * USD }],
    },
    {
      name: 'a bill that lacks its last days',
      sides: [ours(3, { input: MILLION }), aws({ input: [600_000, 1.8] })],
      late: 400_000,
      causes: [{ kind: 'pending', tokens: 400_000, nanoUsd: -1.2 * USD }],
    },
    {
      name: 'images, which are not counted here',
      sides: [ours(1, {}), aws({}, { costNanoUsd: 2 * USD, pieces: 50 })],
      causes: [{ kind: 'pieces', pieces: 50, nanoUsd: USD }],
    },
    {
      name: 'images that did not pass here',
      sides: [ours(0, {}, NO_CALLS), aws({}, { costNanoUsd: 2 * USD, pieces: 50 })],
      causes: [{ kind: 'elsewhere', pieces: 50, nanoUsd: 2 * USD }],
    },
    {
      name: 'nothing certain of a bill without usage',
      sides: [ours(1, { input: MILLION }), aws({}, { costNanoUsd: 2 * USD, hasUsage: false })],
      causes: [{ kind: 'unknown', nanoUsd: USD }],
    },
    {
      name: 'unpriced requests even then',
      sides: [ours(1, { input: MILLION }, { unpriced: 3 }), aws({}, { costNanoUsd: 2 * USD, hasUsage: false })],
      causes: [{ kind: 'unpriced', requests: 3, nanoUsd: USD }],
    },
  ] as const)('finds $name', ({ sides: [left, right], causes, ...rest }) => {
    const found = findCauses(left, right, 'late' in rest ? rest.late : 0);
    expect(found.map((cause) => ({ ...cause, nanoUsd: Math.round(cause.nanoUsd) }))).toMatchObject(
      causes.map((cause) => ({ ...cause, nanoUsd: Math.round(cause.nanoUsd) })),
    );
    const explained = found.reduce((all, { nanoUsd }) => all + nanoUsd, 0);
    expect(Math.round(explained)).toBe(Math.round(right.costNanoUsd - left.costNanoUsd));
  });
});
