/**
 * Adds up the metrics of several processes: counters, histograms and gauges of what is under way are sums; what tells
 * of one process (memory, processor time) is told of each, under the label `worker`. What an ended process has counted
 * stays: a counter never falls. Pure.
 */
import { type MetricFamily, type MetricReading, readMetricFamilies, type Sample } from './metric-text.ts';

/** One metric of all processes while it is added up. */
interface Sum {
  readonly family: Omit<MetricReading, 'samples'>;
  readonly samples: Map<string, Sample>;
}

/** `byWorker`: readings under the label of their process; `ended`: what processes have left that are no more. */
export function addMetrics(
  byWorker: ReadonlyMap<string, readonly MetricReading[]>,
  ended: readonly MetricReading[],
): MetricFamily[] {
  const sums = new Map<string, Sum>();
  for (const [worker, readings] of byWorker) {
    for (const reading of readings) addReading(sums, reading, worker);
  }
  for (const reading of ended) addReading(sums, reading, '');
  return [...sums.values()].map(({ family, samples }) => ({ ...family, samples: () => samples.values() }));
}

/** What stays of a process that has ended, added to what others have left. */
export function keepCounts(ended: readonly MetricReading[], last: readonly MetricReading[]): MetricReading[] {
  const counts = last.filter(({ type, isOfProcess }) => type !== 'gauge' && isOfProcess !== true);
  return readMetricFamilies(addMetrics(new Map([['', counts]]), ended));
}

function addReading(sums: Map<string, Sum>, { samples, ...family }: MetricReading, worker: string): void {
  let sum = sums.get(family.name);
  if (sum === undefined) sums.set(family.name, (sum = { family, samples: new Map() }));
  for (const [suffix, plain, value] of samples) {
    const labels = family.isOfProcess === true ? { worker, ...plain } : plain;
    // No label has a line break.
    const name = [suffix, ...Object.entries(labels).flat()].join('\n');
    const before = sum.samples.get(name)?.[2] ?? 0;
    sum.samples.set(name, [suffix, labels, before + value]);
  }
}
