/**
 * How much of a budget is spent, as a bar. Pure.
 */
import type { Budget } from '../../domain/key.ts';
import type { KeySpend } from '../../domain/budget.ts';

const CELLS = 8;

/** Percent of the present window, rounded down: what is not used up is never 100. Undefined without a budget. */
export function findUsedPercent(budget: Budget | undefined, spend: KeySpend): number | undefined {
  if (budget === undefined) return undefined;
  if (budget.limitNanoUsd === 0) return 100;
  return Math.floor((spend.windowNanoUsd / budget.limitNanoUsd) * 100);
}

/** `▓▓▓▓░░░░  50 %`; `-` without a budget. What is spent has a cell at least. */
export function formatBudgetBar(percent: number | undefined): string {
  if (percent === undefined) return '-';
  const filled = Math.min(CELLS, percent > 0 ? Math.max(1, Math.floor((percent / 100) * CELLS)) : 0);
  return `${'▓'.repeat(filled)}${'░'.repeat(CELLS - filled)} ${String(percent).padStart(3)} %`;
}

/** Colours the bar in a line of a table. */
export function paintBudgetBar(
  line: string,
  percent: number | undefined,
  { yellow, red }: { readonly yellow: (text: string) => string; readonly red: (text: string) => string },
): string {
  if (percent === undefined || percent < 80) return line;
  return line.replace(/[▓░]+ +\d+ %/, percent >= 100 ? red : yellow);
}
