/**
 * Sends one signed request to AWS and lets the response flow to the client as it comes: status, headers and bytes
 * untouched, back-pressure both ways, the client's leaving passed on at once, unless the policy has the response read
 * on. One attempt, but for what `first-try.ts` knows: SDKs retry, and a second one can cost money. The only file that
 * knows undici. It does not look into bodies.
 */
import { findDescriptorShortage } from '../../lib/descriptors.ts';
import { findCode } from '../../lib/errno.ts';
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { MACHINE_TICKS } from '../../lib/clock.ts';
import { clientGone, ProxyError, toAbortError, toProxyError } from '../../lib/errors.ts';
import { TCP_KEEP_ALIVE_MS } from '../../lib/keep-alive.ts';
import { type ClientResponse, type ClientUpgrade, findHeader, type HeaderPair } from '../../http/message.ts';
import type { ResponseObserver, ResponsePolicy } from '../upstream.ts';
import type { Body } from '../../http/body.ts';
import { breakConnection } from '../../lib/reset.ts';
import { selectClientHeaders } from '../headers.ts';
import type { ResponseShape } from '../../operations/facts.ts';
import { FirstTry } from './first-try.ts';
import { readBeforeGivingUp, watchSocketUses } from './upstream-socket.ts';
import { type SilenceLimit, SilenceWatch } from './silence.ts';
import { hasForwardProxy, type NetworkOptions, openTunnel, type TunnelOptions } from './tunnel.ts';
import { dialTrusting, isUnknownAuthority, untrusted } from './trust.ts';
import { splice, type SpliceBreak } from './websocket.ts';

/** A request that is ready to leave: nothing may change any more. */
export interface SignedRequest {
  readonly method: string;
  /** Scheme, host and port, e.g. `https://bedrock-runtime.us-east-1.amazonaws.com`. */
  readonly origin: string;
  /** Raw path and query, as signed. */
  readonly target: string;
  readonly headers: readonly HeaderPair[];
  readonly body: Body;
  /** The client asks for a WebSocket: so is the upstream, and on its `101` the client gets it. */
  readonly upgrade?: ClientUpgrade | undefined;
  /**
   * Asked once, if AWS refuses the signature or who signed, and nothing has gone to the client: resolves to the same
   * request signed anew, if that may help.
   */
  readonly signAnew?:
    | ((status: number, headers: readonly HeaderPair[]) => Promise<SignedRequest | undefined>)
    | undefined;
  /** How the response of the operation is shaped, as far as that is known. */
  readonly responseShape?: ResponseShape | undefined;
}

/** The client that waits for a response, and the signal that it has left. */
export interface WaitingClient {
  readonly clientResponse: ClientResponse;
  /** Fires when the client leaves before its response is complete. */
  readonly signal: AbortSignal;
}

/** A small response, whole. */
export interface WholeResponse {
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  readonly body: Buffer;
}

/** The pool of connections to AWS. */
export interface Forwarder {
  /** As `Upstream.send`, for a request that is signed. */
  forward(
    request: SignedRequest,
    client: WaitingClient,
    observer: ResponseObserver,
    policy: ResponsePolicy,
  ): Promise<void>;
  /**
   * Sends a request of our own and reads its response to the end. Throws ERR_UPSTREAM_* as `forward` does, and
   * ERR_UPSTREAM_RESET for a body over `maxBytes`; what `signal` was aborted with, if it fires.
   */
  fetchWhole(
    request: Omit<SignedRequest, 'body' | 'upgrade'>,
    limits: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<WholeResponse>;
  /** Ends the reading of responses whose clients have left, now and from now on: the process is about to end. */
  stopReadingOn(): void;
  close(): Promise<void>;
}

/** How upstream connections are made and how long they may be silent. */
export interface ForwarderOptions {
  readonly connectTimeoutMs: number;
  /**
   * Longest silence: until the response's headers, and then between two pieces of its body. Bedrock may think for an
   * hour.
   */
  readonly idleTimeoutMs: number;
  /**
   * Longest silence within a response, after which the client is told in the words of its stream; undefined: none but
   * `idleTimeoutMs`. WebSockets are left alone.
   */
  readonly streamIdleTimeoutMs?: number | undefined;
  /** Dial this loopback port in plain HTTP whatever the origin says: the offline Bedrock plays every AWS host. */
  readonly dialPort?: number | undefined;
  /** The way out of a corporate network; undefined: straight, with the certificate authorities of Node. */
  readonly network?: NetworkOptions | undefined;
  /** How long and how far a response is read on whose client has left. */
  readonly readOn?: ReadOnLimits | undefined;
}

/** When a response is read on, and for how long. */
export interface ReadOnLimits {
  /** Counted from the moment when the client leaves. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** A client that took nothing for so long is to blame if the upstream breaks off. */
  readonly stallMs: number;
}

/**
 * Five minutes are 20,000 tokens and more of the models that write slowly; an event stream has some 300 bytes a token.
 * Nothing of it is kept in memory.
 */
const READ_ON: ReadOnLimits = { timeoutMs: 300_000, maxBytes: 64 * 1024 * 1024, stallMs: 10_000 };

/** Idle upstream connections are kept this long; below what AWS's load balancers are known to allow. */
const UPSTREAM_KEEP_ALIVE_MS = 30_000;
/** As much as we take from clients; undici's own 16 KiB would turn a response that AWS gave into a failure. */
const MAX_RESPONSE_HEADER_BYTES = 64 * 1024;

/** Makes the pool of upstream connections. The caller closes it. */
export function createForwarder(options: ForwarderOptions): Forwarder {
  const agent = createAgent(options);
  // Each of its connections carries one request: a second try does not meet the next stale one.
  const fresh = createAgent(options, { pipelining: 0 });
  const uses = watchSocketUses();
  const { readOn = READ_ON, streamIdleTimeoutMs: timeoutMs } = options;
  const ending = new AbortController();
  // One listener for each response that is read on.
  setMaxListeners(0, ending.signal);
  const reading = { ...readOn, ending: ending.signal };
  return {
    forward: (request, client, observer, policy) =>
      new Promise((resolve, reject) => {
        const { upgrade, responseShape: shape } = request;
        const silence = timeoutMs === undefined ? undefined : { timeoutMs, shape };
        const relay = new ResponseRelay({ client, observer, policy, upgrade, silence, reading }, resolve, reject);
        const sendAgain = (again: SignedRequest): void => {
          observer.onUnsent();
          fresh.dispatch(toDispatchOptions(again), relay);
        };
        const { signAnew } = request;
        const onRefused = async (status: number, headers: readonly HeaderPair[]): Promise<boolean> => {
          const again = await signAnew?.(status, headers);
          const { signal } = client;
          if (again === undefined || signal.aborted) return false;
          sendAgain(again);
          return true;
        };
        const parts = { handler: relay, signal: client.signal, uses, toPairs };
        const onStale = (): void => sendAgain(request);
        const first = new FirstTry({ ...parts, onStale, onRefused: signAnew && onRefused });
        agent.dispatch(toDispatchOptions(request), first);
      }),
    fetchWhole: (request, limits) => fetchWhole(agent, request, limits),
    stopReadingOn: () => ending.abort(),
    close: async () => {
      uses.close();
      await Promise.all([agent.destroy(), fresh.destroy()]);
    },
  };
}

async function fetchWhole(
  agent: Dispatcher,
  { method, origin, target, headers }: Omit<SignedRequest, 'body'>,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<WholeResponse> {
  let hasBegun = false;
  try {
    const options = { origin, path: target, method: method as Dispatcher.HttpMethod, headers: headers.flat(), signal };
    const response = await agent.request({ ...options, responseHeaders: 'raw' });
    hasBegun = true;
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) {
        const detail = `it has more than ${maxBytes} bytes`;
        throw new ProxyError('ERR_UPSTREAM_RESET', 'The response is too large.', { detail });
      }
      chunks.push(chunk);
    }
    const { statusCode: status, headers: raw } = response;
    return { status, headers: toPairs(raw as unknown as string[]), body: Buffer.concat(chunks) };
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    throw toUpstreamError(thrown instanceof Error ? thrown : new Error(String(thrown)), hasBegun);
  }
}

function createAgent(
  { idleTimeoutMs, connectTimeoutMs, dialPort, network }: ForwarderOptions,
  more: Agent.Options = {},
): Dispatcher {
  const common = {
    allowH2: false,
    headersTimeout: idleTimeoutMs,
    bodyTimeout: idleTimeoutMs,
    keepAliveTimeout: UPSTREAM_KEEP_ALIVE_MS,
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    ...more,
  };
  if (dialPort !== undefined) return new Agent({ ...common, connect: dialLoopback(dialPort) });
  const trust = network?.ca === undefined ? {} : { ca: [...network.ca] };
  const connect = { timeout: connectTimeoutMs, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS, ...trust };
  const dial = hasForwardProxy(network)
    ? dialThroughProxy(connect, { network, connectTimeoutMs })
    : buildConnector({ ...connect, allowH2: false });
  const trusting = dialTrusting(dial);
  return new Agent({ ...common, connect: (target, callback) => trusting(target, readFirst(callback)) });
}

function readFirst(callback: buildConnector.Callback): buildConnector.Callback {
  return (...dialled) => {
    // Null and, with an error, undefined, whatever the type says.
    if (dialled[1]) readBeforeGivingUp(dialled[1]);
    callback(...dialled);
  };
}

/** Not undici's own proxy agent: it keeps only the last of a header's repeats, and the signature covers them all. */
function dialThroughProxy(direct: buildConnector.BuildOptions, options: TunnelOptions): buildConnector.connector {
  const connect = buildConnector({ ...direct, allowH2: false });
  const dial: (...dialled: Parameters<buildConnector.connector>) => Promise<void> = async (target, callback) => {
    const { protocol, hostname, port } = target;
    let tunnel: Socket | undefined;
    try {
      tunnel = await openTunnel(`${protocol}//${hostname}${port === '' ? '' : `:${port}`}`, options);
    } catch (thrown) {
      return callback(toProxyError(thrown), null);
    }
    if (tunnel === undefined) connect(target, callback);
    else if (protocol === 'https:') connect({ ...target, httpSocket: tunnel }, callback);
    else callback(null, tunnel);
  };
  return (target, callback) => void dial(target, callback);
}

function toDispatchOptions(request: SignedRequest): Dispatcher.DispatchOptions {
  const { method, origin, target, headers, body, upgrade } = request;
  const flat = headers.flat();
  if (body.sizeBytes > 0) flat.push('content-length', String(body.sizeBytes));
  return {
    origin,
    path: target,
    method: method as Dispatcher.HttpMethod,
    headers: flat,
    upgrade: upgrade === undefined ? null : 'websocket',
    body: toDispatchBody(body),
  };
}

/**
 * One chunk (the usual case) goes as it is; several, or those of a file, go one after the other, never copied together.
 */
function toDispatchBody({ chunks, spool }: Body): NonNullable<Dispatcher.DispatchOptions['body']> | null {
  if (spool === undefined && chunks.length <= 1) return chunks[0] ?? null;
  const pieces: Iterable<Buffer> | AsyncIterable<Buffer> = spool?.read() ?? chunks;
  // undici takes any iterable, which its types do not say.
  return pieces as unknown as NonNullable<Dispatcher.DispatchOptions['body']>;
}

function dialLoopback(port: number): buildConnector.connector {
  const connect = buildConnector({});
  return (options, callback) =>
    connect({ ...options, protocol: 'http:', hostname: '127.0.0.1', port: String(port) }, callback);
}

/** The head of a response, and what of its body waits for the rest. */
interface BufferedResponse {
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  readonly reasonPhrase: string | undefined;
  readonly chunks: Buffer[];
}

interface RelayParts {
  readonly client: WaitingClient;
  readonly observer: ResponseObserver;
  readonly policy: ResponsePolicy;
  readonly upgrade: ClientUpgrade | undefined;
  readonly silence: SilenceLimit | undefined;
  /** `ending` fires when no response is to be read on any more. */
  readonly reading: ReadOnLimits & { readonly ending: AbortSignal };
}

/**
 * One response on its way from undici to the client. Its states, each entered once and left for a later one:
 * - waiting: no head yet;
 * - buffered (`#buffered` is set): the head is there, and the client has nothing, because the policy asks for all of it
 *   first;
 * - streaming (`#sink` is set): the client has the head, and gets bytes as they come; undici is paused while it takes
 *   none;
 * - spliced: after a `101` both connections are bare, and `splice` ends them;
 * - reading on (`#readTimer` is set): the client has left, and the policy asks for the usage: bytes are observed and
 *   dropped, within limits;
 * - over: the promise is resolved or rejected: by the last byte at the client, a fault of the upstream, the client's
 *   leaving, or the end of the reading on.
 */
class ResponseRelay implements Dispatcher.DispatchHandler {
  readonly #clientResponse: ClientResponse;
  readonly #signal: AbortSignal;
  readonly #observer: ResponseObserver;
  readonly #policy: ResponsePolicy;
  readonly #resolve: () => void;
  readonly #reject: (error: ProxyError) => void;
  readonly #upgrade: ClientUpgrade | undefined;
  readonly #silence: SilenceLimit | undefined;
  #watch: SilenceWatch | undefined;
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
  /** What may still be read on. */
  #readBytesLeft = 0;

  constructor(
    { client, observer, policy, upgrade, silence, reading }: RelayParts,
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
    const sizeBytes = Number(findHeader(headers, 'content-length') ?? Number.NaN);
    const response = { status, headers, reasonPhrase, chunks: [] };
    if (sizeBytes < this.#policy.bufferBelowBytes) this.#buffered = response;
    else this.#sink = this.#startResponse(response, controller, false);
  }

  #startResponse(
    { status, headers, reasonPhrase }: BufferedResponse,
    controller: Dispatcher.DispatchController,
    isComplete: boolean,
  ): ReturnType<ClientResponse['start']> {
    const added = this.#policy.extraHeaders(isComplete);
    const sink = this.#clientResponse.start(status, [...selectClientHeaders(headers), ...added], reasonPhrase);
    sink.on('drain', () => {
      this.#watch?.resume();
      this.#endStall();
      controller.resume();
    });
    return sink;
  }

  /** What was buffered goes out; `isComplete` if it is all. */
  #releaseBuffered(controller: Dispatcher.DispatchController, isComplete: boolean): void {
    const buffered = this.#buffered;
    if (buffered === undefined) return;
    this.#buffered = undefined;
    this.#sink = this.#startResponse(buffered, controller, isComplete);
    for (const chunk of buffered.chunks) this.#sink.write(chunk);
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
    const spliced = splice(client, upstream, {
      onClientBytes: (chunk) => observer.onClientBytes(chunk),
      onUpstreamBytes: (chunk) => observer.onBytes(chunk),
    });
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
    } else if (this.#buffered !== undefined) this.#buffered.chunks.push(chunk);
    else if (this.#sink?.write(chunk) === false) {
      this.#watch?.pause();
      this.#heldUpAtMs = MACHINE_TICKS();
      controller.pause();
    }
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
    this.#sink?.end(() => this.#finish());
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
    this.#buffered = undefined;
    this.#observer.onReadOn();
    this.#readTimer = setTimeout(this.#leave, this.#reading.timeoutMs);
    this.#reading.ending.addEventListener('abort', this.#leave, { once: true });
    this.#watch?.resume();
    this.#controller?.resume();
  }

  readonly #leave = (): void => {
    const error = toAbortError(this.#signal);
    this.#controller?.abort(error);
    this.#finish(error);
  };

  #finish(error?: ProxyError): void {
    this.#isOver = true;
    this.#watch?.stop();
    clearTimeout(this.#readTimer);
    this.#reading.ending.removeEventListener('abort', this.#leave);
    this.#signal.removeEventListener('abort', this.#onClientGone);
    if (error === undefined) this.#resolve();
    else this.#reject(error);
  }
}

/**
 * undici hands raw headers as a flat list of buffers; bytes become characters one to one, so that they leave as they
 * came.
 */
function toPairs(raw: Dispatcher.DispatchController['rawHeaders']): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  if (!Array.isArray(raw)) return pairs;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    pairs.push([latin1(raw[index]), latin1(raw[index + 1])]);
  }
  return pairs;
}

function latin1(value: Buffer | string | undefined): string {
  return typeof value === 'string' ? value : (value?.toString('latin1') ?? '');
}

function toSpliceError({ side, cause }: NonNullable<SpliceBreak>): ProxyError {
  if (side === 'client') return clientGone('The client broke off its WebSocket.', cause);
  return toUpstreamError(cause ?? new Error('closed without an end'), true);
}

function toUpstreamError(error: Error, responseBegan: boolean): ProxyError {
  if (error instanceof ProxyError) return error;
  // undici's parser errors have a `code` that may be undefined.
  const code = findCode(error) ?? error.name;
  const options = { cause: error, detail: code };
  if (responseBegan) {
    return new ProxyError(
      'ERR_UPSTREAM_RESET',
      `The connection to the upstream broke in the middle of its response (${code}).`,
      options,
    );
  }
  const shortage = findDescriptorShortage(error);
  if (shortage !== undefined) return shortage;
  if (code === 'UND_ERR_HEADERS_TIMEOUT') {
    return new ProxyError('ERR_UPSTREAM_TIMEOUT', 'The upstream took the request and sent no response.', options);
  }
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE') {
    return new ProxyError(
      'ERR_UPSTREAM_RESET',
      `The upstream closed the connection without a response (${code}).`,
      options,
    );
  }
  if (/^(HPE_|HTTPParserError|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_)/.test(code)) {
    return new ProxyError('ERR_UPSTREAM_RESET', `The upstream sent no proper HTTP/1.1 response (${code}).`, options);
  }
  if (isUnknownAuthority(error)) return untrusted(code, error);
  return new ProxyError('ERR_UPSTREAM_UNREACHABLE', `The upstream cannot be reached (${code}).`, {
    ...options,
    hint: 'Check the network, the region and --endpoint-url of the proxy.',
  });
}
