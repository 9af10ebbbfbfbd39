import { expect, it } from 'vitest';
import { createSigningClock } from '../../../src/upstream/aws/signing-clock.ts';

const NOW_MS = Date.UTC(2026, 10, 1);
const MINUTE_MS = 60_000;

function open() {
  const warnings: string[] = [];
  const machine = { nowMs: NOW_MS };
  const clock = createSigningClock(
    () => machine.nowMs,
    (message) => warnings.push(message),
  );
  const learn = (status: number, type: string | undefined, awsMs: number | string): boolean => {
    const date = typeof awsMs === 'string' ? awsMs : new Date(awsMs).toUTCString();
    const types = type === undefined ? [] : ([['x-amzn-errortype', type]] as const);
    return clock.learn(status, [['Date', date], ...types], clock.nowMs());
  };
  return { clock, machine, learn, warnings };
}

it.each([
  'RequestTimeTooSkewed',
  'RequestExpired',
  'RequestInTheFuture',
  'InvalidSignatureException:http://internal.amazon.com/',
])('takes the time of AWS from a refusal by %s', (type) => {
  const { clock, learn, warnings } = open();
  expect(learn(403, type, NOW_MS + 60 * MINUTE_MS)).toBe(true);
  expect(clock.nowMs()).toBe(NOW_MS + 60 * MINUTE_MS);
  expect(warnings).toHaveLength(1);
});

it.each<{ name: string; learnt: [number, string | undefined, number | string] }>([
  { name: 'a refusal for something else', learnt: [403, 'AccessDeniedException', NOW_MS + 60 * MINUTE_MS] },
  { name: 'a success', learnt: [200, undefined, NOW_MS + 60 * MINUTE_MS] },
  { name: 'a failure of AWS', learnt: [500, 'RequestExpired', NOW_MS + 60 * MINUTE_MS] },
  { name: 'a refusal less than four minutes off', learnt: [403, 'InvalidSignatureException', NOW_MS + 4 * MINUTE_MS] },
  { name: 'a time more than a week off', learnt: [403, 'RequestExpired', NOW_MS + 8 * 24 * 60 * MINUTE_MS] },
  { name: 'no time', learnt: [403, 'RequestExpired', 'soon'] },
])('learns nothing from $name', ({ learnt }) => {
  const { clock, learn, warnings } = open();
  expect(learn(...learnt)).toBe(false);
  expect(clock.nowMs()).toBe(NOW_MS);
  expect(warnings).toEqual([]);
});

it('forgets the difference with the first response that shows that none is needed', () => {
  const { clock, machine, learn } = open();
  learn(403, 'RequestExpired', NOW_MS + 60 * MINUTE_MS);
  machine.nowMs += 60 * MINUTE_MS;
  expect(clock.nowMs()).toBe(NOW_MS + 120 * MINUTE_MS);
  learn(200, undefined, machine.nowMs);
  expect(clock.nowMs()).toBe(machine.nowMs);
});
