/**
 * Catches what a piece of code throws, so that a test can look at its code, message and hint one by one.
 */
import { ProxyError } from '../../src/lib/errors.ts';

/** The ProxyError that `work` throws or rejects with; anything else fails the test. */
export async function failureOf(work: () => unknown): Promise<ProxyError> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof ProxyError) return thrown;
    throw new Error(`not a ProxyError: ${String(thrown)}`, { cause: thrown });
  }
  throw new Error('nothing was thrown');
}
