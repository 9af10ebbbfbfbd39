/**
 * Metrics that are opened after the port, for the library behind them takes its time to load: what happens until then is kept,
 * and told when they are there. Nothing is missing from them.
 */
import type { Metrics } from './metrics.ts';

export interface LazyMetrics extends Metrics {
  /** Begins once, however often it is called. Rejects as `open` does; from then on nothing is kept. */
  load(): Promise<void>;
}

type MetricEvent = (metrics: Metrics) => void;

export function createLazyMetrics(open: () => Promise<Metrics>): LazyMetrics {
  let kept: MetricEvent[] | undefined = [];
  let metrics: Metrics | undefined;
  let loading: Promise<Metrics> | undefined;
  const tell = (event: MetricEvent): void => {
    if (metrics === undefined) kept?.push(event);
    else event(metrics);
  };
  const openOnce = async (): Promise<Metrics> => {
    const before = kept ?? [];
    try {
      metrics = await open();
      for (const event of before) event(metrics);
      return metrics;
    } finally {
      kept = undefined;
    }
  };
  const load = (): Promise<Metrics> => (loading ??= openOnce());
  return {
    load: async () => void (await load()),
    begin: (record) => tell((opened) => opened.begin(record)),
    streamBegan: (record) => tell((opened) => opened.streamBegan(record)),
    observe: (record) => tell((opened) => opened.observe(record)),
    render: async () => (await load()).render(),
  };
}
