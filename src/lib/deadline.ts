/** Waits for something, but not for ever: until a time is over, or until nobody wants it any more. */
import { toAbortError } from './errors.ts';

/**
 * What `work` resolves to or rejects with; undefined if it takes longer than that. It is not cancelled then: what
 * becomes of it, nobody hears.
 */
export async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), timeoutMs)));
  return Promise.race([work, deadline]).finally(() => clearTimeout(timer));
}

/**
 * What `work` resolves to or rejects with, as long as somebody waits for it: rejects with why `signal` fired as soon as
 * it does. The work is not cancelled then: what becomes of it, nobody hears.
 */
export function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  if (signal.aborted) {
    work.catch(() => {});
    return Promise.reject(toAbortError(signal));
  }
  return new Promise((resolve, reject) => {
    const leaving = findLeaving(signal);
    const leave = (): void => reject(toAbortError(signal));
    leaving.add(leave);
    const stay = (): void => void leaving.delete(leave);
    work.then(resolve, reject);
    work.then(stay, stay);
  });
}

/**
 * One listener for each signal, however often its request waits: the signal lives as long as the request. Not in a
 * WeakMap: young collections take what that holds for alive.
 */
const LEAVING = Symbol('leaving');

interface WaitedFor extends AbortSignal {
  [LEAVING]?: Set<() => void>;
}

function findLeaving(signal: WaitedFor): Set<() => void> {
  const known = signal[LEAVING];
  if (known !== undefined) return known;
  const leaving = new Set<() => void>();
  signal[LEAVING] = leaving;
  signal.addEventListener('abort', () => leaving.forEach((leave) => leave()), { once: true });
  return leaving;
}
