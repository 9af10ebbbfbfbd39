/**
 * Limits of rate and concurrency: requests and tokens per minute and requests under way, of each key, as this process
 * has seen them. In memory, and forgotten with the process; two servers count each for itself, and the workers of one
 * let its primary count (`remote-rates.ts`). No I/O, no waiting.
 */
import type { MonotonicClock } from '../lib/clock.ts';
import { ProxyError } from '../lib/errors.ts';
import type { KeyPolicy } from '../domain/key.ts';
import { MinuteWindow } from './window.ts';

/** The limits as they are now: they may change from one call to the next. */
export type RatePolicy = Pick<KeyPolicy, 'requestsPerMinute' | 'tokensPerMinute' | 'maxParallel'>;

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

function checkParallel({ maxParallel }: RatePolicy, { underWay }: KeyCounts): void {
  if (maxParallel === undefined || underWay < maxParallel) return;
  throw new ProxyError(
    'ERR_TOO_MANY_PARALLEL',
    `This key's limit of requests at a time is ${maxParallel}, and it has ${underWay} under way.`,
    { retryAfterSeconds: 1 },
  );
}

function checkRequests({ requestsPerMinute }: RatePolicy, { requests }: KeyCounts, second: number): void {
  if (requestsPerMinute === undefined) return;
  const used = requests.sum(second);
  if (used < requestsPerMinute) return;
  throw new ProxyError(
    'ERR_REQUEST_RATE',
    `This key's limit of requests per minute is ${requestsPerMinute}, and it sent ${used} in the last one.`,
    { retryAfterSeconds: Math.max(1, requests.secondsUntil(second, requestsPerMinute - 1)) },
  );
}

function checkTokens({ tokensPerMinute }: RatePolicy, counts: KeyCounts, second: number, tokens: number): void {
  if (tokensPerMinute === undefined || tokens === 0 || counts.tokens === undefined) return;
  const used = counts.tokens.sum(second);
  if (used === 0 || used + tokens <= tokensPerMinute) return;
  throw new ProxyError(
    'ERR_TOKEN_RATE',
    `This key's limit of tokens per minute is ${tokensPerMinute}; ${used} count for the last one, and ` +
      `this request may use ${tokens}.`,
    {
      hint: 'A request counts with its input and the most it may answer: a smaller max_tokens leaves more room.',
      retryAfterSeconds: Math.max(1, counts.tokens.secondsUntil(second, Math.max(0, tokensPerMinute - tokens))),
    },
  );
}
