/**
 * Numbers out of samples: quantiles, and a median with its spread over the rounds of one run. Pure.
 */

/** The middle of several rounds, and the lowest and highest of them. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The value below which the share `q` of the samples lies; NaN if there are none. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5), min: Math.min(...values), max: Math.max(...values) };
}

/** Round by round, because what disturbs a round disturbs its parties alike. */
export function spreadOfPairs(
  left: readonly number[],
  right: readonly number[],
  combine: (left: number, right: number) => number,
): Spread {
  return spreadOf(left.map((value, round) => combine(value, right[round] ?? Number.NaN)));
}

/** Of samples that were taken one after another: the medians of up to so many stretches of them. */
export function spreadOfStretches(samples: readonly number[], stretches: number): Spread {
  const count = Math.min(stretches, samples.length);
  const edge = (index: number): number => Math.round((index * samples.length) / count);
  return spreadOf(
    Array.from({ length: count }, (_, index) => quantile(samples.slice(edge(index), edge(index + 1)), 0.5)),
  );
}

/** How many times the right number the left one is. */
export function divide(left: number, right: number): number {
  return left / right;
}
