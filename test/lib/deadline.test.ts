import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { clientGone } from '../../src/lib/errors.ts';
import { unlessAborted, within } from '../../src/lib/deadline.ts';

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

it.each([
  { name: 'resolves to', work: () => Promise.resolve('done'), found: { value: 'done' } },
  { name: 'rejects with', work: () => Promise.reject(new Error('broken')), found: { reason: new Error('broken') } },
])('$name what the work gives as long as somebody waits for it', async ({ work, found }) => {
  const [outcome] = await Promise.allSettled([unlessAborted(new AbortController().signal, work())]);
  expect(outcome).toMatchObject(found);
});

it.each([
  { name: 'before', abortsFirst: true },
  { name: 'while', abortsFirst: false },
])('rejects with the reason of a signal that fires $name the work runs', async ({ abortsFirst }) => {
  const aborter = new AbortController();
  const reason = clientGone('gone');
  if (abortsFirst) aborter.abort(reason);
  const work = Promise.withResolvers<string>();
  const waiting = unlessAborted(aborter.signal, work.promise);
  if (!abortsFirst) aborter.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  work.reject(new Error('too late'));
});
