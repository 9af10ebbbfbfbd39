/**
 * Several proxies that count together in Redis or in PostgreSQL, and what becomes of it if one of them is killed, or if
 * the server is.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createRateLimits, NO_RATE_LIMITS, type RateGrant, type RatePolicy } from '../../src/admission/rates.ts';
import { createSharedRates, type RateCounter, type SharedRates } from '../../src/admission/shared-rates.ts';
import { MACHINE_TICKS } from '../../src/lib/clock.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import { openPostgresRates } from '../../src/store/postgres/rates.ts';
import { openRedisRates } from '../../src/store/redis/rates.ts';
import { failureOf } from '../helpers/failure.ts';
import { POSTGRES, type PostgresServer, removePostgres, startPostgres } from '../helpers/postgres.ts';
import { REDIS, type RedisServer, startRedis } from '../helpers/redis.ts';
import { take } from './take-rates.ts';

const SCRIPT = fileURLToPath(new URL('../helpers/count-rates.ts', import.meta.url));
const perMinute = (requestsPerMinute: number): RatePolicy => ({ ...NO_RATE_LIMITS, requestsPerMinute });
const atATime = (maxParallel: number): RatePolicy => ({ ...NO_RATE_LIMITS, maxParallel });

/** A server of this file, which its tests kill. */
interface Server {
  /** With nothing counted in it. */
  prepare(): Promise<string>;
  open(url: string): Promise<RateCounter>;
  kill(): Promise<void>;
  start(): Promise<void>;
  end(): Promise<void>;
}

async function serveRedis(): Promise<Server> {
  const server: RedisServer = await startRedis();
  return {
    prepare: async () => {
      await server.run('FLUSHALL');
      return server.url;
    },
    open: openRedisRates,
    kill: () => server.kill(),
    start: () => server.start(),
    end: () => server.kill(),
  };
}

async function servePostgres(): Promise<Server> {
  const server: PostgresServer = await startPostgres();
  return {
    prepare: () => server.createDatabase({ migrated: true }),
    open: async (url) => openPostgresRates(url),
    kill: () => server.stop('immediate'),
    start: () => server.start(),
    end: () => removePostgres(server),
  };
}

interface TestProxy {
  readonly rates: SharedRates;
  /** What it told, in order. */
  readonly told: string[];
}

async function openProxy(server: Server, url: string, fallback: 'local' | 'refuse' = 'local'): Promise<TestProxy> {
  const told: string[] = [];
  const rates = createSharedRates(await server.open(url), {
    tickMs: MACHINE_TICKS,
    local: createRateLimits({ tickMs: MACHINE_TICKS }),
    fallback,
    onLost: ({ message }: ProxyError) => told.push(message),
    onBack: () => told.push('back'),
  });
  onTestFinished(() => rates.close());
  return { rates, told };
}

/** Asks again as long as all slots are taken. */
async function untilEntered(rates: SharedRates, policy: RatePolicy): Promise<RateGrant> {
  for (;;) {
    try {
      return await rates.enter('vk_a', policy);
    } catch (error) {
      if (!(error instanceof ProxyError) || error.code !== 'ERR_TOO_MANY_PARALLEL') throw error;
      await new Promise(setImmediate);
    }
  }
}

interface Counting {
  readonly go: () => Promise<string>;
  readonly kill: () => Promise<void>;
}

async function startCounting(url: string, times: number, policy: RatePolicy): Promise<Counting> {
  const args = ['--disable-warning=ExperimentalWarning', SCRIPT, url, String(times), JSON.stringify(policy)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const reader = createInterface({ input: child.stdout });
  const lines = reader[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('ready');
  return {
    go: async () => {
      child.stdin.end();
      return String((await lines.next()).value);
    },
    kill: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

describe.for([
  { name: 'Redis', isMissing: REDIS === undefined, serve: serveRedis },
  { name: 'PostgreSQL', isMissing: POSTGRES === undefined, serve: servePostgres },
])('proxies that count in $name', ({ isMissing, serve }) => {
  let server: Server;
  const test = it.skipIf(isMissing);
  beforeAll(async () => {
    if (!isMissing) server = await serve();
  });
  afterAll(() => server?.end());

  test('let no more pass than the limits of a key allow, four processes at once', async () => {
    const url = await server.prepare();
    const policy = { requestsPerMinute: 40, tokensPerMinute: 350, maxParallel: 37 };
    const processes = await Promise.all(Array.from({ length: 4 }, () => startCounting(url, 30, policy)));
    const passed = await Promise.all(processes.map(({ go }) => go()));
    const counts = passed.map((line) => Number(/^passed (\d+)$/.exec(line)?.[1]));
    // 10 tokens each: 35 requests of at most 37 at a time.
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(35);
    const { rates } = await openProxy(server, url);
    expect(await failureOf(() => rates.enter('vk_a', atATime(36)))).toMatchObject({ code: 'ERR_TOO_MANY_PARALLEL' });
    await Promise.all(processes.map(({ kill }) => kill()));
  });

  test('never hold more slots than there are, and give back exactly what they took', async () => {
    const url = await server.prepare();
    const proxies = await Promise.all(Array.from({ length: 3 }, () => openProxy(server, url, 'refuse')));
    const policy = { requestsPerMinute: 10_000, tokensPerMinute: 1_000_000, maxParallel: 5 };
    const seen = { held: 0, most: 0, requests: 0, tokens: 0 };
    const work = async ({ rates }: TestProxy, lane: number): Promise<void> => {
      for (let count = 0; count < 12; count += 1) {
        const grant = await untilEntered(rates, policy);
        seen.held += 1;
        seen.most = Math.max(seen.most, seen.held);
        await grant.addTokens(policy, 10);
        if (count % 3 === 0) await Promise.race([rates.renew(), new Promise(setImmediate)]);
        seen.held -= 1;
        if (count % 4 === 0) grant.undo();
        else {
          seen.requests += 1;
          seen.tokens += lane;
          grant.finish(lane);
        }
      }
    };
    // What they use is less than the estimate, or more.
    await Promise.all(proxies.flatMap((proxy) => [1, 7, 10, 13, 19].map((lane) => work(proxy, lane))));
    for (const { rates, told } of proxies) {
      await rates.untilSettled();
      expect(told).toEqual([]);
    }
    expect(seen.most).toBe(5);
    const [{ rates } = await openProxy(server, url)] = proxies;
    const full = await failureOf(() => rates.enter('vk_a', perMinute(1)));
    expect(full.message).toContain(`it sent ${seen.requests} in the last one`);
    const used = await failureOf(() => take(rates, 'vk_a', { ...NO_RATE_LIMITS, tokensPerMinute: 1 }, 1));
    expect(used.message).toContain(`; ${seen.tokens} count for the last one`);
    await rates.enter('vk_a', atATime(1));
  });

  test('say nothing of keys without limits, and nothing of what is not limited', async () => {
    const url = await server.prepare();
    const counter = await server.open(url);
    const steps = [vi.spyOn(counter, 'enter'), vi.spyOn(counter, 'addTokens'), vi.spyOn(counter, 'leave')];
    const rates = createSharedRates(counter, {
      tickMs: MACHINE_TICKS,
      local: createRateLimits({ tickMs: MACHINE_TICKS }),
      fallback: 'refuse',
      onLost: () => {},
      onBack: () => {},
    });
    onTestFinished(() => rates.close());
    const unlimited = rates.enter('vk_a', NO_RATE_LIMITS);
    expect(unlimited).not.toBeInstanceOf(Promise);
    (await take(rates, 'vk_a', NO_RATE_LIMITS, 100)).finish(50);
    expect(steps.map(({ mock }) => mock.calls.length)).toEqual([0, 0, 0]);
    (await take(rates, 'vk_a', perMinute(9), 100)).finish(50);
    await rates.untilSettled();
    expect(steps.map(({ mock }) => mock.calls.length)).toEqual([1, 0, 0]);
    (await take(rates, 'vk_a', { ...NO_RATE_LIMITS, tokensPerMinute: 500 }, 100)).finish(100);
    await rates.untilSettled();
    expect(steps.map(({ mock }) => mock.calls.length)).toEqual([1, 1, 0]);
  });

  test('count alone while the server is away, tell it once, and count what is under way when it is back', async () => {
    const url = await server.prepare();
    const [one, other] = await Promise.all([openProxy(server, url), openProxy(server, url)]);
    const before = await one.rates.enter('vk_a', atATime(3));
    await server.kill();
    // What this proxy has counted itself goes on to count.
    const alone = [await one.rates.enter('vk_a', atATime(3)), await one.rates.enter('vk_a', atATime(3))];
    expect(await failureOf(() => one.rates.enter('vk_a', atATime(3)))).toMatchObject({
      code: 'ERR_TOO_MANY_PARALLEL',
      message: expect.stringContaining('it has 3 under way'),
    });
    expect(one.told).toEqual([expect.stringMatching(/^(Redis|The database) /)]);
    await server.start();
    await vi.waitFor(
      async () => {
        await one.rates.renew();
        expect(one.told).toEqual([expect.any(String), 'back']);
      },
      { timeout: 10_000 },
    );
    await one.rates.untilSettled();
    await vi.waitFor(
      async () =>
        expect(await failureOf(() => other.rates.enter('vk_a', atATime(3)))).toMatchObject({
          message: expect.stringContaining('it has 3 under way'),
        }),
      { timeout: 10_000 },
    );
    for (const grant of [before, ...alone]) grant.finish(0);
    await one.rates.untilSettled();
    (await other.rates.enter('vk_a', atATime(1))).finish(0);
  });

  test('refuse keys with rates while the server is away, if they are to, and no others', async () => {
    const url = await server.prepare();
    const { rates, told } = await openProxy(server, url, 'refuse');
    await server.kill();
    expect(await failureOf(() => rates.enter('vk_a', perMinute(3)))).toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      status: 503,
      message: 'The rates of this key cannot be counted at present.',
    });
    expect(await failureOf(() => take(rates, 'vk_a', { ...NO_RATE_LIMITS, tokensPerMinute: 9 }, 5))).toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
    });
    (await take(rates, 'vk_b', NO_RATE_LIMITS, 100)).finish(50);
    expect(told).toHaveLength(1);
    await server.start();
    await vi.waitFor(async () => (await rates.enter('vk_a', perMinute(3))).finish(0), { timeout: 10_000 });
    expect(told).toEqual([expect.any(String), 'back']);
  });
});
