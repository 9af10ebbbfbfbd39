/** What `cache` prints: two tables, or JSON. Pure. */
import { formatTable } from '../../app/print.ts';
import { clip, clipModel, compactCount, formatCount, isoTime } from '../../lib/format.ts';
import { exactUsd, formatUsd } from '../../lib/usd.ts';
import type { CacheGrouping } from './groupings.ts';
import { type CacheSums, type CacheTotals, countUnread } from './sums.ts';

/** What is printed. */
export interface CacheDigest {
  readonly by: readonly CacheGrouping[];
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly sums: CacheSums;
}

const NAME_WIDTH = 32;
const NUMBERS = ['requests', 'input', 'hit', 'read', 'written', 'unread', 'lost'];

/** For people. */
export function formatCacheDigest({ by, sums }: CacheDigest, width: number | undefined): string {
  const rows = sums
    .groups()
    .map((group) => [...group.names.map((name, at) => showName(name, by[at])), ...cellsOf(group)]);
  const total = ['total', ...by.slice(1).map(() => ''), ...cellsOf(sums)];
  const table = formatTable([...by, ...NUMBERS], [...rows, total], {
    right: new Set(NUMBERS),
    width,
    spare: ['requests', 'read', 'unread'],
  });
  const causes = sums.causes();
  if (causes.length === 0) return table;
  const causeRows = causes.map(({ verdict, requests, lostNanoUsd, example }) => [
    clip(verdict, NAME_WIDTH),
    formatCount(requests),
    formatUsd(lostNanoUsd),
    clip(example, 40),
  ]);
  const right = new Set(['requests', 'lost']);
  return `${table}\n\n${formatTable(['cause', 'requests', 'lost', 'for example'], causeRows, { right, width })}`;
}

function showName(name: string | undefined, grouping: CacheGrouping | undefined): string {
  if (name === undefined) return '(none)';
  return grouping === 'model' ? clipModel(name, NAME_WIDTH) : clip(name, NAME_WIDTH);
}

function cellsOf(totals: CacheTotals): string[] {
  const { requests, input, read, written, judged, lostNanoUsd } = totals;
  return [
    formatCount(requests),
    compactCount(input),
    `${Math.round(100 * shareOf(totals))}%`,
    compactCount(read),
    compactCount(written),
    compactCount(countUnread(totals)),
    judged === 0 ? '?' : formatUsd(lostNanoUsd),
  ];
}

/** The part of all input that a cache served. */
function shareOf({ input, read }: CacheTotals): number {
  return input === 0 ? 0 : read / input;
}

/** Exact; names that are unknown are null. */
export function cacheDigestToJson({ by, sinceMs, untilMs, sums }: CacheDigest): object {
  return {
    by: by.join(),
    since: isoTime(sinceMs),
    until: isoTime(untilMs),
    groups: sums.groups().map((group) => ({
      names: Object.fromEntries(by.map((grouping, at) => [grouping, group.names[at] ?? null])),
      ...totalsOf(group),
    })),
    causes: sums.causes().map(({ verdict, requests, lostNanoUsd, example }) => ({
      verdict,
      requests,
      lost_usd: exactUsd(lostNanoUsd),
      example,
    })),
    total: totalsOf(sums),
  };
}

function totalsOf(totals: CacheTotals): object {
  const { requests, judged, input, read, written, lostNanoUsd } = totals;
  return {
    requests,
    judged,
    input_tokens: input,
    cache_read_tokens: read,
    cache_write_tokens: written,
    unread_tokens: countUnread(totals),
    hit_share: Math.round(shareOf(totals) * 10_000) / 10_000,
    lost_usd: judged === 0 ? null : exactUsd(lostNanoUsd),
  };
}
