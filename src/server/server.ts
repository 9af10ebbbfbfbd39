/**
 * The running server: accept, guard, hand over to the handler of the path, drain and close. The handlers are handed in.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { sendError } from '../http/send-response.ts';
import { clientGone, ProxyError, renderError, toProxyError } from '../lib/errors.ts';
import { findCode } from '../lib/errno.ts';
import { within } from '../lib/deadline.ts';
import { printable } from '../lib/printable.ts';
import { Roster } from '../lib/roster.ts';
import type { ClientRequest, ClientResponse } from '../http/message.ts';
import { adaptHttp1 } from './client-http1.ts';
import { adaptHttp2 } from './client-http2.ts';
import { adaptUpgrade } from './client-upgrade.ts';
import { guardRequest, type GuardRules } from './guard.ts';
import { listAddresses, ListenError } from './listen.ts';
import { createListener, type ListenerHandlers } from './listener.ts';
import type { TlsKeyPair } from './tls-front.ts';

/** How long the end waits for the last frames of HTTP/2 responses to leave. */
const LAST_FRAMES_MS = 1_000;

/** Serves one request to its end. Never throws: it sends its own errors. */
export type Handler = (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void>;

/** A path prefix without trailing slash, and the handler of it and everything below. */
export interface Mount {
  readonly prefix: string;
  /** Of what is below the prefix it serves what this says; undefined: all. The next mount is asked for the rest. */
  readonly serves?: (clientRequest: ClientRequest) => boolean;
  readonly handle: Handler;
}

/** What a server listens on, and which handler serves which path. */
export interface ServerOptions {
  /** One at least; see `listAddresses`. */
  readonly hosts: readonly string[];
  readonly port: number;
  readonly guard: GuardRules;
  readonly mounts: readonly Mount[];
  /** Speaks TLS as well, with this certificate; a sound pair (see `certificate.ts`). */
  readonly tls?: TlsKeyPair | undefined;
  /** Called for every response given before a handler saw the request. */
  readonly onRefused: (error: ProxyError, clientRequest: ClientRequest) => void;
  /** Called when no request is waited for any more, before clients are cut off: what goes on without one must end. */
  readonly onCutOff?: (() => void) | undefined;
}

/** An open port. */
export interface RunningServer {
  readonly port: number;
  /** How many requests are under way. */
  countRunning(): number;
  /** An address of `localhost` on which another program has this port: what clients send there is not ours. */
  readonly heldByOther: string | undefined;
  /** Whether it is open on every address of `localhost` that this machine has. */
  readonly ownsLocalhost: boolean;
  /** Whether it is about to end, or ends: requests that come may still be taken. */
  readonly isEnding: boolean;
  /** From now on `isEnding`; nothing else changes. */
  announceEnd(): void;
  /**
   * Takes no new work and resolves when everything under way has ended, or after `graceMs` when what is left was cut
   * off. The result says how many were.
   */
  drain(graceMs: number): Promise<number>;
  /** Resets every connection, within a moment: the process may exit when this resolves. */
  destroy(): Promise<void>;
}

/** Opens the port. Throws ERR_ADDRESS_IN_USE or ERR_BAD_OPTION if that is impossible. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const underWay = new Roster<Exchange>();
  let draining = false;
  let ending = false;

  const serve = ([clientRequest, clientResponse]: [ClientRequest, ClientResponse]): void => {
    const exchange: Exchange = { clientRequest, clientResponse, served: undefined };
    const place = underWay.enter(exchange);
    exchange.served = serveOne(clientRequest, clientResponse, draining, options).finally(() => {
      underWay.leave(place);
      if (draining) setImmediate(() => listener.closeIdle());
    });
  };
  const handlers: ListenerHandlers = {
    onHttp1: (request, response) => serve(adaptHttp1(request, response)),
    onHttp2: (stream, rawHeaders) => serve(adaptHttp2(stream, rawHeaders)),
    onUpgrade: (request, socket, head) => serve(adaptUpgrade(request, socket, head)),
    onMalformed: respondToMalformed,
  };
  const listener = createListener(handlers, undefined, options.tls);
  const opened = await listener.open(listAddresses(options.hosts), options.port).catch((error: unknown) => {
    throw toListenError(error, options.port);
  });
  return {
    ...opened,
    countRunning: () => underWay.size,
    get isEnding() {
      return ending;
    },
    announceEnd: () => void (ending = true),
    drain: async (graceMs) => {
      draining = true;
      ending = true;
      listener.stopAccepting();
      await within(graceMs, untilServed(underWay));
      const cutOff = underWay.size;
      options.onCutOff?.();
      for (const { clientRequest } of underWay) clientRequest.cut(shuttingDown());
      if (cutOff > 0) await within(LAST_FRAMES_MS, untilServed(underWay));
      // An HTTP/2 response that we have ended may still be on its way into the socket.
      await within(LAST_FRAMES_MS, listener.untilSessionsClose());
      breakOffAll(underWay);
      await listener.destroyAll();
      await untilServed(underWay);
      return cutOff;
    },
    destroy: async () => {
      options.onCutOff?.();
      breakOffAll(underWay);
      await listener.destroyAll();
    },
  };
}

/** A request and its response; `served` is fulfilled when it is over. */
interface Exchange {
  readonly clientRequest: ClientRequest;
  readonly clientResponse: ClientResponse;
  served: Promise<void> | undefined;
}

function untilServed(exchanges: Iterable<Exchange>): Promise<unknown> {
  return Promise.allSettled(Array.from(exchanges, ({ served }) => served));
}

/** So that no client takes what it has for all: a connection that is just closed is a complete response of HTTP/1.0. */
function breakOffAll(exchanges: Iterable<Exchange>): void {
  for (const { clientRequest, clientResponse } of exchanges) {
    clientRequest.cut(shuttingDown());
    clientResponse.breakOff();
  }
}

function shuttingDown(): ProxyError {
  return new ProxyError('ERR_SHUTTING_DOWN', 'The proxy is shutting down.');
}

async function serveOne(
  clientRequest: ClientRequest,
  clientResponse: ClientResponse,
  draining: boolean,
  options: ServerOptions,
): Promise<void> {
  try {
    if (clientRequest.signal.aborted) throw clientGone('The client left at once.');
    if (draining) throw shuttingDown();
    guardRequest(clientRequest, options.guard);
    await findMount(clientRequest, options.mounts).handle(clientRequest, clientResponse);
  } catch (thrown) {
    const error = toProxyError(thrown);
    options.onRefused(error, clientRequest);
    sendError(error, clientResponse, randomUUID());
  }
}

function findMount(clientRequest: ClientRequest, mounts: readonly Mount[]): Mount {
  const { target, authority = 'HOST:PORT' } = clientRequest;
  const { path } = target;
  const mount = mounts.find(
    ({ prefix, serves }) =>
      (path === prefix || (prefix !== '/' && path.startsWith(`${prefix}/`))) && (serves?.(clientRequest) ?? true),
  );
  if (mount !== undefined) return mount;
  throw new ProxyError('ERR_UNKNOWN_PATH', 'Nothing is served at this path.', {
    // Plain http is spoken with TLS too.
    hint: `Bedrock is below /bedrock: use http://${printable(authority)}/bedrock as the endpoint URL of your client.`,
  });
}

/** Node's parser found no HTTP/1.1 request: sends an error in the AWS shape on the bare socket, and closes it. */
function respondToMalformed(cause: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || cause.code === 'ECONNRESET') return void socket.destroy();
  const error = new ProxyError('ERR_BAD_REQUEST', malformedMessage(cause.code));
  const { headers, body } = renderError(error, randomUUID());
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 400 Bad Request\r\n${lines}connection: close\r\n\r\n${body.toString()}`, () => socket.destroy());
}

function malformedMessage(code: string | undefined): string {
  if (code === 'HPE_HEADER_OVERFLOW') return 'The request has more than 64 KiB of headers, or too many of them.';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'The request did not arrive in time.';
  return 'This is not a valid HTTP/1.1 request.';
}

function toListenError(thrown: unknown, port: number): ProxyError {
  if (!(thrown instanceof ListenError)) return toProxyError(thrown);
  const { host, cause: error } = thrown;
  const code = findCode(error);
  if (code === 'EADDRINUSE') {
    return new ProxyError('ERR_ADDRESS_IN_USE', `Another program already listens on ${host} port ${port}.`, {
      hint: `End it, or choose another port: --port ${port === 65_535 ? 4001 : port + 1}.`,
      cause: error,
    });
  }
  if (code === 'EACCES') {
    return new ProxyError('ERR_BAD_OPTION', `This user may not listen on port ${port}.`, {
      hint: 'Choose a --port above 1023.',
      cause: error,
    });
  }
  return new ProxyError('ERR_BAD_OPTION', `The proxy cannot listen on ${host} port ${port} (${code}).`, {
    hint: 'Name an address of this machine with --host.',
    cause: error,
  });
}
