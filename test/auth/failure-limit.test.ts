import { expect, it } from 'vitest';
import { createFailureLimit } from '../../src/auth/failure-limit.ts';
import { ProxyError } from '../../src/lib/errors.ts';

const WRONG_KEY = new ProxyError('ERR_KEY_UNKNOWN', 'wrong');

function open(): { limit: ReturnType<typeof createFailureLimit>; clock: { nowMs: number } } {
  const clock = { nowMs: 1_000_000 };
  return { limit: createFailureLimit(() => clock.nowMs), clock };
}

function fail(limit: ReturnType<typeof createFailureLimit>, address: string, times: number): unknown[] {
  return Array.from({ length: times }, () => limit.note(WRONG_KEY, address));
}

it('reports sixty wrong keys at once as such, then answers 429 with the time to wait', () => {
  const { limit } = open();
  const told = fail(limit, '10.0.0.9', 61);
  expect(told.slice(0, 60).every((error) => error === WRONG_KEY)).toBe(true);
  expect(told[60]).toMatchObject({ code: 'ERR_TOO_MANY_FAILURES', status: 429, retryAfterSeconds: 4 });
});

it('refuses another machine over the limit without a look at its key, and only that one', () => {
  const { limit } = open();
  fail(limit, '10.0.0.9', 60);
  expect(() => limit.check('10.0.0.9')).toThrow(expect.objectContaining({ code: 'ERR_TOO_MANY_FAILURES' }));
  expect(() => limit.check('10.0.0.10')).not.toThrow();
});

it.each(['127.0.0.1', '::1', '::ffff:127.0.0.1'])('never refuses %s without a look at its key', (address) => {
  const { limit } = open();
  fail(limit, address, 500);
  expect(() => limit.check(address)).not.toThrow();
});

it('forgives one failure every two seconds', () => {
  const { limit, clock } = open();
  fail(limit, '10.0.0.9', 60);
  clock.nowMs += 1_999;
  expect(() => limit.check('10.0.0.9')).toThrow(ProxyError);
  clock.nowMs += 1;
  expect(() => limit.check('10.0.0.9')).not.toThrow();
  clock.nowMs += 1_000_000;
  expect(fail(limit, '10.0.0.9', 60).every((error) => error === WRONG_KEY)).toBe(true);
});

it('counts a /64 of IPv6 as one address', () => {
  const { limit } = open();
  for (let host = 0; host < 60; host += 1) limit.note(WRONG_KEY, `2001:db8:1:2::${host.toString(16)}`);
  expect(() => limit.check('2001:db8:1:2:ffff::1')).toThrow(ProxyError);
  expect(() => limit.check('2001:db8:1:3::1')).not.toThrow();
});

it.each([
  ['an unknown operation', new ProxyError('ERR_UNKNOWN_OPERATION', 'x')],
  ['a client that left', new ProxyError('ERR_CLIENT_GONE', 'x')],
  ['a fault of ours', new Error('x')],
])('does not count %s as a failure', (_, error) => {
  const { limit } = open();
  for (let count = 0; count < 100; count += 1) expect(limit.note(error, '10.0.0.9')).toBe(error);
  expect(() => limit.check('10.0.0.9')).not.toThrow();
});

it('remembers a bounded number of addresses', () => {
  const { limit } = open();
  fail(limit, '10.0.0.9', 60);
  for (let host = 0; host < 10_000; host += 1)
    limit.note(WRONG_KEY, `11.${host >> 16}.${(host >> 8) & 255}.${host & 255}`);
  expect(() => limit.check('10.0.0.9')).not.toThrow();
});
