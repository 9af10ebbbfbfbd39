/**
 * The table of `usage` for people, fit into the columns of their terminal, and what is to be said of it. Pure.
 */
import { formatTable } from '../../app/print.ts';
import type { UsageGroup, UsageGrouping, UsageTotals } from '../../domain/ledger.ts';
import { displayWidth } from '../../lib/display-width.ts';
import { clip, clipModel, compactCount, formatCount, formatTime } from '../../lib/format.ts';
import { formatUsd } from '../../lib/usd.ts';

/** What was asked, and what it adds up to. */
export interface UsageReport {
  readonly by: readonly UsageGrouping[];
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** In the order in which they are shown. */
  readonly groups: readonly UsageGroup[];
  /** How many of them there may be; undefined: there are all. */
  readonly limit?: number | undefined;
  /** Of all groups, those that are not shown too. */
  readonly total: UsageTotals;
}

interface Column {
  readonly title: string;
  readonly show: (totals: UsageTotals) => string;
  /** Left out of the table where it says nothing in any line. */
  readonly count?: (totals: UsageTotals) => number;
  /**
   * Left out if names have no room. `noted`: before names are shortened, because the notes below the table tell of it.
   * `detail`: only if several names, or an id, would not fit into the table even so.
   */
  readonly spare?: 'noted' | 'detail';
}

const COLUMNS: readonly Column[] = [
  { title: 'requests', show: (totals) => formatCount(totals.requests) },
  {
    title: 'errors',
    show: (totals) => formatCount(totals.errors),
    count: (totals) => totals.errors,
    spare: 'detail',
  },
  { title: 'input', show: (totals) => compactCount(totals.inputTokens ?? 0) },
  { title: 'output', show: (totals) => compactCount(totals.outputTokens ?? 0) },
  {
    title: 'cache read',
    show: (totals) => compactCount(totals.cacheReadTokens ?? 0),
    count: (totals) => totals.cacheReadTokens ?? 0,
    spare: 'detail',
  },
  {
    title: 'write',
    show: (totals) => compactCount(totals.cacheWriteTokens ?? 0),
    count: (totals) => totals.cacheWriteTokens ?? 0,
    spare: 'detail',
  },
  {
    title: 'unpriced',
    show: (totals) => formatCount(totals.unpriced),
    count: (totals) => totals.unpriced,
    spare: 'noted',
  },
  {
    title: 'partial',
    show: (totals) => formatCount(totals.partial),
    count: (totals) => totals.partial,
    spare: 'noted',
  },
  { title: 'cost', show: describeCost },
];

/** Unknown if nothing that costs has a price; with a mark if something has none, or is known in part only. */
export function describeCost({ unpriced, partial, costNanoUsd }: UsageTotals): string {
  const isAll = unpriced === 0 && partial === 0;
  if (!isAll && costNanoUsd === 0) return '?';
  return isAll ? formatUsd(costNanoUsd) : `${formatUsd(costNanoUsd)} + ?`;
}

/** Columns that names have before others give way. A session is often a UUID, which nobody can use in part. */
const NAME_WIDTH = 26;
const ID_WIDTH = 36;
const ID_GROUPINGS: ReadonlySet<UsageGrouping | undefined> = new Set(['session', 'agent']);
/** Those that they have in any case: the only name of a line, each of several. */
const MIN_NAME_WIDTH = 12;
const MIN_SHARED_WIDTH = 8;
const GAP = 2;

/** The table for people, made to fit into `width` columns where that is given, and what is to be said of it. */
export function formatUsage(report: UsageReport, width = Number.POSITIVE_INFINITY): string {
  const { by, groups, total } = report;
  const names = by.map((grouping, at) => nameGroups(grouping, at, groups));
  const lengths = by.map((grouping, at) =>
    (names[at] ?? []).reduce((most, name) => Math.max(most, displayWidth(name)), grouping.length),
  );
  const wanted = lengths.map((length, at) => Math.min(length, ID_GROUPINGS.has(by[at]) ? ID_WIDTH : NAME_WIDTH));
  const columns = chooseColumns(report, wanted, width);
  const widths = shareRoom(lengths, width - widthOf(columns, [...groups, total]));
  const shown = names.map((column, at) => {
    const fit = by[at] === 'model' ? clipModel : clip;
    return column.map((name) => fit(name, widths[at] ?? 0));
  });
  const lines = [...groups, total].map((totals, line) => [
    ...shown.map((column, at) => column[line] ?? (at === 0 ? 'total' : '')),
    ...columns.map(({ show }) => show(totals)),
  ]);
  const titles = columns.map(({ title }) => title);
  const heads = by.map((grouping, at) => clip(grouping, widths[at] ?? 0));
  return [formatTable([...heads, ...titles], lines, { right: new Set(titles) }), '', ...describeNotes(report)].join(
    '\n',
  );
}

/** All that say something, without those that must go to leave room for names. */
function chooseColumns(
  { by, groups, total }: UsageReport,
  wanted: readonly number[],
  width: number,
): readonly Column[] {
  const roomBeside = (columns: readonly Column[]): number => width - widthOf(columns, [...groups, total]);
  const all = COLUMNS.filter(({ count }) => count === undefined || count(total) > 0);
  if (roomBeside(all) >= sumWidths(wanted)) return all;
  const withoutNoted = all.filter(({ spare }) => spare !== 'noted');
  const isId = ID_GROUPINGS.has(by[0]);
  const least = by.length === 1 ? wanted.map((most) => (isId ? most : 0)) : wanted.map(leastOfSeveral);
  if (roomBeside(withoutNoted) >= sumWidths(least)) return withoutNoted;
  return withoutNoted.filter(({ spare }) => spare !== 'detail');
}

/** What is there for names as long as these. The longest give way first. */
function shareRoom(lengths: readonly number[], room: number): readonly number[] {
  if (lengths.length === 1) return [Math.max(MIN_NAME_WIDTH, room)];
  const widths = [...lengths];
  while (sumWidths(widths) > room) {
    const widest = Math.max(...widths);
    if (widest <= MIN_SHARED_WIDTH) break;
    widths[widths.indexOf(widest)] = widest - 1;
  }
  return widths;
}

function leastOfSeveral(wanted: number): number {
  return Math.min(wanted, MIN_SHARED_WIDTH);
}

/** With the gaps between them. */
function sumWidths(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + GAP + width, -GAP);
}

/** Of all columns with the gaps before them. */
function widthOf(columns: readonly Column[], lines: readonly UsageTotals[]): number {
  return columns
    .map(({ title, show }) => GAP + lines.reduce((most, totals) => Math.max(most, show(totals).length), title.length))
    .reduce((sum, columnWidth) => sum + columnWidth, 0);
}

/** Of one of the groupings. By key the label, and the id as well where two have the same. */
function nameGroups(by: UsageGrouping, at: number, groups: readonly UsageGroup[]): string[] {
  // A tag may have a name alone.
  if (by !== 'key') return groups.map(({ names }) => (names[at] === '' ? '(empty)' : (names[at] ?? '(none)')));
  const labelOf = ({ names, label }: UsageGroup): string => label ?? names[at] ?? '(none)';
  const ids = new Map<string, Set<string | undefined>>();
  for (const group of groups) {
    const label = labelOf(group);
    const known = ids.get(label);
    if (known === undefined) ids.set(label, new Set([group.names[at]]));
    else known.add(group.names[at]);
  }
  return groups.map((group) => {
    const [label, name] = [labelOf(group), group.names[at]];
    return (ids.get(label)?.size ?? 0) > 1 && name !== undefined ? `${label} (${name})` : label;
  });
}

function describeNotes(report: UsageReport): string[] {
  const { unpriced, partial, estimatedNanoUsd } = report.total;
  const period = describePeriod(report);
  const notes = [`${period.charAt(0).toUpperCase()}${period.slice(1)}.`];
  if (report.groups.length === report.limit) {
    notes.push(`At most ${formatCount(report.limit)} lines are shown; the total is that of all.`);
  }
  if (report.by.includes('tag'))
    notes.push('A request with several tags is in the line of each, and in the total once.');
  if (unpriced > 0) {
    notes.push(`${countRequests(unpriced)} with no known price: the cost is unknown, not zero, and not added.`);
  }
  if (partial > 0) notes.push(`${countRequests(partial)} known in part (partial): only that part is in the cost.`);
  if (estimatedNanoUsd > 0) {
    notes.push(`Budgets were charged ${formatUsd(estimatedNanoUsd)} more, as an estimate of what is not known.`);
  }
  return notes;
}

function countRequests(count: number): string {
  return `${formatCount(count)} ${count === 1 ? 'request' : 'requests'}`;
}

/** `since 2026-01-31 00:00Z`, `since the ledger began, until …`. */
export function describePeriod({ sinceMs, untilMs }: Pick<UsageReport, 'sinceMs' | 'untilMs'>): string {
  const since = sinceMs === undefined ? 'since the ledger began' : `since ${formatTime(sinceMs)}`;
  return untilMs === undefined ? since : `${since}, until ${formatTime(untilMs)}`;
}
