/**
 * What keys spend, in SQLite: money reserved before a request, charged after it, and taken for spent if a process died
 * in between. A key spends from a budget account of its own; the successor of a rotated key spends from that of the key
 * it follows, so that neither a rotation nor its grace time is worth a second budget.
 */
import { type Connection, pluck, type Statement } from './connection.ts';
import { type Charged, insertLedgerRow, type LedgerStatements } from './ledger.ts';
import type { Budget, VirtualKeyRow } from '../../domain/key.ts';
import { type KeySpend, type NewReservation, RESERVATION_LEASE_MS, type ReserveOutcome } from '../../domain/budget.ts';
import { findBudgetWindow } from '../../keys/budget.ts';
import type { LedgerRow } from '../../domain/ledger.ts';

/** How many lost ones are settled in one transaction. */
const LOST_AT_ONCE = 100;

/** Some 20 MB. */
const MAX_ACCOUNT_IDS = 100_000;

/** A budget account. */
interface BudgetAccount {
  readonly account_id: string;
  readonly total_nano: number;
  /** Null before the first reservation under a budget with windows. */
  readonly window_start_ms: number | null;
  readonly window_nano: number;
  readonly reserved_nano: number;
}

/** One that was never used. */
const EMPTY: Omit<BudgetAccount, 'account_id'> = {
  total_nano: 0,
  window_start_ms: null,
  window_nano: 0,
  reserved_nano: 0,
};

interface Reserved {
  readonly account_id: string;
  readonly amount_nano: number;
}

interface Lost {
  readonly amount_nano: number;
  readonly if_lost: string;
}

/** The prepared statements of budgets. */
export interface BudgetStatements {
  readonly findAccount: Statement<[string], BudgetAccount>;
  readonly findAccountId: Statement<[string], string | null>;
  /** By key id, of keys that were asked for: a key keeps its budget account for ever. */
  readonly accountIds: Map<string, string>;
  readonly addReserved: Statement<[string, number | null, number, number]>;
  readonly charge: Statement<[string, number, number, number], number | null>;
  readonly insertReservation: Statement<[string, string, number, string, number, string]>;
  readonly takeReservation: Statement<[string], Reserved>;
  readonly renewLeases: Statement<[number, string]>;
  readonly findLost: Statement<[number, number], Lost>;
}

/** Prepares them, once per connection. */
export function prepareBudget({ database }: Connection): BudgetStatements {
  return {
    findAccount: database.prepare('SELECT * FROM key_spend WHERE account_id = ?'),
    findAccountId: pluck(database, 'SELECT account_id FROM virtual_keys WHERE id = ?'),
    accountIds: new Map(),
    addReserved: database.prepare(
      `INSERT INTO key_spend (account_id, total_nano, window_start_ms, window_nano, reserved_nano)
       VALUES (?, 0, ?, ?, ?)
       ON CONFLICT DO UPDATE SET window_start_ms = excluded.window_start_ms, window_nano = excluded.window_nano,
         reserved_nano = reserved_nano + excluded.reserved_nano`,
    ),
    charge: pluck(
      database,
      `INSERT INTO key_spend (account_id, total_nano, window_nano, reserved_nano) VALUES (?, ?, ?, 0)
       ON CONFLICT DO UPDATE SET total_nano = total_nano + excluded.total_nano,
         window_nano = window_nano + excluded.window_nano, reserved_nano = reserved_nano - ?
       RETURNING window_start_ms`,
    ),
    insertReservation: database.prepare('INSERT INTO reservations VALUES (?, ?, ?, ?, ?, ?)'),
    takeReservation: database.prepare('DELETE FROM reservations WHERE id = ? RETURNING account_id, amount_nano'),
    renewLeases: database.prepare('UPDATE reservations SET lease_until_ms = ? WHERE owner = ?'),
    findLost: database.prepare('SELECT amount_nano, if_lost FROM reservations WHERE lease_until_ms <= ? LIMIT ?'),
  };
}

/** What the rest of this file needs of a connection. */
export interface BudgetTable {
  readonly budget: BudgetStatements;
  readonly ledger: LedgerStatements;
}

/** Within a transaction. Lost reservations are settled before a reservation fails because of them. */
export function reserve(budgets: BudgetTable, owner: string, reservation: NewReservation): ReserveOutcome {
  const first = tryToReserve(budgets.budget, owner, reservation);
  if (first.kind !== 'held' || settleLost(budgets, reservation.nowMs) === 0) return first;
  return tryToReserve(budgets.budget, owner, reservation);
}

function tryToReserve(budget: BudgetStatements, owner: string, reservation: NewReservation): ReserveOutcome {
  const { id, keyId, amountNanoUsd, nowMs, ifLost } = reservation;
  const account = findAccount(budget, keyId);
  const window = findWindow(account, reservation.budget, nowMs);
  const freeNano = reservation.budget.limitNanoUsd - window.spentNano;
  if (account.reserved_nano + amountNanoUsd > freeNano) {
    const spend = toSpend(account, reservation.budget, nowMs);
    return { kind: amountNanoUsd <= freeNano ? 'held' : 'exhausted', spend };
  }
  const leaseUntilMs = nowMs + RESERVATION_LEASE_MS;
  budget.insertReservation.run(id, account.account_id, amountNanoUsd, owner, leaseUntilMs, JSON.stringify(ifLost));
  budget.addReserved.run(account.account_id, window.startMs, window.nano, amountNanoUsd);
  return { kind: 'reserved' };
}

/** What accounts are still to be charged at the end of a transaction, and the window of each. */
type Charges = Map<string, { readonly windowStartMs: number | null; chargedNano: number; reservedNano: number }>;

/**
 * Within a transaction: gives back what was reserved under the id of each row, charges the account, writes the row. It
 * replaces an earlier row of that id under a new sequence, so that readers who follow the ledger see it.
 */
export function settleRows(tables: BudgetTable, rows: readonly LedgerRow[]): void {
  const charges: Charges = new Map();
  for (const row of rows) settle(tables, row, charges);
  for (const [accountId, { chargedNano, reservedNano }] of charges) {
    if (chargedNano !== 0 || reservedNano !== 0) {
      tables.budget.charge.get(accountId, chargedNano, chargedNano, reservedNano);
    }
  }
}

function settle({ budget, ledger }: BudgetTable, row: LedgerRow, charges: Charges): void {
  // Only keys reserve; nearly every row is the first of its id.
  if (row.keyId === undefined) {
    if (insertLedgerRow(ledger, row, null)) return;
    removeEarlier(ledger, row.id);
    insertLedgerRow(ledger, row, null);
    return;
  }
  const reserved = budget.takeReservation.get(row.id);
  const accountId = reserved?.account_id ?? findAccountId(budget, row.keyId);
  const charged = row.chargedNanoUsd;
  const windowStartMs = charge(budget, charges, accountId, { charged, reserved: reserved?.amount_nano ?? 0 });
  if (insertLedgerRow(ledger, row, windowStartMs)) return;
  const before = removeEarlier(ledger, row.id);
  const chargedBefore = before?.charged_nano ?? 0;
  const windowBeforeMs = before?.window_start_ms ?? null;
  // What was charged in an earlier window is taken off this one up to the new charge, so that this one never gets
  // emptier.
  const windowNano = windowBeforeMs === windowStartMs ? chargedBefore : Math.min(chargedBefore, charged);
  budget.charge.get(accountId, -chargedBefore, -windowNano, 0);
  insertLedgerRow(ledger, row, windowBeforeMs);
}

/** The first charge of an account tells its window; the others of the transaction come with `settleRows`. */
function charge(
  budget: BudgetStatements,
  charges: Charges,
  accountId: string,
  { charged, reserved }: { readonly charged: number; readonly reserved: number },
): number | null {
  const known = charges.get(accountId);
  if (known === undefined) {
    const windowStartMs = budget.charge.get(accountId, charged, charged, reserved) ?? null;
    charges.set(accountId, { windowStartMs, chargedNano: 0, reservedNano: 0 });
    return windowStartMs;
  }
  known.chargedNano += charged;
  known.reservedNano += reserved;
  return known.windowStartMs;
}

function removeEarlier(ledger: LedgerStatements, id: string): Charged | undefined {
  const before = ledger.findCharged.get(id);
  if (before !== undefined) ledger.remove.run(before.sequence);
  return before;
}

/**
 * Within a transaction. Settles reservations whose lease is over, not all of them if they are many. Returns the number
 * of them.
 */
export function settleLost(budgets: BudgetTable, nowMs: number): number {
  const lost = budgets.budget.findLost.all(nowMs, LOST_AT_ONCE);
  const rows = lost.map(({ amount_nano: chargedNanoUsd, if_lost: ifLost }) => {
    const row = JSON.parse(ifLost) as LedgerRow;
    return { ...row, chargedNanoUsd, costNanoUsd: undefined, pricing: 'unpriced' as const, partial: true };
  });
  settleRows(budgets, rows);
  return lost.length;
}

/** What a key has spent as of now. Only reads: a window that has begun unnoticed is empty. */
export function findSpend(
  budget: BudgetStatements,
  { id, policy }: Pick<VirtualKeyRow, 'id' | 'policy'>,
  nowMs: number,
): KeySpend {
  return toSpend(findAccount(budget, id), policy.budget, nowMs);
}

function toSpend(account: BudgetAccount, budget: Budget | undefined, nowMs: number): KeySpend {
  const window = budget === undefined ? undefined : findWindow(account, budget, nowMs);
  return {
    totalNanoUsd: account.total_nano,
    windowNanoUsd: window?.spentNano ?? account.total_nano,
    reservedNanoUsd: account.reserved_nano,
    resetsAtMs: window?.endMs,
  };
}

function findAccount(budget: BudgetStatements, keyId: string): BudgetAccount {
  const accountId = findAccountId(budget, keyId);
  return budget.findAccount.get(accountId) ?? { ...EMPTY, account_id: accountId };
}

function findAccountId({ findAccountId: find, accountIds }: BudgetStatements, keyId: string): string {
  const known = accountIds.get(keyId);
  if (known !== undefined) return known;
  const accountId = find.get(keyId) ?? keyId;
  if (accountIds.size >= MAX_ACCOUNT_IDS) accountIds.clear();
  accountIds.set(keyId, accountId);
  return accountId;
}

interface Window {
  /** What the budget account is to say of its window from now on. */
  readonly startMs: number | null;
  readonly nano: number;
  /** What counts against the limit. */
  readonly spentNano: number;
  readonly endMs: number | undefined;
}

/**
 * The budget account's window begins anew when the clock has reached a later one than it knows. It never goes back:
 * neither a clock set back nor longer windows empty a budget account.
 */
function findWindow(account: BudgetAccount, budget: Budget, nowMs: number): Window {
  const { window_start_ms: knownStartMs, window_nano: nano, total_nano: spentNano } = account;
  const window = findBudgetWindow(budget, Math.max(nowMs, knownStartMs ?? nowMs));
  if (window === undefined) return { startMs: knownStartMs, nano, spentNano, endMs: undefined };
  const { startMs, endMs } = window;
  if (knownStartMs === null || knownStartMs < startMs) return { startMs, nano: 0, spentNano: 0, endMs };
  return { startMs: knownStartMs, nano, spentNano: nano, endMs };
}
