import { describe, expect, it } from 'vitest';
import { formatRefreshed, parseRefreshed, readPublished } from '../../src/pricing/price-refresh.ts';

const MODEL = { id: 'x.y', match: { equals: 'x.y' }, prices: { input_mtok: 1, output_mtok: 2 } };
const published = (models: unknown): string =>
  JSON.stringify([
    { id: 'other', models: [] },
    { id: 'aws', models },
  ]);

describe('the published document', () => {
  it('reads Bedrock’s models of the published document with what is needed of them', () => {
    const dated = {
      id: 'x.z',
      prices: [{ prices: { input_mtok: 1 } }, { constraint: { start_date: '2026-01-01' }, prices: { input_mtok: 2 } }],
    };
    expect(readPublished(published([MODEL, { ...dated, name: 'Z', match: {} }]))).toEqual([
      { id: 'x.y', prices: { input_mtok: 1, output_mtok: 2 } },
      dated,
    ]);
  });

  it('drops the prices of a model that is sold by what we do not count', () => {
    const models = [{ ...MODEL, prices: [{ prices: { input_mtok: 1, output_image_mtok: 30 } }] }];
    expect(readPublished(published(models))).toEqual([{ id: 'x.y', prices: [{ prices: {} }] }]);
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
  ])('refuses a published document: $name', ({ text, reason }) => {
    expect(() => readPublished(text)).toThrow(reason);
  });
});

describe('the file that keeps it', () => {
  it('reads the file of refreshed prices as it was written', () => {
    const refreshed = { fetchedAtMs: Date.UTC(2026, 9, 1), models: readPublished(published([MODEL])) };
    expect(parseRefreshed(formatRefreshed(refreshed))).toEqual(refreshed);
  });

  it.each([
    { name: 'empty', text: '' },
    { name: 'a list', text: '[]' },
    { name: 'without a date', text: '{"models":[{"id":"x.y","prices":{}}]}' },
    { name: 'with a date that is none', text: '{"fetchedAt":"soon","models":[{"id":"x.y","prices":{}}]}' },
    { name: 'without models', text: '{"fetchedAt":"2026-01-01T00:00:00.000Z"}' },
  ])('refuses a file of refreshed prices: $name', ({ text }) => {
    expect(() => parseRefreshed(text)).toThrow(/^it /);
  });
});
