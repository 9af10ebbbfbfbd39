/**
 * The writes that a thread can do as well as the event loop: whatever is written after a request, and beside requests.
 * Each is one transaction. Not among them: keys and reservations, whose callers wait for them.
 */
import { RESERVATION_LEASE_MS } from '../../domain/budget.ts';
import type { LedgerRow } from '../../domain/ledger.ts';
import { type BudgetStatements, settleLost, settleRows } from './budget.ts';
import type { KeyStatements } from './keys.ts';
import { type KeyTotalStatements, moveKeyTotals } from './key-totals.ts';
import type { LedgerStatements } from './ledger.ts';

/** One transaction. Times are epoch milliseconds. */
export type WriteOrder =
  | { readonly kind: 'settle'; readonly rows: readonly LedgerRow[] }
  | { readonly kind: 'touch'; readonly keys: readonly (readonly [id: string, usedAtMs: number])[] }
  | { readonly kind: 'move totals'; readonly maxRows: number }
  | { readonly kind: 'prune'; readonly beforeMs: number; readonly maxRows: number }
  | { readonly kind: 'renew'; readonly nowMs: number; readonly owner: string }
  | { readonly kind: 'settle lost'; readonly nowMs: number };

/** The statements that these writes need. */
export interface WrittenTables {
  readonly keys: KeyStatements;
  readonly budget: BudgetStatements;
  readonly ledger: LedgerStatements;
  readonly keyTotals: KeyTotalStatements;
}

/** Within a transaction. Returns how many rows it was about. */
export function carryOut(tables: WrittenTables, order: WriteOrder): number {
  const { keys, budget, ledger } = tables;
  switch (order.kind) {
    case 'settle':
      settleRows(tables, order.rows);
      return order.rows.length;
    case 'touch':
      for (const [id, usedAtMs] of order.keys) keys.touch.run(usedAtMs, id);
      return order.keys.length;
    case 'move totals':
      return moveKeyTotals(tables.keyTotals, order.maxRows);
    case 'prune':
      return ledger.prune.run(order.beforeMs, order.maxRows).changes;
    case 'renew':
      return budget.renewLeases.run(order.nowMs + RESERVATION_LEASE_MS, order.owner).changes;
    case 'settle lost':
      return settleLost(tables, order.nowMs);
    default:
      return order satisfies never;
  }
}
