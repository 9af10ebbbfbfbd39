/** Counts that heal, and that do not grow with the names. */
import { expect, it } from 'vitest';
import { monotonicClock } from '../../src/lib/clock.ts';
import { LeakyBuckets } from '../../src/lib/leaky-buckets.ts';

function open(maxNames = 10) {
  let tick = 0;
  const buckets = new LeakyBuckets(
    monotonicClock(() => tick),
    { leakMs: 100, maxNames },
  );
  return { buckets, pass: (milliseconds: number) => (tick += milliseconds) };
}

it('counts each name for itself', () => {
  const { buckets } = open();
  expect([buckets.count('a'), buckets.count('a'), buckets.count('b'), buckets.level('c')]).toEqual([1, 2, 1, 0]);
});

it('forgets one each time, and no more than there were', () => {
  const { buckets, pass } = open();
  for (let turn = 0; turn < 3; turn += 1) buckets.count('a');
  pass(150);
  expect(buckets.level('a')).toBe(1.5);
  pass(1_000);
  expect([buckets.level('a'), buckets.count('a')]).toEqual([0, 1]);
});

it('remembers the names that were counted last', () => {
  const { buckets } = open(2);
  for (const name of ['a', 'b', 'a', 'c']) buckets.count(name);
  expect([buckets.size, buckets.level('a'), buckets.level('b'), buckets.level('c')]).toEqual([2, 2, 0, 1]);
});
