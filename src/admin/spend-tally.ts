/**
 * Sums over ledger rows that the store does not sum by itself: by several things at once, and by tags as the rows had
 * them. Reads page by page and lets the event loop go on between pages. Unknown stays unknown.
 */
import { setImmediate } from 'node:timers/promises';
import { sumInput } from '../domain/usage.ts';
import type { LedgerEntry, LedgerFilter } from '../domain/ledger.ts';
import type { LedgerStore } from '../domain/store.ts';
import { toUsd } from '../lib/usd.ts';

/** Each costs some milliseconds in which nothing else is served. */
const PAGE_ROWS = 500;

/** Sums of one group. Token counts are undefined as long as no row reports one. */
export interface SpendTally {
  requests: number;
  unpriced: number;
  costNanoUsd: number;
  inputTokens: number | undefined;
  outputTokens: number | undefined;
}

/** All rows of the filter, oldest first. */
export async function* readRows(store: LedgerStore, filter: LedgerFilter): AsyncGenerator<LedgerEntry> {
  let after = 0;
  for (;;) {
    const page = await store.readLedger(filter, { after, limit: PAGE_ROWS });
    yield* page;
    after = page.at(-1)?.sequence ?? after;
    if (page.length < PAGE_ROWS) return;
    await setImmediate();
  }
}

/** At most `limit` rows that fit, newest first. */
export async function readLastRows(
  store: LedgerStore,
  filter: LedgerFilter,
  fits: (row: LedgerEntry) => boolean,
  { before, limit }: { readonly before: number | undefined; readonly limit: number },
): Promise<LedgerEntry[]> {
  const found: LedgerEntry[] = [];
  let edge = before;
  for (;;) {
    const page = await store.readLedgerBackwards(filter, { before: edge, limit: PAGE_ROWS });
    found.push(...page.filter(fits));
    if (found.length >= limit || page.length < PAGE_ROWS) return found.slice(0, limit);
    edge = page.at(-1)?.sequence;
    await setImmediate();
  }
}

/** Groups that come into being as rows are added; in the order of their first row. */
export class Tallies {
  readonly #byName = new Map<string, SpendTally>();

  add(name: string, row: LedgerEntry): void {
    let tally = this.#byName.get(name);
    if (tally === undefined) {
      tally = { requests: 0, unpriced: 0, costNanoUsd: 0, inputTokens: undefined, outputTokens: undefined };
      this.#byName.set(name, tally);
    }
    tally.requests += 1;
    if (row.pricing === 'unpriced') tally.unpriced += 1;
    tally.costNanoUsd += row.costNanoUsd ?? 0;
    tally.inputTokens = sum(tally.inputTokens, sumInput(row.usage));
    tally.outputTokens = sum(tally.outputTokens, row.usage?.outputTokens);
  }

  /** The most expensive first. */
  list(): (readonly [name: string, tally: SpendTally])[] {
    return [...this.#byName].toSorted(([, left], [, right]) => right.costNanoUsd - left.costNanoUsd);
  }

  names(): string[] {
    return [...this.#byName.keys()];
  }

  /** What each has spent, by name, or by what `show` makes of it. */
  spend(show = (name: string): string => name): Record<string, number | null> {
    return Object.fromEntries(this.list().map(([name, tally]) => [show(name), findSpendUsd(tally)]));
  }
}

/** Dollars; null where there were requests and none of them has a known price. */
export function findSpendUsd(sums: Pick<SpendTally, 'requests' | 'unpriced' | 'costNanoUsd'>): number | null {
  return sums.requests > 0 && sums.unpriced === sums.requests ? null : toUsd(sums.costNanoUsd);
}

/** The number of requests that are not in the sum, as a member to spread; absent where all are. */
export function tellUnpriced({ unpriced }: Pick<SpendTally, 'unpriced'>): { readonly unpriced_requests?: number } {
  return unpriced === 0 ? {} : { unpriced_requests: unpriced };
}

/** Undefined where neither is known. */
export function sum(left: number | undefined, right: number | undefined): number | undefined {
  return left === undefined || right === undefined ? (left ?? right) : left + right;
}
