/** Rates counted by a Redis or Valkey server: one script a step (`rates-scripts.ts`). */
import { ProxyError } from '../../lib/errors.ts';
import {
  RATE_LEASE_MS,
  type RateCorrection,
  type RateCounter,
  type RateSlot,
  type RateVerdict,
} from '../../admission/shared-rates.ts';
import type { RatePolicy } from '../../admission/rates.ts';
import { connectRedis, type RedisConnection, redisScript } from './connection.ts';
import { ADD_TOKENS, ENTER, LEAVE, RENEW } from './rates-scripts.ts';

const SCRIPTS = {
  enter: redisScript(ENTER),
  addTokens: redisScript(ADD_TOKENS),
  leave: redisScript(LEAVE),
  renew: redisScript(RENEW),
};

/** So many slots one script renews: others wait meanwhile. */
const SLOTS_PER_RENEWAL = 500;

/** How the server is used. */
export interface RedisRatesOptions {
  /** In place of its clock: for tests. */
  readonly nowMs?: () => number;
}

/** Connects to the server at `url`, and goes on trying if it is not there. The caller closes what it returns. */
export async function openRedisRates(url: string, options: RedisRatesOptions = {}): Promise<RateCounter> {
  return new RedisRates(await connectRedis(url), options);
}

class RedisRates implements RateCounter {
  readonly #connection: RedisConnection;
  readonly #nowMs: (() => number) | undefined;

  constructor(connection: RedisConnection, { nowMs }: RedisRatesOptions) {
    this.#connection = connection;
    this.#nowMs = nowMs;
  }

  async enter({ keyId, request }: RateSlot, { requestsPerMinute, maxParallel }: RatePolicy): Promise<RateVerdict> {
    const { requests, slots } = namesOf(keyId);
    const limits = [requestsPerMinute ?? '', maxParallel ?? ''];
    return toVerdict(await this.#run('enter', [requests, slots], [request, ...limits, RATE_LEASE_MS]));
  }

  async addTokens(keyId: string, limit: number, tokens: number): Promise<RateVerdict> {
    return toVerdict(await this.#run('addTokens', [namesOf(keyId).tokens], [limit, tokens]));
  }

  async leave({ keyId, request }: RateSlot, { requestSecond, tokens, tokensSecond }: RateCorrection): Promise<void> {
    const names = namesOf(keyId);
    const keys = [names.requests, names.slots, names.tokens];
    await this.#run('leave', keys, [request, requestSecond ?? '', tokens, tokensSecond ?? '']);
  }

  async renew(slots: readonly RateSlot[]): Promise<void> {
    // Nothing is changed, but it is asked.
    if (slots.length === 0) await this.#run('renew', [namesOf('').slots], [RATE_LEASE_MS]);
    const byKey = Map.groupBy(slots, ({ keyId }) => keyId);
    const steps: Promise<unknown>[] = [];
    for (const [keyId, held] of byKey) {
      for (let first = 0; first < held.length; first += SLOTS_PER_RENEWAL) {
        const requests = held.slice(first, first + SLOTS_PER_RENEWAL).map(({ request }) => request);
        steps.push(this.#run('renew', [namesOf(keyId).slots], [RATE_LEASE_MS, ...requests]));
      }
    }
    await Promise.all(steps);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  #run(script: keyof typeof SCRIPTS, keys: readonly string[], values: readonly (string | number)[]): Promise<unknown> {
    return this.#connection.run(SCRIPTS[script], keys, [this.#nowMs?.() ?? '', ...values].map(String));
  }
}

/** With a hash tag, so that they are on one server whatever stands between. */
function namesOf(keyId: string): { readonly requests: string; readonly slots: string; readonly tokens: string } {
  const name = (what: string): string => `bedrock-proxy:rates:{${keyId}}:${what}`;
  return { requests: name('requests'), slots: name('slots'), tokens: name('tokens') };
}

function toVerdict(reply: unknown): RateVerdict {
  const [kind, first, second] = Array.isArray(reply) ? (reply as unknown[]) : [];
  if (typeof first === 'number' && typeof second === 'number') {
    if (kind === 'counted') return { kind, second: first };
    if (kind === 'parallel' || kind === 'requests' || kind === 'tokens') {
      return { kind, used: first, roomInSeconds: second };
    }
  }
  throw new ProxyError('ERR_STORE_UNAVAILABLE', 'Redis answered what its script does not say.');
}
