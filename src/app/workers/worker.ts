/**
 * The worker's side of `start --workers`: a process that serves as a server alone would, but for what must be one for
 * all of them: the primary counts rates and adds up metrics, and has the signals.
 */
import cluster from 'node:cluster';
import { createRemoteRates, type RateOrder } from '../../admission/remote-rates.ts';
import type { FailureOrigin } from '../../auth/failure-limit.ts';
import { ProxyError } from '../../lib/errors.ts';
import { METRICS_CONTENT_TYPE } from '../../telemetry/metric-text.ts';
import type { BudgetAlert } from '../budget-watch.ts';
import type { SharedParts } from '../compose.ts';
import { ENDING_SIGNALS } from '../ending.ts';
import {
  type PrimaryMessage,
  WORKER_VARIABLE,
  type WorkerMessage,
  type WorkerReading,
  type WorkerRole,
  type WorkersReading,
} from './messages.ts';

/** What a worker has instead of its own. */
export interface WorkerSeat extends WorkerRole, SharedParts {
  /** The port is open. `read` is asked whenever somebody reads the metrics. */
  onListening(port: number, read: (withMetrics: boolean) => WorkerReading): void;
  tellBudget(alert: BudgetAlert): void;
  /** To be called once: `show` is told whether lines of requests that went well are left out. */
  onShowOnlyErrors(show: (isOn: boolean) => void): void;
  /** Resolves when this worker is to take nothing new. */
  untilDrained: Promise<void>;
  /** To be called when it is: `end` is called if the rest is to end at once. */
  onEndNow(end: (exitCode: number) => void): void;
  /** What the primary adds up when this worker is drained. */
  onDrained(cutOff: number): void;
  /** The last word, when all is closed: the process ends if nothing else keeps it. */
  leave(): Promise<void>;
}

/** The seat of this process, which is a worker. To be called once. */
export function takeWorkerSeat(): WorkerSeat {
  const role = process.env[WORKER_VARIABLE];
  delete process.env[WORKER_VARIABLE];
  if (role === undefined) throw new Error('A worker is started by its primary.');
  // A terminal, or a service manager, signals all of them: the primary tells what that means.
  for (const signal of ENDING_SIGNALS) process.on(signal, () => {});
  // Without its primary a worker ends in order; node:cluster would end it at once.
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
  return openSeat(JSON.parse(role) as WorkerRole);
}

/** A primary that is gone is told by the end of the channel. */
function say(message: WorkerMessage, onSaid = (): void => {}): void {
  process.send?.(message, undefined, undefined, onSaid);
}

function openSeat(role: WorkerRole): WorkerSeat {
  const rates = createRemoteRates(gatherOrders((orders) => say({ kind: 'rates', orders })));
  const questions = createQuestions((question, withMetrics) => say({ kind: 'ask', question, withMetrics }));
  const refreshing = new SharedRefresh();
  const draining = Promise.withResolvers<void>();
  let cutOff = 0;
  let read: ((withMetrics: boolean) => WorkerReading) | undefined;
  let endNow: (exitCode: number) => void = process.exit;
  let noteFailure: ((origin: FailureOrigin) => void) | undefined;
  let showOnlyErrors: ((isOn: boolean) => void) | undefined;
  process.on('message', (message: PrimaryMessage) => {
    if (message.kind === 'rates') for (const answer of message.answers) rates.onAnswer(answer);
    else if (message.kind === 'read' && read !== undefined) {
      say({ kind: 'reading', round: message.round, reading: read(message.withMetrics) });
    }
    if (message.kind === 'show only errors') showOnlyErrors?.(message.isOn);
    if (message.kind === 'failure') noteFailure?.(message.origin);
    if (message.kind === 'refreshed') refreshing.end(message.failure);
    if (message.kind === 'answer') questions.onAnswer(message.question, message.reading);
    else if (message.kind === 'drain') draining.resolve();
    else if (message.kind === 'end') endNow(message.exitCode);
  });
  let isLeaving = false;
  process.once('disconnect', () => {
    // Its port would never open: the primary would have opened it. A connection to a database would keep it alive.
    if (read === undefined && !isLeaving) process.exit(1);
    draining.resolve();
    rates.close(primaryGone());
    questions.close(primaryGone());
    refreshing.end(primaryGone().message);
  });
  return {
    ...role,
    rates,
    tellFailure: (origin) => say({ kind: 'failure', origin }),
    onFailure: (note) => (noteFailure = note),
    renderMetrics: async () => (await questions.ask(true)).metrics ?? { contentType: METRICS_CONTENT_TYPE, body: '' },
    refreshAuth: () => refreshing.ask(),
    readLedgerState: async () => (await questions.ask(false)).ledger,
    onListening: (port, reader) => {
      read = reader;
      say({ kind: 'listening', port });
    },
    tellBudget: (alert) => say({ kind: 'budget', alert }),
    onShowOnlyErrors: (show) => (showOnlyErrors = show),
    untilDrained: draining.promise,
    onEndNow: (end) => (endNow = end),
    onDrained: (count) => (cutOff = count),
    leave: async () => {
      isLeaving = true;
      if (!process.connected) return;
      if (read !== undefined) say({ kind: 'reading', reading: read(true) });
      await new Promise<void>((resolve) => say({ kind: 'drained', cutOff }, resolve));
      process.disconnect();
    },
  };
}

/** One message for each turn of the event loop, however many requests have something to say. */
function gatherOrders(send: (orders: readonly RateOrder[]) => void): (order: RateOrder) => void {
  let gathered: RateOrder[] = [];
  const flush = (): void => {
    const orders = gathered;
    gathered = [];
    send(orders);
  };
  return (order) => {
    if (gathered.length === 0) setImmediate(flush);
    gathered.push(order);
  };
}

/** State: whether the primary is asked to renew the login, and who waits for that. */
class SharedRefresh {
  #asked: PromiseWithResolvers<string | undefined> | undefined;

  ask(): Promise<string | undefined> {
    if (this.#asked !== undefined) return this.#asked.promise;
    this.#asked = Promise.withResolvers();
    say({ kind: 'refresh' });
    return this.#asked.promise;
  }

  end(failure: string | undefined): void {
    this.#asked?.resolve(failure);
    this.#asked = undefined;
  }
}

/** Questions to the primary by number. */
function createQuestions(send: (question: number, withMetrics: boolean) => void) {
  const waiting = new Map<number, PromiseWithResolvers<WorkersReading>>();
  let last = 0;
  let closedBy: ProxyError | undefined;
  return {
    ask: async (withMetrics: boolean): Promise<WorkersReading> => {
      if (closedBy !== undefined) throw closedBy;
      const asked = Promise.withResolvers<WorkersReading>();
      waiting.set((last += 1), asked);
      send(last, withMetrics);
      return asked.promise;
    },
    onAnswer: (question: number, reading: WorkersReading): void => {
      waiting.get(question)?.resolve(reading);
      waiting.delete(question);
    },
    close: (error: ProxyError): void => {
      closedBy = error;
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    },
  };
}

function primaryGone(): ProxyError {
  return new ProxyError('ERR_SHUTTING_DOWN', 'The proxy is shutting down.');
}
