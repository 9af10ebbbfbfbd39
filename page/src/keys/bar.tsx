/** A budget as a bar: how much of it is spent. The same in words beside it. */
import type { JSX } from 'preact';
import { formatUsd } from '../usage/spend.ts';
import type { KeyRow } from './admin.ts';

/** Spent, of how much, until when. */
export function BudgetBar({ row }: { row: KeyRow }): JSX.Element {
  const { spend, total_spend: total, max_budget: budget, budget_duration: window, budget_reset_at: resetAt } = row;
  if (budget === null) {
    return (
      <span>
        {formatUsd(total)} <span class="quiet">no budget</span>
      </span>
    );
  }
  const share = budget === 0 ? 1 : Math.min(1, spend / budget);
  const level = share >= 1 ? 'full' : share >= 0.8 ? 'near' : 'fine';
  return (
    <span class="budget">
      <svg class="budget-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect class="budget-all" x={0} y={0} width={100} height={8} rx={2} />
        <rect class={`budget-${level}`} x={0} y={0} width={share * 100} height={8} rx={2} />
      </svg>
      <span>
        {formatUsd(spend)} of {formatUsd(budget)}
        {window !== null && <span class="quiet"> each {window}</span>}
        {resetAt !== null && <span class="quiet"> until {resetAt.slice(0, 10)}</span>}
        {level === 'full' && <b class="bad"> used up</b>}
      </span>
    </span>
  );
}
