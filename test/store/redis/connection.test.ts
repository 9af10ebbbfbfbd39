/** The connection to Redis: how it is secured, and in which words it says what is wrong. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { CounterAccess } from '../../../src/admission/counter-access.ts';
import { NO_RATE_LIMITS } from '../../../src/admission/rates.ts';
import type { RateCounter } from '../../../src/admission/shared-rates.ts';
import { monotonicClock } from '../../../src/lib/clock.ts';
import { makeCertificate } from '../../../src/server/make-certificate.ts';
import { hideRedisPassword } from '../../../src/store/redis/connection.ts';
import { openRedisRates } from '../../../src/store/redis/rates.ts';
import { toRedisTrouble } from '../../../src/store/redis/trouble.ts';
import { failureOf } from '../../helpers/failure.ts';
import { findClosedPort } from '../../helpers/ports.ts';
import { REDIS, type RedisServer, sharedRedis, startRedis, stopSharedRedis } from '../../helpers/redis.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const SLOT = { keyId: 'vk_a', request: 'one' };
const LIMIT = { ...NO_RATE_LIMITS, requestsPerMinute: 5 };

afterAll(stopSharedRedis);

async function serve(...settings: string[]): Promise<RedisServer> {
  const server = await startRedis(...settings);
  onTestFinished(() => server.kill());
  return server;
}

async function open(url: string): Promise<RateCounter> {
  const counter = await openRedisRates(url);
  onTestFinished(() => counter.close());
  return counter;
}

describe.skipIf(REDIS === undefined)('a connection to Redis', () => {
  it('brings its scripts to a server that does not have them', async () => {
    const server = await sharedRedis();
    const counter = await open(server.url.replace('redis:', 'valkey:'));
    expect(await counter.enter(SLOT, LIMIT)).toMatchObject({ kind: 'counted' });
    await server.run('SCRIPT', 'FLUSH');
    expect(await counter.enter(SLOT, LIMIT)).toMatchObject({ kind: 'counted' });
  });

  it('leaves nothing behind of keys that are idle', async () => {
    const server = await sharedRedis();
    await server.run('FLUSHALL');
    const counter = await open(server.url);
    await counter.enter(SLOT, { requestsPerMinute: 5, tokensPerMinute: 5, maxParallel: 5 });
    await counter.addTokens('vk_a', 5, 5);
    await counter.leave(SLOT, { tokens: 3 });
    const names = (await server.run('KEYS', '*')) as string[];
    const lives = await Promise.all(names.map((name) => server.run('TTL', name)));
    expect(names.toSorted()).toEqual(['requests', 'tokens'].map((what) => `bedrock-proxy:rates:{vk_a}:${what}`));
    for (const seconds of lives) expect(seconds).toSatisfy((left: number) => left > 60 && left <= 90);
  });

  it('gives its password, and never tells it', async () => {
    const server = await serve('--requirepass', 'se/cret@1');
    const url = `redis://:${encodeURIComponent('se/cret@1')}@127.0.0.1:${server.port}/0`;
    expect(await (await open(url)).enter(SLOT, LIMIT)).toMatchObject({ kind: 'counted' });
    const wrong = await failureOf(async () =>
      (await open(`redis://:not-it@127.0.0.1:${server.port}`)).enter(SLOT, LIMIT),
    );
    expect(wrong).toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: 'Redis refuses the user or the password.',
      detail: `redis://:***@127.0.0.1:${server.port}`,
    });
    const none = await failureOf(async () => (await open(server.url)).enter(SLOT, LIMIT));
    expect(none.message).toBe('Redis refuses the user or the password.');
  });

  it('needs no more rights than docs/operate.md names', async () => {
    const text = readFileSync(fileURLToPath(new URL('../../../docs/operate.md', import.meta.url)), 'utf8');
    const [, list = ''] = /A user of Redis \(ACL\) needs (.*?~bedrock-proxy[^`]*)/s.exec(text) ?? [];
    const server = await serve();
    await server.run('ACL', 'SETUSER', 'proxy', 'on', '>secret', ...(list.match(/[+~][\w:@*-]+/g) ?? []));
    const counter = await open(`redis://proxy:secret@127.0.0.1:${server.port}`);
    const policy = { requestsPerMinute: 5, tokensPerMinute: 5, maxParallel: 5 };
    for (let count = 0; count < 2; count += 1) {
      const verdict = await counter.enter(SLOT, policy);
      const second = verdict.kind === 'counted' ? verdict.second : 0;
      expect(await counter.addTokens('vk_a', 5, 1)).toMatchObject({ kind: 'counted' });
      await counter.renew([SLOT]);
      await counter.leave(SLOT, { requestSecond: second, tokens: -1, tokensSecond: second });
      await counter.leave(SLOT, { tokens: 1 });
    }
    await counter.renew([]);
  });

  it('verifies the certificate of a server with TLS', async () => {
    const folder = await makeTemporaryFolder();
    const made = makeCertificate(['localhost'], new Date(Date.now() - 86_400_000), new Date(Date.now() + 86_400_000));
    for (const name of ['cert', 'key', 'ca'] as const) writeFileSync(join(folder, name), made[name], { mode: 0o600 });
    const port = await findClosedPort();
    const files = ['cert', 'key', 'ca-cert'].flatMap((name) => [
      `--tls-${name}-file`,
      join(folder, name === 'ca-cert' ? 'ca' : name),
    ]);
    await serve('--tls-port', String(port), '--tls-auth-clients', 'no', ...files);
    const url = `rediss://localhost:${port}`;
    const trusting = await open(`${url}?sslrootcert=${encodeURIComponent(join(folder, 'ca'))}`);
    expect(await trusting.enter(SLOT, LIMIT)).toMatchObject({ kind: 'counted' });
    expect(await failureOf(async () => (await open(url)).enter(SLOT, LIMIT))).toMatchObject({
      message: 'Redis shows a certificate that is not trusted.',
    });
    expect(await failureOf(() => openRedisRates(`${url}?sslrootcert=/nowhere.pem`))).toMatchObject({
      code: 'ERR_BAD_OPTION',
      detail: '/nowhere.pem',
    });
  });

  it('says that a cluster is not supported, and that a replica can only be read', async () => {
    const cluster = await serve('--cluster-enabled', 'yes', '--dir', await makeTemporaryFolder());
    expect(await failureOf(async () => (await open(cluster.url)).enter(SLOT, LIMIT))).toMatchObject({
      message: 'Redis is a cluster.',
      hint: 'A cluster is not supported: name a server that is none.',
    });
    const primary = await sharedRedis();
    const replica = await serve('--replicaof', `127.0.0.1 ${primary.port}`);
    expect(await failureOf(async () => (await open(replica.url)).enter(SLOT, LIMIT))).toMatchObject({
      message: 'Redis can only be read.',
    });
  });

  it('is not waited for if the server hangs, and is asked again when it goes on', async () => {
    const server = await serve();
    const counter = await open(server.url);
    const info = String(await server.run('INFO', 'server'));
    const pid = Number(/process_id:(\d+)/.exec(info)?.[1]);
    const told: string[] = [];
    let nowMs = 0;
    const access = new CounterAccess(
      { tickMs: monotonicClock(() => nowMs), stepTimeoutMs: 100 },
      { onLost: ({ message }) => told.push(message), onBack: () => told.push('back') },
    );
    const ask = (): Promise<object | undefined> => access.ask(() => counter.enter(SLOT, LIMIT));
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await ask()).toBeUndefined();
      // Nobody waits meanwhile.
      const asked = [ask(), ask()];
      expect(await Promise.all(asked)).toEqual([undefined, undefined]);
      nowMs += 1_000;
      expect(await ask()).toBeUndefined();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect(told).toEqual(['What counts the rates takes too long to respond.']);
    await expect.poll(() => ((nowMs += 1_000), ask()), { timeout: 5_000 }).toMatchObject({ kind: 'counted' });
    expect(told.at(-1)).toBe('back');
  });
});

it.each([
  ['OOM command not allowed when used memory > maxmemory', 'Redis has no memory left.'],
  ["NOPERM this user has no permissions to run the 'evalsha' command", 'Redis does not let this user do that.'],
  ['LOADING Redis is loading the dataset in memory', 'Redis is not ready.'],
  ['Socket closed unexpectedly', 'Redis cannot be reached.'],
  ['ERR something else', 'Redis cannot be used (ERR something else).'],
])('says in words what is wrong: %s', (said, message) => {
  expect(toRedisTrouble('redis://there', new Error(said))).toMatchObject({
    code: 'ERR_STORE_UNAVAILABLE',
    message,
    detail: 'redis://there',
  });
});

it('shows an address without its password', () => {
  expect(hideRedisPassword('rediss://me:secret@redis.example:6380/2')).toBe('rediss://me:***@redis.example:6380/2');
  expect(hideRedisPassword('redis://secret')).toBe('redis://secret');
  expect(hideRedisPassword('not a url with secret')).toBe('redis://…');
});
