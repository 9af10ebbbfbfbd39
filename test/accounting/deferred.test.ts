/** Rows that wait for a look-up: each is settled once, however it ends, and none waits for ever. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deferred } from '../../src/accounting/deferred.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a row that waits', () => {
  it.each([
    { name: 'succeeds', end: ({ resolve }: PromiseWithResolvers<void>) => resolve() },
    { name: 'fails', end: ({ reject }: PromiseWithResolvers<void>) => reject(new Error('no')) },
  ])('is settled once, when the look-up $name', async ({ end }) => {
    const deferred = new Deferred();
    const work = Promise.withResolvers<void>();
    const settle = vi.fn();
    deferred.defer(work.promise, settle);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(settle).not.toHaveBeenCalled();
    end(work);
    await vi.advanceTimersByTimeAsync(0);
    expect(settle).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(60_000);
    await deferred.close();
    expect(settle).toHaveBeenCalledTimes(1);
  });

  it('is settled after some seconds in any case', async () => {
    const deferred = new Deferred();
    const settle = vi.fn();
    deferred.defer(new Promise(() => {}), settle);
    await vi.advanceTimersByTimeAsync(6_000);
    expect(settle).toHaveBeenCalledTimes(1);
  });

  it('is settled at once if ten thousand wait', () => {
    const deferred = new Deferred();
    const settle = vi.fn();
    for (let index = 0; index < 10_001; index += 1) deferred.defer(new Promise(() => {}), settle);
    expect(settle).toHaveBeenCalledTimes(1);
  });
});

describe('the end', () => {
  it('waits for a look-up that ends in time', async () => {
    const deferred = new Deferred();
    const work = Promise.withResolvers<void>();
    const steps: string[] = [];
    deferred.defer(work.promise, () => steps.push('settled'));
    const closing = deferred.close().then(() => steps.push('closed'));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(steps).toEqual([]);
    work.resolve();
    await closing;
    expect(steps).toEqual(['settled', 'closed']);
  });

  it('settles what still waits after two seconds, and lets nothing wait any more', async () => {
    const deferred = new Deferred();
    const settle = vi.fn();
    deferred.defer(new Promise(() => {}), settle);
    deferred.defer(new Promise(() => {}), settle);
    const closing = deferred.close();
    await vi.advanceTimersByTimeAsync(2_000);
    await closing;
    expect(settle).toHaveBeenCalledTimes(2);
    deferred.defer(new Promise(() => {}), settle);
    expect(settle).toHaveBeenCalledTimes(3);
    await deferred.close();
  });
});
