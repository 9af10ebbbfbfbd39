import { describe, expect, it } from 'vitest';
import { formatRefreshed, mergeFetches, parseRefreshed, type PriceFetch } from '../../src/pricing/price-refresh.ts';
import { factFileOf } from '../helpers/price-facts.ts';

const FETCHED_AT_MS = Date.UTC(2026, 9, 1);
const fetchOf = (url: string, input: number): PriceFetch => ({
  url,
  etag: url.endsWith('b') ? undefined : `"${input}"`,
  fetchedAtMs: FETCHED_AT_MS,
  file: factFileOf('aws', { 'x1.y': { 'us-east-1 / region / standard': { input } } }),
});
const LATER = { constraint: { start_date: '2027-01-01' }, prices: { input_mtok: 2 } };
const [A, B] = [fetchOf('https://x.example/a', 1), fetchOf('https://x.example/b', 2)];

describe('the file that keeps what was fetched', () => {
  it('is read as it was written, address, tag, time and facts', () => {
    const text = formatRefreshed({ fetches: [A, B] });
    expect(parseRefreshed(text).fetches).toMatchObject([A, B].map(({ file: _file, ...fetch }) => fetch));
    expect(parseRefreshed(text).fetches[1]?.file.readFacts('x1.y')).toEqual(B.file.readFacts('x1.y'));
    expect(formatRefreshed(parseRefreshed(text))).toBe(text);
    expect(parseRefreshed(formatRefreshed({ fetches: [] }))).toEqual({ fetches: [] });
  });

  it('is read as an earlier version wrote it', () => {
    const models = [{ id: 'x1.y', prices: { input_mtok: 1 }, context_window: 9 }];
    const [fetch] = parseRefreshed(JSON.stringify({ fetchedAt: '2026-10-01T00:00:00.000Z', models })).fetches;
    expect(fetch).toMatchObject({
      url: expect.stringMatching(/^https:.*genai-prices/),
      fetchedAtMs: FETCHED_AT_MS,
      file: { teller: 'genai-prices', asOf: '2026-10-01' },
    });
    expect(fetch?.file.models).toEqual(['x1.y']);
  });

  it('keeps the day from which a price holds', () => {
    const models = [{ id: 'x1.y', prices: [{ prices: { input_mtok: 1 } }, LATER] }];
    const file = parseRefreshed(JSON.stringify({ fetchedAt: '2026-10-01T00:00:00.000Z', models }));
    const facts = parseRefreshed(formatRefreshed(file)).fetches[0]?.file.readFacts('x1.y') ?? [];
    expect(new Set(facts.map(({ from, picoUsd }) => `${from} ${picoUsd}`))).toEqual(
      new Set(['undefined 1000000', '2027-01-01 2000000']),
    );
  });

  it('has one fetch of each address, the last', () => {
    const later = fetchOf(A.url, 3);
    expect(mergeFetches({ fetches: [A, B] }, [later])).toEqual({ fetches: [later, B] });
  });

  it.each([
    { name: 'empty', text: '' },
    { name: 'half of it', text: formatRefreshed({ fetches: [A, B] }).slice(0, -9) },
    { name: 'a list', text: '[]' },
    { name: 'of another kind', text: '{"a":1}' },
    { name: 'without fetches', text: '{"format":2}' },
    { name: 'with a fetch without an address', text: '{"format":2,"fetches":[{}]}' },
    { name: 'with a fetch without a time', text: '{"format":2,"fetches":[{"url":"x"}]}' },
    {
      name: 'with a price that is none',
      text: formatRefreshed({ fetches: [A] }).replace('"input": 1', '"input": -1'),
    },
    {
      name: 'with a fetch without prices',
      text: '{"format":2,"fetches":[{"url":"x","fetchedAt":"2026-01-01T00:00:00.000Z"}]}',
    },
    { name: 'without a date', text: '{"models":[{"id":"x.y","prices":{}}]}' },
    { name: 'with a date that is none', text: '{"fetchedAt":"soon","models":[{"id":"x.y","prices":{}}]}' },
    { name: 'without models', text: '{"fetchedAt":"2026-01-01T00:00:00.000Z"}' },
  ])('is refused whole: $name', ({ text }) => {
    expect(() => parseRefreshed(text)).toThrow(/^it /);
  });

  it('is refused if a later version wrote it', () => {
    expect(() => parseRefreshed('{"format":3}')).toThrow('a later version wrote it');
  });
});
