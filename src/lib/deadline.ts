/** Waits for something, but not for ever. */

/**
 * What `work` resolves to or rejects with; undefined if it takes longer than that. It is not cancelled then: what
 * becomes of it, nobody hears.
 */
export async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), timeoutMs)));
  return Promise.race([work, deadline]).finally(() => clearTimeout(timer));
}
