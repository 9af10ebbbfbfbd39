import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costOf, priceSourceOf, type ModelPrice, toPicoUsd } from '../../src/pricing/cost.ts';
import type { Usage } from '../../src/domain/usage.ts';

/** Claude Sonnet 4.5, regional: 3.30 in, 16.50 out, 0.33 read, 4.125 write, 6.60 write for an hour, per million. */
const SONNET: ModelPrice = {
  input: 3_300_000,
  output: 16_500_000,
  cacheRead: 330_000,
  cacheWrite: 4_125_000,
  cacheWrite1h: 6_600_000,
};
/** Nova Sonic: 0.06 in, 0.24 out, speech 3.40 and 13.60. */
const SONIC: ModelPrice = { input: 60_000, output: 240_000, inputAudio: 3_400_000, outputAudio: 13_600_000 };
/** Nova Micro: 0.035 in, 0.00875 read, 0.14 out. */
const MICRO: ModelPrice = { input: 35_000, cacheRead: 8750, output: 140_000 };
/** GPT-5.6 Sol: with more than 271,999 tokens of input, caches included, twice in and 1.5 times out. */
const step = (base: number, price: number) => ({ base, steps: [{ aboveTokens: 271_999, price }] });
const SOL: ModelPrice = {
  input: step(4_400_000, 8_800_000),
  output: step(22_000_000, 33_000_000),
  cacheRead: step(440_000, 880_000),
  cacheWrite: step(5_500_000, 11_000_000),
};

describe('what a usage costs, in nano-dollars', () => {
  it.each<{ name: string; usage: Usage; price: ModelPrice; nano: number }>([
    // 1000 x 3.30 = 3300; 200 x 16.50 = 3300; sum 6600 millionths of a dollar
    { name: 'input and output', usage: { inputTokens: 1000, outputTokens: 200 }, price: SONNET, nano: 6_600_000 },
    // 12 x 3.30 = 39.6; 30,000 x 0.33 = 9900; 5 x 16.50 = 82.5; sum 10,022.1
    {
      name: 'a read from the cache',
      usage: { inputTokens: 12, cacheReadTokens: 30_000, outputTokens: 5 },
      price: SONNET,
      nano: 10_022_100,
    },
    // 1000 x 4.125 = 4125; 500 x 6.60 = 3300; 1 x 3.30; sum 7428.3
    {
      name: 'writes of both kinds: of 1500, 500 for an hour',
      usage: { inputTokens: 1, cacheWriteTokens: 1500, cacheWrite1hTokens: 500 },
      price: SONNET,
      nano: 7_428_300,
    },
    // 100 x 0.06 = 6; 900 x 3.40 = 3060; 10 x 0.24 = 2.4; 90 x 13.60 = 1224; sum 4292.4
    {
      name: 'speech among text',
      usage: { inputTokens: 1000, inputAudioTokens: 900, outputTokens: 100, outputAudioTokens: 90 },
      price: SONIC,
      nano: 4_292_400,
    },
    // 1 x 0.00875 millionths = 8.75 nano
    { name: 'a fraction of a nano-dollar, up', usage: { cacheReadTokens: 1 }, price: MICRO, nano: 9 },
    // 3 x 8.75 = 26.25
    { name: 'a fraction of a nano-dollar, down', usage: { cacheReadTokens: 3 }, price: MICRO, nano: 26 },
    // 2 x 8.75 = 17.5
    { name: 'half a nano-dollar, up', usage: { cacheReadTokens: 2 }, price: MICRO, nano: 18 },
    // 271,999 x 4.40 = 1,196,795.6; 10 x 22 = 220; sum 1,197,015.6
    {
      name: 'the last token before the step',
      usage: { inputTokens: 271_999, outputTokens: 10 },
      price: SOL,
      nano: 1_197_015_600,
    },
    // every token at the higher price: 272,000 x 8.80 = 2,393,600; 10 x 33 = 330
    {
      name: 'the first token above the step',
      usage: { inputTokens: 272_000, outputTokens: 10 },
      price: SOL,
      nano: 2_393_930_000,
    },
    // 2000 + 200,000 + 70,000 = 272,000: 2000 x 8.80 = 17,600; 200,000 x 0.88 = 176,000; 70,000 x 11 = 770,000
    {
      name: 'a step that caches fill',
      usage: { inputTokens: 2000, cacheReadTokens: 200_000, cacheWriteTokens: 70_000 },
      price: SOL,
      nano: 963_600_000,
    },
    { name: 'counts that are all zero', usage: { inputTokens: 0, outputTokens: 0 }, price: SONNET, nano: 0 },
    {
      name: 'zero of what has no price',
      usage: { inputTokens: 1, images: 0, inputAudioTokens: 0 },
      price: SONNET,
      nano: 3300,
    },
    // 3 x 0.04
    { name: 'images', usage: { images: 3 }, price: { image: 40_000_000_000 }, nano: 120_000_000 },
    // 2 x 0.00015 + 1 x 0.0001
    {
      name: 'units of guardrails',
      usage: { guardrailUnits: { contentPolicyUnits: 2, topicPolicyUnits: 1, sensitiveInformationPolicyFreeUnits: 9 } },
      price: { guardrailUnits: { contentPolicyUnits: 150_000_000, topicPolicyUnits: 100_000_000 } },
      nano: 400_000,
    },
    // 0.002 a search
    {
      name: 'a price per request, for what reports nothing',
      usage: {},
      price: { request: 2_000_000_000 },
      nano: 2_000_000,
    },
    // 10 x 3.30 = 33 and 0.001
    {
      name: 'a price per request besides tokens',
      usage: { inputTokens: 10 },
      price: { ...SONNET, request: 1_000_000_000 },
      nano: 1_033_000,
    },
  ])('costs in nano-dollars: $name', ({ usage, price, nano }) => {
    expect(costOf(usage, price)).toBe(nano);
  });

  it('costs exactly where the sum in pico-dollars is beyond what a double holds', () => {
    // 300,000,000,003 x 16.50 = 4,950,000,000,049.5 millionths = 4,950,000,000,049,500 nano
    expect(costOf({ outputTokens: 300_000_000_003 }, SONNET)).toBe(4_950_000_000_049_500);
  });
});

describe('what nobody knows', () => {
  it.each<{ name: string; usage: Usage; price: ModelPrice }>([
    { name: 'nothing was reported', usage: {}, price: SONNET },
    {
      name: 'nothing was reported, and a request has a price besides tokens',
      usage: {},
      price: { ...SONNET, request: 1 },
    },
    {
      name: 'a cached read without a price',
      usage: { inputTokens: 5, cacheReadTokens: 1 },
      price: { input: 1, output: 1 },
    },
    {
      name: 'a write for an hour where only five minutes have a price',
      usage: { cacheWriteTokens: 5, cacheWrite1hTokens: 1 },
      price: { input: 1, cacheWrite: 1 },
    },
    { name: 'speech at the price of text', usage: { inputTokens: 5, inputAudioTokens: 1 }, price: SONNET },
    { name: 'an image', usage: { outputTokens: 1, images: 1 }, price: SONNET },
    {
      name: 'a unit of a guardrail',
      usage: { inputTokens: 1, guardrailUnits: { topicPolicyUnits: 1 } },
      price: SONNET,
    },
    {
      name: 'a unit named like something every object has',
      usage: { guardrailUnits: { toString: 1 } },
      price: { guardrailUnits: {} },
    },
    { name: 'a part that is larger than the whole', usage: { inputTokens: 1, inputAudioTokens: 2 }, price: SONIC },
    { name: 'a part of nothing', usage: { cacheWrite1hTokens: 2 }, price: SONNET },
    { name: 'a negative count', usage: { inputTokens: -1 }, price: SONNET },
    { name: 'a fraction', usage: { inputTokens: 0.5 }, price: SONNET },
    { name: 'no number', usage: { inputTokens: NaN }, price: SONNET },
    { name: 'more than a ledger can hold', usage: { outputTokens: Number.MAX_SAFE_INTEGER }, price: SONNET },
  ])('knows no cost if $name', ({ usage, price }) => {
    expect(costOf(usage, price)).toBeUndefined();
  });
});

describe('exactness', () => {
  const count = fc.nat({ max: 2_000_000 });
  const rate = fc.nat({ max: 100_000_000 });

  it('sums whole numbers, rounded once and half up', () => {
    fc.assert(
      fc.property(fc.tuple(count, count, count, count, count), fc.tuple(rate, rate, rate, rate, rate), (n, p) => {
        const [inputTokens, outputTokens, cacheReadTokens, shortWrites, cacheWrite1hTokens] = n;
        const [input, output, cacheRead, cacheWrite, cacheWrite1h] = p;
        const usage = {
          inputTokens,
          outputTokens,
          cacheReadTokens,
          cacheWriteTokens: shortWrites + cacheWrite1hTokens,
          cacheWrite1hTokens,
        };
        const pico = n.reduce((sum, tokens, kind) => sum + BigInt(tokens) * BigInt(p[kind] ?? 0), 0n);
        const rounded = pico / 1000n + (pico % 1000n >= 500n ? 1n : 0n);
        expect(costOf(usage, { input, output, cacheRead, cacheWrite, cacheWrite1h })).toBe(Number(rounded));
      }),
    );
  });

  it('adds up: two requests cost what one with both their tokens does, but for the roundings', () => {
    fc.assert(
      fc.property(count, count, rate, rate, (one, other, input, output) => {
        const price = { input, output };
        const apart =
          (costOf({ inputTokens: one, outputTokens: other }, price) ?? NaN) +
          (costOf({ inputTokens: other, outputTokens: one }, price) ?? NaN);
        const together = costOf({ inputTokens: one + other, outputTokens: one + other }, price) ?? NaN;
        expect(Math.abs(apart - together)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('decimals', () => {
  it.each([
    { usd: 3, pico: 3_000_000 },
    { usd: 0.00875, pico: 8750 },
    { usd: 3.4375, pico: 3_437_500 },
    { usd: 0.07, pico: 70_000 },
    { usd: 16.5, pico: 16_500_000 },
    { usd: 0.000001, pico: 1 },
    { usd: 0, pico: 0 },
    { usd: 0.0000001, pico: undefined },
    { usd: 1 / 3, pico: undefined },
    { usd: 0.1 + 0.2, pico: undefined },
    { usd: -1, pico: undefined },
    { usd: NaN, pico: undefined },
    { usd: Infinity, pico: undefined },
    { usd: 1e300, pico: undefined },
  ])('reads $usd dollars per million as $pico pico-dollars', ({ usd, pico }) => {
    expect(toPicoUsd(usd, 6)).toBe(pico);
  });

  it('reads every price of up to six decimals exactly', () => {
    fc.assert(
      fc.property(fc.nat({ max: 999 }), fc.nat({ max: 999_999 }), (whole, fraction) => {
        const usd = Number(`${whole}.${String(fraction).padStart(6, '0')}`);
        expect(toPicoUsd(usd, 6)).toBe(whole * 1_000_000 + fraction);
      }),
    );
  });

  it.each([
    { usd: 0.04, pico: 40_000_000_000 },
    { usd: 0.00015, pico: 150_000_000 },
    { usd: 1e-12, pico: 1 },
  ])('reads $usd dollars each as $pico pico-dollars', ({ usd, pico }) => {
    expect(toPicoUsd(usd, 12)).toBe(pico);
  });
});

describe('who told a price', () => {
  it.each([
    { origin: undefined, words: undefined },
    { origin: { kind: 'built-in', source: 'aws', name: 'x' } as const, words: 'aws' },
    { origin: { kind: 'file', source: 'file', name: 'x*' } as const, words: 'file' },
    {
      origin: { kind: 'refreshed', source: 'litellm', name: 'x', assumedRegion: 'eu-west-1' } as const,
      words: 'litellm (other region)',
    },
  ])('is $words', ({ origin, words }) => {
    expect(priceSourceOf({ origin })).toBe(words);
  });
});
