/**
 * The process, or the machine, has no file descriptor left: every connection and every temporary file needs one. It is
 * no fault of the network or the disk, which such errors look like. Pure.
 */
import { findCode } from './errno.ts';
import { ProxyError } from './errors.ts';

/** ERR_DESCRIPTORS if that is why something failed; undefined if it is not. */
export function findDescriptorShortage(cause: unknown): ProxyError | undefined {
  const code = findCode(cause);
  if (code !== 'EMFILE' && code !== 'ENFILE') return undefined;
  return new ProxyError('ERR_DESCRIPTORS', `The proxy has no file descriptor left for this request (${code}).`, {
    hint: 'On the machine that runs the proxy, raise the limit of open files (`ulimit -n`).',
    retryAfterSeconds: 1,
    detail: code,
    cause,
  });
}
