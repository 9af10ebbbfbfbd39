/**
 * The two clocks of the program, as two types that cannot be mixed up. What the world dates (expiry, signatures, rows)
 * is read from the wall clock, which people and NTP set forwards and back; how long something is waited for or left
 * alone, from the monotonic one, which only goes on. Both are handed in by `app/`.
 */

/** Epoch milliseconds. Never for a pause or a deadline: an hour set back would be an hour's wait. */
export interface WallClock {
  (): number;
  readonly kind?: 'wall';
}

/** Milliseconds since some moment; a difference of two readings is a length of time. Never for a date. */
export interface MonotonicClock {
  (): number;
  readonly kind: 'monotonic';
}

/** A clock that reads what `read` gives, which must never go back. */
export function monotonicClock(read: () => number): MonotonicClock {
  return Object.assign(() => read(), { kind: 'monotonic' } as const);
}

/** The machine's. It may stand still while the machine sleeps. */
export const MACHINE_TICKS: MonotonicClock = monotonicClock(() => performance.now());
