/**
 * Rates that are counted by another process, because several serve one port: the worker's side (`createRemoteRates`)
 * and that of the process that counts (`openRateDesk`). Orders arrive in the order in which they were given, so that
 * what a grant takes can be given back before it is known whether it was granted. Messages are handed in and out: no
 * I/O.
 */
import { type ErrorCode, ProxyError, toProxyError } from '../lib/errors.ts';
import {
  findRateLimits,
  type LocalRateGrant,
  type LocalRateLimits,
  NO_RATE_LIMITS,
  type RateGrant,
  type RateLimits,
  type RatePolicy,
  UNCOUNTED,
} from './rates.ts';

/** What a worker says of one grant, which it has given a number; `asks`: it waits for an answer. */
export type RateOrder = { readonly grant: number; readonly asks?: boolean } & (
  | { readonly kind: 'enter'; readonly keyId: string; readonly policy: RatePolicy }
  | { readonly kind: 'tokens'; readonly policy: RatePolicy; readonly tokens: number }
  | { readonly kind: 'finish'; readonly tokens?: number | undefined }
  | { readonly kind: 'undo' }
);

/** What the process that counts says: granted, or why not. */
export interface RateAnswer {
  readonly grant: number;
  readonly refusal?: RateRefusal;
}

interface RateRefusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** Rates as a worker sees them. */
export interface RemoteRates extends RateLimits {
  /** To be called for each answer. */
  onAnswer(answer: RateAnswer): void;
  /** Nobody counts any more: what waits, and whoever asks from now on, gets this error. */
  close(error: ProxyError): void;
}

interface Waiting {
  resolve(): void;
  reject(error: ProxyError): void;
}

/** `send` must not throw. Only keys with limits cost a message, and only what may be refused is waited for. */
export function createRemoteRates(send: (order: RateOrder) => void): RemoteRates {
  const waiting = new Map<number, Waiting>();
  let lastGrant = 0;
  let closedBy: ProxyError | undefined;
  const ask = (order: RateOrder): Promise<void> => {
    if (closedBy !== undefined) return Promise.reject(closedBy);
    return new Promise((resolve, reject) => {
      waiting.set(order.grant, { resolve, reject });
      send({ ...order, asks: true });
    });
  };
  return {
    enter: (keyId, full) => {
      const policy = findRateLimits(full);
      if (policy === undefined) return UNCOUNTED;
      const isAsked = policy.requestsPerMinute !== undefined || policy.maxParallel !== undefined;
      const grant = (lastGrant += 1);
      const opened = openRemoteGrant(grant, { send, ask });
      const order = { kind: 'enter', grant, keyId, policy } as const;
      if (isAsked) return ask(order).then(() => opened);
      send(order);
      return opened;
    },
    onAnswer: ({ grant, refusal }) => {
      const asked = waiting.get(grant);
      waiting.delete(grant);
      if (refusal === undefined) asked?.resolve();
      else asked?.reject(new ProxyError(refusal.code, refusal.message, refusal));
    },
    close: (error) => {
      closedBy = error;
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    },
  };
}

function openRemoteGrant(
  grant: number,
  { send, ask }: { readonly send: (order: RateOrder) => void; readonly ask: (order: RateOrder) => Promise<void> },
): RateGrant {
  let isOver = false;
  const end = (order: RateOrder): void => {
    if (!isOver) send(order);
    isOver = true;
  };
  return {
    addTokens: (full, tokens) => {
      const policy = findRateLimits(full) ?? NO_RATE_LIMITS;
      const order = { kind: 'tokens', grant, policy, tokens } as const;
      return policy.tokensPerMinute === undefined ? send(order) : ask(order);
    },
    finish: (tokens) => end({ kind: 'finish', grant, tokens: Number.isFinite(tokens) ? tokens : undefined }),
    undo: () => end({ kind: 'undo', grant }),
  };
}

/** Where the orders of one worker arrive. */
export interface RateDesk {
  /** Carries it out; gives an answer if one is waited for. Never throws. */
  take(order: RateOrder): RateAnswer | undefined;
  /** The worker is gone: its slots are free, and what its requests have taken of the minute stands. */
  close(): void;
}

/** A desk for one more worker; all of them count in `rates`. */
export function openRateDesk(rates: LocalRateLimits): RateDesk {
  const grants = new Map<number, LocalRateGrant>();
  return {
    take: (order) => {
      try {
        carryOutRateOrder(order, grants, rates);
        return order.asks === true ? { grant: order.grant } : undefined;
      } catch (thrown) {
        const { code, message, hint, retryAfterSeconds } = toProxyError(thrown);
        return { grant: order.grant, refusal: { code, message, hint, retryAfterSeconds } };
      }
    },
    close: () => {
      for (const grant of grants.values()) grant.finish(undefined);
      grants.clear();
    },
  };
}

function carryOutRateOrder(order: RateOrder, grants: Map<number, LocalRateGrant>, rates: LocalRateLimits): void {
  switch (order.kind) {
    case 'enter':
      return void grants.set(order.grant, rates.enter(order.keyId, order.policy));
    case 'tokens':
      return grants.get(order.grant)?.addTokens(order.policy, order.tokens);
    case 'finish':
      grants.get(order.grant)?.finish(order.tokens);
      return void grants.delete(order.grant);
    case 'undo':
      grants.get(order.grant)?.undo();
      return void grants.delete(order.grant);
    default:
      return order satisfies never;
  }
}
