/**
 * Sends one signed request to AWS, and has its response flow to the client as it comes (`response-relay.ts`). One
 * attempt, but for what `first-try.ts` knows: SDKs retry, and a second one can cost money. Owns the connections, which
 * are undici's.
 */
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { ProxyError, toProxyError } from '../../lib/errors.ts';
import { TCP_KEEP_ALIVE_MS } from '../../lib/keep-alive.ts';
import { type ClientUpgrade, flatten, type HeaderPair } from '../../http/message.ts';
import type { HeldResponse, ResponseJudge, ResponseObserver, ResponsePolicy } from '../upstream.ts';
import type { Body } from '../../http/body.ts';
import type { ResponseShape } from '../../operations/facts.ts';
import { BUFFER_MS } from './buffered-response.ts';
import { FirstTry } from './first-try.ts';
import { readBeforeGivingUp, watchSocketUses } from './upstream-socket.ts';
import { type KeptResponse, ResponseGate, toHeldResponse } from './response-gate.ts';
import { type ReadOnLimits, ResponseRelay, type WaitingClient } from './response-relay.ts';
import { toPairs, toUpstreamError } from './undici-response.ts';
import { hasForwardProxy, type NetworkOptions, openTunnel, type TunnelOptions } from './tunnel.ts';
import { dialTrusting, trustedBy, type TrustOptions } from './trust.ts';
import { UNREAD_MS } from './unread.ts';

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
  /** Decides whether the response is held; undefined: it is not. */
  readonly judge?: ResponseJudge | undefined;
  /** How the response of the operation is shaped, as far as that is known. */
  readonly responseShape?: ResponseShape | undefined;
}

/** A small request of our own. */
export interface OwnRequest extends Pick<SignedRequest, 'method' | 'origin' | 'target' | 'headers'> {
  /** Its `content-length` is among the headers. */
  readonly body?: string | undefined;
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
  ): Promise<HeldResponse | undefined>;
  /**
   * Sends a request of our own and reads its response to the end. Throws ERR_UPSTREAM_* as `forward` does, and
   * ERR_UPSTREAM_RESET for a body over `maxBytes`; what `signal` was aborted with, if it fires.
   */
  fetchWhole(
    request: OwnRequest,
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
  /** A client that takes nothing of its response for so long is cut off; default UNREAD_MS. */
  readonly unreadMs?: number | undefined;
  /** How long a response waits to be complete; default BUFFER_MS. */
  readonly bufferMs?: number | undefined;
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
  const { readOn = READ_ON, unreadMs = UNREAD_MS, bufferMs = BUFFER_MS, streamIdleTimeoutMs: timeoutMs } = options;
  const ending = new AbortController();
  // One listener for each response that is read on.
  setMaxListeners(0, ending.signal);
  const reading = { ...readOn, ending: ending.signal };
  return {
    forward: (request, client, observer, policy) =>
      new Promise((resolve, reject) => {
        const { upgrade, responseShape: shape, judge } = request;
        const silence = timeoutMs === undefined ? undefined : { timeoutMs, shape };
        const limits = { silence, unreadMs, bufferMs, reading };
        const relayParts = { client, observer, policy, upgrade, ...limits };
        const relay = new ResponseRelay(relayParts, () => resolve(undefined), reject);
        const openRelay = (...ends: [resolve: () => void, reject: (error: Error) => void]): ResponseRelay =>
          new ResponseRelay(relayParts, ...ends);
        const onHeld = (kept: KeptResponse): void => {
          relay.discard();
          resolve(toHeldResponse(kept, client.signal, openRelay));
        };
        const handler = judge === undefined ? relay : new ResponseGate({ relay, judge, signal: client.signal, onHeld });
        const sendAgain = (again: SignedRequest): void => {
          observer.onUnsent();
          fresh.dispatch(toDispatchOptions(again), handler);
        };
        const { signAnew } = request;
        const onRefused = async (status: number, headers: readonly HeaderPair[]): Promise<boolean> => {
          const again = await signAnew?.(status, headers);
          const { signal } = client;
          if (again === undefined || signal.aborted) return false;
          sendAgain(again);
          return true;
        };
        const parts = { handler, signal: client.signal, uses, toPairs };
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
  { method, origin, target, headers, body = '' }: OwnRequest,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<WholeResponse> {
  let hasBegun = false;
  try {
    const options = {
      origin,
      path: target,
      method: method as Dispatcher.HttpMethod,
      headers: flatten(headers),
      body: body === '' ? null : body,
      signal,
    };
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
  const connect = { timeout: connectTimeoutMs, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS, allowH2: false };
  const direct = dialStraight(connect, network?.caBundle);
  const dial = hasForwardProxy(network) ? dialThroughProxy(direct, { network, connectTimeoutMs }) : direct;
  const trusting = dialTrusting(dial);
  return new Agent({ ...common, connect: (target, callback) => trusting(target, readFirst(callback)) });
}

/** undici's connector, which keeps TLS sessions; another one when there is more to trust. */
function dialStraight(options: buildConnector.BuildOptions, caBundle: string | undefined): buildConnector.connector {
  let trust: TrustOptions | undefined;
  let connect: buildConnector.connector | undefined;
  return (target, callback) => {
    const now = trustedBy(caBundle);
    if (connect === undefined || now !== trust) connect = buildConnector({ ...options, ...now });
    trust = now;
    connect(target, callback);
  };
}

function readFirst(callback: buildConnector.Callback): buildConnector.Callback {
  return (...dialled) => {
    // Null and, with an error, undefined, whatever the type says.
    if (dialled[1]) readBeforeGivingUp(dialled[1]);
    callback(...dialled);
  };
}

/** Not undici's own proxy agent: it keeps only the last of a header's repeats, and the signature covers them all. */
function dialThroughProxy(connect: buildConnector.connector, options: TunnelOptions): buildConnector.connector {
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
  const flat = flatten(headers);
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
