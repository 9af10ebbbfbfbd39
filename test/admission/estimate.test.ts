import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findMax, maxCost, maxGuardrailCost, maxOutputOf, maxUsage } from '../../src/admission/estimate.ts';
import { costOf, type ModelPrice } from '../../src/pricing/cost.ts';

/** Pico-dollars a token: 3, 15, 0.3, 3.75 and 6 dollars a million. */
const CLAUDE: ModelPrice = {
  input: 3_000_000,
  output: 15_000_000,
  cacheRead: 300_000,
  cacheWrite: 3_750_000,
  cacheWrite1h: 6_000_000,
};
const use = (inputTokens: number, outputTokens: number, copies = 1) => ({
  inputTokens,
  outputTokens,
  copies,
  pieces: 0,
  units: {},
  hasGuardrail: false,
});
const size = {
  pieces: 0,
  doubtfulMaxOutputTokens: 0,
  webSearches: 0,
  hasOutsideInput: false,
  wantsLongContext: false,
};
const context = { makesText: true, assumedOutputTokens: 8_192, hasGuardrail: false };

describe('the largest use', () => {
  it.each([
    { name: 'as the body says', requested: { inputTokens: 9, maxOutputTokens: 100, copies: 1 }, expected: use(9, 100) },
    {
      name: 'of each response',
      requested: { inputTokens: 9, maxOutputTokens: 100, copies: 3 },
      expected: use(9, 300, 3),
    },
    {
      name: 'by default',
      requested: { inputTokens: 9, maxOutputTokens: undefined, copies: 1 },
      expected: use(9, 8_192),
    },
    { name: 'nonsense', requested: { inputTokens: Number.NaN, maxOutputTokens: -5, copies: 0 }, expected: use(0, 0) },
    {
      name: 'without bounds',
      requested: { inputTokens: 1e300, maxOutputTokens: Infinity, copies: 1e300 },
      expected: use(1e9, 1e9, 1e9),
    },
  ])('estimates the usage at most: $name', ({ requested, expected }) => {
    expect(maxUsage({ ...size, ...requested }, context)).toEqual(expected);
    expect(maxUsage({ ...size, ...requested }, { ...context, makesText: false })).toEqual({
      ...expected,
      outputTokens: 0,
    });
  });
});

describe('the largest cost', () => {
  // 1,000 × $6 a million, because all of the input may be written to a cache for an hour, and 100 × $15 a million.
  it('takes all input for what it costs at most', () => {
    expect(maxCost(use(1_000, 100), CLAUDE, false)).toBe(6_000_000 + 1_500_000);
    expect(maxCost(use(1_000, 100), { input: 3_000_000, output: 15_000_000 }, false)).toBe(3_000_000 + 1_500_000);
  });

  it.each([
    { name: 'an embedding', price: { input: 20_000 }, expected: 20_000 },
    { name: 'a maker of images', price: { image: 40_000_000_000 }, expected: 120_000_000 },
    { name: 'a search', price: { request: 2_000_000_000 }, expected: 2_000_000 },
    { name: 'nothing that is known', price: {}, expected: undefined },
    { name: 'text that only speaks', price: { input: 1_000, outputAudio: 5_000 }, expected: 1_000 + 500 },
    { name: 'an output for an input of no price', price: { output: 5_000 }, expected: 500 },
  ] satisfies readonly { name: string; price: ModelPrice; expected: number | undefined }[])(
    'estimates the cost at most of $name',
    ({ price, expected }) => {
      expect(maxCost(use(1_000, 100, 3), price, false)).toBe(expected);
    },
  );

  it('takes a conversation for speech', () => {
    const price = { input: 1_000, output: 2_000, inputAudio: 10_000, outputAudio: 20_000 };
    expect(maxCost(use(1_000, 100), price, true)).toBe(10_000 + 2_000);
    expect(maxCost(use(1_000, 100), price, false)).toBe(1_000 + 200);
  });

  it('takes the price of a long input', () => {
    const price = { input: { base: 1_000, steps: [{ aboveTokens: 200, price: 2_000 }] }, output: 1_000 };
    expect(maxCost(use(200, 0), price, false)).toBe(200);
    expect(maxCost(use(201, 0), price, false)).toBe(402);
  });

  it('never estimates less than any usage within it costs', () => {
    const count = fc.nat({ max: 100_000 });
    const rate = fc.option(fc.nat({ max: 100_000_000 }), { nil: undefined });
    const prices = fc.record({
      input: fc.nat({ max: 100_000_000 }),
      output: rate,
      cacheWrite: rate,
      cacheWrite1h: rate,
    });
    fc.assert(
      fc.property(
        prices,
        count,
        count,
        count,
        count,
        fc.nat({ max: 100 }),
        (price, input, written, long, output, percent) => {
          const largest = maxCost(use(input + written + long, output), price, false);
          const real = costOf(
            {
              inputTokens: input,
              cacheWriteTokens: written + long,
              cacheWrite1hTokens: long,
              ...(price.output === undefined ? {} : { outputTokens: Math.floor((output * percent) / 100) }),
            },
            price,
          );
          if (real !== undefined) expect(largest).toBeGreaterThanOrEqual(real - 1);
        },
      ),
    );
  });
});

it('takes every policy of a guardrail to read all of the text', () => {
  const price = { guardrailUnits: { contentPolicyUnits: 150_000_000, topicPolicyUnits: 100_000_000 } };
  expect(maxGuardrailCost(use(250, 0), price)).toBe(250_000);
  expect(maxGuardrailCost(use(251, 0), price)).toBe(500_000);
  expect(maxGuardrailCost(use(0, 0), price)).toBe(250_000);
  expect(maxGuardrailCost(use(1, 0), {})).toBeUndefined();
});

it.each([
  [[], undefined],
  [[1, 3, 2], 3],
  [[0], 0],
  [[1, undefined], undefined],
])('finds the most expensive of %j: %s', (costs, expected) => {
  expect(findMax(costs)).toBe(expected);
});

describe('what is billed besides the tokens', () => {
  const guarded: ModelPrice = {
    ...CLAUDE,
    guardrailUnits: { contentPolicyUnits: 150_000_000, contentPolicyImageUnits: 750_000_000, 'x.textUnits': 9e9 },
  };
  const tokens = 6_000 + 1_500;

  it('counts a unit of each policy of a guardrail for input and response, and one for each picture', () => {
    const guardedUse = { ...use(1_000, 100), hasGuardrail: true };
    expect(maxCost(guardedUse, guarded, false)).toBe(tokens * 1_000 + 5 * 150_000);
    expect(maxCost({ ...guardedUse, pieces: 2 }, guarded, false)).toBe(tokens * 1_000 + 5 * 150_000 + 2 * 750_000);
    expect(maxCost(guardedUse, CLAUDE, false)).toBeUndefined();
  });

  it('counts searches of the web, if they have a price', () => {
    const searching = { ...use(1_000, 100), units: { webSearches: 3 } };
    const price = { ...CLAUDE, units: { webSearches: 10_000_000_000 } };
    expect(maxCost(searching, price, false)).toBe(tokens * 1_000 + 30_000_000);
    expect(maxCost(use(1_000, 100), price, false)).toBe(tokens * 1_000);
    expect(maxCost(searching, CLAUDE, false)).toBeUndefined();
  });

  it('knows no cost of what is sold by the piece if the request does not tell how many', () => {
    const film = { output: 7_500_000, units: { inputVideoSeconds: 490_000_000 } };
    expect(maxCost(use(0, 100), film, false)).toBeUndefined();
    expect(maxCost({ ...use(0, 100), units: { inputVideoSeconds: 2 } }, film, false)).toBe(750_000 + 980_000);
  });

  it('counts the pictures of a body where each has a price', () => {
    const price = { input: 800_000, units: { inputImages: 60_000_000 } };
    expect(maxCost(use(10, 0), price, false)).toBe(8_000);
    expect(maxCost({ ...use(10, 0), pieces: 2 }, price, false)).toBe(8_000 + 120_000);
  });
});

it.each<{ name: string; prices: readonly (ModelPrice | undefined)[]; expected: number }>([
  {
    name: 'all that its model writes',
    prices: [{ maxOutputTokens: 64_000, contextTokens: 200_000 }],
    expected: 64_000,
  },
  {
    name: 'the most of several models',
    prices: [{ maxOutputTokens: 5_000 }, { maxOutputTokens: 9_000 }],
    expected: 9_000,
  },
  { name: 'the context window, if no more is known', prices: [{ contextTokens: 32_000 }], expected: 32_000 },
  { name: '128,000, if that window is larger', prices: [{ contextTokens: 1_000_000 }], expected: 128_000 },
  { name: '8,192, if nothing is known', prices: [{}, undefined], expected: 8_192 },
])('takes a response without a limit for $name', ({ prices, expected }) => {
  expect(maxOutputOf(prices)).toBe(expected);
});

it('takes a limit that AWS may ignore for no limit', () => {
  const asked = { ...size, inputTokens: 1, copies: 1, maxOutputTokens: undefined };
  const assuming = { ...context, assumedOutputTokens: 64_000 };
  expect(maxUsage({ ...asked, doubtfulMaxOutputTokens: 9_000 }, assuming).outputTokens).toBe(64_000);
  expect(maxUsage({ ...asked, doubtfulMaxOutputTokens: 90_000 }, assuming).outputTokens).toBe(90_000);
});
