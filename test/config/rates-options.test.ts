import { expect, it } from 'vitest';
import { readRatesConfig } from '../../src/config/rates-options.ts';
import { failureOf } from '../helpers/failure.ts';

const POSTGRES_URL = 'postgres://db.example/proxy';

it.each([
  { name: 'nothing', flags: {}, environment: {}, redisUrl: undefined },
  {
    name: 'a flag',
    flags: { redisUrl: 'redis://one' },
    environment: { REDIS_URL: 'redis://two' },
    redisUrl: 'redis://one',
  },
  {
    name: 'our variable',
    flags: {},
    environment: { BEDROCK_PROXY_REDIS_URL: 'rediss://:secret@one:6380/2', REDIS_URL: 'redis://two' },
    redisUrl: 'rediss://:secret@one:6380/2',
  },
  { name: "another program's variable", flags: {}, environment: { REDIS_URL: 'redis://two' }, redisUrl: undefined },
  {
    name: "another program's variable, of whatever form",
    flags: { db: 'keys.db' },
    environment: { REDIS_URL: 'unix:///tmp/redis.sock' },
    redisUrl: undefined,
  },
  {
    name: 'that variable beside a database that proxies share',
    flags: {},
    environment: { REDIS_URL: 'valkey://two', DATABASE_URL: POSTGRES_URL },
    redisUrl: 'valkey://two',
  },
])('takes the address of Redis from $name', ({ flags, environment, redisUrl }) => {
  expect(readRatesConfig(flags, environment)).toEqual({ redisUrl, ratesFallback: 'local' });
});

it('refuses what is no address of Redis, and tells no password', async () => {
  const notEncoded = ['redis://one:12#secret@two', 'redis://one:12?secret@two', 'redis://one:12/secret@two'];
  for (const redisUrl of ['http://secret@one', 'redis:', 'redis:///1', 'redis://one/name', 'one:6379', ...notEncoded]) {
    const refused = await failureOf(() => readRatesConfig({ redisUrl }, {}));
    expect(refused).toMatchObject({ code: 'ERR_BAD_OPTION', message: expect.stringContaining('--redis-url must be') });
    expect(refused.message).not.toContain('secret');
  }
});

it('takes what is done while nobody counts', async () => {
  const environment = { BEDROCK_PROXY_RATES_FALLBACK: 'refuse' };
  expect(readRatesConfig({}, environment).ratesFallback).toBe('refuse');
  expect(await failureOf(() => readRatesConfig({ ratesFallback: 'never' }, {}))).toMatchObject({
    message: '--rates-fallback must be local or refuse, not "never".',
  });
});
