/**
 * What keys spend, in PostgreSQL: money reserved before a request, charged after it. Each method is one statement, a
 * function of `budget-schema.ts`; leases are by the database's clock.
 */
import type { KeySpend, NewReservation, ReserveOutcome } from '../../domain/budget.ts';
import type { Budget, VirtualKeyRow } from '../../domain/key.ts';
import type { LedgerRow } from '../../domain/ledger.ts';
import { SQL_COLUMNS } from '../../domain/ledger-columns.ts';
import { findBudgetWindow } from '../../keys/budget.ts';
import { MACHINE_TICKS } from '../../lib/clock.ts';
import { within } from '../../lib/deadline.ts';
import { findCode } from '../../lib/errno.ts';
import type { Database, SqlStatement } from './database.ts';
import { toStorable } from './text.ts';
import { toPostgresTrouble } from './trouble.ts';
import { UncertainReservations } from './uncertain.ts';

/** How long whoever reads waits for what is on its way to the database. */
const SETTLING_TIMEOUT_MS = 500;
/** What has taken longer is not asked again. */
const MAX_FIRST_ATTEMPT_MS = 1_000;
const CLOSE_TIMEOUT_MS = 2_000;

/** SQLSTATE, Node's codes, and what the driver says, which gives no codes. */
const UNCERTAIN = /^(?:08|57P0|ECONNRESET|EPIPE|ETIMEDOUT|Connection terminated|Client |Query read timeout)/;

const STATEMENTS = {
  reserve: {
    name: 'reserve',
    text: `SELECT kind, total, window_start, window_spent, reserved
      FROM bedrock_proxy.reserve($1, $2, $3::bigint, $4::bigint, $5::bigint, $6, $7::jsonb)`,
  },
  settle: { name: 'settle', text: 'SELECT bedrock_proxy.settle($1::jsonb)' },
  settleLost: { name: 'settle_lost', text: 'SELECT bedrock_proxy.settle_lost(NULL) AS count' },
  renew: { name: 'renew', text: 'SELECT bedrock_proxy.renew($1::text[], $2)' },
  cancel: { name: 'cancel', text: 'SELECT bedrock_proxy.cancel($1, $2, $3, $4::bigint)' },
  forgetCancelled: { name: 'forget_cancelled', text: 'SELECT bedrock_proxy.forget_cancelled()' },
  findSpend: {
    name: 'find_spend',
    text: `SELECT k.id, coalesce(a.total_nano, 0) AS total, a.window_start_ms AS window_start,
        coalesce(a.window_nano, 0) AS window_spent, coalesce(a.reserved_nano, 0) AS reserved
      FROM unnest($1::text[]) AS k (id)
      LEFT JOIN bedrock_proxy.key_spend a ON a.account_id = bedrock_proxy.find_account(k.id)`,
  },
} as const satisfies Record<string, SqlStatement>;

/** What an account says. */
interface SpendRecord {
  readonly total: number;
  readonly window_start: number | null;
  readonly window_spent: number;
  readonly reserved: number;
}

/** Early: that window has not begun, and `total` is the time. */
interface ReserveRecord extends SpendRecord {
  readonly kind: ReserveOutcome['kind'] | 'early';
}

/** Budgets: each method is one of `BudgetStore`. */
export class PostgresBudgets {
  readonly #database: Database;
  readonly #owner: string;
  /** The reservations of this process that are not settled. */
  readonly #underWay = new Set<string>();
  readonly #settling = new Set<Promise<unknown>>();
  /** How many settlements have ended. */
  #ended = 0;
  /** Reservations that may have been made or not, because the connection broke. */
  readonly #uncertain: UncertainReservations;

  constructor(database: Database, owner: string) {
    this.#database = database;
    this.#owner = owner;
    this.#uncertain = new UncertainReservations(async ({ id, keyId, ifLost }) => {
      await database.query(STATEMENTS.cancel, [id, keyId, owner, ifLost.startedAtMs]);
    });
  }

  async findSpend(
    rows: readonly Pick<VirtualKeyRow, 'id' | 'policy'>[],
    nowMs: number,
  ): Promise<Map<string, KeySpend>> {
    await this.untilSettled();
    const ids = rows.map(({ id }) => id);
    const records = await this.#database.query<SpendRecord & { readonly id: string }>(STATEMENTS.findSpend, [ids]);
    const byId = new Map(records.map((record) => [record.id, record]));
    const spends = new Map<string, KeySpend>();
    for (const { id, policy } of rows) {
      const record = byId.get(id);
      if (record !== undefined) spends.set(id, toSpend(record, policy.budget, this.#toDatabaseTime(nowMs)));
    }
    return spends;
  }

  async reserve(reservation: NewReservation): Promise<ReserveOutcome> {
    const ended = this.#ended;
    const outcome = await this.#reserve(reservation);
    // What holds the budget may be over, and on its way to the database, or just there.
    if (outcome.kind !== 'held' || (this.#settling.size === 0 && this.#ended === ended)) return outcome;
    // What is to be given back under this id would be given back while the request goes on.
    if (this.#uncertain.has(reservation.id)) return outcome;
    await this.untilSettled();
    return this.#reserve(reservation);
  }

  async settleAll(rows: readonly LedgerRow[]): Promise<void> {
    if (rows.length === 0) return;
    const byId = new Map(rows.map((row) => [row.id, row]));
    const records = [...byId.values()].map(toRecord);
    const settling = this.#database.query(STATEMENTS.settle, [JSON.stringify(records)]);
    this.#settling.add(settling);
    try {
      await settling;
      for (const id of byId.keys()) this.#underWay.delete(id);
    } finally {
      this.#settling.delete(settling);
      this.#ended += 1;
    }
  }

  async renewLeases(): Promise<void> {
    if (this.#underWay.size === 0) return;
    await this.#database.query(STATEMENTS.renew, [[...this.#underWay], this.#owner]);
  }

  async settleLost(): Promise<number> {
    await this.#database.query(STATEMENTS.forgetCancelled);
    for (let settled = 0; ;) {
      const [more] = await this.#database.query<{ count: number }>(STATEMENTS.settleLost);
      if (more === undefined || more.count === 0) return settled;
      settled += more.count;
    }
  }

  /** Resolves when what was settled before is written, or failed; soon in any case. */
  async untilSettled(): Promise<void> {
    if (this.#settling.size > 0) await within(SETTLING_TIMEOUT_MS, Promise.allSettled(this.#settling));
  }

  async close(): Promise<void> {
    await within(CLOSE_TIMEOUT_MS, Promise.allSettled([...this.#settling, this.#uncertain.cancelAll()]));
    this.#uncertain.close();
  }

  /** A broken connection does not tell what became of the statement: it is asked again, and says the same. */
  async #reserve(reservation: NewReservation): Promise<ReserveOutcome> {
    const beganAtTick = MACHINE_TICKS();
    try {
      return await this.#reserveOnce(reservation);
    } catch (error) {
      if (!isUncertain(error)) throw error;
      // Nobody waits for it twice.
      if (MACHINE_TICKS() - beganAtTick > MAX_FIRST_ATTEMPT_MS) {
        this.#uncertain.add(reservation);
        throw error;
      }
    }
    try {
      const outcome = await this.#reserveOnce(reservation);
      // The first attempt may be behind this one.
      if (outcome.kind !== 'reserved') this.#uncertain.add(reservation);
      return outcome;
    } catch (error) {
      this.#uncertain.add(reservation);
      throw error;
    }
  }

  async #reserveOnce(reservation: NewReservation): Promise<ReserveOutcome> {
    const atMs = this.#toDatabaseTime(reservation.nowMs);
    const found = await this.#askToReserve(reservation, atMs);
    if (found.kind !== 'early') return this.#toOutcome(reservation, found, atMs);
    // Our clock, or what we know of the other one, is wrong.
    const later = await this.#askToReserve(reservation, found.total);
    return this.#toOutcome(reservation, later, found.total);
  }

  async #askToReserve(reservation: NewReservation, atMs: number): Promise<ReserveRecord> {
    const { id, keyId, amountNanoUsd, budget, ifLost } = reservation;
    const lost = { ...ifLost, chargedNanoUsd: amountNanoUsd, costNanoUsd: undefined, partial: true };
    const [found] = await this.#database.query<ReserveRecord>(STATEMENTS.reserve, [
      id,
      keyId,
      amountNanoUsd,
      budget.limitNanoUsd,
      findBudgetWindow(budget, atMs)?.startMs ?? null,
      this.#owner,
      JSON.stringify(toRecord({ ...lost, pricing: 'unpriced' })),
    ]);
    if (found === undefined) throw toPostgresTrouble(this.#database.shownUrl, new Error('no row'));
    return found;
  }

  #toOutcome({ id, budget }: NewReservation, found: ReserveRecord, atMs: number): ReserveOutcome {
    if (found.kind === 'reserved') {
      this.#underWay.add(id);
      return { kind: 'reserved' };
    }
    const { kind } = found;
    if (kind === 'early') throw toPostgresTrouble(this.#database.shownUrl, new Error('its clock goes back'));
    return { kind, spend: toSpend(found, budget, atMs) };
  }

  #toDatabaseTime(nowMs: number): number {
    return nowMs + this.#database.clockOffsetMs;
  }
}

/** What is null is left out. */
function toRecord(row: LedgerRow): Record<string, string | number> {
  const storable = toStorable(row);
  const record: Record<string, string | number> = {};
  for (const { name, toSql } of SQL_COLUMNS) {
    const value = toSql(storable);
    if (value !== null) record[name] = value;
  }
  return record;
}

function toSpend(record: SpendRecord, budget: Budget | undefined, nowMs: number): KeySpend {
  const { total, window_start: startMs, window_spent: inWindow, reserved } = record;
  // It never goes back: neither a clock set back nor longer windows empty an account.
  const window = budget && findBudgetWindow(budget, Math.max(nowMs, startMs ?? nowMs));
  const hasBegun = window !== undefined && (startMs === null || startMs < window.startMs);
  return {
    totalNanoUsd: total,
    windowNanoUsd: window === undefined ? total : hasBegun ? 0 : inWindow,
    reservedNanoUsd: reserved,
    resetsAtMs: window?.endMs,
  };
}

/** Whether the statement may have been carried out: the connection broke, or was silent. */
function isUncertain(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  const signs = [findCode(cause) ?? '', cause instanceof Error ? cause.message : ''];
  return signs.some((sign) => UNCERTAIN.test(sign));
}
