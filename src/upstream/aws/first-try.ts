/**
 * The first try of a request, and when there is a second one. Whether a request is sent again is decided here alone,
 * and only if the client has nothing of a response, its body is still there, and AWS cannot have done any work:
 *
 * - a connection that had served before ended at once, before one byte of a response: the upstream had closed it while
 *   the request was on its way, and never saw it. Not after a reset, not after a while (a time-out on the way ends a
 *   connection too, and AWS works on), and not on a fresh connection.
 * - AWS refused the signature for a reason that is cured by now: a wrong clock, or credentials that have been replaced.
 */
import type { Dispatcher } from 'undici';
import { type HeaderPair, findHeader } from '../../http/message.ts';
import { isEndOfOtherSide, type SocketUse, type SocketUses } from './upstream-socket.ts';

/** The end of a connection that was stale is under way already: it takes one round trip. */
const MAX_STALE_MS = 2_000;
const REFUSAL =
  /^(?:ExpiredToken|UnrecognizedClient|InvalidClientTokenId|InvalidSignature|Request(?:TimeTooSkewed|Expired|InTheFuture))/;
/** Larger responses are no refusals of AWS, and pass at once. */
const MAX_REFUSAL_BYTES = 64 * 1024;

/** What decides about the second try, and makes it. */
export interface FirstTryParts {
  /** Gets the response of the try that counts, unless it is over by then. */
  readonly handler: { readonly isOver: boolean } & Required<
    Pick<
      Dispatcher.DispatchHandler,
      'onRequestStart' | 'onRequestUpgrade' | 'onResponseStart' | 'onResponseData' | 'onResponseEnd' | 'onResponseError'
    >
  >;
  readonly signal: AbortSignal;
  readonly uses: SocketUses;
  readonly toPairs: (raw: Dispatcher.DispatchController['rawHeaders']) => HeaderPair[];
  /** Sends it again, on a fresh connection. */
  readonly onStale: () => void;
  /** If the response may be a refusal that can be cured: sends it again, if it is, and resolves to true. */
  readonly onRefused: ((status: number, headers: readonly HeaderPair[]) => Promise<boolean>) | undefined;
}

interface HeldRefusal {
  readonly start: Parameters<FirstTryParts['handler']['onResponseStart']>;
  readonly headers: readonly HeaderPair[];
  readonly chunks: Buffer[];
}

/**
 * Stands between undici and the handler. Its states: passing everything on, or holding a refusal (`#held` is set) until
 * it is decided.
 */
export class FirstTry implements Dispatcher.DispatchHandler {
  readonly #parts: FirstTryParts;
  #use: SocketUse | undefined;
  #held: HeldRefusal | undefined;

  constructor(parts: FirstTryParts) {
    this.#parts = parts;
  }

  onRequestStart(...values: Parameters<FirstTryParts['handler']['onRequestStart']>): void {
    this.#parts.uses.expect((use) => (this.#use = use));
    this.#parts.handler.onRequestStart(...values);
  }

  onRequestUpgrade(...values: Parameters<FirstTryParts['handler']['onRequestUpgrade']>): void {
    this.#parts.handler.onRequestUpgrade(...values);
  }

  onResponseStart(...start: Parameters<FirstTryParts['handler']['onResponseStart']>): void {
    const [controller, status] = start;
    if (this.#parts.onRefused !== undefined && (status === 400 || status === 401 || status === 403)) {
      const headers = this.#parts.toPairs(controller.rawHeaders);
      const sizeBytes = Number(findHeader(headers, 'content-length') ?? Number.NaN);
      if (isRefusal(headers) && sizeBytes <= MAX_REFUSAL_BYTES) {
        this.#held = { start, headers, chunks: [] };
        return;
      }
    }
    this.#parts.handler.onResponseStart(...start);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#held !== undefined) this.#held.chunks.push(chunk);
    else this.#parts.handler.onResponseData(controller, chunk);
  }

  onResponseEnd(...values: Parameters<FirstTryParts['handler']['onResponseEnd']>): void {
    const held = this.#held;
    const { handler, onRefused } = this.#parts;
    if (held === undefined || onRefused === undefined) return handler.onResponseEnd(...values);
    const decide = (isSentAgain: boolean): void => {
      if (isSentAgain || handler.isOver) return;
      this.#passOn(held);
      handler.onResponseEnd(...values);
    };
    void onRefused(held.start[1], held.headers).then(decide, () => decide(false));
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    const { handler, signal, onStale } = this.#parts;
    if (this.#held !== undefined) this.#passOn(this.#held);
    else if (!signal.aborted && this.#use !== undefined && wasStale(this.#use, error)) return onStale();
    handler.onResponseError(controller, error);
  }

  #passOn({ start, chunks }: HeldRefusal): void {
    this.#held = undefined;
    this.#parts.handler.onResponseStart(...start);
    for (const chunk of chunks) this.#parts.handler.onResponseData(start[0], chunk);
  }
}

function wasStale(use: SocketUse, error: Error): boolean {
  return use.isReused && !use.hasReceived() && use.ageMs() < MAX_STALE_MS && isEndOfOtherSide(error);
}

/** Of the signature or of who signed; what else AWS refuses is no matter of ours. */
function isRefusal(headers: readonly HeaderPair[]): boolean {
  return REFUSAL.test(findHeader(headers, 'x-amzn-errortype') ?? '');
}
