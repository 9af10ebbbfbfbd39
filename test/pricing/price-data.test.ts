import { describe, expect, it } from 'vitest';
import { indexModels, readPriceRecord } from '../../src/pricing/price-data.ts';

const find = (ids: readonly string[], name: string): string | undefined =>
  indexModels(ids.map((id) => ({ id })))(name)?.id;

describe('the model that a name means', () => {
  it.each([
    { name: 'anthropic.claude-opus-4-5-20251101-v1:0', id: 'regional.anthropic.claude-opus-4-5-v1:0' },
    { name: 'us.anthropic.claude-opus-4-5-20251101-v1:0', id: 'regional.anthropic.claude-opus-4-5-v1:0' },
    { name: 'anthropic.claude-haiku-4-5', id: 'regional.anthropic.claude-haiku-4-5-20251001-v1:0' },
    { name: 'ca.anthropic.claude-opus-5', id: 'regional.anthropic.claude-opus-5' },
    { name: 'anthropic.claude-opus-5-v1:0', id: 'regional.anthropic.claude-opus-5' },
    { name: 'global.anthropic.claude-opus-5', id: 'global.anthropic.claude-opus-5' },
    { name: 'nvidia.nemotron-nano-9b-v2', id: 'nvidia.nemotron-nano-9b-v2:0' },
    { name: 'nvidia.nemotron-nano-3-30b', id: 'nvidia.nemotron-nano-3-30b:0' },
    { name: 'openai.gpt-oss-120b', id: 'openai.gpt-oss-120b-1:0' },
    { name: 'openai.gpt-oss-120b-1:0', id: 'openai.gpt-oss-120b-1:0' },
    { name: 'amazon.nova-lite-v1:0:24k', id: 'amazon.nova-lite-v1:0' },
    { name: 'amazon.titan-embed-text-v1:2:8k', id: 'amazon.titan-embed-text-v1' },
    { name: 'mistral.mistral-7b-instruct-v0:2', id: 'mistral.mistral-7b-instruct-v0:2' },
    { name: 'qwen.qwen3-coder-30b-a3b-instruct', id: 'qwen.qwen3-coder-30b-a3b-v1:0' },
  ])('takes the name $name for the model $id', ({ name, id }) => {
    expect(find(['anthropic.claude-2', id, 'regional.anthropic.claude-opus-4-v1:0'], name)).toBe(id);
  });

  it.each([
    { name: 'amazon.titan-embed-text-v2:0', id: 'amazon.titan-embed-text-v1', why: 'another version' },
    { name: 'anthropic.claude-sonnet-5-5', id: 'regional.anthropic.claude-sonnet-5-v1:0', why: 'a later model' },
    { name: 'anthropic.claude-sonnet-5', id: 'regional.anthropic.claude-sonnet-5-5-v1:0', why: 'an earlier model' },
    {
      name: 'anthropic.claude-3-5-sonnet-20240620-v1:0',
      id: 'regional.anthropic.claude-3-5-sonnet-20241022-v2:0',
      why: 'another date',
    },
    { name: 'mistral.mistral-7b-instruct-v0:3', id: 'mistral.mistral-7b-instruct-v0:2', why: 'another minor version' },
    { name: 'openai.gpt-oss-20b', id: 'openai.gpt-oss-120b-1:0', why: 'another size' },
    { name: 'global.amazon.nova-pro-v1:0', id: 'amazon.nova-pro-v1:0', why: 'the global price is another one' },
    {
      name: 'global.anthropic.claude-opus-5',
      id: 'regional.anthropic.claude-opus-5',
      why: 'the global price is another one',
    },
    { name: 'anthropic.claude-opus-5', id: 'global.anthropic.claude-opus-5', why: 'the regional price is another one' },
    { name: 'Anthropic.claude-opus-5', id: 'regional.anthropic.claude-opus-5', why: 'AWS has no capitals' },
    { name: 'meta.llama3-1-8b', id: 'meta.llama3-1-8b-instruct-v1:0', why: 'only Qwen is known to have both names' },
    { name: 'deepseek.r1-distill-v1:0', id: 'deepseek.r1-v1:0', why: 'it goes on' },
    { name: '', id: 'deepseek.r1-v1:0', why: 'it is empty' },
  ])('does not take $name for $id: $why', ({ name, id }) => {
    expect(find([id], name)).toBeUndefined();
  });

  it('takes a name with a date for that model, and none without a date that could be several', () => {
    const ids = ['anthropic.claude-x-20260101-v1:0', 'anthropic.claude-x-20270101-v1:0'];
    expect(find(ids, 'us.anthropic.claude-x-20270101-v1:0')).toBe(ids[1]);
    expect(find(ids, 'anthropic.claude-x')).toBeUndefined();
    expect(find([...ids, 'anthropic.claude-x'], 'anthropic.claude-x')).toBe('anthropic.claude-x');
  });
});

describe('a price record', () => {
  it('reads a price record in pico-dollars per token', () => {
    const record = { input_mtok: 0.035, cache_read_mtok: 0.00875, output_mtok: 0.14 };
    expect(readPriceRecord('amazon.nova-micro-v1:0', record)).toEqual({
      input: 35_000,
      cacheRead: 8750,
      output: 140_000,
    });
  });

  it('sorts the steps of a price ascending', () => {
    const input_mtok = {
      base: 1,
      tiers: [
        { start: 200, price: 3 },
        { start: 100, price: 2 },
      ],
    };
    expect(readPriceRecord('x.y', { input_mtok })?.input).toEqual({
      base: 1_000_000,
      steps: [
        { aboveTokens: 100, price: 2_000_000 },
        { aboveTokens: 200, price: 3_000_000 },
      ],
    });
  });

  it.each([
    { id: 'regional.anthropic.claude-opus-5', record: { input_mtok: 5.5, cache_write_mtok: 6.875 }, hour: 11_000_000 },
    {
      id: 'global.anthropic.claude-opus-5-5',
      record: { input_mtok: 4, cache_write_mtok: 5, cache_write_1h_mtok: 7.5 },
      hour: 7_500_000,
    },
    {
      id: 'anthropic.claude-x',
      record: { input_mtok: { base: 3, tiers: [{ start: 200_000, price: 6 }] }, cache_write_mtok: 3.75 },
      hour: { base: 6_000_000, steps: [{ aboveTokens: 200_000, price: 12_000_000 }] },
    },
    { id: 'anthropic.claude-3-haiku', record: { input_mtok: 0.25 }, hour: undefined },
    { id: 'openai.gpt-5.6-sol', record: { input_mtok: 4, cache_write_mtok: 5 }, hour: undefined },
  ])('prices writes of $id to the cache for an hour at $hour', ({ id, record, hour }) => {
    expect(readPriceRecord(id, record)?.cacheWrite1h).toEqual(hour);
  });

  it.each<{ name: string; record: Record<string, unknown> }>([
    { name: 'nothing', record: {} },
    { name: 'what is not counted', record: { input_mtok: 1, output_image_mtok: 30 } },
    { name: 'a number with too many decimals', record: { input_mtok: 0.00000012 } },
    { name: 'a negative number', record: { input_mtok: -1 } },
    { name: 'no number', record: { input_mtok: '3' } },
    { name: 'steps that are no list', record: { input_mtok: { base: 1, tiers: {} } } },
    { name: 'a step without a start', record: { input_mtok: { base: 1, tiers: [{ price: 2 }] } } },
    { name: 'a member that every object has', record: { input_mtok: 1, constructor: 1 } },
  ])('takes a price record with $name for none', ({ record }) => {
    expect(readPriceRecord('anthropic.claude-x', record)).toBeUndefined();
  });
});
