import { expect, it } from 'vitest';
import { lazy } from '../../src/lib/lazy.ts';

it('loads with the first call, and once for all', async () => {
  let loads = 0;
  const load = lazy(async () => (loads += 1));
  expect(loads).toBe(0);
  expect(await Promise.all([load(), load()])).toEqual([1, 1]);
  expect(await load()).toBe(1);
});

it('rejects whoever waits for a load that fails, and loads again with the next call', async () => {
  let loads = 0;
  const load = lazy(async () => {
    loads += 1;
    if (loads === 1) throw new Error('gone');
    return loads;
  });
  expect(await Promise.allSettled([load(), load()])).toMatchObject([
    { status: 'rejected', reason: { message: 'gone' } },
    { status: 'rejected', reason: { message: 'gone' } },
  ]);
  expect(await load()).toBe(2);
});
