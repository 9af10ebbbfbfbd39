/**
 * A comparison for people: a table with causes, and what the bill adds up to. Pure.
 */
import { formatTable } from '../../app/print.ts';
import { clip, clipModel, compactCount, formatTime } from '../../lib/format.ts';
import { formatUsd } from '../../lib/usd.ts';
import type { UnknownUsage } from '../../pricing/bill/bill.ts';
import { type Decimal, toNanoUsd } from '../../pricing/bill/decimal.ts';
import type { BillReading } from '../../pricing/bill/read-bill.ts';
import { CENT_NANO_USD, type OurSide, sumTokens } from './causes.ts';
import { type ComparedGroup, type Comparison, type ComparisonGrouping, differenceOf, percentOf } from './compare.ts';
import { describeCause } from './describe-cause.ts';

/** What is printed. */
export interface ComparisonReport extends Comparison, BillReading {
  readonly by: readonly ComparisonGrouping[];
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Undefined if the ledger is empty. */
  readonly ledgerBeginsAtMs: number | undefined;
}

const DAY_MS = 86_400_000;
interface Column {
  readonly title: string;
  readonly show: (group: ComparedGroup) => string;
  /** Left out if names would have no room. */
  readonly isSpare?: boolean;
}

const NUMBERS: readonly Column[] = [
  { title: 'ours', show: ({ ours }) => describeOurCost(ours) },
  { title: 'aws', show: ({ aws }) => formatUsd(aws.costNanoUsd) },
  { title: 'diff', show: (group) => formatDifference(differenceOf(group)) },
  { title: '%', show: formatShare, isSpare: true },
  { title: 'tokens', show: ({ ours }) => compactCount(sumTokens(ours.tokens)) },
  { title: 'at aws', show: ({ aws }) => (aws.hasUsage ? compactCount(sumTokens(aws.tokens)) : '?') },
];
const NAME_WIDTH = 30;
const MIN_NAME_WIDTH = 12;
/** What a last column of causes needs at least. */
const CAUSE_WIDTH = 44;
const MAX_UNKNOWN_LINES = 10;

/** The table for people. Causes stand behind their line, or below it if `width` has no room for them. */
export function formatComparison(report: ComparisonReport, width = Number.POSITIVE_INFINITY): string {
  const { by, groups, total } = report;
  const all = [...groups, total];
  const causes = all.map((group) => group.causes.map(describeCause));
  let columns = NUMBERS;
  let room = width - widthOf(columns, all);
  if (room < by.length * (MIN_NAME_WIDTH + 2) - 2) {
    columns = NUMBERS.filter(({ isSpare }) => isSpare !== true);
    room = width - widthOf(columns, all);
  }
  const share = Math.max(MIN_NAME_WIDTH, Math.min(NAME_WIDTH, Math.floor((room - 2 * (by.length - 1)) / by.length)));
  const names = groups.map((group) => group.names.map((name, at) => showName(name, by[at], share)));
  const nameWidths = by.map((title, at) => Math.max(title.length, ...names.map((cells) => cells[at]?.length ?? 0)));
  const isWide = room - nameWidths.reduce((sum, one) => sum + one + 2, 0) >= CAUSE_WIDTH;
  const rows = all.map((group, at) => [
    ...(names[at] ?? ['total', ...by.slice(1).map(() => '')]),
    ...columns.map(({ show }) => show(group)),
    ...(isWide ? [causes[at]?.join('; ') ?? ''] : []),
  ]);
  const titles = columns.map(({ title }) => title);
  const table = formatTable([...by, ...titles, ...(isWide ? ['likely cause'] : [])], rows, {
    right: new Set(titles),
  });
  const lines = table.split('\n').flatMap((line, at) => {
    const below = isWide ? [] : (causes[at - 1] ?? []);
    return [line, ...below.map((cause) => `  ${cause}`)];
  });
  return [...lines, '', ...describeBill(report)].join('\n');
}

function widthOf(columns: readonly Column[], groups: readonly ComparedGroup[]): number {
  const widths = columns.map(({ title, show }) => Math.max(title.length, ...groups.map((group) => show(group).length)));
  return widths.reduce((sum, one) => sum + one + 2, 0);
}

function showName(name: string, grouping: ComparisonGrouping | undefined, width: number): string {
  if (name === '') return '(none)';
  return grouping === 'model' ? clipModel(name, width) : clip(name, width);
}

function describeOurCost({ unpriced, costNanoUsd }: OurSide): string {
  if (unpriced > 0 && costNanoUsd === 0) return '?';
  return unpriced > 0 ? `${formatUsd(costNanoUsd)} + ?` : formatUsd(costNanoUsd);
}

/** Nothing below a cent: AWS rounds otherwise. */
function formatDifference(nanoUsd: number): string {
  if (Math.abs(nanoUsd) < CENT_NANO_USD) return '-';
  return `${nanoUsd < 0 ? '-' : '+'}${formatUsd(Math.abs(nanoUsd))}`;
}

function formatShare(group: ComparedGroup): string {
  const percent = percentOf(group);
  if (percent === undefined || Math.abs(differenceOf(group)) < CENT_NANO_USD) return '';
  return `${percent < 0 ? '-' : '+'}${Math.abs(percent).toFixed(Math.abs(percent) < 9.95 ? 1 : 0)}%`;
}

function describeBill(report: ComparisonReport): string[] {
  const { groups, isEstimated, isCut, sinceMs, untilMs } = report;
  const hasPrices = groups.some(({ causes }) => causes.some(({ kind }) => kind === 'price' || kind === 'unpriced'));
  return [
    `From ${formatTime(sinceMs)} until ${formatTime(untilMs)}. DIFF: AWS's cost less ours.`,
    ...describeLedger(report),
    ...(isEstimated ? ['AWS calls a part of the bill estimated: it may change.'] : []),
    ...(isCut ? ['A file is one page of several (NextPageToken): name the other pages too.'] : []),
    ...(hasPrices ? ['Prices that AWS has changed: `bedrock-proxy prices update`.'] : []),
    '',
    ...describeSums(report),
  ];
}

function describeLedger({ ledgerBeginsAtMs, sinceMs }: ComparisonReport): string[] {
  if (ledgerBeginsAtMs === undefined) return ['There are no requests in the ledger.'];
  if (ledgerBeginsAtMs < sinceMs + DAY_MS) return [];
  return [`The ledger begins ${formatTime(ledgerBeginsAtMs)}: of the days before, only AWS's side is known.`];
}

/** What lines are called that charge for no use. */
export const OTHER_CHARGES = {
  credit: 'credits',
  refund: 'refunds',
  discount: 'discounts',
  tax: 'taxes',
  fee: 'fees',
} as const;

/** What the bill adds up to, with all that has no line in the table. */
function describeSums({ bill }: ComparisonReport): string[] {
  const { others, unknown, total, netTotal } = bill;
  const sums: readonly (readonly [Decimal, string])[] = [
    [addCosts(bill.groups), 'is compared'],
    ...(unknown.length === 0 ? [] : [[addCosts(unknown), NOT_COMPARED] as const]),
    ...[...others].map(([kind, cost]) => [cost, OTHER_CHARGES[kind]] as const),
    [total, 'Amazon Bedrock on this bill'],
    ...(netTotal === undefined || netTotal === total ? [] : [[netTotal, 'the same after discounts'] as const]),
  ];
  const width = Math.max(...sums.map(([cost]) => formatSigned(cost).length));
  return sums.flatMap(([cost, words]) => [
    `${formatSigned(cost).padStart(width)}  ${words}`,
    ...(words === NOT_COMPARED ? listUnknown(unknown).map((line) => `${' '.repeat(width)}    ${line}`) : []),
  ]);
}

const NOT_COMPARED = 'is not: not sold by the call, or not known';

function listUnknown(unknown: readonly UnknownUsage[]): string[] {
  const largest = unknown.toSorted((a, b) => Number(magnitude(b.cost) - magnitude(a.cost)));
  const rest = largest.slice(MAX_UNKNOWN_LINES);
  return [
    ...largest.slice(0, MAX_UNKNOWN_LINES).map((usage) => `${nameUnknown(usage)}: ${formatSigned(usage.cost)}`),
    ...(rest.length === 0 ? [] : [`${rest.length} more: ${formatSigned(addCosts(rest))}; --json has them all`]),
  ];
}

function addCosts(costs: readonly { readonly cost: Decimal }[]): Decimal {
  return costs.reduce((all, { cost }) => all + cost, 0n);
}

function nameUnknown({ usageType, product }: UnknownUsage): string {
  const name = usageType === '' ? product || '(not grouped)' : usageType;
  return clip(name === usageType && product.includes('Edition)') ? `${usageType}, ${product}` : name, 60);
}

function magnitude(cost: Decimal): Decimal {
  return cost < 0n ? -cost : cost;
}

function formatSigned(cost: Decimal): string {
  const text = formatUsd(toNanoUsd(magnitude(cost)));
  return cost < 0n ? `-${text}` : text;
}
