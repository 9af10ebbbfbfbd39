/**
 * What one request used and cost: its response is observed, and when it is over, usage becomes money, what admission
 * reserved is settled, and the ledger gets its row. Changes nothing that passes, and never fails a request.
 */
import type { Admission } from '../admission/admit.ts';
import { countQuotaTokens } from '../admission/burndown.ts';
import type { FailedAttempt, RequestRecord } from '../domain/request-record.ts';
import { findHeader, type HeaderPair } from '../http/message.ts';
import type { ModelPrice, PriceBook } from '../pricing/cost.ts';
import { createTap, type Reading, type Tap } from '../metering/tap.ts';
import { wayHeaders } from '../upstream/headers.ts';
import type { ResponseObserver, ResponsePolicy, Way } from '../upstream/upstream.ts';
import type { RequestEvents } from '../domain/events.ts';
import { exactUsd } from '../lib/usd.ts';
import { findPricedNames } from './charge.ts';
import type { Ledger, SettledStage } from './ledger-writer.ts';
import { addLostCharge, findLostCharge } from './lost-attempts.ts';
import { applyBill, kindOf, MAX_NAME_LENGTH, priceRecord } from './price-record.ts';

/** What settling needs besides the request. */
export interface SettlementDependencies {
  readonly prices: PriceBook;
  readonly ledger: Ledger;
  /** Whether responses get headers of ours. */
  readonly responseHeaders: boolean;
  readonly events: RequestEvents;
  /**
   * Says in the record what became of its prompt's cache, by the price of its cost, before the ledger has its row;
   * undefined: nobody looks. Must not throw.
   */
  readonly judgeCache?: ((record: RequestRecord, price: ModelPrice | undefined) => void) | undefined;
}

/** The settlement of one request. It writes the record from admission on, and emits its events. */
export interface Settlement {
  /** The request was admitted: from here on something may have to be given back. */
  onAdmitted(admission: Admission): void;
  /** The request is cut: from here on its response is not read on. */
  onCut(): void;
  /** Observes the response. */
  readonly observer: ResponseObserver;
  /** Small responses wait until they are complete, so that a header can give their cost. */
  readonly policy: ResponsePolicy;
  /**
   * Once, when everything is over: completes the record, settles, writes the ledger, then emits that it has ended. If
   * AWS is still being asked for the model behind an inference profile, without which there is no price, ledger and
   * event wait for that, some seconds at most. Never throws.
   */
  finish(): void;
}

interface Subject {
  readonly record: RequestRecord;
  /** Milliseconds since the request came. */
  readonly elapsedMs: () => number;
}

/** A response below this size waits until it is complete. Converse's are smaller, and no client reads half of one. */
const BUFFER_BELOW_BYTES = 256 * 1024;
/** Event streams and server-sent events. */
const STREAM_TYPE = /^\s*(?:application\/vnd\.amazon\.eventstream|text\/event-stream)\b/i;

/** Opens the settlement of one request, before anything is known of it. */
export function openSettlement(subject: Subject, dependencies: SettlementDependencies): Settlement {
  return new OpenSettlement(subject, dependencies);
}

/**
 * State: what admission reserved, and what the response has reported so far. How far the request has come is in its
 * record.
 */
class OpenSettlement implements Settlement {
  readonly observer: ResponseObserver;
  readonly policy: ResponsePolicy;
  readonly #record: RequestRecord;
  readonly #elapsedMs: () => number;
  readonly #dependencies: SettlementDependencies;
  #admission: Admission | undefined;
  #tap: Tap | undefined;
  #reading: Reading | undefined;
  #hasClient = true;
  #isCut = false;
  /** As a whole response, by all that can be known of it. */
  #isPriced = false;
  #foundPrice: ModelPrice | undefined;
  /** What attempts may have cost of which nobody tells more. */
  #lostNanoUsd: number | undefined;

  constructor({ record, elapsedMs }: Subject, dependencies: SettlementDependencies) {
    this.#record = record;
    this.#elapsedMs = elapsedMs;
    this.#dependencies = dependencies;
    this.observer = this.#observe();
    this.policy = this.#decide();
    dependencies.events.began(record);
  }

  onAdmitted(admission: Admission): void {
    this.#admission = admission;
    this.#record.model = admission.model;
    this.#record.phase = 'admitted';
    this.#dependencies.events.admitted(this.#record);
  }

  onCut(): void {
    this.#isCut = true;
  }

  #observe(): ResponseObserver {
    const record = this.#record;
    const { events } = this.#dependencies;
    return {
      onAttempt: (way, failed) => {
        this.#takeWay(way, failed);
        record.attempts = (record.attempts ?? 0) + 1;
      },
      onReturn: (way, failed) => this.#takeWay(way, failed),
      onReplayed: (recording) => {
        record.recording = recording;
      },
      onSigned: () => {
        record.sentMs = this.#elapsedMs();
        // What earlier attempts took is not the proxy's own time.
        record.overheadMs ??= record.sentMs - record.bodyMs;
        this.#tap = openTap(record, this.#admission);
        events.attemptStarted(record);
      },
      onSent: () => {
        record.phase = 'sent';
      },
      onUnsent: () => {
        record.phase = 'admitted';
      },
      onHead: (status, headers) => {
        record.phase = 'responding';
        record.upstreamStatus = status;
        if (this.#hasClient) record.status = status;
        record.firstByteMs = this.#elapsedMs();
        record.upstreamRequestId = findHeader(headers, 'x-amzn-requestid')?.slice(0, MAX_NAME_LENGTH);
        if (status >= 400) {
          const errorType = findHeader(headers, 'x-amzn-errortype')?.slice(0, MAX_NAME_LENGTH);
          record.upstreamErrorType = errorType?.replace(/:.*$/s, '');
        }
        this.#tap?.onStart(status, headers);
        record.isStreamed = isStream(status, headers);
        events.responseStarted(record);
      },
      onBytes: (chunk) => {
        record.responseBytes += chunk.length;
        this.#tap?.onBytes(chunk);
        events.bytes(record, chunk);
      },
      onEnd: () => {
        record.hasEnded = true;
      },
      onReadOn: () => {
        this.#hasClient = false;
      },
      onClientBytes: (chunk) => {
        record.requestBytes += chunk.length;
      },
    };
  }

  /** From here on the record is about this way. */
  #takeWay({ upstream, route }: Way, failed: FailedAttempt | undefined): void {
    const record = this.#record;
    if (failed !== undefined) {
      if (failed.kind === 'lost') {
        const ended = { ...record, totalMs: this.#elapsedMs() };
        const charge = findLostCharge(ended, this.#admission, this.#dependencies.prices);
        this.#lostNanoUsd = (this.#lostNanoUsd ?? 0) + charge;
      }
      this.#dependencies.events.attemptFailed(record, failed);
    }
    record.phase = 'admitted';
    record.upstream = upstream;
    record.route = route;
    const { modelId = '' } = route;
    record.model = this.#admission?.renamed.has(modelId) === true ? modelId : this.#admission?.model;
  }

  #decide(): ResponsePolicy {
    const { responseHeaders } = this.#dependencies;
    const record = this.#record;
    const isMetered = (): boolean => kindOf(record) === 'metered';
    const mayReadOn = (): boolean => !this.#isCut && (this.#admission?.reservedNanoUsd ?? 0) > 0;
    return {
      get bufferBelowBytes() {
        return responseHeaders && isMetered() && !record.isStreamed ? BUFFER_BELOW_BYTES : 0;
      },
      get readsOn() {
        return mayReadOn() && isMetered();
      },
      extraHeaders: (isComplete) => {
        if (!responseHeaders) return [];
        if (isComplete) this.#price(true);
        return [...ownHeaders(record), ...(this.#waitsForNames() === undefined ? costHeaders(record) : [])];
      },
    };
  }

  finish(): void {
    const record = this.#record;
    record.totalMs = this.#elapsedMs();
    this.#priceAtEnd();
    // A request that AWS refused, or that never left, used nothing.
    this.#admission?.release({ tokens: record.pricing === 'free' ? 0 : this.#countTokens(this.#admission) });
    const names = this.#waitsForNames();
    if (names === undefined) return this.#end();
    this.#dependencies.ledger.defer(names, () => {
      this.#priceAtEnd();
      this.#end();
    });
  }

  #priceAtEnd(): void {
    const record = this.#record;
    try {
      this.#price(record.hasEnded || record.error === undefined);
    } catch {
      // A fault of ours must not make a request look free.
      record.partial = true;
      const reserved = record.recording === undefined ? (this.#admission?.reservedNanoUsd ?? 0) : 0;
      applyBill(record, { pricing: 'unpriced', cost: undefined, charge: reserved, priceSource: undefined });
    }
  }

  #end(): void {
    const record = this.#record;
    record.phase = 'ended';
    const { ledger, events, judgeCache } = this.#dependencies;
    judgeCache?.(record, this.#foundPrice);
    ledger.settle(record, this.#stage(), () => events.ended(record));
  }

  /** The look-up that may still tell the price, if nothing else has. */
  #waitsForNames(): Promise<void> | undefined {
    return this.#record.pricing === 'unpriced' ? this.#admission?.namesAreFound : undefined;
  }

  #stage(): SettledStage {
    if (this.#admission === undefined) return 'refused';
    return this.#admission.reservedNanoUsd === undefined ? 'admitted' : 'reserved';
  }

  #countTokens(admission: Admission): number | undefined {
    return countQuotaTokens(this.#record.usage, findPricedNames(this.#record, this.#reading, admission));
  }

  #price(isComplete: boolean): void {
    const record = this.#record;
    // What a whole response cost was told in its headers; only what went wrong since may change it.
    if (this.#isPriced && record.error === undefined) return;
    const isSent = record.phase === 'sent' || record.phase === 'responding';
    this.#reading ??= this.#tap?.finish(isComplete);
    const admission = isSent ? this.#admission : undefined;
    this.#foundPrice = priceRecord(record, this.#reading, admission, this.#dependencies.prices);
    addLostCharge(record, this.#lostNanoUsd, this.#admission?.reservedNanoUsd);
    // It says what it would have cost.
    if (record.recording !== undefined) record.chargedNanoUsd = 0;
    this.#isPriced = isComplete && this.#waitsForNames() === undefined;
  }
}

function isStream(status: number, headers: readonly HeaderPair[]): boolean {
  return status === 101 || STREAM_TYPE.test(findHeader(headers, 'content-type') ?? '');
}

function openTap({ route, model }: RequestRecord, admission: Admission | undefined): Tap | undefined {
  if (route === undefined) return undefined;
  const { service, operation } = route;
  return createTap({ service, operation, model, requestedUnits: admission?.requestedUnits });
}

function ownHeaders({ id, overheadMs, upstream, attempts, recording }: RequestRecord): HeaderPair[] {
  const headers: HeaderPair[] = [
    ['x-bedrock-proxy-request-id', id],
    ['x-litellm-call-id', id],
  ];
  if (recording !== undefined) headers.push(['x-bedrock-proxy-cassette', recording]);
  if (overheadMs !== undefined) headers.push(['x-bedrock-proxy-overhead-ms', overheadMs.toFixed(2)]);
  return upstream === undefined ? headers : [...headers, ...wayHeaders(upstream, attempts)];
}

/**
 * Cost in dollars, if it is known by now: a response that still streams has none yet. The number stays one where it is
 * not all of the cost, and a header of its own says so. LiteLLM's header is for programs that know no such mark: it has
 * the whole cost or is not there.
 */
function costHeaders({ pricing, costNanoUsd, partial }: RequestRecord): HeaderPair[] {
  if (pricing === undefined) return [];
  if (costNanoUsd === undefined) return [['x-bedrock-proxy-cost', pricing]];
  const cost = exactUsd(costNanoUsd);
  const told = partial
    ? (['x-bedrock-proxy-cost-partial', 'true'] as const)
    : (['x-litellm-response-cost', cost] as const);
  return [['x-bedrock-proxy-cost', cost], told];
}
