/**
 * What helps against an error, below the line of the request that failed; told once for a kind of error and a model,
 * and again after some minutes: a client that tries again and again would fill the screen with it.
 */
import type { RequestRecord } from '../domain/request-record.ts';
import { findErrorCode, findErrorMessage, findModel } from '../domain/outcome.ts';
import { explainError } from '../diagnose/explain.ts';
import type { MonotonicClock } from '../lib/clock.ts';

/** Until it is told again. */
const QUIET_MS = 10 * 60_000;
const MAX_KNOWN = 500;
/** So often the same request fails for good before it is told that its client tries in vain. */
const MANY_ATTEMPTS = 6;

/** Tells what helps; `undefined`: nothing is known, or it was told already. */
export interface ErrorHints {
  hintFor(record: RequestRecord): string | undefined;
}

/** State: what was told when. */
export function createErrorHints(tickMs: MonotonicClock): ErrorHints {
  const toldAt = new Map<string, number>();
  const finals = new Map<string, number>();
  const isDue = (key: string): boolean => {
    const now = tickMs();
    const before = toldAt.get(key);
    if (before !== undefined && now - before < QUIET_MS) return false;
    toldAt.delete(key);
    toldAt.set(key, now);
    const [oldest] = toldAt.keys();
    if (toldAt.size > MAX_KNOWN && oldest !== undefined) toldAt.delete(oldest);
    return true;
  };
  return {
    hintFor: (record) => {
      const type = findErrorCode(record);
      if (type === undefined) return undefined;
      const model = findModel(record) ?? '';
      if (record.error?.hint !== undefined) return isDue(`${type} ${model}`) ? record.error.hint : undefined;
      const { operation, service, region } = record.route ?? {};
      const message = findErrorMessage(record);
      const found = explainError({ status: record.upstreamStatus, type, message, operation, service, region, model });
      if (found === undefined || type.startsWith('ERR_')) return undefined;
      const repeats = found.retry === 'later' ? 0 : countFinal(finals, `${record.path} ${record.requestBytes} ${type}`);
      if (repeats === MANY_ATTEMPTS) {
        return `Refused ${MANY_ATTEMPTS} times for good: the client seems to send the same again, in vain.`;
      }
      if (!isDue(`${found.entry} ${model}`)) return undefined;
      return [found.cause, found.steps[0]].filter((part) => part !== undefined).join(' ');
    },
  };
}

function countFinal(finals: Map<string, number>, key: string): number {
  const count = (finals.get(key) ?? 0) + 1;
  finals.delete(key);
  finals.set(key, count);
  const [oldest] = finals.keys();
  if (finals.size > MAX_KNOWN && oldest !== undefined) finals.delete(oldest);
  return count;
}
