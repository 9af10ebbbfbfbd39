/**
 * A search through exchanges that takes its time without taking that of others: a filter may look into megabytes of
 * each, in the process that requests pass through.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MACHINE_TICKS } from '../lib/clock.ts';
import type { Exchange, ExchangePage, ExchangeQuery, ExchangeSource } from './exchange.ts';

/** Asked for at once, before any is looked at. */
const PAGE = 200;
/** Then requests have their turn. */
const SLICE_MS = 5;
/** One page of results takes no longer: it says where the search goes on. */
const MAX_SEARCH_MS = 3_000;

/** A page of those that match; `next` is where the search goes on, also if it found none so far. */
export async function searchExchanges(source: ExchangeSource, query: ExchangeQuery): Promise<ExchangePage> {
  const { matches, limit } = query;
  if (matches === undefined) return source.list(query);
  const items: Exchange[] = [];
  const started = MACHINE_TICKS();
  let slice = started;
  let scanned = 0;
  let before = query.before;
  let cursor: number | undefined;
  for (;;) {
    const page = await source.list({ matches: undefined, before, limit: PAGE });
    cursor ??= page.cursor;
    for (const exchange of page.items) {
      if (items.length >= limit || MACHINE_TICKS() - started > MAX_SEARCH_MS)
        return { items, scanned, next: before, cursor };
      if (matches(exchange)) items.push(exchange);
      scanned += 1;
      before = exchange.sequence;
      if (MACHINE_TICKS() - slice < SLICE_MS) continue;
      await nextTurn();
      slice = MACHINE_TICKS();
    }
    if (page.next === undefined || (page.next === before && page.items.length === 0))
      return { items, scanned, next: undefined, cursor };
    before = page.next;
  }
}
