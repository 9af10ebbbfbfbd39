import { describe, expect, it } from 'vitest';
import { BillTally } from '../../../src/pricing/bill/bill.ts';
import { ONE } from '../../../src/pricing/bill/decimal.ts';
import type { Cause, CauseKind } from '../../../src/cli/usage/causes.ts';
import type { ComparedGroup, ComparisonGrouping } from '../../../src/cli/usage/compare.ts';
import { comparisonToCsv } from '../../../src/cli/usage/comparison-data.ts';
import { describeCause } from '../../../src/cli/usage/describe-cause.ts';
import { formatComparison } from '../../../src/cli/usage/format-comparison.ts';

const USD = 1_000_000_000;
const TOKENS = { input: 1_234_567_890, output: 12_345_678, cacheRead: 987_654_321, cacheWrite: 0 };
const EVERY_CAUSE: Readonly<Record<CauseKind, Omit<Cause, 'kind'>>> = {
  elsewhere: { nanoUsd: 12_345.67 * USD, tokens: 123_456_789 },
  partial: { nanoUsd: 12_345.67 * USD, tokens: 5, requests: 123_456 },
  pending: { nanoUsd: -12_345.67 * USD, tokens: 123_456_789 },
  missing: { nanoUsd: -12_345.67 * USD, tokens: 123_456_789 },
  unpriced: { nanoUsd: 12_345.67 * USD, requests: 123_456 },
  price: {
    nanoUsd: 45.67 * USD,
    prices: [
      { kind: 'input', ours: 3 * USD, aws: 3.3 * USD },
      { kind: 'output', ours: 15 * USD, aws: 16.5 * USD },
      { kind: 'cacheRead', ours: USD, aws: 2 * USD },
    ],
  },
  pieces: { nanoUsd: 12_345.67 * USD, pieces: 5 },
  unknown: { nanoUsd: 12_345.67 * USD },
};
const CAUSES = Object.entries(EVERY_CAUSE).map(([kind, facts]): Cause => ({ kind: kind as CauseKind, ...facts }));

function group(names: readonly string[], causes: readonly Cause[] = CAUSES): ComparedGroup {
  return {
    names,
    ours: { costNanoUsd: 12_345.67 * USD, tokens: TOKENS, requests: 9, unpriced: 1, partial: 0 },
    aws: { costNanoUsd: 23_456.78 * USD, tokens: TOKENS, tokenCosts: TOKENS, pieces: 0, hasUsage: true },
    causes,
  };
}

function reportOf(by: readonly ComparisonGrouping[], names: readonly string[]) {
  const tally = new BillTally({ sinceMs: undefined, untilMs: undefined });
  tally.addLine({
    kind: 'usage',
    startMs: 0,
    endMs: 1,
    service: 'AmazonBedrock',
    product: '',
    usageType: `USE1-${'\u001b[2J'}${'Unknown'.repeat(30)}`,
    description: '',
    resource: '',
    region: '',
    amount: undefined,
    unit: '',
    cost: 7n * ONE,
    netCost: 6n * ONE,
  });
  const groups = [
    group(names),
    group(
      names.map(() => '=x'),
      [],
    ),
  ];
  const bill = tally.finish();
  return {
    by,
    sinceMs: 0,
    untilMs: 1,
    ledgerBeginsAtMs: 0,
    bill,
    isEstimated: true,
    isCut: true,
    groups,
    total: group([]),
  };
}

const NAMES = ['anthropic.claude-3-5-sonnet-20240620-v1:0', 'ap-southeast-1', 'standard', '2026-09-01'];

describe('formatComparison', () => {
  it.each([
    { by: ['model'], names: NAMES.slice(0, 1) },
    { by: ['day'], names: NAMES.slice(3) },
    { by: ['region', 'tier'], names: NAMES.slice(1, 3) },
  ] as const)('fits a terminal of 80 columns by $by', ({ by, names }) => {
    const lines = formatComparison(reportOf(by, names), 80).split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.slice(2, 2 + CAUSES.length)).toEqual(CAUSES.map((cause) => `  ${describeCause(cause)}`));
  });

  it('has the causes behind their lines if there is room', () => {
    const [head = '', line = ''] = formatComparison(reportOf(['model'], NAMES.slice(0, 1))).split('\n');
    expect(head).toMatch(/LIKELY CAUSE$/);
    expect(line).toContain('; ');
  });

  it('shows nothing that a terminal would act on', () => {
    const text = formatComparison(reportOf(['model'], ['\u001b[31mmodel']));
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(text).toContain('the same after discounts');
  });
});

it('writes no formula into CSV', () => {
  expect(comparisonToCsv(reportOf(['model'], ['m'])).split('\r\n')[2]).toMatch(/^"'=x",/);
});
