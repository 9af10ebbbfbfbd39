/**
 * A comparison for programs, exact: JSON and CSV. Pure.
 */
import { isoTime } from '../../lib/format.ts';
import { exactUsd, toUsd } from '../../lib/usd.ts';
import { type Decimal, toNanoUsd } from '../../pricing/bill/decimal.ts';
import { TOKEN_KINDS } from '../../pricing/bill/sold-usage.ts';
import { csvText } from './usage.ts';
import type { AwsSide, OurSide, TokenCounts } from './causes.ts';
import { type ComparedGroup, differenceOf, percentOf } from './compare.ts';
import { describeCause } from './describe-cause.ts';
import { type ComparisonReport, OTHER_CHARGES } from './format-comparison.ts';

/** Exact. */
export function comparisonToJson(report: ComparisonReport): object {
  const { by, sinceMs, untilMs, groups, total, bill, isEstimated, isCut } = report;
  return {
    by,
    since: isoTime(sinceMs),
    until: isoTime(untilMs),
    groups: groups.map((group) => ({
      ...Object.fromEntries(by.map((grouping, at) => [grouping, group.names[at] || null])),
      ...groupToJson(group),
    })),
    total: groupToJson(total),
    bill: {
      ...amountToJson('total', bill.total),
      ...(bill.netTotal === undefined ? {} : amountToJson('net_total', bill.netTotal)),
      ...Object.fromEntries(
        [...bill.others].flatMap(([kind, cost]) => Object.entries(amountToJson(OTHER_CHARGES[kind], cost))),
      ),
      lines: bill.lines,
      lines_outside: bill.linesOutside,
      estimated: isEstimated,
      more_pages: isCut,
    },
    not_compared: bill.unknown.map(({ usageType, product, cost, lines }) => ({
      usage_type: usageType || null,
      product: product || null,
      lines,
      ...amountToJson('cost', cost),
    })),
  };
}

function amountToJson(name: string, cost: Decimal): Readonly<Record<string, number | string>> {
  return { [`${name}_nano_usd`]: toNanoUsd(cost), [`${name}_usd`]: exactUsd(toNanoUsd(cost)) };
}

function groupToJson(group: ComparedGroup): object {
  const { ours, aws, causes } = group;
  return {
    ours: { requests: ours.requests, unpriced: ours.unpriced, partial: ours.partial, ...sideToJson(ours) },
    aws: { ...(aws.hasUsage ? {} : { usage_unknown: true }), pieces: aws.pieces, ...sideToJson(aws) },
    difference_nano_usd: differenceOf(group),
    difference_usd: exactUsd(differenceOf(group)),
    difference_percent: percentOf(group) ?? null,
    causes: causes.map((cause) => ({
      kind: cause.kind,
      text: describeCause(cause),
      nano_usd: Math.round(cause.nanoUsd),
      tokens: cause.tokens ?? null,
      pieces: cause.pieces ?? null,
      requests: cause.requests ?? null,
      prices: (cause.prices ?? []).map((prices) => ({
        of: prices.kind === undefined ? 'tokens' : TOKEN_NAMES[prices.kind],
        usd_per_mtok: toUsd(prices.ours),
        aws_usd_per_mtok: toUsd(prices.aws),
      })),
    })),
  };
}

const TOKEN_NAMES = {
  input: 'input_tokens',
  output: 'output_tokens',
  cacheRead: 'cache_read_tokens',
  cacheWrite: 'cache_write_tokens',
} as const;

function tokensToJson(tokens: TokenCounts): Readonly<Record<string, number>> {
  return Object.fromEntries(TOKEN_KINDS.map((kind) => [TOKEN_NAMES[kind], tokens[kind]]));
}

function sideToJson({ costNanoUsd, tokens }: OurSide | AwsSide): object {
  return { ...tokensToJson(tokens), cost_nano_usd: costNanoUsd, cost_usd: exactUsd(costNanoUsd) };
}

/** RFC 4180, with a head and without a line of totals. */
export function comparisonToCsv({ by, groups }: ComparisonReport): string {
  const kinds = TOKEN_KINDS.map((kind) => TOKEN_NAMES[kind]);
  const head = [
    ...by,
    'requests',
    'unpriced',
    'partial',
    ...kinds,
    ...kinds.map((name) => `aws_${name}`),
    'cost_usd',
    'aws_cost_usd',
    'difference_usd',
    'likely_cause',
  ];
  const rows = groups.map((group) => [
    ...group.names.map(csvText),
    ...[group.ours.requests, group.ours.unpriced, group.ours.partial].map(String),
    ...[group.ours, group.aws].flatMap(({ tokens }) => TOKEN_KINDS.map((kind) => String(tokens[kind]))),
    ...[group.ours.costNanoUsd, group.aws.costNanoUsd, differenceOf(group)].map(exactUsd),
    csvText(group.causes.map(describeCause).join('; ')),
  ]);
  return [head, ...rows].map((cells) => `${cells.join(',')}\r\n`).join('');
}
