/**
 * Sums over the ledger in the words of the spend endpoints, made of the groups that the store has added up. Unknown
 * stays unknown.
 */
import { toUsd } from '../lib/usd.ts';
import type { UsageGroup, UsageTotals } from '../domain/ledger.ts';

/** What a report shows of a group. Token counts are undefined if no row reports one. */
export type SpendTally = Pick<UsageTotals, (typeof COUNTS)[number] | (typeof TOKENS)[number]>;

const COUNTS = ['requests', 'unpriced', 'costNanoUsd'] as const;
const TOKENS = ['inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheWriteTokens'] as const;

/** All of these groups together. */
export function addUp(groups: readonly SpendTally[]): SpendTally {
  const total: { -readonly [Name in keyof SpendTally]: SpendTally[Name] } = {
    requests: 0,
    unpriced: 0,
    costNanoUsd: 0,
    inputTokens: undefined,
    outputTokens: undefined,
    cacheReadTokens: undefined,
    cacheWriteTokens: undefined,
  };
  for (const group of groups) {
    for (const name of COUNTS) total[name] += group[name];
    for (const name of TOKENS) total[name] = sum(total[name], group[name]);
  }
  return total;
}

/** The groups that have the same name, added up, the most expensive first; those without a name are left out. */
export function addUpBy(
  groups: readonly UsageGroup[],
  nameOf: (group: UsageGroup) => string | undefined,
): (readonly [name: string, tally: SpendTally])[] {
  return [...Map.groupBy(groups, nameOf)]
    .flatMap(([name, members]) => (name === undefined ? [] : [[name, addUp(members)] as const]))
    .toSorted(([, left], [, right]) => right.costNanoUsd - left.costNanoUsd);
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
