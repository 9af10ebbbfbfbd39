/**
 * Prometheus's text format, version 0.0.4: what `/metrics` responds with. Pure; `metrics.ts` decides which metrics
 * exist. Source: https://prometheus.io/docs/instrumenting/exposition_formats/
 */

/** The media type of `renderMetrics`. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Values of labels by their names, in the order in which they are written. */
export type Labels = Readonly<Record<string, string>>;

/** One line: what follows the name of the metric (`_sum`, or nothing), the labels, the value. */
export type Sample = readonly [suffix: string, labels: Labels, value: number];

/** A metric with all its lines. */
export interface MetricFamily {
  /** The whole name, prefix included. */
  readonly name: string;
  /** One line, without a backslash. */
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** The samples are whole numbers of such a part of the metric's unit: their sums are exact. */
  readonly divisor?: number | undefined;
  /** It tells of one process: to be told of each worker, not as a sum. */
  readonly isOfProcess?: boolean | undefined;
  /** What stands under it at this moment. */
  readonly samples: () => Iterable<Sample>;
}

/** The same at one moment, as it may be sent to another process. */
export type MetricReading = Omit<MetricFamily, 'samples'> & { readonly samples: readonly Sample[] };

/** Reads all of them now. */
export function readMetricFamilies(families: readonly MetricFamily[]): MetricReading[] {
  return families.map(({ samples, ...family }) => ({ ...family, samples: [...samples()] }));
}

/** All metrics as text, in the order given. */
export function renderMetrics(families: readonly MetricFamily[]): string {
  return `${families.map(renderFamily).join('\n\n')}\n`;
}

function renderFamily({ name, help, type, divisor = 1, samples }: MetricFamily): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
  for (const [suffix, labels, value] of samples()) {
    lines.push(`${name}${suffix}${renderLabels(labels)} ${value / divisor}`);
  }
  return lines.join('\n');
}

function renderLabels(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}
