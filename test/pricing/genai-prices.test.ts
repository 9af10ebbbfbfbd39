import { describe, expect, it } from 'vitest';
import { indexFacts } from '../../src/pricing/fact-file.ts';
import { readGenaiDocument } from '../../src/pricing/genai-prices.ts';
import { bookOf } from '../../src/pricing/price-book.ts';

const DAY = '2026-11-01';
const MODEL = { id: 'x1.y', match: { equals: 'x1.y' }, prices: { input_mtok: 1, output_mtok: 2 } };
const published = (models: unknown): string =>
  JSON.stringify([
    { id: 'other', models: [] },
    { id: 'aws', models },
  ]);
const read = (...models: readonly unknown[]) => readGenaiDocument(published([MODEL, ...models]), DAY);
const inputIn = (models: readonly unknown[], name: string, { region = 'us-east-1', day = DAY } = {}): unknown => {
  const book = bookOf([{ kind: 'refreshed', facts: indexFacts([read(...models)]) }]);
  const atMs = Date.parse(`${day}T23:59:59.999Z`);
  return book.find(name, { atMs, region, serviceTier: undefined, latency: undefined })?.input;
};

describe('the published document', () => {
  it('reads prices, windows, and where they hold', () => {
    const { models, readFacts, readWindow, asOf, teller } = read({ ...MODEL, id: 'x1.z', context_window: 9 });
    expect({ asOf, teller, models }).toEqual({
      asOf: DAY,
      teller: 'genai-prices',
      models: ['x1.y', 'x1.z'],
    });
    expect(readWindow('x1.z')).toEqual({ contextTokens: 9 });
    expect(readFacts('x1.y').filter(({ unit }) => unit === 'input')).toMatchObject(
      ['us-east-1', 'us-west-2'].flatMap((place) =>
        ['region', 'geo'].map((scope) => ({ place, scope, tier: 'standard', aboveTokens: 0, picoUsd: 1_000_000 })),
      ),
    );
  });

  it('tells in-region prices from global ones', () => {
    const models = [
      { id: 'regional.anthropic.claude-9', prices: { input_mtok: 3.3 } },
      { id: 'global.anthropic.claude-9', prices: { input_mtok: 3 } },
    ];
    expect(inputIn(models, 'eu.anthropic.claude-9', { region: 'eu-west-1' })).toBe(3_300_000);
    expect(inputIn(models, 'anthropic.claude-9', { region: 'sa-east-1' })).toBe(3_300_000);
    expect(inputIn(models, 'global.anthropic.claude-9')).toBe(3_000_000);
    expect(inputIn(models, 'anthropic.claude-9', { region: 'us-gov-west-1' })).toBeUndefined();
    expect(inputIn([], 'global.x1.y')).toBeUndefined();
  });

  it('changes prices with the day, in UTC', () => {
    const dated = [
      { prices: { input_mtok: 5.5 } },
      { constraint: { start_date: '2026-08-21', type: 'start_date' }, prices: { input_mtok: 4.4 } },
    ];
    const models = [{ id: 'regional.openai.gpt-9', prices: dated }];
    expect(inputIn(models, 'us.openai.gpt-9', { day: '2026-08-20' })).toBe(5_500_000);
    expect(inputIn(models, 'us.openai.gpt-9', { day: '2026-08-21' })).toBe(4_400_000);
  });

  it('begins a step where AWS begins it', () => {
    const input_mtok = { base: 1, tiers: [{ start: 271_999, price: 2 }] };
    expect(inputIn([{ id: 'openai.gpt-9', prices: { input_mtok } }], 'openai.gpt-9')).toEqual({
      base: 1_000_000,
      steps: [{ aboveTokens: 272_000, price: 2_000_000 }],
    });
  });

  it.each([
    { name: 'that is sold by what we do not count', prices: { input_mtok: 1, output_image_mtok: 30 } },
    { name: 'under a condition that is no day', prices: [{ constraint: { moon: 'full' }, prices: { input_mtok: 2 } }] },
    { name: 'from a day that is none', prices: [{ constraint: { start_date: 'soon' }, prices: { input_mtok: 2 } }] },
  ])('leaves out a price $name', ({ prices }) => {
    expect(inputIn([{ id: 'x1.z', prices }], 'x1.z')).toBeUndefined();
  });

  it.each([
    { name: 'a page', text: '<html></html>', reason: 'it is not JSON' },
    { name: 'half of it', text: published([MODEL]).slice(0, -10), reason: 'it is not JSON' },
    { name: 'an object', text: '{}', reason: 'no list of providers' },
    { name: 'without Bedrock', text: '[{"id":"openai","models":[]}]', reason: 'no provider "aws"' },
    { name: 'without models', text: published([]), reason: 'no models' },
    { name: 'with models that are no list', text: published({}), reason: 'no models' },
    { name: 'with a nameless model', text: published([{ prices: {} }]), reason: 'without an id' },
    { name: 'with a model that is null', text: published([null]), reason: 'without an id' },
    { name: 'with a model without prices', text: published([{ id: 'x.y' }]), reason: 'no prices for x.y' },
    { name: 'with an empty list of prices', text: published([{ id: 'x.y', prices: [] }]), reason: 'no prices for x.y' },
    { name: 'with a date without prices', text: published([{ id: 'x.y', prices: [{}] }]), reason: 'no prices for x.y' },
    { name: 'without a price that can be read', text: published([{ id: 'x.y', prices: {} }]), reason: 'none of its' },
  ])('refuses a published document: $name', ({ text, reason }) => {
    expect(() => readGenaiDocument(text, DAY)).toThrow(reason);
  });
});
