/**
 * A histogram among the metrics: how many values lie in each bucket, and their sum, for each set of labels. To add a
 * value is to search among a dozen numbers, because it happens at the end of every request.
 */
import type { Labels, Sample } from './metric-text.ts';

/** The values of one set of labels. */
interface Series {
  readonly labels: Labels;
  /** How many values lie in each bucket and not in the one before; the last one has no upper bound. */
  readonly counts: number[];
  sum: number;
}

/** State: the series, in the order in which they first appeared. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  /** Upper bounds of the buckets, rising; a value that is equal to a bound lies below it. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
  }

  /** The function that adds a value to these labels. No label may have a line break. */
  recorder(labels: Labels): (value: number) => void {
    const name = Object.values(labels).join('\n');
    return (value) => {
      let series = this.#series.get(name);
      if (series === undefined) {
        series = { labels, counts: Array.from({ length: this.#bounds.length + 1 }, () => 0), sum: 0 };
        this.#series.set(name, series);
      }
      const found = this.#bounds.findIndex((bound) => value <= bound);
      const at = found === -1 ? this.#bounds.length : found;
      series.counts[at] = (series.counts[at] ?? 0) + 1;
      series.sum += value;
    };
  }

  /** Per series: each bucket with all below it, then sum and count. */
  *samples(): Generator<Sample> {
    for (const { labels, counts, sum } of this.#series.values()) {
      let total = 0;
      for (const [at, count] of counts.entries()) {
        total += count;
        yield ['_bucket', { le: String(this.#bounds[at] ?? '+Inf'), ...labels }, total];
      }
      yield ['_sum', labels, sum];
      yield ['_count', labels, total];
    }
  }
}
