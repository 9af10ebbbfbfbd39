/**
 * Lets one response flow from undici to the client, untouched and with back-pressure; passes the client's leaving on at
 * once, or reads on for the usage if the policy asks for it. It does not look into bodies.
 */
import type { Duplex, Writable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { MACHINE_TICKS } from '../../lib/clock.ts';
import { clientGone, ProxyError, toAbortError } from '../../lib/errors.ts';
import { type ClientResponse, type ClientUpgrade, findHeader } from '../../http/message.ts';
import type { ResponseObserver, ResponsePolicy } from '../upstream.ts';
import { breakConnection } from '../../lib/reset.ts';
import { selectClientHeaders } from '../headers.ts';
import { BufferedResponse, type ResponseHead } from './buffered-response.ts';
import { type SilenceLimit, SilenceWatch } from './silence.ts';
import { toPairs, toUpstreamError } from './undici-response.ts';
import { UnreadLimit } from './unread.ts';
import { splice, type SpliceBreak } from './websocket.ts';

/** How often a response that is read on is asked whether it still is to be: AWS may be silent when the key ends. */
const READ_ON_LOOK_MS = 500;

/** The client that waits for a response, and the signal that it has left. */
export interface WaitingClient {
  readonly clientResponse: ClientResponse;
  /** Fires when the client leaves before its response is complete. */
  readonly signal: AbortSignal;
}

/** When a response is read on, and for how long. */
export interface ReadOnLimits {
  /** Counted from the moment when the client leaves. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** A client that took nothing for so long is to blame if the upstream breaks off. */
  readonly stallMs: number;
}

/** What a relay is made of. */
export interface RelayParts {
  readonly client: WaitingClient;
  readonly observer: ResponseObserver;
  readonly policy: ResponsePolicy;
  readonly upgrade: ClientUpgrade | undefined;
  readonly silence: SilenceLimit | undefined;
  /** A client that takes nothing for so long is cut off. */
  readonly unreadMs: number;
  /** How long a response waits to be complete. */
  readonly bufferMs: number;
  /** `ending` fires when no response is to be read on any more. */
  readonly reading: ReadOnLimits & { readonly ending: AbortSignal };
}

/**
 * One response on its way from undici to the client. Its states, each entered once and left for a later one:
 * - waiting: no head yet;
 * - buffered (`#buffered` is set): the head is there, and the client has nothing, because the policy asks for all of it
 *   first; for some seconds, and as far as the policy goes;
 * - streaming (`#sink` is set): the client has the head, and gets bytes as they come; undici is paused while it takes
 *   none;
 * - spliced: after a `101` both connections are bare, and `splice` ends them;
 * - reading on (`#readTimer` is set): the client has left, and the policy asks for the usage: bytes are observed and
 *   dropped, within limits;
 * - over: the promise is resolved or rejected: by the last byte at the client, a fault of the upstream, the client's
 *   leaving, or the end of the reading on.
 */
export class ResponseRelay implements Dispatcher.DispatchHandler {
  readonly #clientResponse: ClientResponse;
  readonly #signal: AbortSignal;
  readonly #observer: ResponseObserver;
  readonly #policy: ResponsePolicy;
  readonly #resolve: () => void;
  readonly #reject: (error: ProxyError) => void;
  readonly #upgrade: ClientUpgrade | undefined;
  readonly #silence: SilenceLimit | undefined;
  #watch: SilenceWatch | undefined;
  readonly #unreadMs: number;
  readonly #bufferMs: number;
  readonly #unread: UnreadLimit;
  readonly #reading: RelayParts['reading'];
  #controller: Dispatcher.DispatchController | undefined;
  #sink: ReturnType<ClientResponse['start']> | undefined;
  #buffered: BufferedResponse | undefined;
  #isOver = false;
  /** Since when the client takes nothing, and undici is paused; in ticks. */
  #heldUpAtMs: number | undefined;
  /** It has taken nothing for long, now or before. */
  #hasStalled = false;
  #hasEnded = false;
  #readTimer: NodeJS.Timeout | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  /** What may still be read on. */
  #readBytesLeft = 0;

  constructor(
    { client, observer, policy, upgrade, silence, unreadMs, bufferMs, reading }: RelayParts,
    resolve: () => void,
    reject: (error: ProxyError) => void,
  ) {
    this.#clientResponse = client.clientResponse;
    this.#signal = client.signal;
    this.#observer = observer;
    this.#policy = policy;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#upgrade = upgrade;
    this.#silence = silence;
    this.#unreadMs = unreadMs;
    this.#bufferMs = bufferMs;
    // It fires the client's signal, as its leaving does.
    this.#unread = new UnreadLimit(unreadMs, () => client.clientResponse.breakOff());
    this.#reading = reading;
    this.#readBytesLeft = reading.maxBytes;
    this.#signal.addEventListener('abort', this.#onClientGone, { once: true });
  }

  /** The promise is resolved or rejected. */
  get isOver(): boolean {
    return this.#isOver;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#signal.aborted) return controller.abort(toAbortError(this.#signal));
    this.#controller = controller;
    this.#observer.onSent();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _parsed: unknown,
    reasonPhrase?: string,
  ): void {
    if (status < 200) return;
    const headers = toPairs(controller.rawHeaders);
    this.#observer.onHead(status, headers);
    if (this.#silence !== undefined) {
      this.#watch = new SilenceWatch(this.#silence, headers, (error) => controller.abort(error));
    }
    if (this.#readTimer !== undefined) return;
    // What does not say its size may be small.
    const announcedBytes = Number(findHeader(headers, 'content-length') ?? 0);
    const head = { status, headers, reasonPhrase };
    const { bufferBelowBytes: bytes } = this.#policy;
    if (announcedBytes < bytes) {
      const release = (): void => this.#releaseBuffered(controller, false);
      this.#buffered = new BufferedResponse(head, { bytes, timeMs: this.#bufferMs }, release);
    } else this.#sink = this.#startResponse(head, controller, false);
  }

  #startResponse(
    { status, headers, reasonPhrase }: ResponseHead,
    controller: Dispatcher.DispatchController,
    isComplete: boolean,
  ): ReturnType<ClientResponse['start']> {
    const added = this.#policy.extraHeaders(isComplete);
    const sink = this.#clientResponse.start(status, [...selectClientHeaders(headers), ...added], reasonPhrase);
    sink.on('drain', () => {
      this.#watch?.resume();
      this.#unread.end();
      this.#endStall();
      controller.resume();
    });
    return sink;
  }

  /** What was buffered goes out; `isComplete` if it is all. */
  #releaseBuffered(controller: Dispatcher.DispatchController, isComplete: boolean): void {
    const buffered = this.#buffered;
    if (buffered === undefined) return;
    this.#dropBuffered();
    const sink = (this.#sink = this.#startResponse(buffered.head, controller, isComplete));
    for (const chunk of buffered.chunks) sink.write(chunk);
    if (!isComplete && sink.writableNeedDrain) this.#holdUp(sink, controller);
  }

  #dropBuffered(): void {
    this.#buffered?.drop();
    this.#buffered = undefined;
  }

  /** The client takes no more: AWS is to wait for it. */
  #holdUp(sink: Writable, controller: Dispatcher.DispatchController): void {
    this.#watch?.pause();
    this.#unread.begin(sink);
    this.#heldUpAtMs = MACHINE_TICKS();
    controller.pause();
  }

  /** `101` came: from here on both connections are bare, and `splice` ends them. */
  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _parsed: unknown,
    upstream: Duplex,
  ): void {
    const observer = this.#observer;
    const headers = toPairs(controller.rawHeaders);
    this.#signal.removeEventListener('abort', this.#onClientGone);
    const client = this.#upgrade?.accept(selectClientHeaders(headers));
    if (client === undefined) return void upstream.destroy();
    observer.onHead(status, headers);
    const watcher = {
      onClientBytes: (chunk: Buffer) => observer.onClientBytes(chunk),
      onUpstreamBytes: (chunk: Buffer) => observer.onBytes(chunk),
    };
    const spliced = splice(client, upstream, watcher, { unreadMs: this.#unreadMs });
    // The client's leaving shows in its connection by now; only a cut comes by the signal.
    const cut = (): void => {
      breakConnection(client);
      breakConnection(upstream);
    };
    this.#signal.addEventListener('abort', cut, { once: true });
    if (this.#signal.aborted) cut();
    void spliced
      .finally(() => this.#signal.removeEventListener('abort', cut))
      .then((broken) =>
        this.#finish(broken && (this.#signal.aborted ? toAbortError(this.#signal) : toSpliceError(broken))),
      );
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#observer.onBytes(chunk);
    this.#watch?.onBytes(chunk);
    if (this.#readTimer !== undefined) {
      this.#readBytesLeft -= chunk.length;
      if (this.#readBytesLeft < 0 || !this.#policy.readsOn) this.#leave();
    } else if (this.#buffered !== undefined) this.#buffered.push(chunk);
    else if (this.#sink?.write(chunk) === false) this.#holdUp(this.#sink, controller);
  }

  #endStall(): void {
    const { stallMs } = this.#reading;
    this.#hasStalled ||= this.#heldUpAtMs !== undefined && MACHINE_TICKS() - this.#heldUpAtMs >= stallMs;
    this.#heldUpAtMs = undefined;
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#watch?.stop();
    this.#hasEnded = true;
    this.#observer.onEnd();
    if (this.#readTimer !== undefined) return this.#finish(toAbortError(this.#signal));
    this.#releaseBuffered(controller, true);
    // The response is complete only when the client has it: until then, if it leaves, the promise rejects.
    const sink = this.#sink;
    if (sink === undefined) return;
    sink.end(() => this.#finish());
    this.#unread.begin(sink);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#signal.aborted) this.#releaseBuffered(controller, false);
    if (this.#readTimer !== undefined) return this.#leave();
    const sink = this.#sink;
    const finish = (): void => this.#finish(this.#toError(error));
    if (sink !== undefined && this.#watch !== undefined)
      return this.#watch.endClient(sink, this.#clientResponse, finish);
    // First: breaking off fires the client's signal.
    finish();
    if (sink !== undefined) this.#clientResponse.breakOff();
  }

  #toError(error: Error): ProxyError {
    this.#endStall();
    if (this.#signal.aborted) return toAbortError(this.#signal);
    // A client must not make a response end before its usage by letting the upstream wait until it gives up.
    if (this.#hasStalled && this.#policy.readsOn) return clientGone('The client took no bytes.', error);
    return toUpstreamError(error, this.#sink !== undefined);
  }

  readonly #onClientGone = (): void => {
    const isUnderWay = this.#controller !== undefined && !this.#hasEnded;
    // What the proxy cut itself, because the key has ended, is to cost no more.
    const isCut = this.#signal.reason instanceof ProxyError;
    if (isUnderWay && !isCut && this.#policy.readsOn && !this.#reading.ending.aborted) this.#readOn();
    else this.#leave();
  };

  #readOn(): void {
    this.#dropBuffered();
    this.#unread.end();
    this.#observer.onReadOn();
    this.#readTimer = setTimeout(this.#leave, this.#reading.timeoutMs);
    this.#lookTimer = setInterval(() => this.#policy.readsOn || this.#leave(), READ_ON_LOOK_MS);
    this.#reading.ending.addEventListener('abort', this.#leave, { once: true });
    this.#watch?.resume();
    this.#controller?.resume();
  }

  readonly #leave = (): void => {
    const error = toAbortError(this.#signal);
    this.#controller?.abort(error);
    this.#finish(error);
  };

  /** The response is kept elsewhere: this relay is over, and neither resolves nor rejects. */
  discard(): void {
    this.#end();
  }

  #finish(error?: ProxyError): void {
    this.#end();
    if (error === undefined) this.#resolve();
    else this.#reject(error);
  }

  #end(): void {
    this.#isOver = true;
    this.#watch?.stop();
    this.#unread.end();
    clearTimeout(this.#readTimer);
    this.#buffered?.drop();
    clearInterval(this.#lookTimer);
    this.#reading.ending.removeEventListener('abort', this.#leave);
    this.#signal.removeEventListener('abort', this.#onClientGone);
  }
}

function toSpliceError({ side, cause }: NonNullable<SpliceBreak>): ProxyError {
  if (side === 'client') return clientGone('The client broke off its WebSocket.', cause);
  return toUpstreamError(cause ?? new Error('closed without an end'), true);
}
