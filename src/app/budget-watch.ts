/**
 * Notices when a key has spent 80 % of its budget, and when it has used it up: once per key, window and threshold. Asks
 * the store a moment after requests have ended, for all their keys together, so that requests do not wait and what
 * other processes spend counts too. What was spent before the first request that is seen here is no news: a proxy that
 * starts again tells nothing twice.
 */
import type { BudgetStore } from '../domain/store.ts';
import type { KeySpend } from '../domain/budget.ts';
import type { Budget, KeyPolicy } from '../domain/key.ts';
import type { RequestRecord } from '../domain/request-record.ts';

/** Percent of a budget. */
export const BUDGET_THRESHOLDS = [80, 100] as const;
/** Percent of a budget. */
export type BudgetThreshold = (typeof BUDGET_THRESHOLDS)[number];

/** A key has reached a threshold. As it is sent between processes: plain. */
export interface BudgetAlert {
  readonly keyId: string;
  /** Alias or masked key. */
  readonly keyLabel: string;
  readonly threshold: BudgetThreshold;
  /** Of the present window. Below 100 if what is left was too little for a request. */
  readonly spentNanoUsd: number;
  readonly limitNanoUsd: number;
  readonly resetsAtMs: number | undefined;
}

/** Requests of a second are asked for together. Their rows are written by then. */
const DELAY_MS = 500;
/** Keys of which it is remembered what they had spent; beyond that, the longest unseen are forgotten. */
const MAX_KEYS = 10_000;

interface WatchedKey {
  readonly label: string;
  readonly policy: KeyPolicy;
  readonly budget: Budget;
  /** Whether a request was refused for want of budget. */
  isRefused: boolean;
}

interface Known {
  readonly resetsAtMs: number | undefined;
  readonly reached: BudgetThreshold | 0;
}

/** What the watch asks and tells. */
export interface BudgetWatchOptions {
  readonly store: Pick<BudgetStore, 'findSpend'>;
  readonly nowMs: () => number;
  /** Rows that the ledger has not written yet: what is asked meanwhile may be too little. */
  readonly countWaiting: () => number;
  readonly onAlert: (alert: BudgetAlert) => void;
}

/** State: keys to be asked about, and what each had reached when it was last looked at. */
export class BudgetWatch {
  readonly #options: BudgetWatchOptions;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Set<string>();
  #dirty = new Map<string, WatchedKey>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: BudgetWatchOptions) {
    this.#options = options;
  }

  /** The first request of a key: what it had spent until then is no news. */
  readonly admitted = ({ principal }: RequestRecord): void => {
    if (principal?.kind !== 'key' || principal.policy.budget === undefined) return;
    const { keyId, policy } = principal;
    if (this.#known.has(keyId) || this.#asking.has(keyId)) return;
    this.#asking.add(keyId);
    void this.#readFirst(keyId, policy, principal.policy.budget);
  };

  /** A request has ended that may have cost something, or was refused. */
  readonly ended = ({ principal, error, chargedNanoUsd }: RequestRecord): void => {
    if (principal?.kind !== 'key' || principal.policy.budget === undefined) return;
    const isRefused = error?.code === 'ERR_BUDGET_EXCEEDED';
    if (chargedNanoUsd === 0 && !isRefused) return;
    const { keyId, label, policy } = principal;
    this.#note(keyId, { label, policy, budget: principal.policy.budget, isRefused });
  };

  /** Looks once more at what is left to be looked at. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#looking;
    await this.#look();
  }

  async #readFirst(keyId: string, policy: KeyPolicy, { limitNanoUsd }: Budget): Promise<void> {
    const { store, nowMs } = this.#options;
    // What cannot be asked now is news later, rather than never.
    const spends = await store.findSpend([{ id: keyId, policy }], nowMs()).catch(() => undefined);
    const { windowNanoUsd = 0, resetsAtMs } = spends?.get(keyId) ?? {};
    this.#remember(keyId, { resetsAtMs, reached: findReached(windowNanoUsd, limitNanoUsd, false) });
    this.#asking.delete(keyId);
  }

  #note(keyId: string, key: WatchedKey): void {
    const before = this.#dirty.get(keyId);
    this.#dirty.set(keyId, { ...key, isRefused: key.isRefused || before?.isRefused === true });
    this.#schedule();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#looking !== undefined || this.#options.countWaiting() > 0) return this.#schedule();
      this.#looking = this.#look().finally(() => (this.#looking = undefined));
    }, DELAY_MS).unref();
  }

  /** Never rejects: a store that does not answer now is asked after the next request. */
  async #look(): Promise<void> {
    const dirty = this.#dirty;
    if (dirty.size === 0) return;
    this.#dirty = new Map();
    const rows = [...dirty].map(([id, { policy }]) => ({ id, policy }));
    const spends = await this.#options.store.findSpend(rows, this.#options.nowMs()).catch(() => undefined);
    if (spends === undefined) {
      for (const [keyId, key] of dirty) if (!this.#dirty.has(keyId)) this.#dirty.set(keyId, key);
      return;
    }
    for (const [keyId, key] of dirty) {
      const spend = spends.get(keyId);
      if (spend !== undefined) this.#compare(keyId, key, spend);
    }
  }

  #compare(keyId: string, { label, budget, isRefused }: WatchedKey, spend: KeySpend): void {
    const { windowNanoUsd: spentNanoUsd, resetsAtMs } = spend;
    const { limitNanoUsd } = budget;
    const reached = findReached(spentNanoUsd, limitNanoUsd, isRefused);
    const known = this.#known.get(keyId);
    this.#remember(keyId, { resetsAtMs, reached });
    if (known === undefined) return;
    const before = known.resetsAtMs === resetsAtMs ? known.reached : 0;
    for (const threshold of BUDGET_THRESHOLDS) {
      if (threshold > before && threshold <= reached) {
        this.#options.onAlert({ keyId, keyLabel: label, threshold, spentNanoUsd, limitNanoUsd, resetsAtMs });
      }
    }
  }

  #remember(keyId: string, known: Known): void {
    this.#known.delete(keyId);
    this.#known.set(keyId, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KEYS && oldest !== undefined) this.#known.delete(oldest);
  }
}

/** A budget whose rest is too little for a request is used up for its key: nearly none is spent to the last cent. */
function findReached(spentNanoUsd: number, limitNanoUsd: number, isRefused: boolean): BudgetThreshold | 0 {
  const percent = limitNanoUsd === 0 ? 100 : (spentNanoUsd / limitNanoUsd) * 100;
  if (percent >= 100 || (isRefused && percent >= 80)) return 100;
  return percent >= 80 ? 80 : 0;
}
