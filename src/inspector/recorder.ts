/**
 * Keeps exchanges as they pass: copies of their bytes, the times of their arrival, heads without credentials. It is
 * never in the way: it waits for nothing, and where there is no room it lets go of content and says so.
 */
import type { MonotonicClock } from '../lib/clock.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { type ClientRequest, findHeader, type HeaderPair } from '../http/message.ts';
import { ExchangeCapture } from './capture.ts';
import { CaptureRate, MAX_CAPTURED_PER_SECOND } from './capture-rate.ts';
import type { Omission } from './exchange.ts';
import { ExchangeLinks } from './links.ts';
import type { ExchangeRing } from './ring.ts';
import type { ExchangeWatcher } from './watcher.ts';

/** By which a client asks that its content is not kept; it goes nowhere else. */
const OPT_OUT_HEADER = 'x-bedrock-proxy-inspect';

/** How a recorder begins, and what it takes at most. */
export interface RecorderOptions {
  readonly lastSequence?: number | undefined;
  readonly maxPerSecond?: number | undefined;
  /** Each exchange is linked when it has ended, and told as ended only then: a file keeps it as it is told. */
  readonly isBesideFile?: boolean | undefined;
}

/** Keeps what passes in a ring. */
export class ExchangeRecorder implements ExchangeWatcher {
  readonly #ring: ExchangeRing;
  readonly #tickMs: MonotonicClock;
  /** By id: those whose ledger row is not written yet. */
  readonly #open = new Map<string, ExchangeCapture>();
  readonly #links: ExchangeLinks;
  readonly #rate: CaptureRate;
  #sequence: number;
  /** Whether content is kept; rows are in any case. */
  isCapturing = true;

  /** `lastSequence`: of those that are kept elsewhere since before. */
  constructor(
    ring: ExchangeRing,
    tickMs: MonotonicClock,
    { lastSequence = 0, maxPerSecond = MAX_CAPTURED_PER_SECOND, isBesideFile = false }: RecorderOptions = {},
  ) {
    this.#ring = ring;
    this.#tickMs = tickMs;
    this.#sequence = lastSequence;
    this.#rate = new CaptureRate(maxPerSecond, tickMs);
    this.#links = new ExchangeLinks(ring, isBesideFile);
  }

  open(record: RequestRecord, clientRequest: ClientRequest): ExchangeCapture | undefined {
    // Who replays one wants to see it.
    if (!this.#rate.take() && clientRequest.replay === undefined) {
      this.#ring.countDropped('rate');
      return undefined;
    }
    const omitted = this.isCapturing ? findOptOut(clientRequest.headers) : 'off';
    const parts = { ring: this.#ring, tickMs: this.#tickMs, omitted, links: this.#links };
    const capture = new ExchangeCapture(record, clientRequest, { ...parts, sequence: (this.#sequence += 1) });
    this.#open.set(record.id, capture);
    this.#ring.add(capture);
    clientRequest.replay?.onRecord(record.id);
    return capture;
  }

  /** To be called with the event of the same name. */
  readonly ended = (record: RequestRecord): void => {
    const capture = this.#open.get(record.id);
    if (capture === undefined) return;
    this.#open.delete(record.id);
    capture.settle();
    this.#links.add(capture);
  };

  /** What has ended is linked, and told: nothing comes any more. */
  finish(): void {
    this.#links.flush();
  }
}

function findOptOut(headers: readonly HeaderPair[]): Omission | undefined {
  return findHeader(headers, OPT_OUT_HEADER)?.trim().toLowerCase() === 'off' ? 'opt-out' : undefined;
}
