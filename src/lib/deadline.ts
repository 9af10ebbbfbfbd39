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
  return Promise.race([untilAborted(signal), work]);
}

/** One listener for each signal, however often its request waits: the signal lives as long as the request. */
const WAITING = new WeakMap<AbortSignal, Promise<never>>();

function untilAborted(signal: AbortSignal): Promise<never> {
  const known = WAITING.get(signal);
  if (known !== undefined) return known;
  const aborted = new Promise<never>((_, reject) => {
    const leave = (): void => reject(toAbortError(signal));
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  });
  // It may fire when nothing is waited for any more.
  aborted.catch(() => {});
  WAITING.set(signal, aborted);
  return aborted;
}
