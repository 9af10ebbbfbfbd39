/** Prices of a running server: files that change, break, and come back. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { LivePrices, openLivePrices } from '../../src/app/live-prices.ts';
import { loadPrices } from '../../src/pricing/price-book.ts';
import { formatRefreshed } from '../../src/pricing/price-refresh.ts';
import { factFileOf } from '../helpers/price-facts.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const moment = { atMs: Date.UTC(2030, 0, 1), region: 'us-east-1', serviceTier: undefined, latency: undefined };

async function open(): Promise<{ file: string; prices: LivePrices; told: string[]; put: (input: unknown) => void }> {
  const folder = await makeTemporaryFolder();
  const file = join(folder, 'prices.json');
  const put = (input: unknown): void => {
    writeFileSync(`${file}.new`, JSON.stringify({ models: { 'own.model': { input_mtok: input, output_mtok: 1 } } }));
    renameSync(`${file}.new`, file);
  };
  put(1);
  const told: string[] = [];
  const prices = await LivePrices.open({
    files: [file, join(folder, 'missing.json')],
    load: () => loadPrices({ priceFile: file, refreshedFile: undefined, warn: (words) => told.push(words) }),
    tell: (words) => told.push(words),
    lookEveryMs: 5,
  });
  onTestFinished(() => prices.close());
  return { file, prices, told, put };
}

const inputOf = (prices: LivePrices): unknown => prices.find('own.model', moment)?.input;

it('takes prices anew when their file is replaced, and says so once', async () => {
  const { prices, told, put } = await open();
  expect(inputOf(prices)).toBe(1_000_000);
  put(2);
  await vi.waitFor(() => expect(inputOf(prices)).toBe(2_000_000));
  expect(told).toEqual(['The prices were taken anew: their files have changed.']);
});

it('keeps the prices of before if the file becomes wrong, says why, and takes the next one that is right', async () => {
  const { file, prices, told, put } = await open();
  put('three');
  await vi.waitFor(() => expect(told).toHaveLength(1));
  expect(told[0]).toMatch(/those of before stay in force: .*models\["own\.model"\]\.input_mtok must be a price/);
  expect(inputOf(prices)).toBe(1_000_000);
  rmSync(file);
  mkdirSync(file);
  // A look in between sees that it is gone.
  await vi.waitFor(() => expect(told.length).toBeGreaterThanOrEqual(2));
  expect(inputOf(prices)).toBe(1_000_000);
  rmSync(file, { recursive: true });
  put(4);
  await vi.waitFor(() => expect(inputOf(prices)).toBe(4_000_000));
});

it('does not look any more when it is closed', async () => {
  const { prices, put } = await open();
  prices.close();
  put(2);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(inputOf(prices)).toBe(1_000_000);
});

it('keeps what was fetched before if a later update is damaged, in a running server', async () => {
  const folder = await makeTemporaryFolder();
  const refreshedFile = join(folder, 'prices.json');
  const rows = { 'amazon.nova-pro-v1:0': { 'us-east-1 / region geo / standard': { input: 700_000 } } };
  const fetches = [{ url: 'https://x.example/', etag: undefined, fetchedAtMs: 0, file: factFileOf('aws', rows) }];
  writeFileSync(refreshedFile, formatRefreshed({ fetches }));
  const told: string[] = [];
  const prices = await openLivePrices({ priceFile: undefined, refreshedFile }, (words) => told.push(words), 5);
  onTestFinished(() => prices.close());
  told.length = 0;
  writeFileSync(refreshedFile, '{');
  await vi.waitFor(() => expect(told).toEqual([expect.stringContaining('those of before stay in force')]));
  expect(told[0]).toContain(`${refreshedFile} is damaged`);
  expect(prices.find('amazon.nova-pro-v1:0', moment)?.input).toBe(700_000);
});
