/**
 * Stands before the relay if another upstream may be asked: keeps a response that a judge wants held, whole and as it
 * came, so that it can still pass if nobody does better. Keeps little: what is large, or is no such response, passes at
 * once.
 */
import type { Dispatcher } from 'undici';
import { findHeader } from '../../http/message.ts';
import { toAbortError } from '../../lib/errors.ts';
import { FrameSplitter, parseFrameHeaders } from '../../protocol/event-stream.ts';
import type { HeldResponse, ResponseJudge } from '../upstream.ts';
import type { FirstTryParts } from './first-try.ts';
import { toPairs } from './undici-response.ts';

/** No refusal of AWS, nor the first frame of a stream, is as large. */
const MAX_HELD_BYTES = 64 * 1024;
/** So long a response is held that is not complete, or a stream of which no frame has come; the client waits. */
const MAX_HELD_MS = 10_000;

type Handler = FirstTryParts['handler'];

/** What a gate stands between, and who decides. */
export interface ResponseGateParts {
  readonly relay: Handler;
  readonly judge: ResponseJudge;
  /** Of the client: a response is not held for nobody. */
  readonly signal: AbortSignal;
  /** The response is complete, and the relay gets nothing of it. */
  readonly onHeld: (response: KeptResponse) => void;
}

/** A response that is kept: its head as undici told it, and its body. */
export interface KeptResponse {
  readonly start: Parameters<Handler['onResponseStart']>;
  readonly chunks: readonly Buffer[];
  /** Of an exception in a stream: its type in the words of a status. */
  readonly exceptionType: string | undefined;
}

/**
 * State: `waiting` for a head, `holding` what is to be held, `peeking` at the first frame, `passing` everything on.
 */
export class ResponseGate implements Dispatcher.DispatchHandler {
  readonly #parts: ResponseGateParts;
  #state: 'waiting' | 'holding' | 'peeking' | 'passing' = 'waiting';
  #start: KeptResponse['start'] | undefined;
  #chunks: Buffer[] = [];
  #keptBytes = 0;
  #splitter: FrameSplitter | undefined;
  #exceptionType: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: ResponseGateParts) {
    this.#parts = parts;
  }

  /** As the relay's. */
  get isOver(): boolean {
    return this.#parts.relay.isOver;
  }

  onRequestStart(...values: Parameters<Handler['onRequestStart']>): void {
    this.#parts.relay.onRequestStart(...values);
  }

  onRequestUpgrade(...values: Parameters<Handler['onRequestUpgrade']>): void {
    this.#parts.relay.onRequestUpgrade(...values);
  }

  onResponseStart(...start: Parameters<Handler['onResponseStart']>): void {
    const [controller, status] = start;
    const { relay, judge, signal } = this.#parts;
    if (status < 200) return relay.onResponseStart(...start);
    const headers = toPairs(controller.rawHeaders);
    const isLarge = Number(findHeader(headers, 'content-length') ?? 0) > MAX_HELD_BYTES;
    const verdict = isLarge || signal.aborted ? 'pass' : judge.judgeHead(status, headers);
    this.#start = start;
    if (verdict === 'pass') return this.#pass();
    this.#state = verdict === 'hold' ? 'holding' : 'peeking';
    if (verdict === 'peek') this.#splitter = new FrameSplitter(MAX_HELD_BYTES);
    this.#timer = setTimeout(() => this.#pass(), MAX_HELD_MS);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state === 'passing') return this.#parts.relay.onResponseData(controller, chunk);
    this.#chunks.push(chunk);
    this.#keptBytes += chunk.length;
    if (this.#keptBytes > MAX_HELD_BYTES) this.#pass();
    else if (this.#state === 'peeking') this.#peek(chunk);
  }

  #peek(chunk: Buffer): void {
    let exceptionType: string | undefined;
    try {
      const first = this.#splitter?.push(chunk).next().value;
      if (first === undefined) return;
      const found = parseFrameHeaders(first.headers).get(':exception-type');
      exceptionType = found?.kind === 'string' ? found.value : undefined;
    } catch {
      // A client has its own view of what is no frame.
    }
    if (exceptionType === undefined || !this.#parts.judge.holdsException(exceptionType)) return this.#pass();
    this.#exceptionType = exceptionType.charAt(0).toUpperCase() + exceptionType.slice(1);
    this.#state = 'holding';
  }

  onResponseEnd(...values: Parameters<Handler['onResponseEnd']>): void {
    const { relay, signal, onHeld } = this.#parts;
    clearTimeout(this.#timer);
    if (this.#state === 'holding' && !signal.aborted && this.#start !== undefined) {
      return onHeld({ start: this.#start, chunks: this.#chunks, exceptionType: this.#exceptionType });
    }
    this.#pass();
    relay.onResponseEnd(...values);
  }

  /** What is held of a response that breaks off is not let go: to the client, nothing has come. */
  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#timer);
    this.#state = 'passing';
    this.#chunks = [];
    this.#parts.relay.onResponseError(controller, error);
  }

  #pass(): void {
    if (this.#state === 'passing' || this.#start === undefined) return;
    clearTimeout(this.#timer);
    this.#state = 'passing';
    const [controller] = this.#start;
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#parts.relay.onResponseStart(...this.#start);
    for (const chunk of chunks) this.#parts.relay.onResponseData(controller, chunk);
  }
}

/** `openRelay` makes the relay that gets the response if it is released after all. */
export function toHeldResponse(
  { start, chunks, exceptionType }: KeptResponse,
  signal: AbortSignal,
  openRelay: (resolve: () => void, reject: (error: Error) => void) => Handler,
): HeldResponse {
  const [{ rawHeaders }, status] = start;
  const headers = toPairs(rawHeaders);
  const errorType = exceptionType ?? findHeader(headers, 'x-amzn-errortype')?.replace(/:.*$/s, '');
  return {
    status,
    headers,
    errorType,
    release: () =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(toAbortError(signal));
        const relay = openRelay(resolve, reject);
        const controller = openIdleController(rawHeaders);
        relay.onRequestStart(controller, {});
        relay.onResponseStart(controller, status, ...rest(start));
        for (const chunk of chunks) relay.onResponseData(controller, chunk);
        relay.onResponseEnd(controller, {});
      }),
  };
}

function rest([, , headers, statusMessage]: KeptResponse['start']) {
  return [headers, statusMessage] as const;
}

/** The exchange with the upstream is over: there is nothing left to steer. */
function openIdleController(rawHeaders: Dispatcher.DispatchController['rawHeaders']): Dispatcher.DispatchController {
  return {
    aborted: false,
    paused: false,
    reason: null,
    rawHeaders: rawHeaders ?? null,
    rawTrailers: null,
    abort: () => {},
    pause: () => {},
    resume: () => {},
  };
}
