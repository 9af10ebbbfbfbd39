/**
 * `usage`: what the ledger adds up to, by key, model, day, session and other things. Reads only, and makes no database
 * where there is none. What a request cost that nobody has a price for is told as unknown, never as nothing.
 */
import { readDatabaseLocation } from '../../config/database-location.ts';
import type { Flags } from '../../config/options.ts';
import type { UsageGroup, UsageGrouping, UsageSums, UsageTotals } from '../../domain/ledger.ts';
import { parseLimit } from '../../keys/policy.ts';
import { exactUsd } from '../../lib/usd.ts';
import { printable } from '../../lib/printable.ts';
import { isoTime } from '../../lib/format.ts';
import { DEFAULT_SINCE } from './groupings.ts';
import { withExistingStore } from '../../app/open-store.ts';
import { parseGroupings, type PeriodInput, readKeyFilter, readPeriod } from './ledger-filter.ts';
import { tellMissingDatabase } from '../missing-database.ts';
import { joinExecKeys } from './exec-groups.ts';
import { describePeriod, formatUsage, type UsageReport } from './usage-table.ts';
import { printData, printJson, printTalk, terminalWidth } from '../../app/print.ts';

interface UsageInput extends Flags, PeriodInput {
  readonly by: string | undefined;
  readonly key: string | undefined;
  readonly session: string | undefined;
  readonly limit: string | undefined;
  readonly watch: boolean;
  readonly json: boolean;
  readonly csv: boolean;
}

const NOTHING: UsageTotals = {
  requests: 0,
  errors: 0,
  unpriced: 0,
  partial: 0,
  inputTokens: undefined,
  outputTokens: undefined,
  cacheReadTokens: undefined,
  cacheWriteTokens: undefined,
  costNanoUsd: 0,
  estimatedNanoUsd: 0,
};

/** `usage`: prints sums of the ledger. Throws ERR_BAD_OPTION and ERR_STORE_UNAVAILABLE. */
export async function printUsage(input: UsageInput): Promise<void> {
  if (input.watch) {
    const { showLive } = await import('../live-screen.ts');
    return showLive(() => readUsage(input), describeUsage);
  }
  tellMissingDatabase(input, process.env);
  const report = await readUsage(input);
  if (input.json) return printJson(usageToJson(report));
  if (input.csv) return void process.stdout.write(usageToCsv(report));
  if (report.total.requests === 0) return printTalk(describeUsage(report, undefined));
  printData(describeUsage(report, terminalWidth()));
  const { describePriceAge } = await import('../prices/age.ts');
  const age = await describePriceAge(readDatabaseLocation(input, process.env).folder, Date.now());
  if (age !== undefined) printTalk(age);
}

function describeUsage(report: UsageReport, width: number | undefined): string {
  if (report.total.requests === 0) return `There are no requests in the ledger ${describePeriod(report)}.`;
  return formatUsage(report, width);
}

async function readUsage(input: UsageInput): Promise<UsageReport> {
  const by = parseGroupings(input.by ?? 'key');
  const limit = input.limit === undefined ? undefined : parseLimit(input.limit, '--limit', 'ERR_BAD_OPTION');
  const period = readPeriod(input, DEFAULT_SINCE, Date.now());
  const sums = await withExistingStore(readDatabaseLocation(input, process.env), async (store) => {
    const filter = { ...period, ...(await readKeyFilter(input.key, store)), session: input.session };
    // Groups are joined before they are counted.
    const ofStore = by.length === 1 && by[0] !== 'key' ? limit : undefined;
    return inOrder(await joinExecKeys(await store.sumUsage({ filter, by, limit: ofStore }), by, store), by);
  });
  const { groups, total } = sums ?? { groups: [], total: NOTHING };
  return { by, ...period, groups: groups.slice(0, limit), limit, total };
}

/** Of several groupings too the most expensive first, and within days, if these come first. */
function inOrder({ groups, total }: UsageSums, by: readonly UsageGrouping[]): UsageSums {
  if (by.length === 1 && by[0] !== 'key') return { groups, total };
  const dayOf = ({ names: [name = ''] }: UsageGroup): string => (by[0] === 'day' ? name : '');
  const sorted = groups.toSorted(
    (a, b) =>
      dayOf(a).localeCompare(dayOf(b)) ||
      b.costNanoUsd - a.costNanoUsd ||
      b.estimatedNanoUsd - a.estimatedNanoUsd ||
      b.requests - a.requests,
  );
  return { groups: sorted, total };
}

/** Exact; names that are unknown are null. Grouped by one thing, a group has its `name`; by several, their `names`. */
export function usageToJson({ by, sinceMs, untilMs, groups, total }: UsageReport): object {
  return {
    by: by.join(),
    since: isoTime(sinceMs),
    until: isoTime(untilMs),
    groups: groups.map((group) => ({
      ...(by.length === 1
        ? { name: group.names[0] ?? null }
        : { names: Object.fromEntries(by.map((grouping, at) => [grouping, group.names[at] ?? null])) }),
      ...(by.includes('key') ? { label: group.label ?? null } : {}),
      ...totalsToJson(group),
    })),
    total: totalsToJson(total),
  };
}

function totalsToJson(totals: UsageTotals): Readonly<Record<string, number | string>> {
  return {
    requests: totals.requests,
    errors: totals.errors,
    unpriced: totals.unpriced,
    partial: totals.partial,
    input_tokens: totals.inputTokens ?? 0,
    output_tokens: totals.outputTokens ?? 0,
    cache_read_tokens: totals.cacheReadTokens ?? 0,
    cache_write_tokens: totals.cacheWriteTokens ?? 0,
    cost_nano_usd: totals.costNanoUsd,
    cost_usd: exactUsd(totals.costNanoUsd),
    estimated_nano_usd: totals.estimatedNanoUsd,
    estimated_usd: exactUsd(totals.estimatedNanoUsd),
  };
}

/** RFC 4180, with a head and without a line of totals, which would be added up with the others. */
export function usageToCsv({ by, groups }: UsageReport): string {
  const names = by.flatMap((grouping) => (grouping === 'key' ? ['key_id', 'label'] : [grouping]));
  const head = [...names, ...Object.keys(totalsToJson(NOTHING))];
  const rows = groups.map((group) => [
    ...by.flatMap((grouping, at) => [group.names[at], ...(grouping === 'key' ? [group.label] : [])]).map(csvText),
    ...Object.values(totalsToJson(group)).map(String),
  ]);
  return [head, ...rows].map((cells) => `${cells.join(',')}\r\n`).join('');
}

/**
 * Clients choose some of it. A terminal would act on what is not printable, and a spreadsheet would run text that
 * begins like a formula: a quotation mark keeps it text.
 */
export function csvText(name = ''): string {
  const text = printable(name, Number.POSITIVE_INFINITY);
  const inert = /^[=+\-@]/.test(text) ? `'${text}` : text;
  return /[",]/.test(inert) || inert !== text ? `"${inert.replaceAll('"', '""')}"` : inert;
}
