/**
 * Whatever happens in whatever order to a few keys, in two stores on one database: budgets hold, every reservation is
 * settled exactly once, and the books agree with the ledger. A model in plain JavaScript says what must be in them, so
 * that the stores agree with each other, too.
 */
import Database from 'better-sqlite3';
import * as fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { RESERVATION_LEASE_MS } from '../../src/domain/budget.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { Budget } from '../../src/domain/key.ts';
import type { Store } from '../../src/domain/store.ts';
import { POSTGRES, sharedPostgres, stopSharedPostgres } from '../helpers/postgres.ts';
import { aLedgerRow, aReservation } from '../helpers/store-rows.ts';

const KEYS = ['vk_a', 'vk_b', 'vk_c'] as const;
const WINDOW_MS = 20_000;

type Step =
  | { readonly kind: 'reserve'; readonly key: number; readonly amount: number; readonly store: number }
  | { readonly kind: 'settle'; readonly which: number; readonly share: number; readonly store: number }
  | { readonly kind: 'settle again'; readonly which: number; readonly share: number; readonly store: number }
  | { readonly kind: 'settle unreserved'; readonly key: number; readonly amount: number; readonly store: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'keep' | 'settle lost'; readonly store: number }
  | { readonly kind: 'limit'; readonly key: number; readonly limit: number };

const number = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('reserve' as const),
        key: number(2),
        amount: number(60),
        store: number(1),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('settle' as const),
        which: number(9),
        share: number(100),
        store: number(1),
      }),
    },
    fc.record({ kind: fc.constant('settle again' as const), which: number(9), share: number(100), store: number(1) }),
    fc.record({ kind: fc.constant('settle unreserved' as const), key: number(2), amount: number(9), store: number(1) }),
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: number(1.2 * WINDOW_MS) }) },
    fc.record({ kind: fc.constantFrom('keep' as const, 'settle lost' as const), store: number(1) }),
    fc.record({ kind: fc.constant('limit' as const), key: number(2), limit: number(150) }),
  ),
  { minLength: 20, maxLength: 80 },
);

interface Request {
  readonly id: string;
  readonly key: (typeof KEYS)[number];
  readonly amount: number;
  readonly owner: number;
  readonly startedAtMs: number;
  leaseUntilMs: number;
  /** Undefined while it is under way. */
  charged: number | undefined;
  /** The window its charge counts in. */
  windowMs: number;
}

/** What must be true, kept apart from the code that is tested. `vk_c` has a budget without windows. */
class Model {
  nowMs = 0;
  readonly limits = new Map<string, number>(KEYS.map((key) => [key, 100]));
  readonly requests: Request[] = [];

  budgetOf(key: string): Budget {
    const windowMs = key === 'vk_c' ? undefined : WINDOW_MS;
    return { limitNanoUsd: this.limits.get(key) ?? 0, windowMs, anchorMs: 0 };
  }

  windowOf(key: string): number {
    return key === 'vk_c' ? 0 : Math.floor(this.nowMs / WINDOW_MS);
  }

  heldFor(key: string): number {
    return this.sum(key, (request) => (request.charged === undefined ? request.amount : 0));
  }

  totalOf(key: string): number {
    return this.sum(key, ({ charged }) => charged ?? 0);
  }

  spentInWindow(key: string): number {
    return this.sum(key, ({ charged, windowMs }) => (windowMs === this.windowOf(key) ? (charged ?? 0) : 0));
  }

  private sum(key: string, part: (request: Request) => number): number {
    return this.requests.reduce((total, request) => total + (request.key === key ? part(request) : 0), 0);
  }
}

class Run {
  readonly model = new Model();
  /** The window that a budget account has last begun: a charge counts there, whenever it comes. */
  readonly begun = new Map<string, number>();
  readonly stores: readonly Store[];

  readonly setTime: OpenPlace['setTime'];
  readonly settlesLostOf: OpenPlace['settlesLostOf'];

  constructor({ stores, setTime, settlesLostOf }: OpenPlace) {
    this.stores = stores;
    this.setTime = setTime;
    this.settlesLostOf = settlesLostOf;
  }

  store(index: number): Store {
    return this.stores[index] ?? expect.fail('no such store');
  }

  async take(step: Step): Promise<void> {
    const { model } = this;
    if (step.kind === 'wait') await this.wait(step.ms);
    else if (step.kind === 'limit') model.limits.set(keyOf(step.key), step.limit);
    else if (step.kind === 'reserve') await this.reserve(step);
    else if (step.kind === 'settle unreserved') await this.settleUnreserved(step);
    else if (step.kind === 'keep') await this.keep(step.store);
    else if (step.kind === 'settle lost')
      expect(await this.store(step.store).settleLost(model.nowMs)).toBe(this.lose());
    else if (step.kind === 'settle') await this.settle(step, true);
    else if (step.kind === 'settle again') await this.settle(step, false);
  }

  async wait(ms: number): Promise<void> {
    this.model.nowMs += ms;
    await this.setTime(this.model.nowMs);
  }

  async reserve({ key: index, amount, store }: { key: number; amount: number; store: number }): Promise<void> {
    const { model } = this;
    const [key, id] = [keyOf(index), `request-${model.requests.length}`];
    const budget = model.budgetOf(key);
    const expected = (): string => {
      const free = budget.limitNanoUsd - model.spentInWindow(key);
      if (model.heldFor(key) + amount <= free) return 'reserved';
      return amount <= free ? 'held' : 'exhausted';
    };
    let kind = expected();
    if (kind === 'held' && this.lose(this.settlesLostOf === 'all' ? KEYS : [key]) > 0) kind = expected();
    const reservation = aReservation({ id, keyId: key, amountNanoUsd: amount, budget, nowMs: model.nowMs });
    expect((await this.store(store).reserve(reservation)).kind).toBe(kind);
    if (kind !== 'reserved') return;
    this.begun.set(key, model.windowOf(key));
    const leaseUntilMs = model.nowMs + RESERVATION_LEASE_MS;
    const startedAtMs = model.nowMs;
    model.requests.push({ id, key, amount, owner: store, startedAtMs, leaseUntilMs, charged: undefined, windowMs: -1 });
    expect(model.spentInWindow(key) + model.heldFor(key)).toBeLessThanOrEqual(budget.limitNanoUsd);
  }

  /** What a store must find lost now. */
  lose(keys: readonly string[] = KEYS): number {
    const lost = this.model.requests.filter(
      ({ key, charged, leaseUntilMs }) =>
        keys.includes(key) && charged === undefined && leaseUntilMs <= this.model.nowMs,
    );
    for (const request of lost) this.book(request, request.amount);
    return lost.length;
  }

  async keep(owner: number): Promise<void> {
    const { model } = this;
    await this.store(owner).renewLeases(model.nowMs);
    for (const request of model.requests) {
      if (request.owner === owner) request.leaseUntilMs = model.nowMs + RESERVATION_LEASE_MS;
    }
  }

  /** Never more than was reserved; again: another charge for what was settled, or taken for lost, already. */
  async settle(step: { which: number; share: number; store: number }, isFirst: boolean): Promise<void> {
    const candidates = this.model.requests.filter(({ charged }) => (charged === undefined) === isFirst);
    const request = candidates[step.which % Math.max(1, candidates.length)];
    if (request === undefined) return;
    const { id, key: keyId, startedAtMs } = request;
    const queried = Math.floor((request.amount * step.share) / 100);
    // A window that is over is only ever corrected downwards: what was charged too little counts in the present one.
    const isOver = request.windowMs !== this.windowFor(keyId);
    const charged = isOver ? Math.min(queried, request.charged ?? queried) : queried;
    const row = aLedgerRow({ id, keyId, startedAtMs, chargedNanoUsd: charged, costNanoUsd: charged });
    await this.store(step.store).settle(row);
    this.book(request, charged);
  }

  async settleUnreserved({ key: index, amount, store }: { key: number; amount: number; store: number }): Promise<void> {
    const { model } = this;
    const [key, id] = [keyOf(index), `request-${model.requests.length}`];
    // As a key without budget would: it must not break the rule for the others, so it is only what is left.
    const free = model.budgetOf(key).limitNanoUsd - model.spentInWindow(key) - model.heldFor(key);
    const charged = Math.max(0, Math.min(amount, free));
    const startedAtMs = model.nowMs;
    const row = aLedgerRow({ id, keyId: key, startedAtMs, chargedNanoUsd: charged, costNanoUsd: charged });
    await this.store(store).settle(row);
    const request: Request = {
      id,
      key,
      amount: charged,
      owner: store,
      startedAtMs,
      leaseUntilMs: 0,
      charged: undefined,
      windowMs: -1,
    };
    model.requests.push(request);
    this.book(request, charged);
  }

  book(request: Request, charged: number): void {
    if (request.charged === undefined) request.windowMs = this.windowFor(request.key);
    request.charged = charged;
  }

  windowFor(key: string): number {
    return key === 'vk_c' ? 0 : (this.begun.get(key) ?? -1);
  }

  async check(): Promise<void> {
    const { model } = this;
    const rows = KEYS.map((id) => ({ id, policy: { ...EMPTY_POLICY, budget: model.budgetOf(id) } }));
    for (const store of this.stores) {
      const spends = await store.findSpend(rows, model.nowMs);
      for (const key of KEYS) {
        expect(spends.get(key)).toMatchObject({
          totalNanoUsd: model.totalOf(key),
          windowNanoUsd: model.spentInWindow(key),
          reservedNanoUsd: model.heldFor(key),
        });
      }
    }
  }
}

const keyOf = (index: number): (typeof KEYS)[number] => KEYS[index] ?? 'vk_a';

/** A database of a kind, with two stores on it. */
interface OpenPlace {
  readonly stores: readonly Store[];
  /** For a database that has a clock of its own. */
  readonly setTime: (nowMs: number) => Promise<void>;
  /** Of which keys lost reservations are settled that are in the way of one. */
  readonly settlesLostOf: 'all' | 'the same account';
  /** Before the names of tables. */
  readonly schema: string;
  /** Without code of ours. */
  readonly query: (sql: string) => Promise<unknown[]>;
  readonly close: () => Promise<void>;
}

async function openSqlite(): Promise<OpenPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'properties-'));
  const path = join(folder, 'keys.db');
  const stores = [await openSqliteStore(path), await openSqliteStore(path)];
  const raw = new Database(path, { readonly: true });
  return {
    stores,
    settlesLostOf: 'all',
    schema: '',
    setTime: async () => {},
    query: async (sql) => raw.prepare(sql).all(),
    close: async () => {
      raw.close();
      for (const store of stores) await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function openPostgres(): Promise<OpenPlace> {
  const server = await sharedPostgres();
  const url = await server.borrowDatabase();
  const database = new URL(url).pathname.slice(1);
  const stores = [await openPostgresStore(url), await openPostgresStore(url)];
  const setTime = async (nowMs: number): Promise<void> => {
    await server.run(
      `CREATE OR REPLACE FUNCTION bedrock_proxy.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT ${nowMs}::bigint'`,
      database,
    );
  };
  await setTime(0);
  return {
    stores,
    setTime,
    settlesLostOf: 'the same account',
    schema: 'bedrock_proxy.',
    query: (sql) => server.run(sql, database),
    close: async () => {
      for (const store of stores) await store.close();
      server.giveBack(url);
    },
  };
}

const PLACES = [
  { name: 'SQLite', isThere: true, open: openSqlite, runs: 40 },
  { name: 'PostgreSQL', isThere: POSTGRES !== undefined, open: openPostgres, runs: 15 },
];

afterAll(stopSharedPostgres);

describe.each(PLACES)('$name', ({ isThere, open, runs }) => {
  const title = 'overspends in no interleaving, and settles everything reserved exactly once';
  it.skipIf(!isThere)(title, { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const place = await open();
        try {
          const run = new Run(place);
          for (const step of plan) {
            await run.take(step);
            await run.check();
          }
          await run.wait(10 * RESERVATION_LEASE_MS);
          await run.take({ kind: 'settle lost', store: 0 });
          await run.check();
          await checkBooks(place, run.model);
        } finally {
          await place.close();
        }
      }),
      { numRuns: runs },
    );
  });
});

/** Nothing is reserved any more, and the sums agree. */
async function checkBooks({ schema, query }: OpenPlace, model: Model): Promise<void> {
  expect(await query(`SELECT * FROM ${schema}reservations`)).toEqual([]);
  expect(await query(`SELECT * FROM ${schema}key_spend WHERE reserved_nano <> 0 OR window_nano < 0`)).toEqual([]);
  expect(await query(`SELECT id FROM ${schema}ledger GROUP BY id HAVING count(*) <> 1`)).toEqual([]);
  const unlike = `SELECT key_id FROM ${schema}ledger JOIN ${schema}key_spend ON account_id = key_id
    GROUP BY key_id, total_nano HAVING sum(charged_nano) <> total_nano`;
  expect(await query(unlike)).toEqual([]);
  const ids = (await query(`SELECT id FROM ${schema}ledger`)) as { readonly id: string }[];
  expect(ids.map(({ id }) => id).toSorted()).toEqual(model.requests.map(({ id }) => id).toSorted());
}
