import { findProvider } from '@pydantic/genai-prices';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { costOf, type PriceBook, type PriceMoment } from '../../src/pricing/cost.ts';
import { formatRefreshed, type PublishedModel } from '../../src/pricing/price-refresh.ts';
import { bookOf, loadPrices, readBuiltInVersion, refreshedPricesPath } from '../../src/pricing/price-book.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const NOW = Date.UTC(2026, 10, 1);
const at = (atMs: number, serviceTier?: string, latency?: string): PriceMoment => ({
  atMs,
  region: 'us-east-1',
  serviceTier,
  latency,
});
const day = (text: string): number => Date.parse(`${text}T00:00:00Z`);

async function load(files: { priceFile?: object; refreshed?: string } = {}) {
  const folder = await makeTemporaryFolder();
  const priceFile = join(folder, 'mine.json');
  const refreshedFile = refreshedPricesPath(join(folder, 'keys.db'));
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

const refreshed = (models: readonly PublishedModel[]): string =>
  formatRefreshed({ fetchedAtMs: day('2026-10-01'), models });

describe('the built-in data', () => {
  let book: PriceBook;
  beforeAll(async () => {
    book = await loadPrices({ priceFile: undefined, refreshedFile: undefined, warn: () => {} });
  });

  it('prices each model of the built-in data under its own id', () => {
    const ids = (findProvider({ providerId: 'aws' })?.models ?? []).map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(90);
    const found = ids.map((id) => book.find(id.replace(/^regional\./, ''), at(NOW))?.origin);
    expect(found).toEqual(ids.map((name) => ({ kind: 'built-in', source: 'genai-prices', name })));
    expect(book.list(NOW).map(({ name }) => name)).toEqual(ids.map((id) => id.replace(/^regional\./, '')));
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
    { name: 'apac.amazon.nova-2-lite-v1:0', input: 0.33 },
    { name: 'global.amazon.nova-2-lite-v1:0', input: 0.3 },
    { name: 'amazon.nova-lite-v1:0:24k', input: 0.06 },
    { name: 'openai.gpt-oss-120b', input: 0.15 },
    { name: 'nvidia.nemotron-nano-9b-v2', input: 0.06 },
    { name: 'us.meta.llama3-3-70b-instruct-v1:0', input: 0.72 },
  ])('knows the price of $name', ({ name, input }) => {
    expect(book.find(name, at(NOW))?.input).toBe(input * 1_000_000);
  });

  it.each([
    { name: 'amazon.titan-embed-text-v2:0' },
    { name: 'anthropic.claude-sonnet-5-5' },
    { name: 'anthropic.claude-sonnet-5-5-20270101-v1:0' },
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

  it('changes prices with the day, in UTC', () => {
    const name = 'us.openai.gpt-5.6-sol';
    const usage = { inputTokens: 1000, outputTokens: 100 };
    const costAt = (atMs: number) => costOf(usage, book.find(name, at(atMs)) ?? {});
    // until the cut: 1000 x 5.50 + 100 x 33 = 5500 + 3300; from then on: 1000 x 4.40 + 100 x 22 = 4400 + 2200
    expect(costAt(day('2026-08-21') - 1)).toBe(8_800_000);
    expect(costAt(day('2026-08-21'))).toBe(6_600_000);
    expect(costAt(day('2026-08-20'))).toBe(8_800_000);
  });

  it.each([
    { serviceTier: 'default', latency: undefined, known: true },
    { serviceTier: 'standard', latency: 'standard', known: true },
    { serviceTier: 'priority', latency: undefined, known: false },
    { serviceTier: 'flex', latency: undefined, known: false },
    { serviceTier: 'batch', latency: undefined, known: false },
    { serviceTier: 'reserved', latency: undefined, known: false },
    { serviceTier: 'optimized', latency: undefined, known: false },
    { serviceTier: 'whatever', latency: undefined, known: false },
    { serviceTier: undefined, latency: 'optimized', known: false },
    { serviceTier: undefined, latency: 'whatever', known: false },
  ])('prices the tier $serviceTier with latency $latency: $known', ({ serviceTier, latency, known }) => {
    expect(book.find('amazon.nova-lite-v1:0', at(NOW, serviceTier, latency)) !== undefined).toBe(known);
  });

  it('has no price at a time that is none, and none for guardrails', () => {
    expect(book.find('us.openai.gpt-5.6-sol', at(NaN))).toBeUndefined();
    expect(book.findGuardrail()).toBeUndefined();
  });

  it('stays right when clients name thousands of models', () => {
    for (let index = 0; index < 5000; index += 1) {
      expect(book.find(`amazon.unknown-${index}`, at(NOW))).toBeUndefined();
    }
    expect(book.find('amazon.nova-lite-v1:0', at(NOW))?.input).toBe(60_000);
  });

  it('has a version of the built-in data', async () => {
    expect(await readBuiltInVersion()).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

describe('the price file', () => {
  it('prefers the price file to the data, tier by tier', async () => {
    const entry = { input_mtok: 1, output_mtok: 2 };
    const priceFile = {
      models: { 'amazon.nova-lite*': { tiers: { flex: entry, optimized: entry } }, 'amazon.nova-pro*': entry },
    };
    const { book } = await load({ priceFile });
    expect(book.find('us.amazon.nova-pro-v1:0', at(NOW))).toEqual({
      input: 1_000_000,
      output: 2_000_000,
      contextTokens: 300_000,
      origin: { kind: 'file', source: 'file', name: 'amazon.nova-pro*' },
    });
    expect(book.find('amazon.nova-lite-v1:0', at(NOW))?.origin?.kind).toBe('built-in');
    expect(book.find('amazon.nova-lite-v1:0', at(NOW, 'flex'))?.input).toBe(1_000_000);
    expect(book.find('amazon.nova-lite-v1:0', at(NOW, undefined, 'optimized'))?.input).toBe(1_000_000);
    expect(book.find('amazon.nova-lite-v1:0', at(NOW, 'flex', 'optimized'))).toBeUndefined();
    expect(book.list(NOW)[0]?.name).toBe('amazon.nova-pro*');
  });

  it('prices units of guardrails, beside a model and alone', async () => {
    const { book } = await load({ priceFile: { guardrail_units: { contentPolicyUnits: 0.00015 } } });
    const usage = { inputTokens: 1000, guardrailUnits: { contentPolicyUnits: 2 } };
    // 1000 x 0.06 = 60 millionths, and 2 x 0.00015
    expect(costOf(usage, book.find('amazon.nova-lite-v1:0', at(NOW)) ?? {})).toBe(60_000 + 300_000);
    expect(costOf({ guardrailUnits: { contentPolicyUnits: 2 } }, book.findGuardrail() ?? {})).toBe(300_000);
    expect(book.find('amazon.titan-embed-text-v2:0', at(NOW))).toBeUndefined();
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
  const warn = vi.spyOn(console, 'warn');
  afterAll(() => warn.mockRestore());

  it('prefers refreshed prices to built-in ones, which fill what they lack', async () => {
    const models = [
      { id: 'amazon.nova-lite-v1:0', prices: { input_mtok: 0.05 } },
      { id: 'x1.new-v1:0', prices: { input_mtok: 1 }, context_window: -1 },
      { id: 'x1.newer-v1:0', prices: { input_mtok: 1 }, context_window: 9_000 },
    ];
    const { book, warnings } = await load({ refreshed: refreshed(models) });
    expect(warnings).toEqual([]);
    expect(book.find('us.amazon.nova-lite-v1:0', at(NOW))).toEqual({
      input: 50_000,
      // The older data fill it in.
      contextTokens: 300_000,
      origin: { kind: 'refreshed', source: 'genai-prices', name: 'amazon.nova-lite-v1:0', asOf: '2026-10-01' },
    });
    expect(book.find('x1.new-v1:0', at(NOW))).not.toHaveProperty('contextTokens');
    expect(book.find('x1.newer-v1:0', at(NOW))?.contextTokens).toBe(9_000);
    expect(book.find('amazon.nova-pro-v1:0', at(NOW))?.origin?.kind).toBe('built-in');
    expect(book.list(NOW).filter(({ name }) => name === 'amazon.nova-lite-v1:0').length).toBe(1);
  });

  it('drops a model’s price if it is sold by what we do not count, without a word of the library', async () => {
    const text = JSON.stringify({
      fetchedAt: '2026-10-01T00:00:00.000Z',
      models: [{ id: 'amazon.nova-lite-v1:0', prices: { input_mtok: 1, unheard_of_mtok: 3 } }],
    });
    const { book } = await load({ refreshed: text });
    expect(book.find('amazon.nova-lite-v1:0', at(NOW))).toBeUndefined();
    expect(warn).not.toHaveBeenCalled();
  });

  it('takes refreshed prices that are dated as the published document dates them', async () => {
    const dated = [
      { prices: { input_mtok: 2 } },
      { constraint: { start_date: '2026-10-15' }, prices: { input_mtok: 1 } },
    ];
    const book = bookOf([{ id: 'openai.m', prices: dated }], NOW);
    expect(book.find('openai.m', at(day('2026-10-15') - 1))?.input).toBe(2_000_000);
    expect(book.find('openai.m', at(day('2026-10-15')))?.input).toBe(1_000_000);
  });

  it('has no price under a condition that the library does not know', () => {
    const odd = [{ constraint: { moon: 'full' }, prices: { input_mtok: 2 } }];
    expect(bookOf([{ id: 'openai.m', prices: odd }], NOW).find('openai.m', at(NOW))).toBeUndefined();
  });

  it.each([
    { name: 'nothing', text: '' },
    { name: 'half a file', text: refreshed([{ id: 'x.y', prices: {} }]).slice(0, -9) },
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
