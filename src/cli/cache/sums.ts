/** Rows of the ledger, added up for `cache`. Pure. */
import type { LedgerRow } from '../../domain/ledger.ts';
import { sumInput } from '../../domain/usage.ts';
import type { CacheGrouping } from './groupings.ts';

/** What the rows of one line add up to. Tokens. */
export interface CacheTotals {
  requests: number;
  /** With a verdict. */
  judged: number;
  input: number;
  read: number;
  written: number;
  lostNanoUsd: number;
}

/** A line: one name for each grouping; undefined: the rows have none. */
export interface CacheGroup extends CacheTotals {
  readonly names: readonly (string | undefined)[];
}

/** A verdict by which something was lost. */
export interface CacheCause {
  readonly verdict: string;
  requests: number;
  lostNanoUsd: number;
  /** Id of the request that lost the most. */
  example: string;
  exampleNanoUsd: number;
}

/** The sums. State: what was added. */
export class CacheSums implements CacheTotals {
  requests = 0;
  judged = 0;
  input = 0;
  read = 0;
  written = 0;
  lostNanoUsd = 0;
  readonly #by: readonly CacheGrouping[];
  readonly #groups = new Map<string, CacheGroup>();
  readonly #causes = new Map<string, CacheCause>();

  constructor(by: readonly CacheGrouping[]) {
    this.#by = by;
  }

  /** A row without input tokens is no prompt. */
  add(row: LedgerRow): void {
    const input = sumInput(row.usage);
    if (input === undefined) return;
    const names = this.#by.map((grouping) => nameOf(row, grouping));
    const key = JSON.stringify(names.map((name) => name ?? null));
    let group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, (group = { names, ...nothing() }));
    for (const totals of [group, this]) addUp(totals, row, input);
    const { cacheVerdict: verdict, cacheLostNanoUsd: lost = 0, id } = row;
    if (verdict === undefined || lost === 0) return;
    let cause = this.#causes.get(verdict);
    if (cause === undefined) {
      cause = { verdict, requests: 0, lostNanoUsd: 0, example: id, exampleNanoUsd: 0 };
      this.#causes.set(verdict, cause);
    }
    cause.requests += 1;
    cause.lostNanoUsd += lost;
    if (lost > cause.exampleNanoUsd) Object.assign(cause, { example: id, exampleNanoUsd: lost });
  }

  /** What lost the most first, then what wrote the most. */
  groups(): CacheGroup[] {
    return [...this.#groups.values()].toSorted(
      (a, b) => b.lostNanoUsd - a.lostNanoUsd || b.written - a.written || b.input - a.input,
    );
  }

  causes(): CacheCause[] {
    return [...this.#causes.values()].toSorted((a, b) => b.lostNanoUsd - a.lostNanoUsd);
  }
}

/** Tokens that were written and never read, at least: what is read may be read more than once. */
export function countUnread({ read, written }: CacheTotals): number {
  return Math.max(0, written - read);
}

function nothing(): CacheTotals {
  return { requests: 0, judged: 0, input: 0, read: 0, written: 0, lostNanoUsd: 0 };
}

function addUp(totals: CacheTotals, { usage, cacheVerdict, cacheLostNanoUsd }: LedgerRow, input: number): void {
  totals.requests += 1;
  if (cacheVerdict !== undefined) totals.judged += 1;
  totals.input += input;
  totals.read += usage?.cacheReadTokens ?? 0;
  totals.written += usage?.cacheWriteTokens ?? 0;
  totals.lostNanoUsd += cacheLostNanoUsd ?? 0;
}

function nameOf(row: LedgerRow, grouping: CacheGrouping): string | undefined {
  switch (grouping) {
    case 'key':
      return row.keyLabel;
    case 'day':
      return new Date(row.startedAtMs).toISOString().slice(0, 10);
    case 'client':
      return row.userAgent;
    case 'verdict':
      return row.cacheVerdict;
    default:
      return row[grouping];
  }
}
