/** The rules of rates, whoever counts: this process alone, or Redis or PostgreSQL for all proxies. */
import { afterAll, describe, expect, it } from 'vitest';
import {
  createRateLimits,
  type LocalRateLimits,
  NO_RATE_LIMITS,
  type RateGrant,
  type RateLimits,
  type RatePolicy,
} from '../../src/admission/rates.ts';
import { monotonicClock } from '../../src/lib/clock.ts';
import { failureOf } from '../helpers/failure.ts';
import { stopSharedPostgres } from '../helpers/postgres.ts';
import { stopSharedRedis } from '../helpers/redis.ts';
import { RATES } from './rate-places.ts';
import { take, takeHere } from './take-rates.ts';

afterAll(stopSharedRedis);
afterAll(stopSharedPostgres);

const perMinute = (requestsPerMinute: number): RatePolicy => ({ ...NO_RATE_LIMITS, requestsPerMinute });
const tokens = (tokensPerMinute: number): RatePolicy => ({ ...NO_RATE_LIMITS, tokensPerMinute });
const atATime = (maxParallel: number): RatePolicy => ({ ...NO_RATE_LIMITS, maxParallel });

async function takeMany(rates: RateLimits, policy: RatePolicy, times: number): Promise<RateGrant[]> {
  return Promise.all(Array.from({ length: times }, () => take(rates, 'vk_a', policy, 0)));
}

function openHere(): { rates: LocalRateLimits; clock: { nowMs: number } } {
  const clock = { nowMs: 1_700_000_000_000 };
  return { rates: createRateLimits({ tickMs: monotonicClock(() => clock.nowMs) }), clock };
}

describe.for(RATES)('rates counted by $name', ({ isMissing, create }) => {
  const test = it.skipIf(isMissing);

  describe('requests per minute', () => {
    test('lets the whole limit of requests pass at once, and says to the next when there is room', async () => {
      const { rates, advance } = await create();
      await takeMany(rates, perMinute(30), 30);
      await advance(12_345);
      expect(await failureOf(() => take(rates, 'vk_a', perMinute(30), 0))).toMatchObject({
        code: 'ERR_REQUEST_RATE',
        status: 429,
        awsType: 'ThrottlingException',
        retryAfterSeconds: 48,
        message: "This key's limit of requests per minute is 30, and it sent 30 in the last one.",
      });
      await advance(48_000);
      await takeMany(rates, perMinute(30), 30);
    });

    test('lets a steady client pass at exactly its limit', async () => {
      const { rates, advance } = await create();
      for (let count = 0; count < 90; count += 1) {
        (await take(rates, 'vk_a', perMinute(30), 0)).finish(undefined);
        await advance(2_000);
      }
    });

    test('does not count a request that never went out', async () => {
      const { rates } = await create();
      (await take(rates, 'vk_a', perMinute(1), 0)).undo();
      (await take(rates, 'vk_a', perMinute(1), 0)).finish(0);
      await expect(take(rates, 'vk_a', perMinute(1), 0)).rejects.toThrow('requests per minute is 1');
    });

    test('counts the requests of each key for itself', async () => {
      const { rates } = await create();
      await takeMany(rates, perMinute(2), 2);
      await take(rates, 'vk_b', perMinute(2), 0);
    });
  });

  describe('requests at a time', () => {
    test('has as many slots as the limit says, and takes back each of them once', async () => {
      const { rates } = await create();
      const [first, second] = await takeMany(rates, atATime(2), 2);
      expect(await failureOf(() => take(rates, 'vk_a', atATime(2), 0))).toMatchObject({
        code: 'ERR_TOO_MANY_PARALLEL',
        status: 429,
        retryAfterSeconds: 1,
      });
      first?.finish(1);
      first?.finish(1);
      first?.undo();
      await takeMany(rates, atATime(2), 1);
      await expect(take(rates, 'vk_a', atATime(2), 0)).rejects.toThrow('it has 2');
      second?.undo();
      await takeMany(rates, atATime(2), 1);
    });

    test('remembers a request that takes longer than any window', async () => {
      const { rates, advance, renew } = await create();
      const [long] = await takeMany(rates, atATime(1), 1);
      await advance(3_600_000);
      await renew();
      for (let count = 0; count < 10; count += 1) (await take(rates, `vk_${count}`, NO_RATE_LIMITS, 0)).finish(0);
      await expect(take(rates, 'vk_a', atATime(1), 0)).rejects.toThrow('it has 1');
      long?.finish(5);
      await takeMany(rates, atATime(1), 1);
    });
  });

  describe('tokens per minute', () => {
    test('counts the estimate of tokens first and the real number at the end', async () => {
      const { rates, advance } = await create();
      const grant = await take(rates, 'vk_a', tokens(1_000), 900);
      await advance(10_000);
      expect(await failureOf(() => take(rates, 'vk_a', tokens(1_000), 200))).toMatchObject({
        code: 'ERR_TOKEN_RATE',
        retryAfterSeconds: 50,
        message:
          "This key's limit of tokens per minute is 1000; 900 count for the last one, and this request may use 200.",
      });
      grant.finish(300);
      await take(rates, 'vk_a', tokens(1_000), 700);
      await expect(take(rates, 'vk_a', tokens(1_000), 1)).rejects.toThrow('1000 count');
    });

    test('lets the estimate of tokens stand if nobody knows better', async () => {
      const { rates } = await create();
      (await take(rates, 'vk_a', tokens(1_000), 900)).finish(undefined);
      (await take(rates, 'vk_a', tokens(1_000), 50)).finish(Number.NaN);
      (await take(rates, 'vk_a', tokens(1_000), 50)).finish(-7);
      await expect(take(rates, 'vk_a', tokens(1_000), 1)).rejects.toThrow('1000 count');
    });

    test('counts tokens beyond the estimate as of the end of the request', async () => {
      const { rates, advance } = await create();
      const grant = await take(rates, 'vk_a', tokens(1_000), 100);
      await advance(50_000);
      grant.finish(1_000);
      await advance(10_000);
      await expect(take(rates, 'vk_a', tokens(1_000), 101)).rejects.toThrow('900 count');
      await take(rates, 'vk_a', tokens(1_000), 100);
    });

    test('does not correct tokens that have fallen out of the minute', async () => {
      const { rates, advance } = await create();
      const grant = await take(rates, 'vk_a', tokens(1_000), 900);
      await advance(60_000);
      await take(rates, 'vk_a', tokens(1_000), 1_000);
      grant.finish(0);
      await expect(take(rates, 'vk_a', tokens(1_000), 1)).rejects.toThrow('1000 count');
    });

    test('lets a request above the limit of tokens pass in an empty minute, and no other beside it', async () => {
      const { rates, advance } = await create();
      (await take(rates, 'vk_a', tokens(1_000), 5_000)).finish(4_000);
      await advance(30_000);
      expect((await failureOf(() => take(rates, 'vk_a', tokens(1_000), 5_000))).retryAfterSeconds).toBe(30);
      await advance(30_000);
      await take(rates, 'vk_a', tokens(1_000), 5_000);
    });

    test('does not hold up a request that uses no tokens', async () => {
      const { rates } = await create();
      await take(rates, 'vk_a', tokens(1_000), 1_000);
      await take(rates, 'vk_a', tokens(1_000), 0);
    });
  });

  test('counts nothing of a request that any of the limits refuses', async () => {
    const { rates } = await create();
    const policy = { requestsPerMinute: 3, tokensPerMinute: 100, maxParallel: 2 };
    await take(rates, 'vk_a', policy, 90);
    for (let count = 0; count < 5; count += 1)
      await expect(take(rates, 'vk_a', policy, 20)).rejects.toThrow('tokens per minute');
    const second = await take(rates, 'vk_a', policy, 10);
    for (let count = 0; count < 5; count += 1)
      await expect(take(rates, 'vk_a', policy, 0)).rejects.toThrow('at a time');
    second.finish(undefined);
    (await take(rates, 'vk_a', policy, 0)).finish(0);
    await expect(take(rates, 'vk_a', policy, 0)).rejects.toThrow('requests per minute');
  });
});

describe.for(RATES.filter(({ name }) => name !== 'this process'))('slots in $name', ({ isMissing, create }) => {
  it.skipIf(isMissing)(
    'come free after half a minute if nobody renews them, and are kept as long as somebody does',
    async () => {
      const { rates, advance, renew, openOther } = await create();
      const killed = await openOther();
      await killed.enter('vk_a', atATime(2));
      const living = await rates.enter('vk_a', atATime(2));
      for (let count = 0; count < 2; count += 1) {
        await advance(14_000);
        await renew();
        expect(await failureOf(() => rates.enter('vk_a', atATime(2)))).toMatchObject({ code: 'ERR_TOO_MANY_PARALLEL' });
      }
      await advance(3_000);
      const next = await rates.enter('vk_a', atATime(2));
      expect(await failureOf(() => rates.enter('vk_a', atATime(2)))).toMatchObject({ code: 'ERR_TOO_MANY_PARALLEL' });
      living.finish(0);
      next.finish(0);
      await rates.enter('vk_a', atATime(1));
    },
  );
});

describe('rates that this process counts', () => {
  it('are kept if a limit is set or changed in the middle', () => {
    const { rates } = openHere();
    for (let count = 0; count < 5; count += 1) takeHere(rates, 'vk_a', NO_RATE_LIMITS, 0);
    expect(() => takeHere(rates, 'vk_a', perMinute(5), 0)).toThrow('sent 5');
    expect(() => takeHere(rates, 'vk_a', perMinute(6), 0)).not.toThrow();
    expect(() => takeHere(rates, 'vk_a', perMinute(3), 0)).toThrow('sent 6');
    expect(() => takeHere(rates, 'vk_a', NO_RATE_LIMITS, 0)).not.toThrow();
  });

  it('are forgotten of keys that are idle', () => {
    const { rates, clock } = openHere();
    for (let count = 0; count < 1_000; count += 1) takeHere(rates, `vk_${count}`, tokens(9), 5).finish(undefined);
    const busy = takeHere(rates, 'vk_a', NO_RATE_LIMITS, 0);
    expect(rates.size).toBe(1_001);
    clock.nowMs += 61_000;
    for (let count = 0; count < 1_100; count += 1) takeHere(rates, 'vk_other', NO_RATE_LIMITS, 0).finish(0);
    expect(rates.size).toBe(2);
    busy.finish(0);
  });
});
