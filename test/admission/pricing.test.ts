import { beforeAll, describe, expect, it } from 'vitest';
import { estimateRequest, findPriceNames } from '../../src/admission/pricing.ts';
import type { RequestedUnits } from '../../src/domain/units.ts';
import { costOf, type PriceBook } from '../../src/pricing/cost.ts';
import { loadPrices } from '../../src/pricing/price-book.ts';
import { HAIKU } from './admitting.ts';

const moment = { atMs: Date.UTC(2026, 10, 1), region: 'us-east-1', serviceTier: undefined, latency: undefined };
const requested = {
  inputTokens: 10,
  pieces: 0,
  maxOutputTokens: 100,
  doubtfulMaxOutputTokens: 0,
  copies: 1,
  webSearches: 0,
  hasOutsideInput: false,
  wantsLongContext: false,
};
const plain = { moment, medium: 'text', namesGuardrail: false, assumedOutputTokens: undefined } as const;
const ARN = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijk1';
let prices: PriceBook;

beforeAll(async () => {
  prices = await loadPrices({ priceFile: undefined, refreshedFile: undefined, warn: () => {} });
});

const findProfileModels = async (): Promise<readonly string[]> => ['a.b', 'c.d'];

describe('names of prices', () => {
  it.each([
    ['a model', HAIKU, [HAIKU]],
    ['a model without a price', 'nobody.knows-it', ['nobody.knows-it']],
    ['a profile', ARN, [ARN, 'a.b', 'c.d']],
    ['a profile by its id', 'abcdefghijk1', ['abcdefghijk1', 'a.b', 'c.d']],
    [
      'a prompt',
      'arn:aws:bedrock:us-east-1:123456789012:prompt/A',
      ['arn:aws:bedrock:us-east-1:123456789012:prompt/A'],
    ],
  ])('finds the price names of %s', async (_, raw, expected) => {
    const names = await findPriceNames(raw, { region: 'us-east-1', moment }, { prices, findProfileModels });
    expect(names).toEqual(expected);
  });
});

function inRegions(model: string, ...regions: readonly string[]): readonly string[] {
  return regions.map((region) => `arn:aws:bedrock:${region}::foundation-model/${model}`);
}

describe('an application inference profile', () => {
  const SONNET_4_5 = 'anthropic.claude-sonnet-4-5-20250929-v1:0';

  it.each([
    { region: 'us-east-1', behind: inRegions(SONNET_4_5, ''), cost: 10 * 3_000 + 5 * 15_000 },
    { region: 'us-east-1', behind: inRegions(SONNET_4_5, 'us-east-1', 'us-west-2'), cost: 10 * 3_300 + 5 * 16_500 },
    { region: 'us-east-1', behind: inRegions(SONNET_4_5, 'us-east-1'), cost: 10 * 3_300 + 5 * 16_500 },
    { region: 'us-gov-west-1', behind: inRegions(SONNET_4_5, 'us-gov-west-1', 'us-gov-east-1'), cost: 126_000 },
    { region: 'us-east-1', behind: inRegions('anthropic.claude-sonnet-4-6', '', 'us-east-1'), cost: 105_000 },
    { region: 'eu-central-1', behind: inRegions('amazon.nova-pro-v1:0', 'eu-west-1', 'eu-west-3'), cost: 31_500 },
  ])('costs what is behind it: $behind, called in $region', async ({ region, behind, cost }) => {
    const at = { ...moment, region };
    const sources = { prices, findProfileModels: async () => behind };
    const [, name = '', ...others] = await findPriceNames(ARN, { region, moment: at }, sources);
    expect(others).toEqual([]);
    const price = prices.find(name, at);
    expect(price && costOf({ inputTokens: 10, outputTokens: 5 }, price)).toBe(cost);
  });
});

describe('the weight of a request', () => {
  it('knows no cost if no model is named, or one has no price', () => {
    const use = { inputTokens: 10, outputTokens: 100, copies: 1 };
    for (const models of [
      [],
      [['nobody.knows-it']],
      [[HAIKU], ['nobody.knows-it']],
      [[ARN, HAIKU, 'nobody.knows-it']],
    ]) {
      expect(estimateRequest({ requested, models, ...plain }, prices)).toMatchObject({
        use,
        costNanoUsd: undefined,
        hasUnknownInput: false,
      });
    }
  });

  it('takes the cost of the model behind a profile', () => {
    const behind = estimateRequest({ requested, models: [[ARN, HAIKU]], ...plain }, prices);
    expect(behind.costNanoUsd).toBe(10 * 2_200 + 100 * 5_500);
    expect(behind).toEqual(estimateRequest({ requested, models: [[HAIKU]], ...plain }, prices));
  });

  it('takes the context window if the model reads what is not in the body', () => {
    const outside = { ...requested, hasOutsideInput: true };
    const found = estimateRequest({ requested: outside, models: [[HAIKU]], ...plain }, prices);
    expect(found).toMatchObject({ use: { inputTokens: 10 }, wholeUse: { inputTokens: 200_000, outputTokens: 100 } });
    expect(found.costNanoUsd).toBe(200_000 * 2_200 + 100 * 5_500);
    const long = { ...outside, wantsLongContext: true };
    expect(estimateRequest({ requested: long, models: [[HAIKU]], ...plain }, prices)).toMatchObject({
      wholeUse: { inputTokens: 1_000_000 },
    });
    const larger = { ...outside, inputTokens: 300_000 };
    expect(estimateRequest({ requested: larger, models: [[HAIKU]], ...plain }, prices)).toMatchObject({
      wholeUse: { inputTokens: 300_000 },
    });
  });

  it('counts what is sold by the piece, and knows no cost if the request does not say how much of it', () => {
    const price = { units: { videoSeconds: 80_000_000_000, searchQueries: 2_000_000_000 } };
    const book: PriceBook = { ...prices, find: () => price };
    const estimate = (requestedUnits: RequestedUnits, found = book): number | undefined =>
      estimateRequest({ ...plain, requested: { ...requested, requestedUnits }, models: [['a.b']] }, found).costNanoUsd;
    expect(estimate({ counts: { videoSeconds: 6 }, hasUnknown: false })).toBe(480_000_000);
    expect(estimate({ counts: { searchQueries: 3 }, hasUnknown: false, isEstimated: true })).toBe(6_000_000);
    expect(estimate({ counts: { videoSeconds: 6 }, hasUnknown: true })).toBeUndefined();
    expect(estimate({ counts: { inputImages: 1 }, hasUnknown: false })).toBeUndefined();
    const perRequest: PriceBook = { ...prices, find: () => ({ request: 2_000_000_000 }) };
    expect(estimate({ counts: { searchQueries: 3 }, hasUnknown: false }, perRequest)).toBe(2_000_000);
  });

  it('knows no cost of what is not in the body if the context window of one of the models is not known', () => {
    const windowless: PriceBook = { ...prices, find: () => ({ input: 1_000, output: 1_000 }) };
    const asked = { models: [[HAIKU]], ...plain };
    const outside = { ...requested, hasOutsideInput: true };
    expect(estimateRequest({ ...asked, requested: outside }, windowless)).toMatchObject({
      costNanoUsd: undefined,
      hasUnknownInput: true,
    });
    expect(estimateRequest({ ...asked, requested }, windowless)).toMatchObject({ hasUnknownInput: false });
  });

  it('never takes the price of a guardrail for a model, nor the other way round', () => {
    const withGuardrail: PriceBook = {
      ...prices,
      find: () => undefined,
      list: () => [],
      findGuardrail: () => ({ guardrailUnits: { x: 1_000_000 } }),
    };
    expect(estimateRequest({ requested, models: [], ...plain }, withGuardrail).costNanoUsd).toBeUndefined();
    expect(estimateRequest({ requested, models: [], ...plain, medium: 'guardrail' }, withGuardrail).costNanoUsd).toBe(
      1_000,
    );
    const withoutGuardrail: PriceBook = {
      ...withGuardrail,
      find: prices.find.bind(prices),
      findGuardrail: () => undefined,
    };
    expect(
      estimateRequest({ requested, models: [[HAIKU]], ...plain, medium: 'guardrail' }, withoutGuardrail).costNanoUsd,
    ).toBeUndefined();
  });
});

describe('the price that a budget reckons with', () => {
  /** In pico-dollars a token of output; `m` has another source that tells twice as much of its flex tier. */
  const RATES: Readonly<Record<string, number>> = { default: 4_000, flex: 2_000, priority: 7_000, optimized: 5_000 };
  const book: PriceBook = {
    ...prices,
    list: () => [],
    findGuardrail: () => undefined,
    find: (name, { serviceTier = 'default', latency }) => {
      const output = RATES[latency ?? (serviceTier === 'auto' ? 'default' : serviceTier)];
      if (name !== 'm' || output === undefined) return undefined;
      return { output, ceiling: serviceTier === 'flex' ? { output: 5 * output } : undefined };
    },
  };

  it.each<{ name: string; serviceTier?: string; latency?: string; output: number | undefined }>([
    { name: 'as it is served', output: 4_000 },
    { name: 'the dearer source', serviceTier: 'flex', output: 10_000 },
    { name: 'the tier that is asked for', serviceTier: 'priority', output: 7_000 },
    { name: 'any tier that AWS may choose', serviceTier: 'auto', output: 7_000 },
    { name: 'the latency that is asked for', latency: 'optimized', output: 5_000 },
    { name: 'none for a tier without a price', serviceTier: 'batch', output: undefined },
  ])('is $name', ({ serviceTier, latency, output }) => {
    const asked = { ...plain, moment: { ...moment, serviceTier, latency }, requested, models: [['m']] };
    expect(estimateRequest(asked, book).costNanoUsd).toBe(output && (100 * output) / 1_000);
  });

  it('has the window of Claude Sonnet 4.5 that a request gets without its beta', () => {
    const outside = { ...requested, hasOutsideInput: true };
    const models = [['us.anthropic.claude-sonnet-4-5-20250929-v1:0']];
    expect(estimateRequest({ ...plain, requested: outside, models }, prices).wholeUse.inputTokens).toBe(200_000);
    const long = { ...outside, wantsLongContext: true };
    expect(estimateRequest({ ...plain, requested: long, models }, prices).wholeUse.inputTokens).toBe(1_000_000);
  });
});

describe('a response without a limit', () => {
  const unlimited = { ...requested, maxOutputTokens: undefined };

  it('counts all that its model writes, and little for a limit of tokens per minute', () => {
    const found = estimateRequest({ ...plain, requested: unlimited, models: [[HAIKU]] }, prices);
    expect(found.wholeUse.outputTokens).toBe(64_000);
    expect(found.use.outputTokens).toBe(8_192);
    expect(found.costNanoUsd).toBe(10 * 2_200 + 64_000 * 5_500);
  });

  it('counts what the owner says', () => {
    const asked = { ...plain, assumedOutputTokens: 1_000, requested: unlimited, models: [[HAIKU]] };
    expect(estimateRequest(asked, prices).costNanoUsd).toBe(10 * 2_200 + 1_000 * 5_500);
  });
});

it('has the cost of what has a price, if a guardrail, searches or other input have none', () => {
  const bare: PriceBook = { ...prices, list: () => [], findGuardrail: () => undefined, find: () => ({ input: 1_000 }) };
  const asked = { ...plain, requested, models: [['m']] };
  expect(estimateRequest(asked, bare)).toMatchObject({ costNanoUsd: 10, pricedNanoUsd: 10 });
  for (const more of [
    { ...asked, namesGuardrail: true },
    { ...asked, requested: { ...requested, webSearches: 1 } },
    { ...asked, requested: { ...requested, hasOutsideInput: true } },
  ]) {
    expect(estimateRequest(more, bare)).toMatchObject({ costNanoUsd: undefined, pricedNanoUsd: 10 });
  }
});
