/**
 * What one exchange used and cost: its response is watched on the way, and when it is over, usage becomes money, what admission
 * reserved is settled, and the ledger gets its row. Called by the way (`proxy.ts`); changes nothing that passes, and never
 * fails a request.
 */
import type { Admission } from '../admission/admit.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { findHeader, type HeaderPair } from '../http/message.ts';
import { costOf, type PriceBook } from '../pricing/cost.ts';
import { createTap, type Reading, type Tap } from '../metering/tap.ts';
import { findFacts } from '../operations/find-facts.ts';
import type { Usage } from '../domain/usage.ts';
import type { ResponseWatcher } from '../upstream/aws/forward.ts';
import { exactUsd } from '../lib/usd.ts';
import { findCharge, findPrices, sumInput } from './charge.ts';
import type { Ledger } from './ledger-writer.ts';

export interface SettlementDependencies {
  readonly prices: PriceBook;
  readonly ledger: Ledger;
  /** Whether answers get headers of ours. */
  readonly responseHeaders: boolean;
  /** Told of every exchange that begins, and of every response that begins and is a stream. Must not throw. */
  readonly metrics: { begin(record: RequestRecord): void; streamBegan(record: RequestRecord): void };
}

/** One exchange's. State: what admission reserved for it, and what its response has told so far. */
export interface Settlement {
  /** The request was let in: from here on something may have to be given back. */
  onAdmitted(admission: Admission): void;
  /**
   * The request is ready to leave; its body took `bodyMs` to arrive. Returns who is to be told of its response; `onStatus` hears status
   * and error type of the head.
   */
  onReady(bodyMs: number, onStatus: OnStatus): ResponseWatcher;
  /**
   * Once, when everything is over: fills in the exchange, settles, writes the ledger; then tells `onWritten`. Never throws.
   */
  finish(onWritten: () => void): void;
}

type OnStatus = (status: number, errorType: string | undefined) => void;

interface Subject {
  readonly record: RequestRecord;
  /** Milliseconds since the exchange began. */
  readonly elapsedMs: () => number;
}

/** A response of this size waits until it is complete. Converse answers are smaller, and no client reads half of one. */
const MAX_BUFFERED_BYTES = 256 * 1024;
/** Event streams and server-sent events. */
const STREAM_TYPE = /^\s*(?:application\/vnd\.amazon\.eventstream|text\/event-stream)\b/i;

/** Longer request ids, error types and tiers are none of AWS's: they would only fill the ledger. */
const MAX_NAME_LENGTH = 128;

/** Opens the books of one exchange, before anything is known of it. */
export function openSettlement(subject: Subject, dependencies: SettlementDependencies): Settlement {
  return new OpenSettlement(subject, dependencies);
}

class OpenSettlement implements Settlement {
  readonly #subject: Subject;
  readonly #dependencies: SettlementDependencies;
  #admission: Admission | undefined;
  #isSent = false;
  #tap: Tap | undefined;
  #reading: Reading | undefined;

  constructor(subject: Subject, dependencies: SettlementDependencies) {
    this.#subject = subject;
    this.#dependencies = dependencies;
    dependencies.metrics.begin(subject.record);
  }

  onAdmitted(admission: Admission): void {
    this.#admission = admission;
    this.#subject.record.model = admission.model;
  }

  onReady(bodyMs: number, onStatus: OnStatus): ResponseWatcher {
    const { record, elapsedMs } = this.#subject;
    const { responseHeaders, metrics } = this.#dependencies;
    record.sentMs = elapsedMs();
    record.overheadMs = record.sentMs - bodyMs;
    this.#tap = openTap(record);
    return {
      onLeave: () => {
        this.#isSent = true;
      },
      onStart: (status, headers) => {
        record.status = status;
        record.firstByteMs = elapsedMs();
        record.upstreamRequestId = findHeader(headers, 'x-amzn-requestid')?.slice(0, MAX_NAME_LENGTH);
        record.upstreamErrorType = findHeader(headers, 'x-amzn-errortype')
          ?.slice(0, MAX_NAME_LENGTH)
          .replace(/:.*$/s, '');
        this.#tap?.onStart(status, headers);
        if (isStream(status, headers)) metrics.streamBegan(record);
        onStatus(status, record.upstreamErrorType);
      },
      onBytes: (chunk) => {
        record.responseBytes += chunk.length;
        this.#tap?.onBytes(chunk);
      },
      onClientBytes: (chunk) => {
        record.requestBytes += chunk.length;
      },
      findMaxBufferedBytes: () => (responseHeaders && this.#tap !== undefined ? MAX_BUFFERED_BYTES : -1),
      addHeaders: (isWhole) => {
        if (!responseHeaders) return [];
        if (isWhole) this.#price(true);
        return describeRecord(record);
      },
    };
  }

  finish(onWritten: () => void): void {
    const { record } = this.#subject;
    try {
      this.#price(record.error === undefined);
    } catch {
      // A fault of ours must not make a request look free.
      record.partial = true;
      book(record, { pricing: 'unpriced', cost: undefined, charge: this.#admission?.reservedNanoUsd ?? 0 });
    }
    // What AWS refused, and what never left, used nothing.
    this.#admission?.release({ tokens: record.pricing === 'free' ? 0 : countTokens(record.usage) });
    this.#dependencies.ledger.settle(record, onWritten);
  }

  #price(isWhole: boolean): void {
    const { record } = this.#subject;
    this.#reading ??= this.#tap?.finish(isWhole);
    const admission = this.#isSent ? this.#admission : undefined;
    priceRecord(record, this.#reading, admission, this.#dependencies.prices);
  }
}

function isStream(status: number, headers: readonly HeaderPair[]): boolean {
  return status === 101 || STREAM_TYPE.test(findHeader(headers, 'content-type') ?? '');
}

/** Only of responses that can tell what was used. */
function openTap({ route }: RequestRecord): Tap | undefined {
  if (route === undefined || findFacts(route.service, route.operation).usage !== 'metered') return undefined;
  return createTap({ service: route.service, operation: route.operation });
}

/** Fills in usage, cost and charge, from what is known now. `admission` is undefined where nothing was sent. */
function priceRecord(
  record: RequestRecord,
  reading: Reading | undefined,
  admission: Admission | undefined,
  prices: PriceBook,
): void {
  const { route, status, error, firstByteMs } = record;
  const isFailed = firstByteMs !== undefined && status !== undefined && status >= 400;
  const kind = route === undefined ? 'unreported' : findFacts(route.service, route.operation).usage;
  // What AWS refuses it does not bill, and what never left costs nothing.
  if (admission === undefined || isFailed || kind === 'free')
    return book(record, { pricing: 'free', cost: 0, charge: 0 });
  record.usage = reading?.usage;
  record.serviceTier = (reading?.serviceTier ?? admission.serviceTier)?.slice(0, MAX_NAME_LENGTH);
  record.partial = kind === 'metered' ? reading?.complete !== true : error !== undefined;
  const found = findPrices(record, reading, admission, prices);
  // Without any usage only what is sold by the request has a cost. Of several models the first is the one that was called.
  const cost = found[0] && costOf(record.usage ?? {}, found[0]);
  const charge = Math.max(cost ?? 0, findCharge(record, reading, admission, found));
  book(record, { pricing: cost === undefined ? 'unpriced' : 'priced', cost, charge });
}

interface Bill {
  readonly pricing: RequestRecord['pricing'];
  readonly cost: number | undefined;
  readonly charge: number;
}

function book(record: RequestRecord, { pricing, cost, charge }: Bill): void {
  record.pricing = pricing;
  record.costNanoUsd = cost;
  record.chargedNanoUsd = charge;
}

function countTokens(usage: Usage | undefined): number | undefined {
  const input = sumInput(usage);
  return input === undefined && usage?.outputTokens === undefined
    ? undefined
    : (input ?? 0) + (usage?.outputTokens ?? 0);
}

/** Cost in dollars, where it is known by now: a response that still streams has none yet. */
function describeRecord({ id, overheadMs, pricing, costNanoUsd }: RequestRecord): HeaderPair[] {
  const headers: HeaderPair[] = [['x-bedrock-proxy-request-id', id]];
  if (overheadMs !== undefined) headers.push(['x-bedrock-proxy-overhead-ms', overheadMs.toFixed(2)]);
  if (costNanoUsd !== undefined) headers.push(['x-bedrock-proxy-cost', exactUsd(costNanoUsd)]);
  else if (pricing !== undefined) headers.push(['x-bedrock-proxy-cost', pricing]);
  return headers;
}
