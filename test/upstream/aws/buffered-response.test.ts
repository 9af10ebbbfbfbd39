/** When a response that waits is let go before it is complete. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { BufferedResponse } from '../../../src/upstream/aws/buffered-response.ts';

const HEAD = { status: 200, headers: [], reasonPhrase: undefined };
const LIMITS = { bytes: 10, timeMs: 1_000 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('keeps what comes, in order', () => {
  const release = vi.fn();
  const buffered = new BufferedResponse(HEAD, LIMITS, release);
  buffered.push(Buffer.from('abcd'));
  buffered.push(Buffer.from('efghi'));
  expect(Buffer.concat(buffered.chunks).toString()).toBe('abcdefghi');
  expect(release).not.toHaveBeenCalled();
});

it.each([[['x'.repeat(10)]], [['x'.repeat(9), 'x']], [['x'.repeat(4), 'x'.repeat(40)]]])(
  'is let go, with its last bytes, when it is too large: %j',
  (pieces) => {
    const release = vi.fn(() => buffered.drop());
    const buffered: BufferedResponse = new BufferedResponse(HEAD, LIMITS, release);
    for (const piece of pieces) buffered.push(Buffer.from(piece));
    expect(release).toHaveBeenCalledTimes(1);
    expect(Buffer.concat(buffered.chunks).toString()).toBe(pieces.join(''));
    vi.advanceTimersByTime(10_000);
    expect(release).toHaveBeenCalledTimes(1);
  },
);

it('is let go after its time, whatever comes meanwhile, and not when it is dropped', () => {
  const release = vi.fn();
  const [late, dropped] = [new BufferedResponse(HEAD, LIMITS, release), new BufferedResponse(HEAD, LIMITS, release)];
  dropped.drop();
  vi.advanceTimersByTime(999);
  late.push(Buffer.from('x'));
  expect(release).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(release).toHaveBeenCalledTimes(1);
});
