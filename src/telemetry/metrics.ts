/**
 * What the proxy does, in numbers for Prometheus. Subscribes to the beginning of each request to Bedrock, of its
 * response, and to its end, and must be quick: it runs in the `finally` of each. Which labels there are is decided in
 * `metric-labels.ts`; counters are added up in `metric-totals.ts`.
 */
import type { RequestSubscriber } from '../domain/events.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { Histogram } from './metric-histogram.ts';
import { MetricLabels, type SeriesLabels } from './metric-labels.ts';
import {
  METRICS_CONTENT_TYPE,
  type MetricFamily,
  type MetricReading,
  readMetricFamilies,
  renderMetrics,
} from './metric-text.ts';
import { MetricTotals } from './metric-totals.ts';
import { listStoreFamilies, type StoreReadings } from './store-metrics.ts';
import { UpstreamMetrics, type UpstreamReading } from './upstream-metrics.ts';

const PREFIX = 'bedrock_proxy_';
const MS_PER_SECOND = 1_000;
const MICROSECONDS_PER_SECOND = 1_000_000;

/** Seconds. A model answers in a tenth of a second up to some minutes; the proxy itself takes a millisecond or so. */
const DURATION_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900];
const FIRST_BYTE_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const OVERHEAD_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1];

/** Counts requests; subscribes to them. */
export interface Metrics extends Required<
  Pick<RequestSubscriber, 'began' | 'attemptFailed' | 'responseStarted' | 'ended'>
> {
  /** With several upstreams, to be called once: `read` tells how each of them is. */
  watchUpstreams(read: () => readonly UpstreamReading[]): void;
  /** With a database that is shared, to be called once. */
  watchStore(readings: StoreReadings): void;
  /** With rates that several proxies count together, to be called once: `read` tells whether they are at present. */
  watchRates(read: () => boolean): void;
  /** With an inspector that keeps content, to be called once: `read` tells how much was not kept, by the reason. */
  watchDropped(read: () => Readonly<Record<string, number>>): void;
  /** All metrics in Prometheus's text format. */
  render(): RenderedMetrics;
  /** The same as numbers, for whoever adds up those of several processes. */
  read(): MetricReading[];
}

/** A response of `/metrics`. */
export interface RenderedMetrics {
  readonly contentType: string;
  readonly body: string;
}

/** Counts from nothing. Nothing has to be closed. */
export function createMetrics(): Metrics {
  const labels = new MetricLabels();
  const totals = new MetricTotals(labels);
  const times = createTimes();
  const upstreams = new UpstreamMetrics(PREFIX);
  let requests = 0;
  let streams = 0;
  let store: readonly MetricFamily[] = [];
  let rates: readonly MetricFamily[] = [];
  let readDropped: (() => Readonly<Record<string, number>>) | undefined;
  const listFamilies = (): MetricFamily[] => [
    ...families,
    ...upstreams.families(),
    ...store,
    ...rates,
    ...(readDropped === undefined ? [] : [droppedFamily(readDropped)]),
  ];
  const families = [
    gauge(`${PREFIX}requests_in_flight`, 'Requests whose response is not complete.', () => requests),
    gauge(`${PREFIX}streams_in_flight`, 'Streamed responses under way.', () => streams),
    ...listCounters(totals),
    ...times.families,
    ...PROCESS_METRICS,
  ];
  return {
    began: () => void (requests += 1),
    responseStarted: ({ isStreamed }) => {
      if (isStreamed) streams += 1;
    },
    ended: (record) => {
      requests -= 1;
      if (record.isStreamed) streams -= 1;
      const found = labels.find(record);
      totals.add(record, found);
      times.add(record, found);
      if (record.upstream !== undefined) upstreams.noteEnd(record.upstream, record);
    },
    attemptFailed: (record, failed) => upstreams.noteFailure(record, failed),
    watchUpstreams: (read) => upstreams.watch(read),
    watchStore: (readings) => void (store = listStoreFamilies(PREFIX, readings)),
    watchRates: (read) => void (rates = [sharedRatesFamily(read)]),
    watchDropped: (read) => void (readDropped = read),
    render: () => ({ contentType: METRICS_CONTENT_TYPE, body: renderMetrics(listFamilies()) }),
    read: () => readMetricFamilies(listFamilies()),
  };
}

function sharedRatesFamily(read: () => boolean): MetricFamily {
  return {
    name: `${PREFIX}rates_shared`,
    help: '1 if the rates of keys are counted for all proxies; 0 while what counts them does not respond.',
    type: 'gauge',
    isOfProcess: true,
    samples: () => [['', {}, read() ? 1 : 0]],
  };
}

function droppedFamily(read: () => Readonly<Record<string, number>>): MetricFamily {
  return {
    name: `${PREFIX}inspect_dropped_total`,
    help: 'Bodies of which the inspector kept nothing, by the reason.',
    type: 'counter',
    samples: () => Object.entries(read()).map(([reason, count]) => ['', { reason }, count] as const),
  };
}

function listCounters(totals: MetricTotals): MetricFamily[] {
  return totals.counters().map(({ name, help, divisor, sums }) => ({
    name: `${PREFIX}${name}`,
    help,
    type: 'counter',
    divisor,
    samples: () => Array.from(sums(), ([labels, sum]) => ['', labels, sum] as const),
  }));
}

/** Without keys: a histogram has a series per bucket. */
function createTimes() {
  const duration = new Histogram(DURATION_BUCKETS);
  const firstByte = new Histogram(FIRST_BYTE_BUCKETS);
  const overhead = new Histogram(OVERHEAD_BUCKETS);
  const openRecorders = ({ service, operation, model }: SeriesLabels) => ({
    duration: duration.recorder({ service, operation, model }),
    firstByte: firstByte.recorder({ service, operation, model }),
    overhead: overhead.recorder({ service, operation, model }),
  });
  const recorders = new Map<SeriesLabels, ReturnType<typeof openRecorders>>();
  return {
    families: [
      family('request_duration_seconds', 'From the request until everything is over.', duration),
      family('first_byte_seconds', 'From the request until the answer of AWS begins.', firstByte),
      family(
        'overhead_seconds',
        "What the proxy took until the request could leave, its body's arrival included.",
        overhead,
      ),
    ],
    add: ({ totalMs, firstByteMs, overheadMs }: RequestRecord, labels: SeriesLabels): void => {
      let record = recorders.get(labels);
      if (record === undefined) recorders.set(labels, (record = openRecorders(labels)));
      if (totalMs !== undefined) record.duration(totalMs / MS_PER_SECOND);
      if (firstByteMs !== undefined) record.firstByte(firstByteMs / MS_PER_SECOND);
      if (overheadMs !== undefined) record.overhead(overheadMs / MS_PER_SECOND);
    },
  };
}

function family(name: string, help: string, histogram: Histogram): MetricFamily {
  return { name: `${PREFIX}${name}`, help, type: 'histogram', samples: () => histogram.samples() };
}

function gauge(name: string, help: string, read: () => number): MetricFamily {
  return { name, help, type: 'gauge', samples: () => [['', {}, read()]] };
}

const STARTED_AT_SECONDS = Math.round(performance.timeOrigin / MS_PER_SECOND);

/**
 * A few metrics of the process, under their usual names. None has to watch the event loop: that wakes an idle process.
 */
const PROCESS_METRICS: readonly MetricFamily[] = ofProcess([
  gauge('process_start_time_seconds', 'Start of the process, since 1970.', () => STARTED_AT_SECONDS),
  gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss()),
  gauge('nodejs_heap_size_used_bytes', 'Heap in use.', () => process.memoryUsage().heapUsed),
  gauge('nodejs_external_memory_bytes', 'Memory of buffers.', () => process.memoryUsage().external),
  { ...gauge('process_cpu_seconds_total', 'User and system CPU time.', readCpuSeconds), type: 'counter' },
]);

/** Those of this process alone, of a program that serves nothing itself. */
export function readProcessMetrics(): MetricReading[] {
  return readMetricFamilies(PROCESS_METRICS);
}

function ofProcess(families: readonly MetricFamily[]): MetricFamily[] {
  return families.map((one) => ({ ...one, isOfProcess: true }));
}

function readCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / MICROSECONDS_PER_SECOND;
}
