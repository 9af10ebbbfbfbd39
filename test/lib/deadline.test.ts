import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { within } from '../../src/lib/deadline.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('gives what the work gives, and leaves no timer behind', async () => {
  expect(await within(1_000, Promise.resolve('done'))).toBe('done');
  await expect(within(1_000, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(vi.getTimerCount()).toBe(0);
});

it('gives undefined if the work takes longer, whatever becomes of it', async () => {
  const work = Promise.withResolvers<string>();
  const waiting = within(1_000, work.promise);
  vi.advanceTimersByTime(1_000);
  expect(await waiting).toBeUndefined();
  work.reject(new Error('too late'));
});
