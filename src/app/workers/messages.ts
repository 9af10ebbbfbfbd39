/**
 * What the primary of `start --workers` and its workers say to each other over IPC. Types, and how a worker is told who
 * it is.
 */
import type { BudgetAlert } from '../budget-watch.ts';
import type { LedgerState } from '../../accounting/ledger-writer.ts';
import type { RateAnswer, RateOrder } from '../../admission/remote-rates.ts';
import type { FailureOrigin } from '../../auth/failure-limit.ts';
import type { MetricReading } from '../../telemetry/metric-text.ts';
import type { RenderedMetrics } from '../../telemetry/metrics.ts';

/** In the environment of a worker: `WorkerRole` as JSON. */
export const WORKER_VARIABLE = 'BEDROCK_PROXY_WORKER';

/** Who a worker is. */
export interface WorkerRole {
  /** The one that says what a start says. */
  readonly greets: boolean;
  /** To listen on; 0 if the primary leaves it to the first one. */
  readonly port: number;
  /** The process that leads them: signals are for it. */
  readonly leader: number;
  /** How many there are. */
  readonly count: number;
  /** The line of the primary's hot keys, to be said below the banner; undefined if it has none. */
  readonly line?: string | undefined;
  /** Of the inspector's page, whichever of them serves it. */
  readonly inspectToken: string;
}

/** How the ledger of one worker is and, if that was asked, what it has counted. */
export interface WorkerReading {
  readonly metrics?: readonly MetricReading[] | undefined;
  readonly ledger: LedgerState;
}

/** The same of all of them. */
export interface WorkersReading {
  readonly metrics?: RenderedMetrics | undefined;
  readonly ledger: LedgerState;
}

interface FailureMessage {
  /** A wrong credential was counted, by the one that says so, or by another one. */
  readonly kind: 'failure';
  readonly origin: FailureOrigin;
}

/** What a worker says. */
export type WorkerMessage =
  | FailureMessage
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'rates'; readonly orders: readonly RateOrder[] }
  /** How all of them are, and what they have counted. */
  | { readonly kind: 'ask'; readonly question: number; readonly withMetrics: boolean }
  /** The login of the AWS credentials is to be renewed. */
  | { readonly kind: 'refresh' }
  /** In response to `read`; without a number at its end. */
  | { readonly kind: 'reading'; readonly round?: number; readonly reading: WorkerReading }
  /** A key has spent much of its budget: the primary tells it once. */
  | { readonly kind: 'budget'; readonly alert: BudgetAlert }
  | { readonly kind: 'drained'; readonly cutOff: number };

/** What the primary says. */
export type PrimaryMessage =
  | FailureMessage
  | { readonly kind: 'rates'; readonly answers: readonly RateAnswer[] }
  | { readonly kind: 'read'; readonly round: number; readonly withMetrics: boolean }
  | { readonly kind: 'answer'; readonly question: number; readonly reading: WorkersReading }
  /** Whether lines of requests that went well are left out. */
  | { readonly kind: 'show only errors'; readonly isOn: boolean }
  /** How `refresh` ended; see `AuthRefresh`. */
  | { readonly kind: 'refreshed'; readonly failure?: string | undefined }
  /** Take nothing new, end what runs, then end. */
  | { readonly kind: 'drain' }
  /** End at once, with this exit code. */
  | { readonly kind: 'end'; readonly exitCode: number };
