import { monotonicClock } from '../../src/lib/clock.ts';
import { expect, it } from 'vitest';
import { networkCheck } from '../../src/lib/networks.ts';
import { createFailureLimit, type FailureClient, type FailureLimit } from '../../src/auth/failure-limit.ts';
import { findMasterKeyFor, findMasterToken } from '../../src/auth/master-key.ts';
import { ProxyError } from '../../src/lib/errors.ts';

const WRONG_KEY = new ProxyError('ERR_KEY_UNKNOWN', 'wrong');
const TOO_MANY = expect.objectContaining({ code: 'ERR_TOO_MANY_FAILURES' });

const at = (peerAddress: string, ...headers: FailureClient['headers']): FailureClient => ({
  peerAddress,
  headers,
  signal: new AbortController().signal,
});
const behind = (peer: string, addresses: string): FailureClient => at(peer, ['X-Forwarded-For', addresses]);
const through = (address: string): FailureClient => at('127.0.0.1', ['X-Forwarded-For', address]);

/** Its clock stands still, and those who wait do so until the test ends it. */
function open() {
  const { promise: gate, resolve: goOn } = Promise.withResolvers<void>();
  const state = { nowMs: 1_000_000, waits: [] as number[], goOn };
  const wait = (waitMs: number): Promise<void> => {
    state.waits.push(waitMs);
    return gate;
  };
  return {
    limit: createFailureLimit(
      monotonicClock(() => state.nowMs),
      wait,
    ),
    state,
  };
}

async function fail(limit: FailureLimit, client: FailureClient, times: number): Promise<unknown[]> {
  return Promise.all(Array.from({ length: times }, () => limit.note(WRONG_KEY, client)));
}

it('reports sixty wrong keys at once as such, then answers 429 with the time to wait', async () => {
  const { limit } = open();
  const told = await fail(limit, at('10.0.0.9'), 61);
  expect(told.slice(0, 60).every((error) => error === WRONG_KEY)).toBe(true);
  expect(told[60]).toMatchObject({ code: 'ERR_TOO_MANY_FAILURES', status: 429, retryAfterSeconds: 4 });
});

it('counts what other workers have counted, and tells them what it has', async () => {
  const limits: FailureLimit[] = [];
  const tickMs = monotonicClock(() => 1_000_000);
  for (const other of [1, 0]) {
    limits.push(
      createFailureLimit(
        tickMs,
        async () => {},
        (origin) => limits[other]?.noteElsewhere(origin),
      ),
    );
  }
  const [one, two] = limits as [FailureLimit, FailureLimit];
  for (const client of [at('10.0.0.9'), through('203.0.113.9'), at('127.0.0.1')]) {
    expect(await fail(one, client, 30)).not.toContainEqual(TOO_MANY);
    expect(await fail(two, client, 31)).toEqual([...Array.from({ length: 30 }, () => WRONG_KEY), TOO_MANY]);
  }
  expect(() => one.check(at('10.0.0.9'))).toThrow(TOO_MANY);
});

it('refuses another machine over the limit without a look at its key, and only that one', async () => {
  const { limit } = open();
  await fail(limit, at('10.0.0.9'), 60);
  expect(() => limit.check(at('10.0.0.9'))).toThrow(TOO_MANY);
  expect(() => limit.check(at('10.0.0.10'))).not.toThrow();
});

it('refuses another machine behind a tunnel by the address that it names, and only that one', async () => {
  const { limit } = open();
  await fail(limit, through('203.0.113.9'), 60);
  expect(() => limit.check(through('203.0.113.9'))).toThrow(TOO_MANY);
  // The client wrote the first one itself.
  expect(() => limit.check(through('198.51.100.1, 203.0.113.9'))).toThrow(TOO_MANY);
  expect(() => limit.check(at('127.0.0.1', ['CF-Connecting-IP', '203.0.113.9']))).toThrow(TOO_MANY);
  expect(() => limit.check(through('203.0.113.10'))).not.toThrow();
  expect(() => limit.check(at('127.0.0.1'))).not.toThrow();
  expect(() => limit.check(at('203.0.113.9'))).not.toThrow();
});

it.each(['127.0.0.1', '::1', '::ffff:127.0.0.1'])('never refuses %s without a look at its key', async (address) => {
  const { limit, state } = open();
  state.goOn();
  await fail(limit, at(address), 500);
  expect(() => limit.check(at(address))).not.toThrow();
});

it.each([
  { name: 'this machine', client: () => at('127.0.0.1') },
  { name: 'a tunnel, from made-up addresses', client: (index: number) => through(`203.0.113.${index}`) },
])('answers wrong keys beyond the limit ever later, those of $name', async ({ client }) => {
  const { limit, state } = open();
  for (let index = 0; index < 60; index += 1) expect(await limit.note(WRONG_KEY, client(index))).toBe(WRONG_KEY);
  expect(state.waits).toEqual([]);
  const late = Array.from({ length: 30 }, (_, index) => limit.note(WRONG_KEY, client(index + 60)));
  expect(state.waits.slice(0, 3)).toEqual([100, 200, 300]);
  expect(state.waits.slice(19)).toEqual(Array.from({ length: 11 }, () => 2_000));
  state.goOn();
  expect(await Promise.all(late)).toEqual(Array.from({ length: 30 }, () => TOO_MANY));
});

it('lets 64 wait at most, and no client then guess the master key, but whoever comes another way', async () => {
  const { limit, state } = open();
  for (let index = 0; index < 60 + 64; index += 1) void limit.note(WRONG_KEY, through(`203.0.113.${index}`));
  const masterKey = 'sk-master-0123456789abcdef';
  const find = (client: FailureClient) => findMasterKeyFor(client, masterKey, limit);
  expect(state.waits).toHaveLength(64);
  expect(await limit.note(WRONG_KEY, through('198.51.100.1'))).toEqual(TOO_MANY);
  expect(state.waits).toHaveLength(64);
  expect(find(through('198.51.100.2'))).toBeUndefined();
  expect(find(at('127.0.0.1'))).toBe(masterKey);
  expect(find(at('10.0.0.9'))).toBe(masterKey);
  state.goOn();
  await expect.poll(() => find(through('198.51.100.2'))).toBe(masterKey);
});

it('compares who has shown the master key through the tunnel before, whoever waits, but not more often than others', async () => {
  const { limit, state } = open();
  const masterKey = 'sk-master-0123456789abcdef';
  const owner = through('192.0.2.1');
  const find = (tokens: readonly string[]) => findMasterToken(owner, tokens, { masterKey, failures: limit });
  for (let index = 0; index < 60 + 32; index += 1) void limit.note(WRONG_KEY, through(`203.0.113.${index}`));
  expect(find([masterKey])).toBe(masterKey);
  for (let index = 0; index < 32; index += 1) void limit.note(WRONG_KEY, through(`198.51.100.${index}`));
  expect([find([masterKey]), find(['sk-guess'])]).toEqual([masterKey, undefined]);
  expect(findMasterKeyFor(through('192.0.2.2'), masterKey, limit)).toBeUndefined();
  expect(findMasterKeyFor(at('127.0.0.1'), masterKey, limit)).toBe(masterKey);
  void fail(limit, owner, 60);
  expect(() => limit.check(owner)).toThrow(TOO_MANY);
  state.goOn();
});

it('remembers sixteen addresses that have shown the master key', () => {
  const { limit, state } = open();
  for (let index = 0; index < 17; index += 1) limit.noteMaster(through(`192.0.2.${index}`));
  for (let index = 0; index < 60 + 64; index += 1) void limit.note(WRONG_KEY, through(`203.0.113.${index}`));
  expect([0, 1, 16].map((index) => limit.isFull(through(`192.0.2.${index}`)))).toEqual([true, false, false]);
  // The programs of this machine have one address together: one that knows the key vouches for no other.
  limit.noteMaster(at('127.0.0.1'));
  for (let index = 0; index < 60; index += 1) void limit.note(WRONG_KEY, at('127.0.0.1'));
  expect(limit.isFull(at('127.0.0.1'))).toBe(true);
  state.goOn();
});

it('takes a short master key from this machine alone', () => {
  const { limit } = open();
  expect(findMasterKeyFor(at('127.0.0.1'), 'sk-1234', limit)).toBe('sk-1234');
  expect(findMasterKeyFor(through('203.0.113.9'), 'sk-1234', limit)).toBeUndefined();
  expect(findMasterKeyFor(at('10.0.0.9'), 'sk-1234', limit)).toBeUndefined();
});

it('waits no longer than the client does', async () => {
  const limit = createFailureLimit(monotonicClock(() => 1_000_000));
  const leaving = new AbortController();
  await fail(limit, at('127.0.0.1'), 60);
  await Promise.all(
    Array.from({ length: 19 }, () => limit.note(WRONG_KEY, { ...at('127.0.0.1'), signal: AbortSignal.abort() })),
  );
  const startedAt = performance.now();
  const told = limit.note(WRONG_KEY, { ...at('127.0.0.1'), signal: leaving.signal });
  leaving.abort();
  expect(await told).toEqual(TOO_MANY);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
});

it('forgives one failure every two seconds', async () => {
  const { limit, state } = open();
  await fail(limit, at('10.0.0.9'), 60);
  state.nowMs += 1_999;
  expect(() => limit.check(at('10.0.0.9'))).toThrow(ProxyError);
  state.nowMs += 1;
  expect(() => limit.check(at('10.0.0.9'))).not.toThrow();
  state.nowMs += 1_000_000;
  expect((await fail(limit, at('10.0.0.9'), 60)).every((error) => error === WRONG_KEY)).toBe(true);
});

it('counts a /64 of IPv6 as one address', async () => {
  const { limit } = open();
  for (let host = 0; host < 60; host += 1) await limit.note(WRONG_KEY, at(`2001:db8:1:2::${host.toString(16)}`));
  expect(() => limit.check(at('2001:db8:1:2:ffff::1'))).toThrow(ProxyError);
  expect(() => limit.check(at('2001:db8:1:3::1'))).not.toThrow();
});

it.each([
  ['an unknown operation', new ProxyError('ERR_UNKNOWN_OPERATION', 'x')],
  ['a client that left', new ProxyError('ERR_CLIENT_GONE', 'x')],
  ['a fault of ours', new Error('x')],
])('does not count %s as a failure', async (_, error) => {
  const { limit } = open();
  for (let count = 0; count < 100; count += 1) expect(await limit.note(error, at('10.0.0.9'))).toBe(error);
  expect(() => limit.check(at('10.0.0.9'))).not.toThrow();
});

it('remembers a bounded number of addresses', async () => {
  const { limit } = open();
  await fail(limit, at('10.0.0.9'), 60);
  for (let host = 0; host < 10_000; host += 1) {
    await limit.note(WRONG_KEY, at(`11.${host >> 16}.${(host >> 8) & 255}.${host & 255}`));
  }
  expect(() => limit.check(at('10.0.0.9'))).not.toThrow();
});

it('counts by client what a trusted load balancer on another machine brings, and no other machine does', async () => {
  const networks = networkCheck(['10.1.0.0/16']);
  const limit = createFailureLimit(
    monotonicClock(() => 1_000_000),
    async () => {},
    () => {},
    networks,
  );
  // The client may have made up the first one; the last one is a load balancer as well.
  await fail(limit, behind('::ffff:10.1.2.3', '198.51.100.1, 203.0.113.9, 10.1.9.9'), 60);
  expect(() => limit.check(behind('10.1.2.4', '203.0.113.9'))).toThrow(TOO_MANY);
  expect(() => limit.check(behind('10.1.2.3', '203.0.113.10'))).not.toThrow();
  await fail(limit, behind('10.2.0.1', '203.0.113.20'), 60);
  expect(() => limit.check(behind('10.2.0.1', '203.0.113.21'))).toThrow(TOO_MANY);
  expect(() => limit.check(behind('10.1.2.3', '203.0.113.20'))).not.toThrow();
});
