import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { costOf, type PriceMoment } from '../../src/pricing/cost.ts';
import { formatRefreshed, type PriceFetch } from '../../src/pricing/price-refresh.ts';
import { type ExplainedBook, loadPrices, refreshedPricesPath } from '../../src/pricing/price-book.ts';
import { type FactRows, factFileOf, priceBookOf } from '../helpers/price-facts.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const NOW = Date.UTC(2026, 10, 1);
const at = (atMs: number, serviceTier?: string, latency?: string): PriceMoment => ({
  atMs,
  region: 'us-east-1',
  serviceTier,
  latency,
});

async function load(files: { priceFile?: object; refreshed?: string } = {}) {
  const folder = await makeTemporaryFolder();
  const priceFile = join(folder, 'mine.json');
  const refreshedFile = refreshedPricesPath(folder);
  if (files.priceFile !== undefined) await writeFile(priceFile, JSON.stringify(files.priceFile));
  if (files.refreshed !== undefined) await writeFile(refreshedFile, files.refreshed);
  const warnings: string[] = [];
  const book = await loadPrices({
    priceFile: files.priceFile === undefined ? undefined : priceFile,
    refreshedFile,
    warn: (message) => warnings.push(message),
  });
  return { book, warnings, refreshedFile };
}

const refreshed = (rows: FactRows): string => {
  const file = factFileOf('aws', rows);
  return formatRefreshed({ fetches: [{ url: 'https://x.example/', etag: undefined, fetchedAtMs: NOW, file }] });
};

describe('the built-in data', () => {
  let book: ExplainedBook;
  beforeAll(async () => {
    book = await loadPrices({ priceFile: undefined, refreshedFile: undefined, warn: () => {} });
  });

  it('lists every model of the built-in data, as it can be called in the region', () => {
    const names = new Set(book.list(at(NOW)).map(({ name }) => name));
    expect(names.size).toBeGreaterThan(200);
    for (const name of ['amazon.nova-pro-v1:0', 'global.anthropic.claude-opus-5']) {
      expect(names).toContain(name);
    }
    for (const name of ['us.amazon.nova-pro-v1:0', 'global.amazon.nova-pro-v1:0', 'guardrails']) {
      expect(names).not.toContain(name);
    }
    expect(book.sources.map(({ teller, kind }) => `${kind} ${teller}`)).toContain('built-in litellm');
  });

  it.each([
    { name: 'anthropic.claude-opus-4-5-20251101-v1:0', input: 5.5 },
    { name: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', input: 3.3 },
    { name: 'global.anthropic.claude-sonnet-4-5-20250929-v1:0', input: 3 },
    { name: 'arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0', input: 3.3 },
    {
      name: 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-sonnet-4-5-20250929-v1:0',
      input: 3,
    },
    { name: 'apac.anthropic.claude-3-5-sonnet-20240620-v1:0', input: 3 },
    { name: 'amazon.nova-2-lite-v1:0', input: 0.33 },
    { name: 'global.amazon.nova-2-lite-v1:0', input: 0.3 },
    { name: 'amazon.nova-lite-v1:0:24k', input: 0.06 },
    { name: 'openai.gpt-oss-120b', input: 0.15 },
    { name: 'nvidia.nemotron-nano-9b-v2', input: 0.06 },
    { name: 'us.meta.llama3-3-70b-instruct-v1:0', input: 0.72 },
  ])('knows the price of $name', ({ name, input }) => {
    const rate = book.find(name, at(NOW))?.input;
    expect(typeof rate === 'object' ? rate.base : rate).toBe(input * 1_000_000);
  });

  it.each([
    { name: 'amazon.titan-embed-text-v9:0' },
    { name: 'anthropic.claude-sonnet-99' },
    { name: 'global.amazon.nova-pro-v1:0' },
    { name: 'AMAZON.NOVA-LITE-V1:0' },
    { name: 'amazon.nova-lite-v1:0 ' },
    { name: 'arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0' },
    { name: 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6' },
    { name: 'constructor' },
    { name: '' },
  ])('knows no price of "$name"', ({ name }) => {
    expect(book.find(name, at(NOW))).toBeUndefined();
  });

  it.each([
    { serviceTier: 'default', latency: undefined, known: true },
    { serviceTier: 'standard', latency: 'standard', known: true },
    { serviceTier: 'flex', latency: 'optimized', known: false },
    { serviceTier: 'reserved', latency: undefined, known: false },
    { serviceTier: 'optimized', latency: undefined, known: false },
    { serviceTier: 'whatever', latency: undefined, known: false },
    { serviceTier: undefined, latency: 'optimized', known: false },
    { serviceTier: undefined, latency: 'whatever', known: false },
  ])('prices the tier $serviceTier with latency $latency: $known', ({ serviceTier, latency, known }) => {
    expect(book.find('amazon.nova-lite-v1:0', at(NOW, serviceTier, latency)) !== undefined).toBe(known);
  });

  it.each([{ atMs: NaN }, { atMs: Infinity }, { atMs: 1e17 }])(
    'has no price at a time that is none: $atMs',
    ({ atMs }) => {
      expect(book.find('us.openai.gpt-5.6-sol', at(atMs))).toBeUndefined();
      expect(book.findGuardrail(at(atMs))).toBeUndefined();
      expect(book.explain('us.openai.gpt-5.6-sol', at(atMs))).not.toEqual([]);
    },
  );

  it('has the price of the units of guardrails', () => {
    const usage = { guardrailUnits: { topicPolicyUnits: 1, contentPolicyUnits: 2, automatedReasoningPolicyUnits: 1 } };
    // 1 x 0.00015 + 2 x 0.00015 + 1 x 0.00017
    expect(costOf(usage, book.findGuardrail(at(NOW)) ?? {})).toBe(620_000);
  });

  it('stays right when clients name thousands of models', () => {
    for (let index = 0; index < 5000; index += 1) {
      expect(book.find(`amazon.unknown-${index}`, at(NOW))).toBeUndefined();
    }
    expect(book.find('amazon.nova-lite-v1:0', at(NOW))?.input).toBe(60_000);
  });

  it('explains nothing of a name that says no model, and of a tier that nobody told us of', () => {
    expect(book.explain('a1b2c3d4e5f6', at(NOW))).toEqual([]);
    expect(book.explain('amazon.nova-pro-v1:0', at(NOW, 'whatever'))).toEqual([]);
  });
});

describe('the regions of the built-in data', () => {
  const usage = { inputTokens: 1000, outputTokens: 1000 };
  it.each([
    // 1.05 + 4.20, 4.45 + 5.88, 0.23 + 1.01, 3.60 + 18, 1 + 5 per million
    { name: 'eu.amazon.nova-pro-v1:0', region: 'eu-central-1', nano: 5_250_000 },
    { name: 'meta.llama3-70b-instruct-v1:0', region: 'sa-east-1', nano: 10_330_000 },
    { name: 'nvidia.nemotron-super-3-120b', region: 'eu-west-2', nano: 1_240_000 },
    { name: 'us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0', region: 'us-gov-west-1', nano: 21_600_000 },
    { name: 'anthropic.claude-sonnet-4-5-20250929-v1:0', region: 'us-gov-east-1', nano: 21_600_000 },
    { name: 'global.anthropic.claude-haiku-4-5-20251001-v1:0', region: 'eu-west-1', nano: 6_000_000 },
    { name: 'anthropic.claude-haiku-4-5-20251001-v1:0', region: 'eu-west-1', nano: 6_600_000 },
  ])('$name costs $nano in $region', async ({ name, region, nano }) => {
    const price = (await load()).book.find(name, { ...at(NOW), region }) ?? {};
    expect(costOf(usage, price)).toBe(nano);
    expect(price.origin?.assumedRegion).toBeUndefined();
  });

  it('writes to the cache of Nova for nothing', async () => {
    const cached = { inputTokens: 22, outputTokens: 13, cacheReadTokens: 0, cacheWriteTokens: 2492 };
    const price = (await load()).book.find('us.amazon.nova-lite-v1:0', at(NOW)) ?? {};
    expect(costOf(cached, price)).toBe(4_440);
  });
});

describe('long inputs of the built-in data', () => {
  it.each([
    // 250,000 x 6.60 + 1,000 x 24.75
    { name: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', inputTokens: 250_000, nano: 1_674_750_000 },
    // 200,000 x 3.30 + 1,000 x 16.50: not above it
    { name: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', inputTokens: 200_000, nano: 676_500_000 },
    // 272,000 x 4.40 + 1,000 x 22
    { name: 'us.openai.gpt-5.6-sol', inputTokens: 272_000, nano: 1_218_800_000 },
    // 272,001 x 8.80 + 1,000 x 33
    { name: 'us.openai.gpt-5.6-sol', inputTokens: 272_001, nano: 2_426_608_800 },
  ])('$name reads $inputTokens tokens for $nano', async ({ name, inputTokens, nano }) => {
    const { book } = await load();
    const price = book.find(name, at(NOW)) ?? {};
    expect(costOf({ inputTokens, outputTokens: 1_000 }, price)).toBe(nano);
    expect(costOf({ inputTokens, outputTokens: 1_000 }, price.ceiling ?? price)).toBe(nano);
  });
});

describe('the price file', () => {
  it('prefers the price file to the data, tier by tier', async () => {
    const entry = { input_mtok: 1, output_mtok: 2 };
    const priceFile = {
      models: { 'amazon.nova-lite*': { tiers: { flex: entry, optimized: entry } }, 'amazon.nova-pro*': entry },
    };
    const { book } = await load({ priceFile });
    const own = book.find('us.amazon.nova-pro-v1:0', at(NOW));
    expect(own).toMatchObject({
      input: 1_000_000,
      output: 2_000_000,
      contextTokens: 300_000,
      origin: { kind: 'file', source: 'file', name: 'amazon.nova-pro*' },
    });
    expect(own?.ceiling).toBeUndefined();
    expect(own?.cacheRead).toBeUndefined();
    expect(book.find('amazon.nova-lite-v1:0', at(NOW))?.origin?.kind).toBe('built-in');
    expect(book.find('amazon.nova-lite-v1:0', at(NOW, 'flex'))?.input).toBe(1_000_000);
    expect(book.find('amazon.nova-lite-v1:0', at(NOW, undefined, 'optimized'))?.input).toBe(1_000_000);
    expect(book.find('amazon.nova-lite-v1:0', at(NOW, 'flex', 'optimized'))).toBeUndefined();
    expect(book.list(at(NOW))[0]?.name).toBe('amazon.nova-pro*');
    expect(book.list(at(NOW, 'flex'))[0]?.name).toBe('amazon.nova-lite*');
    expect(book.list(at(NOW, 'whatever'))).toEqual([]);
  });

  it('prices units of guardrails, in place of those that are known', () => {
    const units = { contentPolicyUnits: 150_000_000, topicPolicyUnits: 150_000_000 };
    const rows = {
      guardrails: { '* / region / standard': units },
      'x1.m': { '* / region / standard': { input: 60_000 } },
    };
    const priceFile = { guardrail_units: { contentPolicyUnits: 0.0001 } };
    const book = priceBookOf([factFileOf('aws', rows)], { priceFile });
    const usage = { guardrailUnits: { contentPolicyUnits: 2, topicPolicyUnits: 1 } };
    expect(costOf(usage, book.findGuardrail(at(NOW)) ?? {})).toBe(350_000);
    expect(book.findGuardrail(at(NOW))?.origin?.kind).toBe('file');
    // 1000 x 0.06 = 60 millionths, and the units
    expect(costOf({ ...usage, inputTokens: 1000 }, book.find('x1.m', at(NOW)) ?? {})).toBe(410_000);
  });

  it('says how much a model writes at most, and knows it where the price is the owner’s', () => {
    const priceFile = { models: { 'x1.m': { input_mtok: 1 }, 'x1.n': { input_mtok: 1, max_output_tokens: 7 } } };
    const windows = { maxOutputTokens: 9, contextTokens: 10 };
    const file = {
      ...factFileOf('litellm', { 'x1.m': {} }),
      readWindow: (model: string) => (model === 'x1.m' ? windows : undefined),
    };
    const book = priceBookOf([file], { priceFile });
    expect(book.find('x1.m', at(NOW))).toMatchObject({ maxOutputTokens: 9, contextTokens: 10 });
    expect(book.find('x1.n', at(NOW))?.maxOutputTokens).toBe(7);
  });

  it('refuses a price file that cannot be read, with its path for the operator alone', async () => {
    const options = { priceFile: '/nowhere/mine.json', refreshedFile: undefined, warn: () => {} };
    await expect(loadPrices(options)).rejects.toMatchObject({
      code: 'ERR_BAD_OPTION',
      message: 'The price file (--prices) cannot be read (ENOENT).',
      detail: '/nowhere/mine.json',
    });
  });
});

describe('refreshed data', () => {
  it('counts before what is built in of the same source and place, which fills in what it lacks', async () => {
    const rows = {
      'amazon.nova-lite-v1:0': { 'us-east-1 / region geo / standard': { input: 50_000, output: 200_000 } },
    };
    const { book, warnings } = await load({ refreshed: refreshed(rows) });
    expect(warnings).toEqual([]);
    const price = book.find('us.amazon.nova-lite-v1:0', at(NOW));
    expect(price).toMatchObject({
      input: 50_000,
      output: 200_000,
      cacheWrite: 0,
      contextTokens: 300_000,
      origin: { kind: 'refreshed', source: 'aws', name: 'amazon.nova-lite-v1:0', asOf: '2026-10-01' },
    });
    // Others still say more.
    expect(price?.ceiling).toMatchObject({ input: 60_000, output: 240_000 });
    expect(book.find('amazon.nova-lite-v1:0', { ...at(NOW), region: 'us-west-2' })?.origin?.kind).toBe('built-in');
    expect(book.find('amazon.nova-pro-v1:0', at(NOW))?.origin?.kind).toBe('built-in');
    expect(book.list(at(NOW)).filter(({ name }) => name === 'amazon.nova-lite-v1:0').length).toBe(1);
    expect(book.sources[0]).toMatchObject({ kind: 'refreshed', teller: 'aws' });
  });

  it('replaces all that is built in of its source and place', () => {
    const old = factFileOf('aws', { 'x1.m': { 'eu-west-1 us-east-1 / region / standard': { input: 9, output: 9 } } });
    const now = factFileOf('aws', { 'x1.m': { 'us-east-1 / region / standard': { input: 1 } } });
    const book = priceBookOf([old], { refreshed: [now] });
    expect(book.find('x1.m', at(NOW))).toMatchObject({ input: 1 });
    expect(book.find('x1.m', at(NOW))?.ceiling).toBeUndefined();
    expect(book.find('x1.m', { ...at(NOW), region: 'eu-west-1' })).toMatchObject({ input: 9, output: 9 });
  });

  it('of two updates is the later, whatever addresses they were from', async () => {
    const row = 'us-east-1 / region / standard';
    const fetches = [
      fetchOf('https://mirror.example/', NOW - 1, { 'x1.m': { [row]: { input: 1 } }, 'x1.n': { [row]: { input: 5 } } }),
      fetchOf('https://x.example/a', NOW, { 'x1.m': { [row]: { input: 7 } } }),
      fetchOf('https://x.example/b', NOW, { 'x1.m': { [row]: { output: 8 } } }),
    ];
    const { book } = await load({ refreshed: formatRefreshed({ fetches }) });
    const price = book.find('x1.m', at(NOW));
    expect(price).toMatchObject({ input: 7, output: 8 });
    expect(price?.ceiling).toBeUndefined();
    expect(book.find('x1.n', at(NOW))).toMatchObject({ input: 5 });
  });

  it('is read as an earlier version wrote it', async () => {
    const models = [{ id: 'regional.openai.gpt-9', prices: { input_mtok: 0.05 } }];
    const { book, warnings } = await load({
      refreshed: JSON.stringify({ fetchedAt: '2026-10-01T00:00:00.000Z', models }),
    });
    expect(warnings).toEqual([]);
    expect(book.find('us.openai.gpt-9', at(NOW))).toMatchObject({
      input: 50_000,
      origin: { kind: 'refreshed', source: 'genai-prices', asOf: '2026-10-01' },
    });
  });

  it.each([
    { name: 'nothing', text: '' },
    { name: 'half a file', text: refreshed({ 'x1.y': { '* / region / standard': { input: 1 } } }).slice(0, -9) },
    { name: 'another file', text: '{"a":1}' },
  ])('leaves refreshed prices out with a warning if the file is damaged: $name', async ({ text }) => {
    const { book, warnings, refreshedFile } = await load({ refreshed: text });
    expect(warnings).toEqual([expect.stringContaining(`${refreshedFile} is not used (it `)]);
    expect(book.find('amazon.nova-lite-v1:0', at(NOW))?.origin?.kind).toBe('built-in');
  });

  it('works without refreshed prices', async () => {
    expect((await load()).warnings).toEqual([]);
  });
});

function fetchOf(url: string, fetchedAtMs: number, rows: FactRows): PriceFetch {
  return { url, etag: undefined, fetchedAtMs, file: factFileOf('aws', rows) };
}
