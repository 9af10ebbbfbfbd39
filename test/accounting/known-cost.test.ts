/**
 * What is known of a cost of which a part is not known: never more than that, and never a 0 that stands for unknown.
 */
import { expect, it } from 'vitest';
import { findKnownCost } from '../../src/accounting/known-cost.ts';
import type { Usage } from '../../src/domain/usage.ts';
import type { ModelPrice } from '../../src/pricing/cost.ts';

/** 60 and 240 nano-dollars a token; 150,000 a unit of one policy, 100,000 a search. */
const PRICE: ModelPrice = {
  input: 60_000,
  output: 240_000,
  guardrailUnits: { topicPolicyUnits: 150_000_000, wordPolicyUnits: 0 },
  units: { webSearches: 100_000_000 },
};
const TOKENS = { inputTokens: 30, outputTokens: 5 };
const OF_TOKENS = 30 * 60 + 5 * 240;

interface Case {
  readonly name: string;
  readonly usage: Usage;
  readonly price?: ModelPrice;
  readonly hasUnknownPart?: boolean;
  readonly costNanoUsd: number | undefined;
  readonly isPart: boolean;
}

it.each<Case>([
  { name: 'tokens alone', usage: TOKENS, costNanoUsd: OF_TOKENS, isPart: false },
  { name: 'nothing', usage: {}, costNanoUsd: undefined, isPart: true },
  {
    name: 'tokens and a guardrail without units',
    usage: TOKENS,
    hasUnknownPart: true,
    costNanoUsd: OF_TOKENS,
    isPart: true,
  },
  {
    name: 'no tokens, and a guardrail without units',
    usage: { inputTokens: 0, outputTokens: 0 },
    hasUnknownPart: true,
    costNanoUsd: undefined,
    isPart: true,
  },
  {
    name: 'units that have a price',
    usage: { ...TOKENS, guardrailUnits: { topicPolicyUnits: 2, wordPolicyUnits: 9 } },
    costNanoUsd: OF_TOKENS + 300_000,
    isPart: false,
  },
  {
    name: 'units of which one has none',
    usage: { ...TOKENS, guardrailUnits: { topicPolicyUnits: 2, newPolicyUnits: 1 } },
    costNanoUsd: OF_TOKENS + 300_000,
    isPart: true,
  },
  {
    name: 'units without a price that were not used',
    usage: { ...TOKENS, guardrailUnits: { topicPolicyUnits: 2, newPolicyUnits: 0 } },
    costNanoUsd: OF_TOKENS + 300_000,
    isPart: false,
  },
  {
    name: 'free units, and one without a price',
    usage: { guardrailUnits: { wordPolicyUnits: 9, newPolicyUnits: 1 } },
    costNanoUsd: undefined,
    isPart: true,
  },
  {
    name: 'searches',
    usage: { ...TOKENS, units: { webSearches: 3 } },
    costNanoUsd: OF_TOKENS + 300_000,
    isPart: false,
  },
  {
    name: 'searches without a price',
    usage: { ...TOKENS, units: { webSearches: 3 } },
    price: { input: 60_000, output: 240_000 },
    costNanoUsd: OF_TOKENS,
    isPart: true,
  },
  {
    name: 'searches alone without a price',
    usage: { units: { webSearches: 3 } },
    price: { input: 1, output: 1 },
    costNanoUsd: undefined,
    isPart: true,
  },
  {
    name: 'a reranking that is sold by the request',
    usage: { units: { searchQueries: 1 } },
    price: { request: 2_000_000_000 },
    costNanoUsd: 2_000_000,
    isPart: false,
  },
  {
    name: 'what is sold by the request, with something nobody knows',
    usage: {},
    price: { request: 2_000_000_000 },
    hasUnknownPart: true,
    costNanoUsd: 2_000_000,
    isPart: true,
  },
  {
    name: 'tokens of a kind without a price',
    usage: { ...TOKENS, cacheReadTokens: 10 },
    costNanoUsd: undefined,
    isPart: true,
  },
  {
    name: 'counts that contradict each other',
    usage: { inputTokens: 5, outputTokens: 5, inputAudioTokens: 6 },
    costNanoUsd: undefined,
    isPart: true,
  },
])('knows of the cost of $name what there is to know', ({ usage, price = PRICE, hasUnknownPart = false, ...known }) => {
  const { name: _name, ...expected } = known;
  expect(findKnownCost(usage, price, hasUnknownPart)).toEqual(expected);
});
