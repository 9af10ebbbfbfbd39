import { expect, it } from 'vitest';
import { parsePriceFile } from '../../../src/pricing/price-file.ts';
import { each, perMillion, priceToJson, RATES, rateToJson, shortRate } from '../../../src/cli/prices/price-format.ts';

const STEPPED = { base: 220_000, steps: [{ aboveTokens: 271_999, price: 440_000 }] };

it.each([
  { pico: 8750, usd: '0.00875' },
  { pico: 3_437_500, usd: '3.4375' },
  { pico: 15_000_000, usd: '15' },
  { pico: 70_000, usd: '0.07' },
  { pico: 0, usd: '0' },
])('writes $pico pico-dollars per token as $usd dollars per million', ({ pico, usd }) => {
  expect(perMillion(pico)).toBe(usd);
});

it('shows the price of what is sold by the piece', () => {
  expect([40_000_000_000, 150_000_000].map(each)).toEqual(['0.04', '0.00015']);
});

it.each([
  { rate: undefined, cell: '-' },
  { rate: 0, cell: '0' },
  { rate: 3_300_000, cell: '3.3' },
  { rate: STEPPED, cell: '0.22+' },
])('shows $cell in a cell of prices', ({ rate, cell }) => {
  expect(shortRate(rate)).toBe(cell);
});

it('writes steps of a price in the shape of the published data', () => {
  expect(rateToJson(STEPPED)).toEqual({ base: 0.22, tiers: [{ start: 271_999, price: 0.44 }] });
});

it('writes a price as the members of a price file that say the same', () => {
  const members = {
    ...Object.fromEntries(RATES.map(({ name }, index) => [name, 0.07 + index])),
    image: 0.04,
    request: 0.002,
  };
  const price = parsePriceFile(JSON.stringify({ models: { 'x.y': members } })).entries[0]?.prices.get('standard');
  expect(priceToJson(price ?? {})).toEqual(members);
});
