import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PassThrough, Writable } from 'node:stream';
import { UnreadLimit } from '../../../src/upstream/aws/unread.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Takes a piece when it is told to. */
function open() {
  const taken: (() => void)[] = [];
  const sink = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void taken.push(done) });
  const cutOff = vi.fn();
  return { sink, cutOff, limit: new UnreadLimit(1_000, cutOff), take: () => taken.shift()?.() };
}

it('cuts off once who took nothing', () => {
  const { sink, cutOff, limit } = open();
  sink.write('1');
  limit.begin(sink);
  vi.advanceTimersByTime(900);
  // More that waits is no reason to wait longer.
  sink.write('2');
  limit.begin(sink);
  vi.advanceTimersByTime(100);
  expect(cutOff).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(10_000);
  expect(cutOff).toHaveBeenCalledTimes(1);
});

it('looks again at who took a part', async () => {
  const { sink, cutOff, limit, take } = open();
  for (const piece of ['1', '2', '3']) sink.write(piece);
  limit.begin(sink);
  take();
  vi.advanceTimersByTime(1_000);
  expect(cutOff).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_000);
  expect(cutOff).toHaveBeenCalledTimes(1);
});

it('leaves alone who took all, and who has nothing to take', () => {
  const { sink, cutOff, limit } = open();
  sink.write('1');
  limit.begin(sink);
  limit.end();
  vi.advanceTimersByTime(5_000);
  limit.begin(new PassThrough());
  vi.advanceTimersByTime(5_000);
  expect(cutOff).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});
