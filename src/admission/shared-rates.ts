/**
 * Rates that several proxies count together, in a database or in Redis. What is counted there is one step each, taken
 * by the clock of that server; here stands what a request has taken of it. Of keys without limits nothing is said, and
 * of the others only what is limited. While the counter cannot be reached, this proxy counts alone, or refuses.
 */
import { randomUUID } from 'node:crypto';
import type { MonotonicClock } from '../lib/clock.ts';
import { ProxyError } from '../lib/errors.ts';
import { CounterAccess, type OutageListener } from './counter-access.ts';
import { type ReachedLimit, refuseRate } from './rate-refusal.ts';
import {
  findRateLimits,
  NO_RATE_LIMITS,
  type RateGrant,
  type RateLimits,
  type RatePolicy,
  UNCOUNTED,
} from './rates.ts';

/** A slot that its proxy does not renew comes free after so long. */
export const RATE_LEASE_MS = 30_000;
/** How often slots are renewed: two renewals may fail. */
export const RATE_RENEWAL_MS = 10_000;

/** Counted, and in which second of the counter's clock; or the limit that refuses, and nothing is counted. */
export type RateVerdict =
  | { readonly kind: 'counted'; readonly second: number }
  | Pick<ReachedLimit, 'kind' | 'used' | 'roomInSeconds'>;

/** A slot of a key: the name of the request that has it is unlike that of any other, of whichever proxy. */
export interface RateSlot {
  readonly keyId: string;
  readonly request: string;
}

/** What changes with the end of a request. */
export interface RateCorrection {
  /** In this second a request was counted that never went out. */
  readonly requestSecond?: number | undefined;
  /** So many tokens more, or less, are counted: in this second, if it has not fallen out of the minute, or else now. */
  readonly tokens: number;
  readonly tokensSecond?: number | undefined;
}

/**
 * The server that counts for all: each step is one round trip, and atomic. Every method rejects with
 * ERR_STORE_UNAVAILABLE if it does not respond.
 */
export interface RateCounter {
  /** Counts a request, if requests are limited, and takes a slot for RATE_LEASE_MS, if those are. */
  enter(slot: RateSlot, policy: RatePolicy): Promise<RateVerdict>;
  /** Counts tokens. As `RateGrant.addTokens`, one beyond the limit passes in an empty minute. */
  addTokens(keyId: string, limit: number, tokens: number): Promise<RateVerdict>;
  /** Frees the slot, if it is held, and corrects what was counted. */
  leave(slot: RateSlot, correction: RateCorrection): Promise<void>;
  /**
   * These slots, or none, are held for RATE_LEASE_MS from now on, whether it remembers them or not. Removes what is
   * over.
   */
  renew(slots: readonly RateSlot[]): Promise<void>;
  close(): Promise<void>;
}

/** How rates are shared. */
export interface SharedRatesOptions extends OutageListener {
  readonly tickMs: MonotonicClock;
  /** Counts what this proxy does, for the time when it is alone. */
  readonly local: RateLimits;
  /** What is done with a key that has limits while the counter cannot be reached. */
  readonly fallback: 'local' | 'refuse';
  readonly stepTimeoutMs?: number;
}

/** Rates that are counted elsewhere. */
export interface SharedRates extends RateLimits {
  /** To be called at the start, and every RATE_RENEWAL_MS. Never rejects. */
  renew(): Promise<void>;
  /** The counter did not respond when it was last asked. */
  readonly isAlone: boolean;
  /** Resolves when all that has ended by now is given back. */
  untilSettled(): Promise<void>;
  /** Waits for that, and closes the counter. */
  close(): Promise<void>;
}

/** The caller closes what it returns. */
export function createSharedRates(counter: RateCounter, options: SharedRatesOptions): SharedRates {
  return new CountedElsewhere(counter, options);
}

/** State: the slots that requests of this process hold. */
class CountedElsewhere implements SharedRates {
  readonly #counter: RateCounter;
  readonly #local: RateLimits;
  readonly #fallback: SharedRatesOptions['fallback'];
  readonly #access: CounterAccess;
  readonly #process = randomUUID();
  readonly #slots = new Set<RateSlot>();
  /** What ends at present, by key. */
  readonly #leaving = new Map<string, Set<Promise<unknown>>>();
  #lastRequest = 0;
  #renewing: Promise<unknown> | undefined;
  /** The first renewal finds out whether the counter is there. */
  #wasUsed = true;

  constructor(counter: RateCounter, { local, fallback, onLost, onBack, ...options }: SharedRatesOptions) {
    this.#counter = counter;
    this.#local = local;
    this.#fallback = fallback;
    this.#access = new CounterAccess(options, {
      onLost,
      onBack: () => {
        onBack();
        // It may have forgotten them, or never have known.
        void this.renew();
      },
    });
  }

  get isAlone(): boolean {
    return this.#access.isLost;
  }

  enter(keyId: string, full: RatePolicy): RateGrant | Promise<RateGrant> {
    const policy = findRateLimits(full);
    return policy === undefined ? UNCOUNTED : this.#enter(keyId, policy);
  }

  async renew(): Promise<void> {
    const isNeeded = this.#wasUsed || this.#slots.size > 0 || this.#access.isLost;
    if (this.#renewing !== undefined || !isNeeded) return;
    this.#wasUsed = false;
    const slots = [...this.#slots];
    this.#renewing = this.#tell(() => this.#counter.renew(slots));
    await this.#renewing;
    this.#renewing = undefined;
  }

  async untilSettled(): Promise<void> {
    await this.#renewing;
    await Promise.all([...this.#leaving.values()].flatMap((ending) => [...ending]));
  }

  async close(): Promise<void> {
    await this.untilSettled();
    await this.#counter.close();
  }

  async #enter(keyId: string, policy: RatePolicy): Promise<RateGrant> {
    const { requestsPerMinute, maxParallel } = policy;
    const slot = { keyId, request: `${this.#process}.${(this.#lastRequest += 1)}` };
    const isAsked = requestsPerMinute !== undefined || maxParallel !== undefined;
    const verdict = isAsked ? await this.#askTwice(keyId, () => this.#askToEnter(slot, policy)) : undefined;
    if (verdict !== undefined && verdict.kind !== 'counted') throw refuse(verdict, policy);
    const isAlone = verdict === undefined && (isAsked || this.#access.isLost);
    if (isAlone && this.#fallback === 'refuse') throw cannotCount();
    const own = await this.#local.enter(keyId, isAlone ? policy : NO_RATE_LIMITS);
    if (maxParallel !== undefined) this.#slots.add(slot);
    this.#wasUsed = true;
    return this.#open({ slot, policy, own, requestSecond: verdict?.second });
  }

  #askToEnter(slot: RateSlot, policy: RatePolicy): Promise<RateVerdict | undefined> {
    return this.#access.ask(
      () => this.#counter.enter(slot, policy),
      // Nobody waits any more. If it passed all the same, it holds the slot, and ends it in order.
      (late) => {
        if (late.kind === 'counted' && this.#fallback === 'refuse') this.#leave(slot, { tokens: 0 });
      },
    );
  }

  /** Whoever waits for a response before the next request is not refused for what its end has not yet given back. */
  async #askTwice(keyId: string, ask: () => Promise<RateVerdict | undefined>): Promise<RateVerdict | undefined> {
    const ending = [...(this.#leaving.get(keyId) ?? [])];
    const verdict = await ask();
    if (ending.length === 0 || verdict === undefined || verdict.kind === 'counted') return verdict;
    await Promise.all(ending);
    return ask();
  }

  #open({ slot, policy, own, requestSecond }: Entered): RateGrant {
    const { tokensPerMinute: limit, maxParallel } = policy;
    let counted: { readonly second: number; readonly tokens: number } | undefined;
    let isOver = false;
    const end = (correction: RateCorrection): void => {
      isOver = true;
      this.#slots.delete(slot);
      const { requestSecond: undone, tokens } = correction;
      if (maxParallel !== undefined || undone !== undefined || tokens !== 0) this.#leave(slot, correction);
    };
    const count = async (most: number, tokens: number): Promise<void> => {
      const verdict = await this.#askTwice(slot.keyId, () =>
        this.#access.ask(() => this.#counter.addTokens(slot.keyId, most, tokens)),
      );
      if (verdict === undefined && this.#fallback === 'refuse') throw cannotCount();
      if (verdict === undefined) return own.addTokens(policy, tokens);
      if (verdict.kind !== 'counted') throw refuse(verdict, policy, tokens);
      // The request ended while it was counted.
      if (isOver) return this.#leave(slot, { tokens: -tokens, tokensSecond: verdict.second });
      counted = { second: verdict.second, tokens };
      await own.addTokens(NO_RATE_LIMITS, tokens);
    };
    return {
      addTokens: (_policy, tokens) =>
        limit === undefined || tokens === 0 ? undefined : count(limit, Math.ceil(tokens)),
      finish: (used) => {
        if (isOver) return;
        own.finish(used);
        end(limit === undefined ? { tokens: 0 } : correct(counted, used));
      },
      undo: () => {
        if (isOver) return;
        own.undo();
        end({ requestSecond, ...correct(counted, 0) });
      },
    };
  }

  /** After a renewal that may be under way: it would hold the slot again. */
  #leave(slot: RateSlot, correction: RateCorrection): void {
    const { keyId } = slot;
    const ending = this.#leaving.get(keyId) ?? new Set();
    this.#leaving.set(keyId, ending);
    const leaving = Promise.resolve(this.#renewing)
      .then(() => this.#tell(() => this.#counter.leave(slot, correction)))
      .finally(() => {
        ending.delete(leaving);
        if (ending.size === 0 && this.#leaving.get(keyId) === ending) this.#leaving.delete(keyId);
      });
    ending.add(leaving);
  }

  #tell(step: () => Promise<void>): Promise<unknown> {
    return this.#access.ask(async () => {
      await step();
      return {};
    });
  }
}

interface Entered {
  readonly slot: RateSlot;
  readonly policy: RatePolicy;
  /** What this process counts itself. */
  readonly own: RateGrant;
  /** Undefined: no request was counted. */
  readonly requestSecond: number | undefined;
}

/** What was used beyond the estimate counts as of now; what was not is taken off the second of the estimate. */
function correct(
  counted: { readonly second: number; readonly tokens: number } | undefined,
  used: number | undefined,
): RateCorrection {
  const estimate = counted?.tokens ?? 0;
  if (used === undefined || !(used >= 0)) return { tokens: 0 };
  const tokens = Math.ceil(used) - estimate;
  return { tokens, tokensSecond: tokens < 0 ? counted?.second : undefined };
}

function refuse(verdict: Exclude<RateVerdict, { kind: 'counted' }>, policy: RatePolicy, tokens?: number): ProxyError {
  const { requestsPerMinute, tokensPerMinute, maxParallel } = policy;
  const limits = { requests: requestsPerMinute, tokens: tokensPerMinute, parallel: maxParallel };
  return refuseRate({ ...verdict, limit: limits[verdict.kind] ?? 0, tokens });
}

function cannotCount(): ProxyError {
  return new ProxyError('ERR_STORE_UNAVAILABLE', 'The rates of this key cannot be counted at present.', {
    hint: 'Try again in a moment. The log of the proxy says why.',
    retryAfterSeconds: 1,
  });
}
