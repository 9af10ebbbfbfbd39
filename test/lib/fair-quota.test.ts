import { expect, it } from 'vitest';
import { FairQuota } from '../../src/lib/fair-quota.ts';

function takeAll(quota: FairQuota, owner: string): number {
  let taken = 0;
  while (quota.take(owner, 1)) taken += 1;
  return taken;
}

it('gives a half to one who takes all they can, and something to everybody after that', () => {
  const quota = new FairQuota(60);
  expect(takeAll(quota, 'a')).toBe(30);
  expect([quota.hasRoom('b', 30), quota.hasRoom('b', 31)]).toEqual([true, false]);
  expect([takeAll(quota, 'b'), takeAll(quota, 'c'), takeAll(quota, 'd')]).toEqual([15, 7, 4]);
  expect(quota.used).toBe(56);
});

it('has room again for what was given back', () => {
  const quota = new FairQuota(10);
  expect([quota.take('a', 7), quota.take('a', 1), quota.take('b', 4)]).toEqual([true, false, false]);
  quota.add('a', -7);
  expect([quota.used, quota.take('b', 5)]).toEqual([0, true]);
});

it('counts what is taken beyond the share', () => {
  const quota = new FairQuota(10);
  quota.add('a', 9);
  expect([quota.used, quota.take('b', 2), quota.take('a', 1)]).toEqual([9, false, false]);
});
