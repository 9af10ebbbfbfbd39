import { monotonicClock } from '../../src/lib/clock.ts';
import { describe, expect, it } from 'vitest';
import { createRateLimits, type RateGrant, type LocalRateLimits, type RatePolicy } from '../../src/admission/rates.ts';
import { failureOf } from '../helpers/failure.ts';
import { take } from './take-rates.ts';

const NONE: RatePolicy = { requestsPerMinute: undefined, tokensPerMinute: undefined, maxParallel: undefined };
const perMinute = (requestsPerMinute: number): RatePolicy => ({ ...NONE, requestsPerMinute });
const tokens = (tokensPerMinute: number): RatePolicy => ({ ...NONE, tokensPerMinute });
const atATime = (maxParallel: number): RatePolicy => ({ ...NONE, maxParallel });

function open(): { rates: LocalRateLimits; clock: { nowMs: number } } {
  const clock = { nowMs: 1_700_000_000_000 };
  return { rates: createRateLimits({ tickMs: monotonicClock(() => clock.nowMs) }), clock };
}

function takeMany(rates: LocalRateLimits, policy: RatePolicy, times: number): RateGrant[] {
  return Array.from({ length: times }, () => take(rates, 'vk_a', policy, 0));
}

describe('requests per minute', () => {
  it('lets the whole limit of requests pass at once, and says to the next when there is room', async () => {
    const { rates, clock } = open();
    takeMany(rates, perMinute(30), 30);
    clock.nowMs += 12_345;
    expect(await failureOf(() => take(rates, 'vk_a', perMinute(30), 0))).toMatchObject({
      code: 'ERR_REQUEST_RATE',
      status: 429,
      awsType: 'ThrottlingException',
      retryAfterSeconds: 48,
      message: "This key's limit of requests per minute is 30, and it sent 30 in the last one.",
    });
    clock.nowMs += 48_000;
    takeMany(rates, perMinute(30), 30);
  });

  it('lets a steady client pass at exactly its limit', () => {
    const { rates, clock } = open();
    for (let count = 0; count < 300; count += 1) {
      take(rates, 'vk_a', perMinute(30), 0).finish(undefined);
      clock.nowMs += 2_000;
    }
  });

  it('does not count a request that never went out', () => {
    const { rates } = open();
    take(rates, 'vk_a', perMinute(1), 0).undo();
    take(rates, 'vk_a', perMinute(1), 0).finish(0);
    expect(() => take(rates, 'vk_a', perMinute(1), 0)).toThrow('requests per minute is 1');
  });

  it('counts the requests of each key for itself', () => {
    const { rates } = open();
    takeMany(rates, perMinute(2), 2);
    expect(() => take(rates, 'vk_b', perMinute(2), 0)).not.toThrow();
  });

  it('keeps counts if a limit is set or changed in the middle', () => {
    const { rates } = open();
    takeMany(rates, NONE, 5);
    expect(() => take(rates, 'vk_a', perMinute(5), 0)).toThrow('sent 5');
    expect(() => take(rates, 'vk_a', perMinute(6), 0)).not.toThrow();
    expect(() => take(rates, 'vk_a', perMinute(3), 0)).toThrow('sent 6');
    expect(() => take(rates, 'vk_a', NONE, 0)).not.toThrow();
  });
});

describe('requests at a time', () => {
  it('has as many slots as the limit says, and takes back each of them once', async () => {
    const { rates } = open();
    const [first, second] = takeMany(rates, atATime(2), 2);
    expect(await failureOf(() => take(rates, 'vk_a', atATime(2), 0))).toMatchObject({
      code: 'ERR_TOO_MANY_PARALLEL',
      status: 429,
      retryAfterSeconds: 1,
    });
    first?.finish(1);
    first?.finish(1);
    first?.undo();
    takeMany(rates, atATime(2), 1);
    expect(() => take(rates, 'vk_a', atATime(2), 0)).toThrow('it has 2');
    second?.undo();
    takeMany(rates, atATime(2), 1);
  });

  it('remembers a request that takes longer than any window', () => {
    const { rates, clock } = open();
    const [long] = takeMany(rates, atATime(1), 1);
    clock.nowMs += 3_600_000;
    for (let count = 0; count < 10; count += 1) take(rates, `vk_${count}`, NONE, 0).finish(0);
    expect(() => take(rates, 'vk_a', atATime(1), 0)).toThrow('it has 1');
    long?.finish(5);
    takeMany(rates, atATime(1), 1);
  });
});

describe('tokens per minute', () => {
  it('counts the estimate of tokens first and the real number at the end', async () => {
    const { rates, clock } = open();
    const grant = take(rates, 'vk_a', tokens(1_000), 900);
    clock.nowMs += 10_000;
    expect(await failureOf(() => take(rates, 'vk_a', tokens(1_000), 200))).toMatchObject({
      code: 'ERR_TOKEN_RATE',
      retryAfterSeconds: 50,
      message:
        "This key's limit of tokens per minute is 1000; 900 count for the last one, and this request may use 200.",
    });
    grant.finish(300);
    take(rates, 'vk_a', tokens(1_000), 700);
    expect(() => take(rates, 'vk_a', tokens(1_000), 1)).toThrow('1000 count');
  });

  it('lets the estimate of tokens stand if nobody knows better', () => {
    const { rates } = open();
    take(rates, 'vk_a', tokens(1_000), 900).finish(undefined);
    take(rates, 'vk_a', tokens(1_000), 50).finish(Number.NaN);
    take(rates, 'vk_a', tokens(1_000), 50).finish(-7);
    expect(() => take(rates, 'vk_a', tokens(1_000), 1)).toThrow('1000 count');
  });

  it('counts tokens beyond the estimate as of the end of the request', () => {
    const { rates, clock } = open();
    const grant = take(rates, 'vk_a', tokens(1_000), 100);
    clock.nowMs += 50_000;
    grant.finish(1_000);
    clock.nowMs += 10_000;
    expect(() => take(rates, 'vk_a', tokens(1_000), 101)).toThrow('900 count');
    take(rates, 'vk_a', tokens(1_000), 100);
  });

  it('does not correct tokens that have fallen out of the minute', () => {
    const { rates, clock } = open();
    const grant = take(rates, 'vk_a', tokens(1_000), 900);
    clock.nowMs += 60_000;
    take(rates, 'vk_a', tokens(1_000), 1_000);
    grant.finish(0);
    expect(() => take(rates, 'vk_a', tokens(1_000), 1)).toThrow('1000 count');
  });

  it('lets a request above the limit of tokens pass in an empty minute, and no other beside it', async () => {
    const { rates, clock } = open();
    take(rates, 'vk_a', tokens(1_000), 5_000).finish(4_000);
    clock.nowMs += 30_000;
    expect((await failureOf(() => take(rates, 'vk_a', tokens(1_000), 5_000))).retryAfterSeconds).toBe(30);
    clock.nowMs += 30_000;
    take(rates, 'vk_a', tokens(1_000), 5_000);
  });

  it('does not hold up a request that uses no tokens', () => {
    const { rates } = open();
    take(rates, 'vk_a', tokens(1_000), 1_000);
    expect(() => take(rates, 'vk_a', tokens(1_000), 0)).not.toThrow();
  });
});

it('counts nothing of a request that any of the limits refuses', () => {
  const { rates } = open();
  const policy = { requestsPerMinute: 3, tokensPerMinute: 100, maxParallel: 2 };
  take(rates, 'vk_a', policy, 90);
  for (let count = 0; count < 5; count += 1) expect(() => take(rates, 'vk_a', policy, 20)).toThrow('tokens per minute');
  const second = take(rates, 'vk_a', policy, 10);
  for (let count = 0; count < 5; count += 1) expect(() => take(rates, 'vk_a', policy, 0)).toThrow('at a time');
  second.finish(undefined);
  take(rates, 'vk_a', policy, 0).finish(0);
  expect(() => take(rates, 'vk_a', policy, 0)).toThrow('requests per minute');
});

it('forgets keys that are idle', () => {
  const { rates, clock } = open();
  for (let count = 0; count < 1_000; count += 1) take(rates, `vk_${count}`, tokens(9), 5).finish(undefined);
  const [busy] = takeMany(rates, NONE, 1);
  expect(rates.size).toBe(1_001);
  clock.nowMs += 61_000;
  for (let count = 0; count < 1_100; count += 1) take(rates, 'vk_other', NONE, 0).finish(0);
  expect(rates.size).toBe(2);
  busy?.finish(0);
});
