/** Which facts of several sources make a price: by place, scope, tier, step, kind of media, day and source. */
import { describe, expect, it } from 'vitest';
import { costOf, type MediaVariant, priceSourceOf } from '../../src/pricing/cost.ts';
import { factFileOf, priceBookOf } from '../helpers/price-facts.ts';

const momentIn = (region: string, more: { tier?: string; variant?: MediaVariant; atMs?: number } = {}) => ({
  atMs: more.atMs ?? Date.UTC(2026, 10, 1),
  region,
  serviceTier: more.tier,
  latency: undefined,
  variant: more.variant,
});
const M = 1_000_000;
const both = (input: number, output: number) => ({ input: Math.round(input * M), output: Math.round(output * M) });

const BOOK = priceBookOf([
  factFileOf('aws', {
    'amazon.nova-pro-v1:0': { '* / region geo / standard': { cacheWrite: 0 } },
    guardrails: { '* / region / standard': { contentPolicyUnits: 150_000_000, topicPolicyUnits: 150_000_000 } },
  }),
  factFileOf('litellm', {
    'amazon.nova-pro-v1:0': {
      'us / geo / standard': both(0.8, 3.2),
      'eu / geo / standard': both(1.05, 4.2),
      'apac / geo / standard': both(0.84, 3.36),
      'us-gov-west-1 / region / standard': both(0.96, 3.84),
      '* / region / flex': both(0.4, 1.6),
    },
    'meta.llama3-70b-instruct-v1:0': {
      '* / region / standard': both(2.65, 3.5),
      'sa-east-1 / region / standard': both(4.45, 5.88),
    },
    'meta.gov-v1:0': { 'us us-east-1 / region geo / standard': both(1, 1) },
    'mistral.only-v1:0': {
      'eu-west-1 / region / standard': both(1, 4),
      'eu-west-2 / region / standard': both(2, 3),
      'us-gov-west-1 / region / standard': both(9, 9),
    },
    'anthropic.claude-haiku-4-5-20251001-v1:0': {
      '* / region / standard': { ...both(1, 5), cacheRead: 0.1 * M, cacheWrite: 1.25 * M },
      'us eu / geo / standard': { ...both(1.1, 5.5), cacheRead: 0.11 * M, cacheWrite: 1.375 * M },
      '* / global / standard': { ...both(1, 5), cacheRead: 0.1 * M, cacheWrite: 1.25 * M },
      'us-gov-west-1 / region / standard': both(1.2, 6),
    },
    'nvidia.nemotron-super-3-120b': {
      'us-east-1 / region / standard': both(0.15, 0.65),
      'eu-west-2 / region / standard': both(0.23, 1.01),
    },
    'openai.gpt-5.6-sol': { '* / region geo / standard': { ...both(4.4, 22), 'input>272000': 8.8 * M } },
    'amazon.titan-image-v1': {
      '* / region / standard': {
        'image|standard|512|': 8_000_000_000,
        'image|standard|1024|': 10_000_000_000,
        'image|premium|512|': 10_000_000_000,
        'image|premium|1024|': 12_000_000_000,
      },
    },
  }),
  factFileOf('genai-prices', {
    'amazon.nova-pro-v1:0': { '* / region geo / standard': both(0.8, 3.2) },
    'anthropic.claude-haiku-4-5-20251001-v1:0': {
      '* / region geo / standard': { ...both(1.1, 5.5), cacheRead: 0.11 * M, cacheWrite: 1.375 * M },
    },
    'nvidia.nemotron-super-3-120b': { '* / region geo / standard': both(0.15, 0.65) },
    'openai.gpt-5.6-sol': { '* / region geo / standard': both(4.4, 22) },
  }),
]);

const costIn = (name: string, region: string, tier?: string): number | undefined => {
  const price = BOOK.find(name, momentIn(region, tier === undefined ? {} : { tier }));
  return price && costOf({ inputTokens: 1000, outputTokens: 1000 }, price);
};

describe('the price of a region', () => {
  it.each([
    { name: 'eu.amazon.nova-pro-v1:0', region: 'eu-central-1', nano: 5_250_000, why: 'the geography' },
    {
      name: 'amazon.nova-pro-v1:0',
      region: 'eu-central-1',
      nano: 5_250_000,
      why: 'that of the region, without a profile',
    },
    { name: 'us.amazon.nova-pro-v1:0', region: 'us-west-2', nano: 4_000_000, why: 'the geography' },
    { name: 'apac.amazon.nova-pro-v1:0', region: 'ap-south-1', nano: 4_200_000, why: 'the geography' },
    { name: 'amazon.nova-pro-v1:0', region: 'sa-east-1', nano: 4_000_000, why: 'everywhere' },
    { name: 'meta.llama3-70b-instruct-v1:0', region: 'sa-east-1', nano: 10_330_000, why: 'the region itself' },
    { name: 'meta.llama3-70b-instruct-v1:0', region: 'us-east-1', nano: 6_150_000, why: 'everywhere' },
    { name: 'nvidia.nemotron-super-3-120b', region: 'eu-west-2', nano: 1_240_000, why: 'nearer than a better source' },
    { name: 'anthropic.claude-haiku-4-5', region: 'us-east-1', nano: 6_600_000, why: 'a name without date' },
    { name: 'anthropic.claude-haiku-4-5', region: 'sa-east-1', nano: 6_600_000, why: 'the better source of two' },
    { name: 'global.anthropic.claude-haiku-4-5', region: 'eu-west-1', nano: 6_000_000, why: 'globally' },
    {
      name: 'us-gov.anthropic.claude-haiku-4-5-20251001-v1:0',
      region: 'us-gov-west-1',
      nano: 7_200_000,
      why: 'GovCloud',
    },
    { name: 'anthropic.claude-haiku-4-5-20251001-v1:0', region: 'us-gov-west-1', nano: 7_200_000, why: 'GovCloud' },
    {
      name: 'arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0',
      region: 'eu-west-1',
      nano: 5_250_000,
      why: 'the geography in an ARN',
    },
  ])('of $name in $region is that of $why: $nano', ({ name, region, nano }) => {
    expect(costIn(name, region)).toBe(nano);
    expect(priceSourceOf(BOOK.find(name, momentIn(region)) ?? {})).not.toContain('other region');
  });

  it.each([
    { name: 'global.amazon.nova-pro-v1:0', region: 'us-east-1', why: 'no global price is known' },
    { name: 'openai.gpt-5.6-sol', region: 'us-gov-west-1', why: 'GovCloud has prices of its own' },
    { name: 'us-gov.openai.gpt-5.6-sol', region: 'us-east-1', why: 'the name means GovCloud' },
    { name: 'us-gov.meta.gov-v1:0', region: 'us-east-1', why: 'the name means GovCloud' },
    { name: 'us.meta.gov-v1:0', region: 'us-gov-west-1', why: 'the region is of GovCloud' },
    { name: 'amazon.nova-pro-v1:0', region: 'cn-north-1', why: 'China has prices of its own' },
    { name: 'amazon.nova-pro-v1:0', region: 'us-east-1', tier: 'priority', why: 'the tier has no price' },
    { name: 'amazon.nova-pro-v1:0', region: 'us-gov-west-1', tier: 'flex', why: 'the tier has no price there' },
    { name: 'guardrails', region: 'us-east-1', why: 'it is no model' },
  ])('of $name in $region is unknown: $why', ({ name, region, tier }) => {
    expect(costIn(name, region, tier)).toBeUndefined();
  });

  it('of a tier is that of the tier', () => {
    expect(costIn('amazon.nova-pro-v1:0', 'us-east-1', 'flex')).toBe(2_000_000);
  });

  it('is the most expensive of the others if nobody knows it, unit by unit, and says so', () => {
    const price = BOOK.find('mistral.only-v1:0', momentIn('ap-south-1'));
    expect(price).toMatchObject({ input: 2 * M, output: 4 * M, origin: { assumedRegion: 'eu-west-2' } });
    expect(priceSourceOf(price ?? {})).toBe('litellm (other region)');
    // Of GovCloud's own regions, too.
    expect(BOOK.find('mistral.only-v1:0', momentIn('us-gov-east-1'))?.origin?.assumedRegion).toBe('us-gov-west-1');
  });
});

describe('sources that differ', () => {
  it('make a price and a ceiling, unit by unit', () => {
    const price = BOOK.find('anthropic.claude-haiku-4-5', momentIn('sa-east-1'));
    expect(price?.ceiling).toBeUndefined();
    const nemotron = priceBookOf([
      factFileOf('aws', { 'x1.m': { 'us-east-1 / region / standard': both(1, 5) } }),
      factFileOf('litellm', { 'x1.m': { 'us-east-1 / region / standard': { ...both(2, 4), cacheRead: 7 } } }),
    ]).find('x1.m', momentIn('us-east-1'));
    expect(nemotron).toMatchObject({
      input: M,
      output: 5 * M,
      cacheRead: 7,
      origin: { source: 'aws', asOf: '2026-10-01' },
    });
    expect(nemotron?.ceiling).toMatchObject({ input: 2 * M, output: 5 * M, cacheRead: 7 });
    expect(nemotron?.ceiling?.ceiling).toBeUndefined();
  });

  it('are all named, those that count marked', () => {
    const facts = BOOK.explain('nvidia.nemotron-super-3-120b', momentIn('eu-west-2'));
    const input = facts.filter(({ fact }) => fact.unit === 'input' && fact.scope === 'region');
    expect(input.map(({ fact, isUsed, kind }) => [fact.source, fact.place, fact.picoUsd, isUsed, kind])).toEqual([
      ['litellm', 'eu-west-2', 230_000, true, 'built-in'],
      ['genai-prices', '*', 150_000, false, 'built-in'],
      ['litellm', 'us-east-1', 150_000, false, 'built-in'],
    ]);
  });

  it('are filled in by each other, where one has no price of long inputs', () => {
    const price = BOOK.find('openai.gpt-5.6-sol', momentIn('us-east-1'));
    expect(price).toMatchObject({
      input: { base: 4.4 * M, steps: [{ aboveTokens: 272_000, price: 8.8 * M }] },
      output: 22 * M,
    });
    // 272,000 x 4.40 + 0; one more, and all of it costs 8.80.
    expect(costOf({ inputTokens: 272_000 }, price ?? {})).toBe(1_196_800_000);
    expect(costOf({ inputTokens: 272_001 }, price ?? {})).toBe(2_393_608_800);
  });
});

describe('caches', () => {
  it('cost nothing to write with Nova', () => {
    const usage = { inputTokens: 22, outputTokens: 13, cacheReadTokens: 0, cacheWriteTokens: 2492 };
    const nova = factFileOf('aws', {
      'amazon.nova-lite-v1:0': {
        '* / region geo / standard': { ...both(0.06, 0.24), cacheRead: 15_000, cacheWrite: 0 },
      },
    });
    expect(costOf(usage, priceBookOf([nova]).find('us.amazon.nova-lite-v1:0', momentIn('us-east-1')) ?? {})).toBe(
      4_440,
    );
  });

  it('cost twice the input to write for an hour with Claude, if nobody says otherwise', () => {
    expect(BOOK.find('us.anthropic.claude-haiku-4-5', momentIn('us-east-1'))?.cacheWrite1h).toBe(2.2 * M);
    expect(BOOK.find('openai.gpt-5.6-sol', momentIn('us-east-1'))?.cacheWrite1h).toBeUndefined();
  });
});

describe('the price of an image', () => {
  it.each<{ variant: MediaVariant | undefined; nano: number }>([
    { variant: undefined, nano: 10_000_000 },
    { variant: { width: 512, height: 512 }, nano: 8_000_000 },
    { variant: { width: 512, height: 1024 }, nano: 10_000_000 },
    { variant: { width: 512, height: 512, quality: 'premium' }, nano: 10_000_000 },
    { variant: { quality: 'premium' }, nano: 12_000_000 },
    { variant: { width: NaN, height: -3 }, nano: 10_000_000 },
    { variant: { width: 4096 }, nano: 12_000_000 },
    { variant: { quality: 'unheard-of' }, nano: 12_000_000 },
  ])('is that of its kind, $variant: $nano', ({ variant, nano }) => {
    const moment = momentIn('us-east-1', variant === undefined ? {} : { variant });
    expect(costOf({ images: 1 }, BOOK.find('amazon.titan-image-v1', moment) ?? {})).toBe(nano);
  });
});

describe('units of guardrails', () => {
  it('have a price beside a model and alone', () => {
    const units = { contentPolicyUnits: 150_000_000, topicPolicyUnits: 150_000_000 };
    expect(BOOK.findGuardrail(momentIn('eu-west-1'))).toMatchObject({
      guardrailUnits: units,
      origin: { source: 'aws' },
    });
    expect(BOOK.find('amazon.nova-pro-v1:0', momentIn('us-east-1'))?.guardrailUnits).toEqual(units);
    expect(BOOK.findGuardrail(momentIn('us-gov-west-1'))).toBeUndefined();
  });
});
