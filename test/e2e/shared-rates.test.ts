/**
 * Two proxies, one of them with workers, that count the rates of keys together, as their owner starts them.
 * @module-tag slow
 */
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { launchServer, openWorkplace, run, type RunningServer, type Workplace } from '../helpers/program.ts';
import { POSTGRES, removePostgres, startPostgres } from '../helpers/postgres.ts';
import { REDIS, type RedisServer, startRedis } from '../helpers/redis.ts';

const PASSWORD = 'canary-0451';
const BODY = { messages: [{ role: 'user', content: [{ text: 'Hello' }] }], inferenceConfig: { maxTokens: 10 } };

let place: Workplace;
let redis: RedisServer;
let environment: Readonly<Record<string, string>>;

async function serve(...args: string[]): Promise<RunningServer> {
  const server = await launchServer(['--offline', ...args], environment);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

async function makeKey(...limits: string[]): Promise<string> {
  return (await run(['key', 'generate', '--quiet', ...limits], environment)).stdout.trim();
}

async function call({ port }: RunningServer, key: string): Promise<string> {
  const response = await fetch(`http://localhost:${port}/bedrock/model/amazon.nova-lite-v1:0/converse`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(BODY),
  });
  await response.arrayBuffer();
  return response.headers.get('x-bedrock-proxy-error') ?? String(response.status);
}

describe.skipIf(REDIS === undefined)('proxies with --redis-url', () => {
  beforeEach(async () => {
    place = await openWorkplace();
    redis = await startRedis('--requirepass', PASSWORD);
    const url = `redis://:${PASSWORD}@127.0.0.1:${redis.port}`;
    environment = { ...place.environment, BEDROCK_PROXY_REDIS_URL: url };
  });
  afterEach(async () => {
    await redis.kill();
    await place[Symbol.asyncDispose]();
  });

  it('count a key together with all of their workers, and alone while Redis is away', async () => {
    const [four, others] = [await makeKey('--rpm', '4'), await makeKey('--max-parallel', '1')];
    const [one, two] = await Promise.all([serve(), serve('--workers', '2')]);
    const asked = await Promise.all([one, two, two, one, two, one].map((server) => call(server, four)));
    expect(asked.toSorted()).toEqual(['200', '200', '200', '200', 'ERR_REQUEST_RATE', 'ERR_REQUEST_RATE']);
    // Who waits for each response is never in its own way.
    for (let count = 0; count < 8; count += 1) expect(await call(one, others)).toBe('200');

    await redis.kill();
    for (const server of [one, two]) expect(await call(server, others)).toBe('200');
    const told = await one.untilStderr('hint: ');
    expect(told).toContain(
      'warning: The rates of keys cannot be counted for all proxies: until it is back, this proxy',
    );
    expect(told).toContain('Redis cannot be reached.');
    const metrics = await (await fetch(`http://localhost:${one.port}/metrics`)).text();
    expect(metrics).toContain('\nbedrock_proxy_rates_shared 0\n');
    expect(told).not.toContain(PASSWORD);
    await redis.start();
    await vi.waitFor(
      async () => {
        expect(await call(one, others)).toBe('200');
        await one.untilStderr('note: The rates of keys are counted for all proxies again.');
      },
      { timeout: 10_000 },
    );
  });

  it('refuse keys with rates while Redis is away, if they are to, from the start on', async () => {
    await redis.kill();
    const [limited, free] = [await makeKey('--tpm', '1000'), await makeKey()];
    const server = await serve('--rates-fallback', 'refuse');
    const told = await server.untilStderr('until it is back, keys with rates get 503');
    expect(told).not.toContain(PASSWORD);
    expect(await call(server, limited)).toBe('ERR_STORE_UNAVAILABLE');
    expect(await call(server, free)).toBe('200');
    const ended = server.ended;
    server.child.kill('SIGTERM');
    expect((await ended).code).toBe(0);
  });
});

describe.skipIf(POSTGRES === undefined)('proxies on one PostgreSQL database', () => {
  it('count a key together', async () => {
    const postgres = await startPostgres();
    onTestFinished(() => removePostgres(postgres));
    place = await openWorkplace();
    onTestFinished(() => place[Symbol.asyncDispose]());
    environment = {
      ...place.environment,
      BEDROCK_PROXY_DB: await postgres.createDatabase({ migrated: true }),
      BEDROCK_PROXY_SALT_KEY: 'salt-key-of-this-test-0',
    };
    const [four, others] = [await makeKey('--rpm', '4'), await makeKey('--max-parallel', '1', '--tpm', '100000')];
    const [one, two] = await Promise.all([serve(), serve('--workers', '2')]);
    const asked = await Promise.all([one, two, two, one, two, one].map((server) => call(server, four)));
    expect(asked.toSorted()).toEqual(['200', '200', '200', '200', 'ERR_REQUEST_RATE', 'ERR_REQUEST_RATE']);
    for (let count = 0; count < 8; count += 1) expect(await call(two, others)).toBe('200');
    const metrics = await (await fetch(`http://localhost:${one.port}/metrics`)).text();
    expect(metrics).toContain('\nbedrock_proxy_rates_shared 1\n');
  });
});
