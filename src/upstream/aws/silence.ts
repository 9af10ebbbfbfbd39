/**
 * Silence within a response that has begun: how long it may last, and what the client is told when it has lasted too
 * long, in the words of its protocol, so that SDKs raise an error and no client takes what it got for complete. The
 * time in which the client itself takes no bytes does not count.
 */
import type { Writable } from 'node:stream';
import { ProxyError } from '../../lib/errors.ts';
import { type ClientResponse, findHeader, type HeaderPair } from '../../http/message.ts';
import { encodeFrame, encodeStringHeader, FrameBoundary } from '../../protocol/event-stream.ts';
import { SseBoundary } from '../../protocol/sse.ts';
import type { ResponseShape } from '../../operations/facts.ts';

/** How long a response may be silent, and whose words its errors have. */
export interface SilenceLimit {
  readonly timeoutMs: number;
  readonly shape: ResponseShape | undefined;
}

/** Says where a stream stands; only between two of its units can anything be added to it. */
interface Boundary {
  push(chunk: Buffer): void;
  readonly isBetween: boolean;
}

/** After its error event a stream is broken off only so much later: a reset would take back what was not read yet. */
const BREAK_AFTER_MS = 100;

/** State: the timer, and where the stream stands. Begins with the head of a response. */
export class SilenceWatch {
  readonly #limit: SilenceLimit;
  readonly #timer: NodeJS.Timeout;
  #boundary: Boundary | undefined;
  #isPaused = false;
  /** Set when the silence was too long. */
  #error: ProxyError | undefined;

  /** `onSilence` gets an ERR_UPSTREAM_TIMEOUT, once. */
  constructor(limit: SilenceLimit, headers: readonly HeaderPair[], onSilence: (error: ProxyError) => void) {
    this.#limit = limit;
    this.#boundary = openBoundary(headers);
    this.#timer = setTimeout(() => {
      if (this.#isPaused) return;
      this.#error = silent(limit.timeoutMs);
      onSilence(this.#error);
    }, limit.timeoutMs);
  }

  onBytes(chunk: Buffer): void {
    this.#boundary?.push(chunk);
    this.#timer.refresh();
  }

  /** The other direction of the stream was not silent. */
  refresh(): void {
    this.#timer.refresh();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /**
   * Ends the client's stream after the silence, and calls `done` when that has happened: an event stream with a frame
   * that says an exception, as AWS ends one; server-sent events with an error event and a break; what is neither, or
   * fell silent within a unit, with a break.
   */
  endClient(sink: Writable, clientResponse: ClientResponse, done: () => void): void {
    const breakOff = (): void => {
      clientResponse.breakOff();
      done();
    };
    const error = this.#error;
    // A client that leaves meanwhile is told nothing more.
    this.#error = undefined;
    if (error === undefined || this.#boundary?.isBetween !== true) breakOff();
    else if (this.#boundary instanceof FrameBoundary) {
      // The client of a stream both ways may still be sending.
      clientResponse.dropRequestBody();
      sink.end(exceptionFrame(error), done);
    } else sink.write(errorEvent(error, this.#limit.shape), () => setTimeout(breakOff, BREAK_AFTER_MS));
  }
}

function openBoundary(headers: readonly HeaderPair[]): Boundary | undefined {
  const type = findHeader(headers, 'content-type') ?? '';
  const encoding = findHeader(headers, 'content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (encoding !== 'identity' || findHeader(headers, 'content-length') !== undefined) return undefined;
  if (/^\s*application\/vnd\.amazon\.eventstream\b/i.test(type)) return new FrameBoundary();
  return /^\s*text\/event-stream\b/i.test(type) ? new SseBoundary() : undefined;
}

/** The exception that ConverseStream and InvokeModelWithResponseStream have for it; SDKs may send the request again. */
function exceptionFrame(error: ProxyError): Buffer {
  const headers = [
    encodeStringHeader(':exception-type', 'modelStreamErrorException'),
    encodeStringHeader(':content-type', 'application/json'),
    encodeStringHeader(':message-type', 'exception'),
  ];
  return encodeFrame(Buffer.concat(headers), Buffer.from(JSON.stringify({ message: error.message })));
}

/** As the provider's own API says an error within a stream; for other shapes as OpenAI's chat does. */
function errorEvent({ code, message }: ProxyError, shape: ResponseShape | undefined): string {
  if (shape === 'message') {
    return `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: 'timeout_error', message } })}\n\n`;
  }
  if (shape === 'response') {
    return `event: error\ndata: ${JSON.stringify({ type: 'error', code, message, param: null })}\n\n`;
  }
  return `data: ${JSON.stringify({ error: { message, type: 'server_error', param: null, code } })}\n\n`;
}

function silent(timeoutMs: number): ProxyError {
  return new ProxyError('ERR_UPSTREAM_TIMEOUT', `The upstream sent nothing for ${timeoutMs / 1000} seconds.`, {
    detail: '--stream-idle-timeout',
  });
}
