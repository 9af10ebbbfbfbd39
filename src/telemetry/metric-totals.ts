/**
 * Adds exchanges up for the counters among the metrics. Plain numbers in plain objects, because a request moves ten of
 * them; they become lines when somebody asks. Money stays in whole nano-dollars until then.
 */
import type { RequestRecord } from '../domain/request-record.ts';
import type { MetricLabels, SeriesLabels } from './metric-labels.ts';
import { findCostNanoUsd, findErrorCode, findErrorMessage, findPricing } from '../domain/outcome.ts';
import { explainError } from '../diagnose/explain.ts';
import type { Labels } from './metric-text.ts';

/** A counter: its name without `bedrock_proxy_`, and the sums that stand under it at this moment. */
export interface CounterRow {
  readonly name: string;
  readonly help: string;
  readonly divisor?: number | undefined;
  readonly sums: () => Iterable<readonly [labels: Labels, sum: number]>;
}

/** Sums of one series. What nothing reported has no line: it is not 0. */
interface Totals {
  /** By status; `none` for requests that got no response. */
  readonly requests: Map<number | 'none', number>;
  readonly tokens: Map<TokenKind, number>;
  costNanoUsd: number | undefined;
  unpriced: number;
  partial: number;
  requestBytes: number;
  responseBytes: number;
}

type TokenKind = 'input' | 'output' | 'cache_read' | 'cache_write';
type Sums = Iterable<readonly [value: string, sum: number]>;

const NANO_PER_USD = 1e9;

/** Counters with one line per series, or one per series and value of `label`. */
const BY_SERIES: readonly {
  readonly name: string;
  readonly help: string;
  readonly label?: string;
  readonly divisor?: number;
  readonly read: (totals: Totals) => Sums;
}[] = [
  {
    name: 'requests_total',
    help: 'Requests, by the status that was sent.',
    label: 'status',
    read: ({ requests }) => [...requests].map(([status, sum]) => [String(status), sum]),
  },
  {
    name: 'tokens_total',
    help: 'Tokens that AWS reported. Input is without what a cache read or wrote.',
    label: 'kind',
    read: ({ tokens }) => tokens,
  },
  {
    name: 'cost_usd_total',
    help: 'Cost of the requests whose price is known. The others are counted as unpriced.',
    divisor: NANO_PER_USD,
    read: ({ costNanoUsd }) => (costNanoUsd === undefined ? [] : single(costNanoUsd)),
  },
  {
    name: 'unpriced_requests_total',
    help: 'Requests of which nobody knows what they cost.',
    read: ({ unpriced }) => single(unpriced),
  },
  {
    name: 'partial_requests_total',
    help: 'Requests that cost more than is known of them: a response that broke off, a guardrail without units.',
    read: ({ partial }) => single(partial),
  },
  {
    name: 'request_bytes_total',
    help: 'Bytes of request bodies.',
    read: ({ requestBytes }) => single(requestBytes),
  },
  {
    name: 'response_bytes_total',
    help: 'Bytes of responses from AWS.',
    read: ({ responseBytes }) => single(responseBytes),
  },
];

const UNEXPLAINED_HELP = 'Errors of AWS of which `explain` knows nothing, by their type.';
const VERDICTS_HELP = 'What the cache doctor says of prompts, by verdict and model.';

/** The sums of everything since the start. */
export class MetricTotals {
  readonly #bounds: MetricLabels;
  readonly #series = new Map<SeriesLabels, Totals>();
  /** By verdict and model. */
  readonly #verdicts = new Map<string, { readonly labels: { verdict: string; model: string }; sum: number }>();
  readonly #errors = new Map<string, { readonly labels: { code: string; fault: string }; sum: number }>();

  /** By AWS's error type. */
  readonly #unexplained = new Map<string, number>();

  constructor(bounds: MetricLabels) {
    this.#bounds = bounds;
  }

  /** Adds a finished exchange to the series of these labels, which `MetricLabels.find` gave for it. */
  add(record: RequestRecord, labels: SeriesLabels): void {
    let totals = this.#series.get(labels);
    if (totals === undefined) this.#series.set(labels, (totals = noTotals()));
    addUp(totals, record);
    this.#addVerdict(record, labels);
    const failed = this.#findFailure(record);
    if (failed === undefined) return;
    if (failed.fault === 'aws' && !isExplained(record)) {
      this.#unexplained.set(failed.code, (this.#unexplained.get(failed.code) ?? 0) + 1);
    }
    const name = `${failed.fault} ${failed.code}`;
    const known = this.#errors.get(name);
    if (known === undefined) this.#errors.set(name, { labels: failed, sum: 1 });
    else known.sum += 1;
  }

  /** Every counter there is. */
  counters(): CounterRow[] {
    const bySeries = BY_SERIES.map(({ name, help, label, divisor, read }) => ({
      name,
      help,
      divisor,
      sums: () => this.#sums(label, read),
    }));
    const help = "Failed requests: the proxy's own codes with whose fault it is, and AWS's error types with fault aws.";
    return [
      ...bySeries,
      { name: 'errors_total', help, sums: () => this.#errorSums() },
      { name: 'unexplained_errors_total', help: UNEXPLAINED_HELP, sums: () => this.#unexplainedSums() },
      { name: 'cache_verdicts_total', help: VERDICTS_HELP, sums: () => this.#verdictSums() },
    ];
  }

  *#sums(label: string | undefined, read: (totals: Totals) => Sums): ReturnType<CounterRow['sums']> {
    for (const [labels, totals] of this.#series) {
      for (const [value, sum] of read(totals)) {
        yield [label === undefined ? { ...labels } : { ...labels, [label]: value }, sum];
      }
    }
  }

  #addVerdict({ cache }: RequestRecord, { model }: SeriesLabels): void {
    if (cache === undefined) return;
    const { verdict } = cache;
    const name = `${verdict} ${model}`;
    const known = this.#verdicts.get(name);
    if (known === undefined) this.#verdicts.set(name, { labels: { verdict, model }, sum: 1 });
    else known.sum += 1;
  }

  *#verdictSums(): ReturnType<CounterRow['sums']> {
    for (const { labels, sum } of this.#verdicts.values()) yield [labels, sum];
  }

  *#errorSums(): ReturnType<CounterRow['sums']> {
    for (const { labels, sum } of this.#errors.values()) yield [labels, sum];
  }

  *#unexplainedSums(): ReturnType<CounterRow['sums']> {
    for (const [code, sum] of this.#unexplained) yield [{ code }, sum];
  }

  #findFailure(record: RequestRecord): { code: string; fault: string } | undefined {
    const { error, status = 0 } = record;
    if (error !== undefined) return { code: error.code, fault: error.fault };
    const errorType = findErrorCode(record) ?? (status < 400 ? undefined : `HTTP ${status}`);
    if (errorType === undefined) return undefined;
    return { code: this.#bounds.findErrorType(errorType), fault: 'aws' };
  }
}

function isExplained(record: RequestRecord): boolean {
  const facts = { status: record.upstreamStatus, type: findErrorCode(record), message: findErrorMessage(record) };
  return explainError(facts) !== undefined;
}

function noTotals(): Totals {
  return {
    requests: new Map(),
    tokens: new Map(),
    costNanoUsd: undefined,
    unpriced: 0,
    partial: 0,
    requestBytes: 0,
    responseBytes: 0,
  };
}

function addUp(totals: Totals, record: RequestRecord): void {
  const status = record.status ?? 'none';
  totals.requests.set(status, (totals.requests.get(status) ?? 0) + 1);
  const cost = findCostNanoUsd(record);
  if (cost !== undefined) totals.costNanoUsd = (totals.costNanoUsd ?? 0) + cost;
  if (findPricing(record) === 'unpriced') totals.unpriced += 1;
  if (record.partial) totals.partial += 1;
  totals.requestBytes += record.requestBytes;
  totals.responseBytes += record.responseBytes;
  const { usage } = record;
  if (usage === undefined) return;
  addTokens(totals.tokens, 'input', usage.inputTokens);
  addTokens(totals.tokens, 'output', usage.outputTokens);
  addTokens(totals.tokens, 'cache_read', usage.cacheReadTokens);
  addTokens(totals.tokens, 'cache_write', usage.cacheWriteTokens);
}

function addTokens(tokens: Map<TokenKind, number>, kind: TokenKind, count: number | undefined): void {
  if (count !== undefined) tokens.set(kind, (tokens.get(kind) ?? 0) + count);
}

function single(sum: number): Sums {
  return [['', sum]];
}
