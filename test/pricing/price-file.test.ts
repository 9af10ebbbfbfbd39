import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import { findInPriceFile, parsePriceFile } from '../../src/pricing/price-file.ts';
import type { MediaVariant, ModelPrice } from '../../src/pricing/cost.ts';
import { parseModelName } from '../../src/domain/model-name.ts';

type Key = Parameters<typeof findInPriceFile>[2];
const priceIn = (models: object, name: string, key: Partial<Key> = {}): ModelPrice | undefined => {
  const whole = { tier: 'standard', region: 'us-east-1', ...key } as const;
  return findInPriceFile(parsePriceFile(JSON.stringify({ models })), parseModelName(name), whole);
};
const inputOf = (models: object, name: string, tier: Key['tier'] = 'standard'): unknown =>
  priceIn(models, name, { tier })?.input;

describe('the format', () => {
  it('reads every kind of price of a file, in pico-dollars', () => {
    const entry = {
      input_mtok: 3,
      output_mtok: 15,
      cache_read_mtok: 0.3,
      cache_write_mtok: 3.75,
      cache_write_1h_mtok: 6,
      input_audio_mtok: 3.4,
      output_audio_mtok: 13.6,
      image: 0.04,
      request: 0.002,
      tiers: { flex: { input_mtok: 1.5 }, optimized: { output_mtok: 30 } },
    };
    const text = JSON.stringify({ models: { 'x.*': entry }, guardrail_units: { contentPolicyUnits: 0.00015 } });
    const origin = { kind: 'file', source: 'file', name: 'x.*' };
    const file = parsePriceFile(`\uFEFF${text}`);
    expect(file.guardrailUnits).toEqual({ contentPolicyUnits: 150_000_000 });
    expect(file.entries.map(({ pattern }) => pattern)).toEqual(['x.*']);
    expect([...(file.entries[0]?.prices ?? [])]).toEqual([
      [
        'standard',
        {
          input: 3_000_000,
          output: 15_000_000,
          cacheRead: 300_000,
          cacheWrite: 3_750_000,
          cacheWrite1h: 6_000_000,
          inputAudio: 3_400_000,
          outputAudio: 13_600_000,
          image: 40_000_000_000,
          request: 2_000_000_000,
          origin,
        },
      ],
      ['flex', { input: 1_500_000, origin }],
      ['optimized', { output: 30_000_000, origin }],
    ]);
  });

  it.each([{ text: '{}' }, { text: '{"models":{}}' }, { text: '{"guardrail_units":{}}' }])(
    'takes an empty price file: $text',
    ({ text }) => {
      expect(parsePriceFile(text)).toEqual({ entries: [], guardrailUnits: undefined });
    },
  );

  it.each([
    { text: '{"models":', place: 'the file must be JSON' },
    { text: '[]', place: 'the file must be an object' },
    { text: '{"model":{}}', place: 'model is not known here' },
    { text: '{"models":[]}', place: 'models must be an object' },
    { text: '{"models":null}', place: 'models must be an object' },
    { text: '{"guardrail_units":3}', place: 'guardrail_units must be an object' },
    { text: '{"models":{"x.y":3}}', place: 'models["x.y"] must be an object' },
    { text: '{"models":{"x.y":{}}}', place: 'models["x.y"] must hold a price' },
    { text: '{"models":{"":{"input_mtok":1}}}', place: 'models[""] has no name' },
    { text: '{"models":{"x.y":{"input_mtk":3}}}', place: 'models["x.y"].input_mtk is not known here' },
    { text: '{"models":{"x.y":{"input_mtok":"3"}}}', place: 'models["x.y"].input_mtok must be a price in USD' },
    { text: '{"models":{"x.y":{"input_mtok":null}}}', place: 'models["x.y"].input_mtok must be a price in USD' },
    { text: '{"models":{"x.y":{"input_mtok":-3}}}', place: 'models["x.y"].input_mtok must be a price in USD' },
    { text: '{"models":{"x.y":{"input_mtok":1e999}}}', place: 'models["x.y"].input_mtok must be a price in USD' },
    { text: '{"models":{"x.y":{"input_mtok":0.0000001}}}', place: 'with at most 6 decimals' },
    { text: '{"models":{"x.y":{"image":1e-13}}}', place: 'with at most 12 decimals' },
    { text: '{"models":{"x.y":{"tiers":{"fast":{}}}}}', place: 'models["x.y"].tiers.fast is not known here' },
    { text: '{"models":{"x.y":{"tiers":{"flex":{}}}}}', place: 'models["x.y"].tiers.flex must hold a price' },
    {
      text: '{"models":{"x.y":{"tiers":{"flex":{"tiers":{}}}}}}',
      place: 'models["x.y"].tiers.flex.tiers is not known here',
    },
    { text: '{"models":{"x.y":{"__proto__":{"input_mtok":1}}}}', place: 'models["x.y"].__proto__ is not known here' },
    { text: '{"models":{"x.y":{"units":{}}}}', place: 'models["x.y"].units must hold a price' },
    { text: '{"models":{"x.y":{"units":{"pages":1}}}}', place: 'models["x.y"].units.pages is not known here' },
    { text: '{"models":{"x.y":{"units":{"videoSeconds":"1"}}}}', place: 'units.videoSeconds must be a price in USD' },
    { text: '{"models":{"x.y":{"images":{}}}}', place: 'models["x.y"].images must be a list of prices' },
    { text: '{"models":{"x.y":{"images":[]}}}', place: 'models["x.y"].images must be a list of prices' },
    { text: '{"models":{"x.y":{"images":[{}]}}}', place: 'models["x.y"].images[0].price must be a price in USD' },
    { text: '{"models":{"x.y":{"images":[{"price":1,"size":2}]}}}', place: 'images[0].size is not known here' },
    { text: '{"models":{"x.y":{"images":[{"price":1,"quality":2}]}}}', place: 'images[0].quality must be text' },
    {
      text: '{"models":{"x.y":{"images":[{"price":1,"max_side":0}]}}}',
      place: 'images[0].max_side must be a whole number',
    },
    { text: '{"models":{"x.y":{"regions":{}}}}', place: 'models["x.y"] must hold a price' },
    { text: '{"models":{"x.y":{"regions":{"eu-*":{}}}}}', place: 'models["x.y"].regions["eu-*"] must hold a price' },
    {
      text: '{"models":{"x.y":{"regions":{"eu-*":{"regions":{}}}}}}',
      place: 'regions["eu-*"].regions is not known here',
    },
    { text: '{"models":{"x.y":{"max_output_tokens":1}}}', place: 'models["x.y"] must hold a price' },
    {
      text: '{"models":{"x.y":{"request":1,"max_output_tokens":1.5}}}',
      place: 'max_output_tokens must be a whole number',
    },
    {
      text: '{"guardrail_units":{"topicPolicyUnits":true}}',
      place: 'guardrail_units["topicPolicyUnits"] must be a price',
    },
  ])('refuses the price file $text, and says where', ({ text, place }) => {
    let thrown: unknown;
    try {
      parsePriceFile(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ProxyError);
    expect(thrown).toMatchObject({ code: 'ERR_BAD_OPTION', message: expect.stringContaining(place) });
  });
});

const price = (usd: number) => ({ input_mtok: usd });

describe('the entry that speaks for a model', () => {
  const PROFILE = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6';

  it.each([
    {
      name: 'us.x-ai.model-v1:0',
      models: { '*': price(1), 'us.x-ai.model-v1:0': price(2) },
      input: 2,
      why: 'names before patterns',
    },
    {
      name: 'us.openai.m',
      models: { 'openai.m': price(1), 'us.openai.m': price(2) },
      input: 2,
      why: 'the most exact name',
    },
    { name: 'us.openai.m', models: { 'openai.*': price(1), '*': price(2) }, input: 1, why: 'the first pattern' },
    { name: 'us.openai.m', models: { 'us.*': price(1) }, input: 1, why: 'any form' },
    {
      name: 'arn:aws:bedrock:us-east-1::foundation-model/openai.m',
      models: { 'openai.m': price(1) },
      input: 1,
      why: 'the model in an ARN',
    },
    { name: PROFILE, models: { [PROFILE]: price(1) }, input: 1, why: 'a profile by its ARN' },
    { name: PROFILE, models: { '*/a1b2*': price(1) }, input: 1, why: 'a profile by a pattern' },
    { name: 'a1b2c3d4e5f6', models: { a1b2c3d4e5f6: price(1) }, input: 1, why: 'a profile by its id' },
    { name: 'us.openai.m', models: { 'bedrock/openai.m': price(1) }, input: 1, why: 'LiteLLM’s name' },
    { name: 'openai.m', models: { 'openai.': price(1) }, input: undefined, why: 'no part of a name' },
    { name: 'openai.m', models: { 'us.openai.m': price(1) }, input: undefined, why: 'no other geography' },
    { name: 'openai.ab', models: { 'openai.ab*b': price(1) }, input: undefined, why: 'no character twice' },
    { name: 'openai.a-b-c-d', models: { 'o*a*c*d': price(1) }, input: 1, why: 'several stars' },
    { name: 'openai.a-c-b-d', models: { 'o*b*c*d': price(1) }, input: undefined, why: 'pieces in their order' },
    { name: 'openai+m', models: { 'openai.m': price(1) }, input: undefined, why: 'a dot is a dot' },
  ])('finds the entry that speaks for a model: $why: $name', ({ name, models, input }) => {
    expect(inputOf(models, name)).toBe(input === undefined ? undefined : input * 1_000_000);
  });

  it('finds an entry that has the tier', () => {
    const models = {
      'openai.m': price(9),
      'openai.*': { tiers: { flex: price(1) } },
      '*': { ...price(3), tiers: { flex: price(2) } },
    };
    expect(inputOf(models, 'openai.m', 'flex')).toBe(1_000_000);
    expect(inputOf(models, 'openai.other')).toBe(3_000_000);
    expect(inputOf(models, 'openai.m', 'batch')).toBeUndefined();
  });

  it('has another price in some regions, member by member, tier by tier', () => {
    const regions = {
      'eu-*': { input_mtok: 2, tiers: { flex: { input_mtok: 1 } } },
      'eu-west-2': { input_mtok: 3 },
    };
    const models = { 'openai.m': { input_mtok: 1, output_mtok: 5, regions }, 'openai.n': { regions } };
    expect(priceIn(models, 'openai.m')).toMatchObject({ input: 1_000_000, output: 5_000_000 });
    expect(priceIn(models, 'openai.m', { region: 'eu-west-1' })).toMatchObject({ input: 2_000_000, output: 5_000_000 });
    expect(priceIn(models, 'openai.m', { region: 'eu-west-2' })?.input).toBe(3_000_000);
    expect(priceIn(models, 'openai.m', { region: 'eu-west-2', tier: 'flex' })).toMatchObject({ input: 1_000_000 });
    expect(priceIn(models, 'openai.m', { tier: 'flex' })).toBeUndefined();
    expect(priceIn(models, 'openai.n', { region: 'eu-west-1' })?.output).toBeUndefined();
    expect(priceIn(models, 'openai.n')).toBeUndefined();
  });

  it('prices images by their kind, and what is sold by the piece', () => {
    const images = [
      { price: 0.04 },
      { max_side: 512, price: 0.01 },
      { quality: 'Premium', max_side: 1024, price: 0.06 },
      { quality: 'premium', price: 0.08 },
    ];
    const units = { videoSeconds: 0.08, searchQueries: 0.002 };
    const models = { 'x1.m': { images, units, regions: { 'eu-*': { image: 0.07 } } } };
    const usdOf = (variant?: MediaVariant, region = 'us-east-1'): number =>
      (priceIn(models, 'x1.m', { variant, region })?.image ?? NaN) / 1e12;
    expect(usdOf()).toBe(0.04);
    expect(usdOf({ width: 512, height: 512 })).toBe(0.01);
    expect(usdOf({ quality: 'premium' })).toBe(0.06);
    expect(usdOf({ quality: 'premium', width: 2048 })).toBe(0.08);
    expect(usdOf({ quality: 'premium' }, 'eu-west-1')).toBe(0.07);
    expect(priceIn(models, 'x1.m')).toMatchObject({
      units: { videoSeconds: 80_000_000_000, searchQueries: 2_000_000_000 },
    });
    expect(priceIn(models, 'x1.m')).not.toHaveProperty('images');
  });

  it('finds an entry in no time, whatever the name', () => {
    const pattern = '*a'.repeat(40);
    const start = performance.now();
    expect(inputOf({ [`${pattern}*b`]: price(1) }, 'a'.repeat(60_000))).toBeUndefined();
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
