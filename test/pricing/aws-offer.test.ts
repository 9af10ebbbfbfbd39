import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { offerUrl, readOffer } from '../../src/pricing/aws-offer.ts';
import type { PriceFact } from '../../src/pricing/price-fact.ts';
import { type OfferRow as Row, offerOf } from '../helpers/price-offer.ts';

const MODELS = {
  ids: [
    'amazon.nova-pro-v1:0',
    'amazon.nova-canvas-v1:0',
    'anthropic.claude-sonnet-4-5-20250929-v1:0',
    'anthropic.claude-haiku-4-5-20251001-v1:0',
    'openai.gpt-5.6-luna',
    'cohere.rerank-v3-5:0',
  ],
  findLongContext: (id: string) => (id.startsWith('anthropic.claude-sonnet') ? 200_000 : undefined),
};

const read = (...rows: Row[]): ReturnType<typeof readOffer> => readOffer(offerOf(rows), MODELS);
const summarize = (facts: readonly PriceFact[]): string[] =>
  facts.map(({ model, place, scope, tier, aboveTokens, unit, limits, picoUsd }) =>
    [model, place, scope, tier, aboveTokens, unit, ...(limits ? [JSON.stringify(limits)] : []), picoUsd].join(' '),
  );

describe('an offer', () => {
  it('of models that AWS sells prices by the thousand tokens, in the region and its geography alike', () => {
    const { facts, publishedOn, skipped } = read(
      { usagetype: 'EUC1-NovaPro-input-tokens', usd: '0.0010500000', model: 'Nova Pro', regionCode: 'eu-central-1' },
      { usagetype: 'USE1-NovaPro-cache-write-input-token-count', usd: '0.0000000000', model: 'Nova Pro' },
      { usagetype: 'USE1-NovaPro-output-tokens-flex', usd: '0.0016000000' },
    );
    expect({ publishedOn, skipped }).toEqual({ publishedOn: '2026-11-20', skipped: 0 });
    expect(summarize(facts)).toEqual([
      'amazon.nova-pro-v1:0 eu-central-1 region standard 0 input 1050000',
      'amazon.nova-pro-v1:0 eu-central-1 geo standard 0 input 1050000',
      'amazon.nova-pro-v1:0 us-east-1 region standard 0 cacheWrite 0',
      'amazon.nova-pro-v1:0 us-east-1 geo standard 0 cacheWrite 0',
      'amazon.nova-pro-v1:0 us-east-1 region flex 0 output 1600000',
      'amazon.nova-pro-v1:0 us-east-1 geo flex 0 output 1600000',
    ]);
    expect(facts[0]).toMatchObject({ source: 'aws', asOf: '2026-11-20' });
  });

  it('of the marketplace prices by the million tokens and names the model as a service', () => {
    const sonnet = { servicename: 'Claude Sonnet 4.5 (Amazon Bedrock Edition)', unit: 'Units' };
    const { facts } = read(
      { ...sonnet, usagetype: 'USE1-MP:USE1_InputTokenCount_Global-Units', usd: '3.0000000000' },
      {
        ...sonnet,
        usagetype: 'USE1-MP:USE1_InputTokenCount_LCtx-Units',
        usd: '6.6',
        description: 'Million Input Tokens',
      },
      { ...sonnet, usagetype: 'USE1-MP:USE1_output_tokens_batch-Units', usd: '8.25', unit: '1M tokens' },
    );
    const model = 'anthropic.claude-sonnet-4-5-20250929-v1:0 us-east-1';
    expect(summarize(facts)).toEqual([
      `${model} global standard 0 input 3000000`,
      `${model} region standard 200000 input 6600000`,
      `${model} geo standard 200000 input 6600000`,
      `${model} region batch 0 output 8250000`,
      `${model} geo batch 0 output 8250000`,
    ]);
  });

  it('prices images by quality and size, rerankings by the query, and units of guardrails', () => {
    const { facts } = read(
      { usagetype: 'USE1-NovaCanvas-T2I-1024-Premium', usd: '0.06', unit: 'image' },
      { usagetype: 'USE1-NovaCanvas-I2I-1024-Premium', usd: '0.06', unit: 'image' },
      {
        usagetype: 'USE1-MP:USE1_search_units-Units',
        usd: '0.002',
        unit: 'Units',
        servicename: 'Cohere Rerank v3.5 (Amazon Bedrock Edition)',
      },
      { usagetype: 'USE1-Guardrail-TopicPolicyUnitsConsumed', usd: '0.00015', unit: 'Text Units' },
    );
    expect(summarize(facts.filter(({ scope }) => scope === 'region'))).toEqual([
      'amazon.nova-canvas-v1:0 us-east-1 region standard 0 image {"quality":"premium","maxSide":1024} 60000000000',
      'cohere.rerank-v3-5:0 us-east-1 region standard 0 searchQueries 2000000000',
      'guardrails us-east-1 region standard 0 topicPolicyUnits 150000000',
    ]);
  });

  it('has its own price for a geography, and its first name for reads of a cache, if both are there', () => {
    const luna = { servicename: 'OpenAI GPT-5.6 Luna (Amazon Bedrock Edition)', unit: '1M tokens' };
    const { facts } = read(
      { ...luna, usagetype: 'USE1-MP:USE1_input_tokens_standard-Units', usd: '0.2' },
      { ...luna, usagetype: 'USE1-MP:USE1_input_tokens_geo_standard-Units', usd: '0.22' },
      { ...luna, usagetype: 'USE1-MP:USE1_cached_input_tokens_global_standard-Units', usd: '0.05' },
      { ...luna, usagetype: 'USE1-MP:USE1_cache_read_tokens_global_standard-Units', usd: '0.02' },
    );
    expect(summarize(facts).toSorted()).toEqual([
      'openai.gpt-5.6-luna us-east-1 geo standard 0 input 220000',
      'openai.gpt-5.6-luna us-east-1 global standard 0 cacheRead 20000',
      'openai.gpt-5.6-luna us-east-1 region standard 0 input 200000',
    ]);
  });

  it('is not believed if it says two prices for one thing', () => {
    const { facts, skipped } = read(
      { usagetype: 'USE1-NovaPro-input-tokens', usd: '0.0008' },
      { usagetype: 'USE1-amazon.nova-pro-mantle-input-tokens-standard', usd: '0.0009' },
      { usagetype: 'USE1-NovaPro-output-tokens', usd: '0.0032' },
      { usagetype: 'USE1-NovaPro-output-tokens', usd: '0.00320' },
    );
    expect(summarize(facts)).toEqual([
      'amazon.nova-pro-v1:0 us-east-1 region standard 0 output 3200000',
      'amazon.nova-pro-v1:0 us-east-1 geo standard 0 output 3200000',
    ]);
    expect(skipped).toBeGreaterThan(0);
  });

  it('rounds what is less than a pico-dollar up', () => {
    const { facts } = read({ usagetype: 'USE1-NovaPro-input-tokens', usd: '0.0000000001' });
    expect(facts[0]?.picoUsd).toBe(1);
  });

  it.each<{ name: string; row: Row }>([
    { name: 'a model that nobody knows', row: { usagetype: 'USE1-NovaUltra-input-tokens', usd: '1' } },
    { name: 'two models', row: { usagetype: 'USE1-NovaPro-input-tokens', usd: '1', model: 'Claude Haiku 4.5' } },
    { name: 'a zero for a price', row: { usagetype: 'USE1-NovaPro-input-tokens', usd: '0.0000000000' } },
    { name: 'no region', row: { usagetype: 'USE1-NovaPro-input-tokens', usd: '1', regionCode: '' } },
    { name: 'a region that is none', row: { usagetype: 'USE1-NovaPro-input-tokens', usd: '1', regionCode: '*' } },
    { name: 'a price that is a number', row: { usagetype: 'USE1-NovaPro-input-tokens', usd: 1 } },
    { name: 'a negative price', row: { usagetype: 'USE1-NovaPro-input-tokens', usd: '-1' } },
    { name: 'a price in another way to write it', row: { usagetype: 'USE1-NovaPro-input-tokens', usd: '1e-3' } },
    { name: 'a price beyond counting', row: { usagetype: 'USE1-NovaPro-input-tokens', usd: '999999999' } },
    {
      name: 'a unit that does not say how many',
      row: { usagetype: 'USE1-NovaPro-input-tokens', usd: '1', unit: 'Units' },
    },
    {
      name: 'a unit of a thousand in the marketplace',
      row: {
        usagetype: 'USE1-MP:USE1_InputTokenCount-Units',
        usd: '1',
        unit: 'Units',
        description: 'per 1,000 tokens',
        servicename: 'Claude Haiku 4.5',
      },
    },
    {
      name: 'a long context of which nobody knows the length',
      row: { usagetype: 'USE1-MP:USE1_InputTokenCount_LCtx-Units', usd: '1', servicename: 'Claude Haiku 4.5' },
    },
  ])('counts and names a row with $name', ({ row }) => {
    const { facts, skipped, examples } = read(row);
    expect({ facts, skipped, examples }).toEqual({ facts: [], skipped: 1, examples: [row.usagetype] });
  });

  it.each(['', '{', '[]', '{}', '{"products":{},"terms":{}}', '{"products":{},"terms":{"OnDemand":{}}}'])(
    'is refused whole if it is none: %o',
    (text) => {
      expect(() => readOffer(text, MODELS)).toThrow(/^it /);
    },
  );

  it('may have rows of any shape', () => {
    const any = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 5 });
    fc.assert(
      fc.property(any, any, (products, OnDemand) => {
        const text = JSON.stringify({ publicationDate: '2026-11-20T00:00:00Z', products, terms: { OnDemand } });
        expect(readOffer(text, MODELS).facts).toEqual([]);
      }),
    );
  });
});

describe('the address of an offer', () => {
  it('is that of a region, or of all', () => {
    const folder = 'https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonBedrock/current';
    expect(offerUrl('AmazonBedrock', 'eu-west-2')).toBe(`${folder}/eu-west-2/index.json`);
    expect(offerUrl('AmazonBedrock')).toBe(`${folder}/index.json`);
  });
});
