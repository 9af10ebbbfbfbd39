/** How a list of exchanges is searched, wherever they are kept. Pure. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Exchange, ExchangePage, ExchangeQuery, ExchangeSource } from './exchange.ts';
import { searchExchanges } from './search-exchanges.ts';

/** So many are looked at for one page: a search through all of them goes on page by page. */
const MAX_SCANNED = 1_000;

/** A page of exchanges that come newest first, and only those below `before`. */
export function pageOf(newestFirst: Iterable<Exchange>, { matches, limit }: ExchangeQuery): ExchangePage {
  const items: Exchange[] = [];
  let scanned = 0;
  let last: number | undefined;
  for (const exchange of newestFirst) {
    if (items.length >= limit || scanned >= MAX_SCANNED) return { items, scanned, next: last };
    scanned += 1;
    last = exchange.sequence;
    if (matches?.(exchange) !== false) items.push(exchange);
  }
  return { items, scanned, next: undefined };
}

/** All that match, newest first, `limit` at most: page by page, so that others get their turn. */
export async function listAll(
  source: ExchangeSource,
  matches: ExchangeQuery['matches'],
  limit: number,
): Promise<readonly Exchange[]> {
  const found: Exchange[] = [];
  for (let before: number | undefined; ;) {
    const { items, next } = await searchExchanges(source, { matches, before, limit: limit - found.length });
    found.push(...items);
    if (next === undefined || next === before || found.length >= limit) return found;
    before = next;
    await nextTurn();
  }
}
