import { expect, it } from 'vitest';
import { LazyPrices } from '../../src/pricing/lazy-prices.ts';
import { loadPrices } from '../../src/pricing/price-book.ts';

const NOW = { atMs: Date.UTC(2026, 10, 1), serviceTier: undefined, latency: undefined };
const NOVA = 'amazon.nova-lite-v1:0';

it('knows no price before prices are loaded, and all of them after, loaded once', async () => {
  let opened = 0;
  const late = new LazyPrices(async () => {
    opened += 1;
    return loadPrices({ priceFile: undefined, refreshedFile: undefined, warn: () => {} });
  });
  expect([late.find(NOVA, NOW), late.findGuardrail(), late.list(NOW.atMs)]).toEqual([undefined, undefined, []]);
  await Promise.all([late.load(), late.load()]);
  expect(late.find(NOVA, NOW)).toMatchObject({ input: 60_000, output: 240_000 });
  expect(late.list(NOW.atMs).length).toBeGreaterThan(50);
  expect(opened).toBe(1);
});

it('rejects as the loading of prices does', async () => {
  const late = new LazyPrices(() => Promise.reject(new Error('gone')));
  await expect(late.load()).rejects.toThrow('gone');
  expect(late.find(NOVA, NOW)).toBeUndefined();
});
