/**
 * Carries an event stream both ways at once, over HTTP/2: the client's frames to AWS, signed anew as they come, and
 * AWS's response to the client, bytes untouched and from its first moment. Back-pressure both ways; if one side leaves,
 * the other is ended at once.
 */
import type { WallClock } from '../../lib/clock.ts';
import { findCode } from '../../lib/errno.ts';
import type { Readable, Writable } from 'node:stream';
import { clientGone, ProxyError, toAbortError, toProxyError } from '../../lib/errors.ts';
import { type ClientRequest, type ClientResponse, findHeader } from '../../http/message.ts';
import type { Frame } from '../../protocol/event-stream.ts';
import type { ResponseObserver, ResponsePolicy } from '../upstream.ts';
import type { SignedRequest } from './forward.ts';
import {
  FrameChain,
  type FrameChainOptions,
  FrameResigner,
  findSeedSignature,
} from '../../protocol/sigv4/frame-chain.ts';
import { selectClientHeaders } from '../headers.ts';
import { dialHttp2, unreachable } from './dial-http2.ts';
import { type Http2Stream, openHttp2Stream, resetName, splitStatus } from './http2-stream.ts';
import { SilenceWatch } from './silence.ts';
import type { NetworkOptions } from './tunnel.ts';
import { UNREAD_MS, UnreadLimit } from './unread.ts';

/** A request whose body is a stream of signed frames, which follow while the response comes already. */
export interface SignedEventStream extends Omit<SignedRequest, 'body'> {
  /** The very credentials that signed `headers`, their region and service: they sign every frame too. */
  readonly signedWith: Omit<FrameChainOptions, 'seedSignature'> | undefined;
}

/** The relay of event streams both ways. */
export interface BidirectionalForwarder {
  /**
   * Resolves when the client has the whole response. Throws ERR_NOT_SUPPORTED over HTTP/1.1 and offline,
   * ERR_BAD_REQUEST for a malformed stream, ERR_UPSTREAM_* and ERR_CLIENT_GONE as `Forwarder.forward` does. If it
   * throws, AWS's stream is reset, and so is the client's if its response had begun: neither side can take what it got
   * for complete.
   */
  relay(
    request: SignedEventStream,
    client: StreamingClient,
    observer: ResponseObserver,
    policy: ResponsePolicy,
  ): Promise<void>;
}

/**
 * The client of an event stream. `checkFrame` sees each of its frames before it is signed anew; what it throws is
 * thrown.
 */
export interface StreamingClient {
  readonly clientRequest: ClientRequest;
  readonly clientResponse: ClientResponse;
  readonly checkFrame: ((frame: Frame) => void) | undefined;
  /** See `Attempt`. */
  readonly holdBytes: (sizeBytes: number) => void;
}

/** How long a stream may be silent, and how AWS is reached. */
export interface BidirectionalOptions {
  readonly connectTimeoutMs: number;
  /** Longest silence, when no byte comes from either side. There is no limit to the whole. */
  readonly idleTimeoutMs: number;
  /** The same from the beginning of the response on, told to the client by a frame; undefined: no other limit. */
  readonly streamIdleTimeoutMs?: number | undefined;
  /** A client that takes nothing of the response for so long is cut off; default UNREAD_MS. */
  readonly unreadMs?: number | undefined;
  /** Epoch milliseconds, for the `:date` of frames. */
  readonly nowMs: WallClock;
  /** The way out of a corporate network; undefined: straight, with the certificate authorities of Node. */
  readonly network?: NetworkOptions | undefined;
}

const EVENT_STREAM_TYPE = 'application/vnd.amazon.eventstream';

/**
 * Makes the relay. Each stream has a connection of its own, as with the SDKs: it lives for minutes, shares no flow
 * control with others, and a GOAWAY concerns no other stream. So there is no pool, and nothing to close.
 */
export function createBidirectionalForwarder(options: BidirectionalOptions): BidirectionalForwarder {
  return {
    relay: async (request, { checkFrame, ...client }, observer, policy) => {
      const { clientRequest } = client;
      refuseWhatCannotStream(clientRequest);
      if (request.signedWith === undefined) throw new ProxyError('ERR_INTERNAL', 'The stream is not signed.');
      const chain = new FrameChain({ ...request.signedWith, seedSignature: findSeedSignature(request.headers) });
      const frames = new FrameResigner({ chain, nowMs: options.nowMs, checkFrame });
      const { network, connectTimeoutMs } = options;
      const { signal } = clientRequest;
      const socket = await dialHttp2(request.origin, { network, connectTimeoutMs, signal });
      const upstream = openHttp2Stream(request, { socket });
      await new StreamRelay({ options, upstream, frames, ...client, observer, policy }).done;
    },
  };
}

interface RelayParts extends Omit<StreamingClient, 'checkFrame'> {
  readonly options: BidirectionalOptions;
  readonly upstream: Http2Stream;
  readonly frames: FrameResigner;
  readonly observer: ResponseObserver;
  readonly policy: ResponsePolicy;
}

/**
 * One pair of streams. Its states:
 * - connecting: until the HTTP/2 session stands; the client's frames are signed and wait in the stream's buffer;
 * - sending: frames go out as they come; the client is paused while AWS takes none;
 * - responding (`#sink` is set): AWS's bytes go to the client at the same time; AWS is paused while the client takes
 *   none;
 * - responded (`#isResponded`): AWS's response is complete, and the client need not send more;
 * - over (`#isOver`): `done` is resolved or rejected, once: in order, by a fault of either side, by silence, or by the
 *   client's leaving.
 */
class StreamRelay {
  readonly done: Promise<void>;
  readonly #parts: RelayParts;
  readonly #body: Readable;
  readonly #connecting: NodeJS.Timeout;
  readonly #idle: NodeJS.Timeout;
  #sink: Writable | undefined;
  #watch: SilenceWatch | undefined;
  readonly #unread: UnreadLimit;
  #isConnected = false;
  /** What was told to `holdBytes`. */
  #heldBytes = 0;
  /** AWS's response came to its end; what is left is to bring it to the client. */
  #isResponded = false;
  #isOver = false;
  readonly #resolve: () => void;
  readonly #reject: (error: ProxyError) => void;

  constructor(parts: RelayParts) {
    this.#parts = parts;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    const { connectTimeoutMs, idleTimeoutMs, unreadMs = UNREAD_MS } = parts.options;
    this.#unread = new UnreadLimit(unreadMs, () => this.#fail(clientGone('The client took no bytes.')));
    this.#connecting = setTimeout(() => this.#fail(unreachable('connect timeout')), connectTimeoutMs);
    this.#idle = setTimeout(() => this.#fail(silent()), idleTimeoutMs);
    parts.clientRequest.signal.addEventListener('abort', this.#onClientGone, { once: true });
    this.#listenToUpstream();
    this.#body = parts.clientRequest.openBody();
    // `aborted` comes at once, `signal` only when the last byte of a body that we have paused has been read.
    this.#body.on('data', this.#onClientBytes).on('end', this.#onClientEnd).on('aborted', this.#onClientGone);
    // While the connection was being made.
    if (parts.clientRequest.signal.aborted || Reflect.get(this.#body, 'aborted') === true) this.#onClientGone();
  }

  #listenToUpstream(): void {
    const { session, stream, isWhole } = this.#parts.upstream;
    session.on('connect', () => {
      clearTimeout(this.#connecting);
      this.#isConnected = !session.encrypted || session.alpnProtocol === 'h2';
      if (this.#isConnected) this.#parts.observer.onSent();
      else this.#fail(unreachable('no HTTP/2'));
    });
    session.on('error', (error) => this.#onUpstreamBroken(error));
    stream.on('error', (error) => this.#onUpstreamBroken(error));
    stream.on('close', () => this.#onUpstreamBroken());
    stream.on('response', (_headers, _flags, rawHeaders) => this.#attempt(() => this.#startResponse(rawHeaders)));
    stream.on('data', (chunk: Buffer) => this.#onUpstreamBytes(chunk));
    stream.on('end', () => (isWhole() ? this.#onUpstreamEnd() : this.#onUpstreamBroken()));
    stream.on('drain', () => {
      this.#body.resume();
      this.#attempt(() => this.#countHeld());
    });
  }

  readonly #onClientBytes = (chunk: Buffer): void =>
    this.#attempt(() => {
      const { upstream, frames, observer } = this.#parts;
      this.#idle.refresh();
      this.#watch?.refresh();
      observer.onClientBytes(chunk);
      let hasRoom = true;
      for (const frame of frames.push(chunk)) {
        if (frames.ended) upstream.stream.end(frame);
        else hasRoom = upstream.stream.write(frame);
      }
      if (!hasRoom) this.#body.pause();
      this.#countHeld();
    });

  /** Frames that are not complete, and those that AWS has not taken. */
  #countHeld(): void {
    if (this.#isOver) return;
    this.#hold(this.#parts.frames.heldBytes + this.#parts.upstream.stream.writableLength);
  }

  #hold(sizeBytes: number): void {
    const more = sizeBytes - this.#heldBytes;
    if (more === 0) return;
    this.#parts.holdBytes(more);
    this.#heldBytes = sizeBytes;
  }

  /** One turn later, because Node's clients end a stream in order just before they reset it: that is no end. */
  readonly #onClientEnd = (): void => {
    setImmediate(() =>
      this.#attempt(() => {
        const last = this.#parts.frames.finish();
        if (last !== undefined) this.#parts.upstream.stream.end(last);
      }),
    );
  };

  readonly #onClientGone = (): void => this.#fail(toAbortError(this.#parts.clientRequest.signal));

  #startResponse(rawHeaders: readonly string[]): void {
    const { clientResponse, observer, policy, upstream } = this.#parts;
    const { status, headers } = splitStatus(rawHeaders);
    this.#idle.refresh();
    observer.onHead(status, headers);
    const added = policy.extraHeaders(false);
    this.#sink = clientResponse.start(status, [...selectClientHeaders(headers), ...added]);
    const { streamIdleTimeoutMs: timeoutMs } = this.#parts.options;
    if (timeoutMs !== undefined) {
      const limit = { timeoutMs, shape: undefined };
      this.#watch = new SilenceWatch(limit, headers, (error) => this.#fail(error));
    }
    this.#sink.on('drain', () => {
      this.#watch?.resume();
      this.#unread.end();
      upstream.stream.resume();
    });
  }

  #onUpstreamBytes(chunk: Buffer): void {
    if (this.#isOver || this.#isResponded) return;
    this.#idle.refresh();
    this.#watch?.onBytes(chunk);
    this.#parts.observer.onBytes(chunk);
    if (this.#sink === undefined || this.#sink.write(chunk)) return;
    this.#unread.begin(this.#sink);
    this.#watch?.pause();
    this.#parts.upstream.stream.pause();
  }

  /** AWS's response is complete. What the client might still send is dropped. */
  #onUpstreamEnd(): void {
    const sink = this.#sink;
    if (this.#isOver || this.#isResponded || sink === undefined) return;
    this.#isResponded = true;
    this.#watch?.stop();
    this.#parts.observer.onEnd();
    this.#ignoreClient();
    this.#parts.clientResponse.dropRequestBody();
    // SDKs close their connection the moment they have the end. Node may report that before it reports that the last
    // write is done, and calls it an error; but a stream that was complete both ways has no error code.
    sink.end((error?: Error | null) => {
      const isWhole = !error || ('rstCode' in sink && sink.rstCode === 0);
      if (isWhole) this.#finish();
      else this.#fail(clientGone());
    });
    this.#unread.begin(sink);
  }

  #onUpstreamBroken(cause?: Error): void {
    if (this.#isResponded || this.#isOver) return;
    const { stream } = this.#parts.upstream;
    const named = findCode(cause) ?? '';
    const code = named === '' || named === 'ERR_HTTP2_STREAM_ERROR' ? resetName(stream.rstCode ?? 0) : named;
    if (!this.#isConnected) return this.#fail(unreachable(code, cause));
    const when = this.#sink === undefined ? 'without a response' : 'in the middle of its response';
    const message = `The upstream broke the stream off ${when} (${code}).`;
    this.#fail(new ProxyError('ERR_UPSTREAM_RESET', message, { cause, detail: code }));
  }

  #ignoreClient(): void {
    this.#body.off('data', this.#onClientBytes).off('end', this.#onClientEnd).off('aborted', this.#onClientGone);
  }

  #attempt(step: () => void): void {
    if (this.#isOver) return;
    try {
      step();
    } catch (thrown) {
      this.#fail(toProxyError(thrown));
    }
  }

  #fail(error: ProxyError): void {
    if (this.#isOver) return;
    this.#ignoreClient();
    this.#body.pause();
    const { clientResponse } = this.#parts;
    if (this.#sink !== undefined && this.#watch !== undefined) {
      this.#isResponded = true;
      this.#parts.upstream.leave();
      return this.#watch.endClient(this.#sink, clientResponse, () => this.#finish(error));
    }
    // First: breaking off fires the client's signal.
    this.#finish(error);
    if (this.#sink !== undefined) clientResponse.breakOff();
  }

  #finish(error?: ProxyError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#hold(0);
    clearTimeout(this.#connecting);
    clearTimeout(this.#idle);
    this.#watch?.stop();
    this.#unread.end();
    this.#parts.clientRequest.signal.removeEventListener('abort', this.#onClientGone);
    this.#parts.upstream.leave();
    if (error === undefined) this.#resolve();
    else this.#reject(error);
  }
}

function refuseWhatCannotStream({ httpVersion, headers, signal }: ClientRequest): void {
  if (signal.aborted) throw toAbortError(signal);
  if (httpVersion !== '2') throw needsHttp2();
  if (findHeader(headers, 'content-type')?.trim().toLowerCase() === EVENT_STREAM_TYPE) return;
  throw new ProxyError('ERR_BAD_REQUEST', `The content-type of this stream must be ${EVENT_STREAM_TYPE}.`);
}

function needsHttp2(): ProxyError {
  return new ProxyError('ERR_NOT_SUPPORTED', 'A stream in both directions needs HTTP/2.', {
    hint:
      'Let the client speak HTTP/2 (over http:// with prior knowledge); the AWS SDK for JavaScript does so ' +
      'by itself.',
  });
}

function silent(): ProxyError {
  return new ProxyError('ERR_UPSTREAM_TIMEOUT', 'Nothing came from either side for too long.');
}
