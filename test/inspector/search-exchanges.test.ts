/** A search that looks into much lets others have their turn, and says where it goes on. */
import { expect, it } from 'vitest';
import type { Exchange, ExchangePage, ExchangeQuery, ExchangeSource } from '../../src/inspector/exchange.ts';
import { pageOf } from '../../src/inspector/list-exchanges.ts';
import { searchExchanges } from '../../src/inspector/search-exchanges.ts';
import { keptExchange } from '../helpers/kept-exchange.ts';

function sourceOf(count: number): ExchangeSource {
  const all = Array.from({ length: count }, (_, index) => keptExchange({ sequence: count - index }));
  const list = (query: ExchangeQuery): ExchangePage =>
    pageOf(
      all.filter(({ sequence }) => sequence < (query.before ?? Infinity)),
      query,
    );
  // Nothing else is asked of it.
  return { list } as unknown as ExchangeSource;
}

const isHundred = ({ sequence }: Exchange): boolean => sequence % 100 === 0;

const busy = (): boolean => {
  const end = performance.now() + 1;
  while (performance.now() < end);
  return false;
};

const sequences = ({ items }: ExchangePage): number[] => items.map(({ sequence }) => sequence);

it('finds what matches, page by page, each once', async () => {
  const source = sourceOf(1_000);
  const found: number[] = [];
  let before: number | undefined;
  do {
    const page = await searchExchanges(source, { matches: isHundred, before, limit: 3 });
    expect(page.items.length).toBeLessThanOrEqual(3);
    found.push(...sequences(page));
    before = page.next;
  } while (before !== undefined);
  expect(found).toEqual([1_000, 900, 800, 700, 600, 500, 400, 300, 200, 100]);
});

it('lets others have their turn', async () => {
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  const page = await searchExchanges(sourceOf(100), { matches: busy, before: undefined, limit: 10 });
  clearInterval(timer);
  expect(page).toMatchObject({ items: [], scanned: 100, next: undefined });
  expect(turns).toBeGreaterThan(5);
});

it('without a filter is what the source lists', async () => {
  const page = await searchExchanges(sourceOf(5), { matches: undefined, before: 4, limit: 2 });
  expect([sequences(page), page.next]).toEqual([[3, 2], 2]);
});
