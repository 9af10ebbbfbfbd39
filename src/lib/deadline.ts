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
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(toAbortError(signal));
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
