/** Sums over ledger rows in plain JavaScript, for the tests that hold a store against them. */
import type { LedgerRow, UsageGroup, UsageTotals } from '../../src/domain/ledger.ts';

/** What a store should sum these rows to. */
export function sumOf(rows: readonly LedgerRow[]): UsageTotals {
  const sum = (part: (row: LedgerRow) => number | undefined): number =>
    rows.reduce((total, row) => total + (part(row) ?? 0), 0);
  const reported = (part: (row: LedgerRow) => number | undefined): number | undefined =>
    rows.some((row) => part(row) !== undefined) ? sum(part) : undefined;
  return {
    requests: sum(({ requests }) => requests),
    errors: sum(({ status, requests }) => (status === undefined || status >= 400 ? requests : 0)),
    unpriced: sum(({ pricing, requests }) => (pricing === 'unpriced' ? requests : 0)),
    partial: sum(({ partial, requests }) => (partial ? requests : 0)),
    inputTokens: reported(({ usage }) => usage?.inputTokens),
    outputTokens: reported(({ usage }) => usage?.outputTokens),
    cacheReadTokens: reported(({ usage }) => usage?.cacheReadTokens),
    cacheWriteTokens: reported(({ usage }) => usage?.cacheWriteTokens),
    costNanoUsd: sum(({ costNanoUsd }) => costNanoUsd),
    estimatedNanoUsd: sum(({ chargedNanoUsd, costNanoUsd = 0 }) => Math.max(0, chargedNanoUsd - costNanoUsd)),
  };
}

/** The same order of groups for both sides of a comparison: by their names. */
export const sortGroups = (groups: readonly UsageGroup[]): UsageGroup[] =>
  groups.toSorted((a, b) => (String(a.names[0]) < String(b.names[0]) ? -1 : 1));
