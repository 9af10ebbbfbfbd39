/**
 * What the workers have counted, and how their ledgers are, put together by the primary whenever somebody asks. Of a
 * worker that is gone, or too busy to respond, counts what it said last.
 */
import type { LedgerState } from '../../accounting/ledger-writer.ts';
import { within } from '../../lib/deadline.ts';
import { addMetrics, keepCounts } from '../../telemetry/metric-sums.ts';
import {
  METRICS_CONTENT_TYPE,
  type MetricFamily,
  type MetricReading,
  renderMetrics,
} from '../../telemetry/metric-text.ts';
import { readProcessMetrics } from '../../telemetry/metrics.ts';
import type { PrimaryMessage, WorkerReading, WorkersReading } from './messages.ts';

/** `exec` waits a second for a server to respond. */
const ROUND_TIMEOUT_MS = 500;

/** A worker as far as it is read. */
export interface ReadableWorker {
  readonly number: number;
  send(message: PrimaryMessage): void;
}

/** State: what each worker said last, what those left that are gone, and the rounds under way. */
export class WorkerReadings {
  readonly #last = new Map<number, WorkerReading>();
  #ended: MetricReading[] = [];
  #rowsLostByEnded = 0;
  #restarts = 0;
  readonly #rounds = new Map<number, { readonly missing: Set<number>; readonly whole: PromiseWithResolvers<void> }>();
  #lastRound = 0;

  /** A worker has said how it is. */
  note(number: number, reading: WorkerReading, round: number | undefined): void {
    // A reading without metrics leaves those of the one before.
    this.#last.set(number, { ...reading, metrics: reading.metrics ?? this.#last.get(number)?.metrics });
    if (round !== undefined) this.#leaveRound(round, number);
  }

  /** A worker is gone. */
  end(number: number): void {
    const last = this.#last.get(number);
    this.#last.delete(number);
    for (const round of this.#rounds.keys()) this.#leaveRound(round, number);
    if (last === undefined) return;
    this.#rowsLostByEnded += last.ledger.lostRows;
    this.#ended = keepCounts(this.#ended, last.metrics ?? []);
  }

  /** Another worker takes the place of one. */
  noteRestart(): void {
    this.#restarts += 1;
  }

  /** Asks all of them. */
  async read(workers: readonly ReadableWorker[], withMetrics: boolean): Promise<WorkersReading> {
    const round = (this.#lastRound += 1);
    const missing = new Set(workers.map(({ number }) => number));
    const whole = Promise.withResolvers<void>();
    if (missing.size === 0) whole.resolve();
    this.#rounds.set(round, { missing, whole });
    for (const worker of workers) worker.send({ kind: 'read', round, withMetrics });
    await within(ROUND_TIMEOUT_MS, whole.promise);
    this.#rounds.delete(round);
    return { ledger: this.#addLedgers(), metrics: withMetrics ? this.#render(workers.length) : undefined };
  }

  #leaveRound(round: number, number: number): void {
    const known = this.#rounds.get(round);
    known?.missing.delete(number);
    if (known?.missing.size === 0) known.whole.resolve();
  }

  #addLedgers(): LedgerState {
    const ledgers = [...this.#last.values()].map(({ ledger }) => ledger);
    const spilled = ledgers.flatMap(({ spilledRows }) => spilledRows ?? []);
    const failing = ledgers.flatMap(({ failingForMs }) => failingForMs ?? []);
    return {
      waitingRows: ledgers.reduce((sum, { waitingRows }) => sum + waitingRows, 0),
      lostRows: ledgers.reduce((sum, { lostRows }) => sum + lostRows, this.#rowsLostByEnded),
      failingForMs: failing.length === 0 ? undefined : Math.max(...failing),
      ...(spilled.length > 0 && { spilledRows: spilled.reduce((sum, rows) => sum + rows, 0) }),
    };
  }

  #render(count: number): { readonly contentType: string; readonly body: string } {
    const byWorker = new Map<string, readonly MetricReading[]>();
    const numbers = [...this.#last.keys()].toSorted((one, other) => one - other);
    for (const number of numbers) byWorker.set(String(number), this.#last.get(number)?.metrics ?? []);
    byWorker.set('primary', readProcessMetrics());
    const own = [
      ownMetric('bedrock_proxy_workers', 'Workers that serve.', 'gauge', count),
      ownMetric('bedrock_proxy_worker_restarts_total', 'Workers that ended unasked.', 'counter', this.#restarts),
    ];
    return {
      contentType: METRICS_CONTENT_TYPE,
      body: renderMetrics([...addMetrics(byWorker, this.#ended), ...own]),
    };
  }
}

function ownMetric(name: string, help: string, type: 'gauge' | 'counter', value: number): MetricFamily {
  return { name, help, type, samples: () => [['', {}, value]] };
}
