/**
 * What the proxy does, in numbers for Prometheus. Told of every exchange at its beginning and its end, asked for text by
 * `admin/metrics.ts`. Must not throw and must not be slow: it stands in the `finally` of every request. Which labels there
 * are is decided in `metric-labels.ts`; counters are added up in `metric-totals.ts`.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RequestRecord } from '../domain/request-record.ts';
import { MetricLabels, type SeriesLabels } from './metric-labels.ts';
import { MetricTotals } from './metric-totals.ts';

const PREFIX = 'bedrock_proxy_';
const MS_PER_SECOND = 1_000;
const MICROSECONDS_PER_SECOND = 1_000_000;

/** Seconds. A model answers in a tenth of a second up to some minutes; the proxy itself takes a millisecond or so. */
const DURATION_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900];
const FIRST_BYTE_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const OVERHEAD_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1];

export interface Metrics {
  /** An exchange has begun. */
  begin(record: RequestRecord): void;
  /** Its response has begun, and is a stream. */
  streamBegan(record: RequestRecord): void;
  /** It is over, whatever became of it. Called once. */
  observe(record: RequestRecord): void;
  /** All metrics in Prometheus's text format. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Opens a registry of its own. Nothing has to be closed. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const labels = new MetricLabels();
  const totals = new MetricTotals(labels);
  const requests = new Set<RequestRecord>();
  const streams = new Set<RequestRecord>();
  addGauge(registry, `${PREFIX}requests_in_flight`, 'Requests whose response is not complete.', () => requests.size);
  addGauge(registry, `${PREFIX}streams_in_flight`, 'Streamed answers under way.', () => streams.size);
  addCounters(registry, totals);
  const time = addHistograms(registry);
  addProcessMetrics(registry);
  return {
    begin: (record) => void requests.add(record),
    streamBegan: (record) => void streams.add(record),
    observe: (record) => {
      requests.delete(record);
      streams.delete(record);
      const found = labels.find(record);
      totals.add(record, found);
      time(record, found);
    },
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}

function addCounters(registry: Registry, totals: MetricTotals): void {
  for (const { name, help, labelNames, sums } of totals.counters()) {
    const counter = new Counter({
      name: `${PREFIX}${name}`,
      help,
      labelNames,
      registers: [],
      collect() {
        this.reset();
        for (const [labels, sum] of sums()) this.inc(labels, sum);
      },
    });
    registry.registerMetric(counter);
  }
}

/** Without keys: a histogram has a series per bucket. */
function addHistograms(registry: Registry): (record: RequestRecord, labels: SeriesLabels) => void {
  const add = (name: string, help: string, buckets: number[]) =>
    new Histogram({
      name: `${PREFIX}${name}`,
      help,
      buckets,
      labelNames: ['service', 'operation', 'model'],
      registers: [registry],
    });
  const duration = add('request_duration_seconds', 'From the request until everything is over.', DURATION_BUCKETS);
  const firstByte = add('first_byte_seconds', 'From the request until the response of AWS begins.', FIRST_BYTE_BUCKETS);
  const overhead = add(
    'overhead_seconds',
    "What the proxy took until the request could leave, its body's arrival included.",
    OVERHEAD_BUCKETS,
  );
  const openTimers = ({ service, operation, model }: SeriesLabels) => ({
    duration: duration.labels(service, operation, model),
    firstByte: firstByte.labels(service, operation, model),
    overhead: overhead.labels(service, operation, model),
  });
  const timers = new Map<SeriesLabels, ReturnType<typeof openTimers>>();
  return ({ totalMs, firstByteMs, overheadMs }, labels) => {
    let timer = timers.get(labels);
    if (timer === undefined) timers.set(labels, (timer = openTimers(labels)));
    if (totalMs !== undefined) timer.duration.observe(totalMs / MS_PER_SECOND);
    if (firstByteMs !== undefined) timer.firstByte.observe(firstByteMs / MS_PER_SECOND);
    if (overheadMs !== undefined) timer.overhead.observe(overheadMs / MS_PER_SECOND);
  };
}

/**
 * A few of the metrics that every Prometheus client has, under their usual names. Not all of prom-client's: its watch on the
 * event loop wakes an idle process a hundred times a second.
 */
function addProcessMetrics(registry: Registry): void {
  const startedAtSeconds = Math.round(performance.timeOrigin / MS_PER_SECOND);
  addGauge(registry, 'process_start_time_seconds', 'Start of the process, since 1970.', () => startedAtSeconds);
  addGauge(registry, 'process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());
  addGauge(registry, 'nodejs_heap_size_used_bytes', 'Heap in use.', () => process.memoryUsage().heapUsed);
  addGauge(registry, 'nodejs_external_memory_bytes', 'Memory of buffers.', () => process.memoryUsage().external);
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time.',
    registers: [],
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / MICROSECONDS_PER_SECOND);
    },
  });
  registry.registerMetric(cpu);
}

function addGauge(registry: Registry, name: string, help: string, read: () => number): void {
  const gauge = new Gauge({
    name,
    help,
    registers: [],
    collect() {
      this.set(read());
    },
  });
  registry.registerMetric(gauge);
}
