/** What goes wrong with the database, in words with what to do, and what is only to be tried again. */
import { setTimeout as delay } from 'node:timers/promises';
import type { MonotonicClock } from '../../lib/clock.ts';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';

const BUSY = /^SQLITE_(BUSY|LOCKED)/;

/** Thrown by work that is to be tried again in a moment, as if SQLite had said busy. */
export class BusyError extends Error {
  /** What is thrown if it goes on for too long. */
  readonly reason: ProxyError;

  constructor(reason: ProxyError) {
    super(reason.message);
    this.reason = reason;
  }
}

/** Which database, and how long it is asked again. */
export interface BusyRetry {
  readonly path: string;
  readonly timeoutMs: number;
  readonly tickMs: MonotonicClock;
  /** Resolves when this process itself has written what it is writing; undefined if it is not. */
  readonly untilIdle?: () => Promise<void> | undefined;
}

/**
 * Runs `work` at once, and again and again while SQLite says busy, for `timeoutMs`; every other failure becomes
 * ERR_STORE_UNAVAILABLE.
 */
export async function retryWhileBusy<T>({ path, timeoutMs, tickMs, untilIdle }: BusyRetry, work: () => T): Promise<T> {
  let startedAtTick: number | undefined;
  for (let pauseMs = 2; ;) {
    try {
      return work();
    } catch (error) {
      startedAtTick ??= tickMs();
      if (!isBusy(error) || tickMs() - startedAtTick >= timeoutMs) throw toUnavailable(path, error);
    }
    const idle = untilIdle?.();
    await (idle ?? delay(pauseMs));
    if (idle === undefined) pauseMs = Math.min(pauseMs * 2, 100);
  }
}

/** Whether the same may work in a moment. */
export function isBusy(error: unknown): boolean {
  return error instanceof BusyError || BUSY.test(findCode(error) ?? '');
}

/** What SQLite or the file system threw, in words, with what to do. */
export function toUnavailable(path: string, error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  if (error instanceof BusyError) return error.reason;
  const code = findCode(error) ?? 'unknown';
  const told = (what: string, hint: string): ProxyError => unavailable(path, what, { hint, cause: error });
  if (BUSY.test(code)) return told('is locked by another process', 'Try again, or end the process that holds it.');
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return told('is not a readable SQLite database', 'Name another file with --db, or restore it.');
  }
  if (/^(SQLITE_(READONLY|CANTOPEN|PERM|AUTH)|EACCES|EPERM|EROFS|ENOTDIR|EISDIR|EEXIST)/.test(code)) {
    return told(`cannot be opened for writing (${code})`, 'Check its permissions, or name another file with --db.');
  }
  return told(`cannot be used (${code})`, 'Check disk and permissions, or name another file with --db.');
}

/** ERR_STORE_UNAVAILABLE of the database at `path`. */
export function unavailable(
  path: string,
  what: string,
  { hint, cause }: { readonly hint: string; readonly cause?: unknown },
): ProxyError {
  return new ProxyError('ERR_STORE_UNAVAILABLE', `The key database ${what}.`, { hint, detail: path, cause });
}
