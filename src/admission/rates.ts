/**
 * Limits of rate and concurrency: requests and tokens per minute and requests under way, of each key, as this process
 * has seen them. In memory, and forgotten with the process. The workers of one server let its primary count
 * (`remote-rates.ts`), and proxies that share a database or Redis count there (`shared-rates.ts`). No I/O, no waiting.
 */
import type { MonotonicClock } from '../lib/clock.ts';
import type { KeyPolicy } from '../domain/key.ts';
import { refuseRate } from './rate-refusal.ts';
import { MinuteWindow } from './window.ts';

/** The limits as they are now: they may change from one call to the next. */
export type RatePolicy = Pick<KeyPolicy, 'requestsPerMinute' | 'tokensPerMinute' | 'maxParallel'>;

/** A policy without any of these limits. */
export const NO_RATE_LIMITS: RatePolicy = Object.freeze({
  requestsPerMinute: undefined,
  tokensPerMinute: undefined,
  maxParallel: undefined,
});

/** These limits alone; undefined if the policy has none of them. */
export function findRateLimits({
  requestsPerMinute,
  tokensPerMinute,
  maxParallel,
}: RatePolicy): RatePolicy | undefined {
  const isLimited = requestsPerMinute !== undefined || tokensPerMinute !== undefined || maxParallel !== undefined;
  return isLimited ? { requestsPerMinute, tokensPerMinute, maxParallel } : undefined;
}

/** What one request has taken. The first call of `finish` or `undo` ends it; neither throws. */
export interface RateGrant {
  /**
   * Counts the tokens that the request may use, or throws ERR_TOKEN_RATE, with the seconds after which there is room,
   * and counts nothing. At most once. A request of more tokens than the limit passes if the last minute had none:
   * otherwise it never would. A promise only if another process counts.
   */
  addTokens(policy: RatePolicy, tokens: number): void | Promise<void>;
  /**
   * The request is over: its slot is free. `tokens` is what it used; undefined: unknown, and the estimate stands. If it
   * used less, the difference is taken off the second in which it was counted; if more, the difference counts as of
   * now.
   */
  finish(tokens: number | undefined): void;
  /** The request never went out: as if it had not been asked for. */
  undo(): void;
}

/** Of a key without limits, whom somebody else would count: nothing is. */
export const UNCOUNTED: RateGrant = Object.freeze({ addTokens: () => {}, finish: () => {}, undo: () => {} });

/** Counts what keys do in a minute and at the same time. */
export interface RateLimits {
  /**
   * Counts a request, or throws and counts nothing: ERR_TOO_MANY_PARALLEL, ERR_REQUEST_RATE, each with the seconds
   * after which there is room. Both limits are checked and counted in one step. A promise only if another process
   * counts: this one pays for no turn of the event loop.
   */
  enter(keyId: string, policy: RatePolicy): RateGrant | Promise<RateGrant>;
}

/** What one request has taken of what this process counts: whether it may is known at once. */
export interface LocalRateGrant extends RateGrant {
  addTokens(policy: RatePolicy, tokens: number): void;
}

/** What this process counts itself. */
export interface LocalRateLimits extends RateLimits {
  enter(keyId: string, policy: RatePolicy): LocalRateGrant;
  /** The keys that are remembered: with a request under way, or one in about the last minute. */
  readonly size: number;
}

interface KeyCounts {
  underWay: number;
  readonly requests: MinuteWindow;
  /** Made when there is something to count. */
  tokens: MinuteWindow | undefined;
}

/** With every request, so many keys are checked and dropped if they are idle. */
const KEYS_SWEPT_PER_REQUEST = 2;

/** Counts from nothing. */
export function createRateLimits({ tickMs }: { readonly tickMs: MonotonicClock }): LocalRateLimits {
  const keys = new Map<string, KeyCounts>();
  const nowSecond = (): number => Math.floor(tickMs() / 1000);
  const sweep = createSweep(keys);
  return {
    get size() {
      return keys.size;
    },
    enter: (keyId, policy) => {
      const second = nowSecond();
      sweep(second);
      const counts = keys.get(keyId) ?? { underWay: 0, requests: new MinuteWindow(second), tokens: undefined };
      checkParallel(policy, counts);
      checkRequests(policy, counts, second);
      keys.set(keyId, counts);
      counts.underWay += 1;
      counts.requests.add(second, 1);
      return openGrant(counts, second, nowSecond);
    },
  };
}

/** Goes round all keys, a few with every call, and drops the idle ones; no timer, and no call that pays for all. */
function createSweep(keys: Map<string, KeyCounts>): (second: number) => void {
  let round = keys.entries();
  return (second) => {
    for (let count = 0; count < KEYS_SWEPT_PER_REQUEST; count += 1) {
      const next = round.next();
      if (next.done === true) {
        round = keys.entries();
        return;
      }
      const [keyId, counts] = next.value;
      if (isIdle(counts, second)) keys.delete(keyId);
    }
  };
}

function isIdle({ underWay, requests, tokens }: KeyCounts, second: number): boolean {
  return underWay === 0 && requests.sum(second) === 0 && (tokens === undefined || tokens.sum(second) === 0);
}

function openGrant(counts: KeyCounts, enteredAt: number, nowSecond: () => number): LocalRateGrant {
  let estimate = { second: enteredAt, tokens: 0 };
  let isOver = false;
  const end = (): boolean => {
    if (isOver) return false;
    isOver = true;
    counts.underWay -= 1;
    return true;
  };
  return {
    addTokens: (policy, tokens) => {
      const second = nowSecond();
      checkTokens(policy, counts, second, tokens);
      addTokens(counts, second, tokens);
      estimate = { second, tokens };
    },
    finish: (usedTokens) => {
      const { second, tokens } = estimate;
      if (!end() || usedTokens === undefined || !(usedTokens >= 0)) return;
      if (usedTokens > tokens) addTokens(counts, nowSecond(), usedTokens - tokens);
      else counts.tokens?.takeBack(second, tokens - usedTokens);
    },
    undo: () => {
      if (!end()) return;
      counts.requests.takeBack(enteredAt, 1);
      counts.tokens?.takeBack(estimate.second, estimate.tokens);
    },
  };
}

function addTokens(counts: KeyCounts, second: number, tokens: number): void {
  if (tokens === 0) return;
  counts.tokens ??= new MinuteWindow(second);
  counts.tokens.add(second, tokens);
}

function checkParallel({ maxParallel: limit }: RatePolicy, { underWay: used }: KeyCounts): void {
  if (limit === undefined || used < limit) return;
  throw refuseRate({ kind: 'parallel', limit, used, roomInSeconds: 1 });
}

function checkRequests({ requestsPerMinute: limit }: RatePolicy, { requests }: KeyCounts, second: number): void {
  if (limit === undefined) return;
  const used = requests.sum(second);
  if (used < limit) return;
  throw refuseRate({ kind: 'requests', limit, used, roomInSeconds: requests.secondsUntil(second, limit - 1) });
}

function checkTokens({ tokensPerMinute: limit }: RatePolicy, counts: KeyCounts, second: number, tokens: number): void {
  if (limit === undefined || tokens === 0 || counts.tokens === undefined) return;
  const used = counts.tokens.sum(second);
  if (used === 0 || used + tokens <= limit) return;
  const roomInSeconds = counts.tokens.secondsUntil(second, Math.max(0, limit - tokens));
  throw refuseRate({ kind: 'tokens', limit, used, tokens, roomInSeconds });
}
