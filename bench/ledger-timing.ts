/**
 * How long one kind of work takes in the bench of the ledger.
 */
import { quantile, type Spread, spreadOfStretches } from './statistics.ts';

/** The times of one kind of work. */
export interface LedgerTiming {
  readonly name: string;
  readonly unit: 'µs' | 'ms';
  readonly median: number;
  readonly p99: number;
  readonly max: number;
  /** The medians of five stretches, one after the other. */
  readonly spread: Spread;
}

/** Out of single times, in the order in which they were taken. */
export function timingOf(name: string, unit: LedgerTiming['unit'], times: readonly number[]): LedgerTiming {
  return {
    name,
    unit,
    median: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    max: Math.max(...times),
    spread: spreadOfStretches(times, 5),
  };
}

/** The time of one piece of work, and what it gives. */
export async function timed<T>(work: () => Promise<T>): Promise<{ readonly micros: number; readonly result: T }> {
  const startedAt = performance.now();
  const result = await work();
  return { micros: (performance.now() - startedAt) * 1000, result };
}
