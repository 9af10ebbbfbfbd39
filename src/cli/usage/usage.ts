/**
 * `usage`: what the ledger adds up to, by key, model, day, operation, region or tag. Reads only, and makes no database
 * where there is none. What a request cost that nobody has a price for is told as unknown, never as nothing.
 */
import { readDatabasePath } from '../../config/config.ts';
import type { Flags } from '../../config/options.ts';
import type { UsageGroup, UsageGrouping, UsageTotals } from '../../domain/ledger.ts';
import { exactUsd, formatUsd } from '../../lib/usd.ts';
import { printable } from '../../lib/printable.ts';
import { clip, clipModel, compactCount, formatCount, formatTime, isoTime } from '../../lib/format.ts';
import { DEFAULT_SINCE } from './groupings.ts';
import { withExistingStore } from '../../app/open-store.ts';
import { type PeriodInput, readKeyIds, readPeriod } from './ledger-filter.ts';
import { formatTable, printData, printJson, printTalk, terminalWidth } from '../../app/print.ts';

interface UsageInput extends Flags, PeriodInput {
  readonly by: UsageGrouping | undefined;
  readonly key: string | undefined;
  readonly json: boolean;
  readonly csv: boolean;
}

interface Report {
  readonly by: UsageGrouping;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly groups: readonly UsageGroup[];
  readonly total: UsageTotals;
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
  const { by = 'key' } = input;
  const period = readPeriod(input, DEFAULT_SINCE, Date.now());
  const sums = await withExistingStore(readDatabasePath(input, process.env), async (store) =>
    store.sumUsage({ filter: { ...period, keyIds: await readKeyIds(input.key, store) }, by: [by] }),
  );
  const report = { by, ...period, ...(sums ?? { groups: [], total: NOTHING }) };
  if (input.json) return printJson(usageToJson(report));
  if (input.csv) return void process.stdout.write(usageToCsv(report));
  if (report.total.requests === 0) return printTalk(`There are no requests in the ledger ${describePeriod(report)}.`);
  printData(formatUsage(report, terminalWidth()));
}

/** Exact; names that are unknown are null. */
export function usageToJson({ by, sinceMs, untilMs, groups, total }: Report): object {
  return {
    by,
    since: isoTime(sinceMs),
    until: isoTime(untilMs),
    groups: groups.map((group) => ({
      name: group.names[0] ?? null,
      ...(by === 'key' ? { label: group.label ?? null } : {}),
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
export function usageToCsv({ by, groups }: Report): string {
  const names = by === 'key' ? ['key_id', 'label'] : [by];
  const head = [...names, ...Object.keys(totalsToJson(NOTHING))];
  const rows = groups.map((group) => [
    csvText(group.names[0] ?? ''),
    ...(by === 'key' ? [csvText(group.label ?? '')] : []),
    ...Object.values(totalsToJson(group)).map(String),
  ]);
  return [head, ...rows].map((cells) => `${cells.join(',')}\r\n`).join('');
}

/**
 * Clients choose some of it. A terminal would act on what is not printable, and a spreadsheet would run text that
 * begins like a formula: a quotation mark keeps it text.
 */
function csvText(name: string): string {
  const text = printable(name, Number.POSITIVE_INFINITY);
  const inert = /^[=+\-@]/.test(text) ? `'${text}` : text;
  return /[",]/.test(inert) || inert !== text ? `"${inert.replaceAll('"', '""')}"` : inert;
}

interface Column {
  readonly title: string;
  readonly show: (totals: UsageTotals) => string;
  /** Left out of the table where it says nothing in any line. */
  readonly count?: (totals: UsageTotals) => number;
  /** Left out where names would have no room; the notes below the table tell of it. */
  readonly isSpare?: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: 'requests', show: (totals) => formatCount(totals.requests) },
  { title: 'errors', show: (totals) => formatCount(totals.errors), count: (totals) => totals.errors },
  { title: 'input', show: (totals) => compactCount(totals.inputTokens ?? 0) },
  { title: 'output', show: (totals) => compactCount(totals.outputTokens ?? 0) },
  {
    title: 'cache read',
    show: (totals) => compactCount(totals.cacheReadTokens ?? 0),
    count: (totals) => totals.cacheReadTokens ?? 0,
  },
  {
    title: 'write',
    show: (totals) => compactCount(totals.cacheWriteTokens ?? 0),
    count: (totals) => totals.cacheWriteTokens ?? 0,
  },
  {
    title: 'unpriced',
    show: (totals) => formatCount(totals.unpriced),
    count: (totals) => totals.unpriced,
    isSpare: true,
  },
  { title: 'partial', show: (totals) => formatCount(totals.partial), count: (totals) => totals.partial, isSpare: true },
  { title: 'cost', show: describeCost },
];

/** Unknown where nothing that costs has a price; with a mark where something has none. */
function describeCost({ unpriced, costNanoUsd }: UsageTotals): string {
  if (unpriced > 0 && costNanoUsd === 0) return '?';
  return unpriced > 0 ? `${formatUsd(costNanoUsd)} + ?` : formatUsd(costNanoUsd);
}

/** Columns that names have at least, where they need them. */
const NAME_WIDTH = 26;
const MIN_NAME_WIDTH = 12;

/** The table for people, made to fit into `width` columns where that is given, and what is to be said of it. */
export function formatUsage(report: Report, width = Number.POSITIVE_INFINITY): string {
  const { by, groups, total } = report;
  const names = nameGroups(by, groups);
  const wanted = Math.min(NAME_WIDTH, Math.max(by.length, ...names.map((name) => name.length)));
  let columns = COLUMNS.filter(({ count }) => count === undefined || count(total) > 0);
  let room = width - widthOf(columns, [...groups, total]);
  if (room < wanted) {
    columns = columns.filter(({ isSpare }) => isSpare !== true);
    room = Math.max(MIN_NAME_WIDTH, width - widthOf(columns, [...groups, total]));
  }
  const shown = names.map((name) => (by === 'model' ? clipModel(name, room) : clip(name, room)));
  const lines = [...groups, total].map((totals, at) => [
    shown[at] ?? 'total',
    ...columns.map(({ show }) => show(totals)),
  ]);
  const titles = columns.map(({ title }) => title);
  return [formatTable([by, ...titles], lines, new Set(titles)), '', ...describeNotes(report)].join('\n');
}

/** Of all columns with the gaps before them. */
function widthOf(columns: readonly Column[], lines: readonly UsageTotals[]): number {
  return columns
    .map(({ title, show }) => 2 + Math.max(title.length, ...lines.map((totals) => show(totals).length)))
    .reduce((sum, columnWidth) => sum + columnWidth, 0);
}

/** By key the label, and the id as well where two have the same. */
function nameGroups(by: UsageGrouping, groups: readonly UsageGroup[]): string[] {
  if (by !== 'key') return groups.map(({ names: [name] }) => name ?? '(none)');
  const labels = groups.map(({ names: [name], label }) => label ?? name ?? '(none)');
  return groups.map(({ names: [name] }, at) => {
    const label = labels[at] ?? '';
    const isShared = labels.filter((other) => other === label).length > 1;
    return isShared && name !== undefined ? `${label} (${name})` : label;
  });
}

function describeNotes(report: Report): string[] {
  const { unpriced, partial, estimatedNanoUsd } = report.total;
  const period = describePeriod(report);
  const notes = [`${period.charAt(0).toUpperCase()}${period.slice(1)}.`];
  if (report.by === 'tag') notes.push('A request with several tags is in the line of each, and in the total once.');
  if (unpriced > 0) {
    notes.push(`${countRequests(unpriced)} with no known price: the cost is unknown, not zero, and not added.`);
  }
  if (partial > 0) notes.push(`${countRequests(partial)} not seen whole (partial): only what was seen is in the cost.`);
  if (estimatedNanoUsd > 0) {
    notes.push(`Budgets were charged ${formatUsd(estimatedNanoUsd)} more, as an estimate of what is not known.`);
  }
  return notes;
}

function countRequests(count: number): string {
  return `${formatCount(count)} ${count === 1 ? 'request' : 'requests'}`;
}

function describePeriod({ sinceMs, untilMs }: Pick<Report, 'sinceMs' | 'untilMs'>): string {
  const since = sinceMs === undefined ? 'since the ledger began' : `since ${formatTime(sinceMs)}`;
  return untilMs === undefined ? since : `${since}, until ${formatTime(untilMs)}`;
}
