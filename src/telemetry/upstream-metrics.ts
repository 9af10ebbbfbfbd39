/**
 * The metrics of several upstreams: attempts by how they ended, what is under way, and which of them rest. There are
 * none while there is one upstream. Names of upstreams come from the owner, error types from AWS: their number has an
 * end.
 */
import type { FailedAttempt, RequestRecord } from '../domain/request-record.ts';
import type { MetricFamily, Sample } from './metric-text.ts';

/** What an upstream says of itself. */
export interface UpstreamReading {
  readonly name: string;
  readonly state: 'ready' | 'resting' | 'models';
  readonly inFlight: number;
}

/** The file may be changed again and again. */
const MAX_SERIES = 500;
const OTHER = 'other';

/** State: the attempts so far, and whom to ask for the rest. */
export class UpstreamMetrics {
  readonly #prefix: string;
  readonly #attempts = new Map<string, { readonly labels: Record<string, string>; sum: number }>();
  /** No request asks an upstream twice. */
  readonly #failed = new WeakMap<RequestRecord, Set<string>>();
  #read: (() => readonly UpstreamReading[]) | undefined;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** From now on `read` is asked. */
  watch(read: () => readonly UpstreamReading[]): void {
    this.#read = read;
  }

  /** An attempt after which another one was made, or could have been. */
  noteFailure(record: RequestRecord, { upstream, code }: FailedAttempt): void {
    const failed = this.#failed.get(record) ?? new Set();
    this.#failed.set(record, failed.add(upstream));
    this.#count(upstream, code);
  }

  /** The last attempt of a request, unless it is one that failed before and was answered with after all. */
  noteEnd(upstream: string, record: RequestRecord): void {
    if (this.#failed.get(record)?.has(upstream) === true) return;
    const { status, error, upstreamErrorType } = record;
    const isGood = error === undefined && upstreamErrorType === undefined && (status ?? 500) < 400;
    this.#count(upstream, isGood ? 'ok' : (error?.code ?? upstreamErrorType ?? `HTTP ${status}`));
  }

  /** Those there are. */
  families(): MetricFamily[] {
    const read = this.#read;
    if (read === undefined) return [];
    const each = (value: (reading: UpstreamReading) => number) => (): Sample[] =>
      read().map((reading) => ['', { upstream: reading.name }, value(reading)]);
    const attempts = (): Sample[] => [...this.#attempts.values()].map(({ labels, sum }) => ['', labels, sum]);
    return [
      {
        name: `${this.#prefix}upstream_attempts_total`,
        help: 'Attempts by upstream and outcome: ok, the type of an error of AWS, or a code of the proxy.',
        type: 'counter',
        samples: attempts,
      },
      {
        name: `${this.#prefix}upstream_requests_in_flight`,
        help: 'Requests under way at an upstream.',
        type: 'gauge',
        samples: each(({ inFlight }) => inFlight),
      },
      {
        name: `${this.#prefix}upstream_resting`,
        help: '1 if an upstream, or a model there, is left alone since it throttled or failed; workers add up.',
        type: 'gauge',
        samples: each(({ state }) => (state === 'ready' ? 0 : 1)),
      },
    ];
  }

  #count(upstream: string, outcome: string): void {
    const name = `${upstream}\n${outcome}`;
    const known = this.#attempts.get(name);
    if (known !== undefined) known.sum += 1;
    else if (this.#attempts.size < MAX_SERIES || outcome === OTHER) {
      this.#attempts.set(name, { labels: { upstream, outcome }, sum: 1 });
    } else this.#count(upstream, OTHER);
  }
}
