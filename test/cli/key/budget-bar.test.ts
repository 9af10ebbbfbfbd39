import { describe, expect, it } from 'vitest';
import { findUsedPercent, formatBudgetBar, paintBudgetBar } from '../../../src/cli/key/budget-bar.ts';

const spendOf = (windowNanoUsd: number) => ({
  totalNanoUsd: 0,
  windowNanoUsd,
  reservedNanoUsd: 0,
  resetsAtMs: undefined,
});
const budgetOf = (limitNanoUsd: number) => ({ limitNanoUsd, windowMs: undefined, anchorMs: 0 });
const COLORS = { yellow: (text: string) => `y(${text})`, red: (text: string) => `r(${text})` };

const lineOf = (percent: number) => paintBudgetBar(`a  ${formatBudgetBar(percent)}  b`, percent, COLORS);

describe('the bar of a budget', () => {
  it.each([
    [0, '░░░░░░░░   0 %'],
    [1, '▓░░░░░░░   1 %'],
    [50, '▓▓▓▓░░░░  50 %'],
    [99, '▓▓▓▓▓▓▓░  99 %'],
    [100, '▓▓▓▓▓▓▓▓ 100 %'],
    [130, '▓▓▓▓▓▓▓▓ 130 %'],
  ])('shows %i percent', (percent, bar) => {
    expect(formatBudgetBar(percent)).toBe(bar);
  });

  it('is nothing without a budget, and never 100 before all is spent', () => {
    expect(formatBudgetBar(findUsedPercent(undefined, spendOf(5)))).toBe('-');
    expect(findUsedPercent(budgetOf(1_000), spendOf(999))).toBe(99);
    expect(findUsedPercent(budgetOf(0), spendOf(0))).toBe(100);
  });

  it('is yellow from 80 percent on, and red at 100', () => {
    expect([79, 80, 100].map(lineOf)).toEqual([
      'a  ▓▓▓▓▓▓░░  79 %  b',
      'a  y(▓▓▓▓▓▓░░  80 %)  b',
      'a  r(▓▓▓▓▓▓▓▓ 100 %)  b',
    ]);
  });
});
