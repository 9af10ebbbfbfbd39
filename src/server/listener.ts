/**
 * One port for HTTP/1.1, cleartext HTTP/2 with prior knowledge (RFC 9113, section 3.3) and, if a certificate is given,
 * both over TLS: the first bytes of a connection decide. The AWS SDK for JavaScript opens http:// endpoints of
 * bedrock-runtime with the HTTP/2 preface and never falls back. First stage of the way.
 */
import { MACHINE_TICKS } from '../lib/clock.ts';
import { Roster } from '../lib/roster.ts';
import { createServer as createHttp1Server, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  constants,
  createServer as createHttp2Server,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TCP_KEEP_ALIVE_MS } from '../lib/keep-alive.ts';
import { breakConnection } from '../lib/reset.ts';
import { asksForWebSocket, canTellUpgrades } from './client-upgrade.ts';
import { type ListenAddress, type OpenedPort, openPort } from './listen.ts';
import { createResetLimit } from './reset-limit.ts';
import { createTlsFront, TLS_HANDSHAKE, type TlsKeyPair } from './tls-front.ts';

/**
 * First bytes of a client that speaks HTTP/2 (RFC 9113, section 3.4), as far as they differ from any HTTP/1.1 request.
 */
const PREFACE = Buffer.from('PRI * HTTP/2.0');

/** A request head has to be complete within this time, the choice of protocol included. */
const HEADERS_TIMEOUT_MS = 60_000;
/** How often Node looks for request heads that are late. */
const TIMEOUT_CHECK_MS = 10_000;
/** Longer than the pools of SDKs keep a connection (Go 90 s, Java 60 s), so that the client closes it. */
const KEEP_ALIVE_TIMEOUT_MS = 600_000;
const MAX_HEADER_BYTES = 64 * 1024;
/** The window of a large request body, per stream; the protocol's own 64 KiB makes uploads crawl. */
const HTTP2_WINDOW_BYTES = 1024 * 1024;
const HTTP2_MAX_STREAMS = 256;
/**
 * Streams that a client may reset at once, and in a second: all it can have open, twice. Beyond that its session ends:
 * each costs the work of a request and brings it nothing (CVE-2023-44487). nghttp2's own burst is twice as much.
 */
const HTTP2_RESETS = { streamResetBurst: 2 * HTTP2_MAX_STREAMS, streamResetRate: 33 };
/**
 * Of every connection of the port, whatever it will speak and to which address it came; half open as Node's HTTP is.
 */
const SOCKET_OPTIONS = {
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
};
/** See `Http2Times`. */
const HTTP2_TIMES: Http2Times = { idleMs: KEEP_ALIVE_TIMEOUT_MS, unreadMs: 60_000 };

/** What serves the requests of the port. */
export interface ListenerHandlers {
  onHttp1(request: IncomingMessage, response: ServerResponse): void;
  onHttp2(stream: ServerHttp2Stream, rawHeaders: readonly string[], endOfStream: boolean): void;
  /** A request for a WebSocket, and the connection without its HTTP parser; `head` came together with the request. */
  onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void;
  /** Bytes that are no HTTP/1.1 request; the handler responds and destroys the socket. */
  onMalformed(error: NodeJS.ErrnoException, socket: Socket): void;
}

/** How long an HTTP/2 session may do nothing. */
export interface Http2Times {
  /** Before it is asked to end. */
  readonly idleMs: number;
  /** After that, with nothing left but responses that its client does not read, before it is cut off. */
  readonly unreadMs: number;
}

/** The two protocol servers behind one port. `http1` listens, on the first of several addresses. */
export interface Listener {
  readonly http1: Server;
  /** Opens the port on these addresses. Throws ListenError. */
  open(addresses: readonly ListenAddress[], port: number): Promise<OpenedPort>;
  /** Asks every connection to end after what it is doing; no new ones are taken. */
  stopAccepting(): void;
  /** Closes connections that are doing nothing. */
  closeIdle(): void;
  /**
   * Resolves when every HTTP/2 session has sent what it had to say and is closed; `stopAccepting` has asked them to.
   */
  untilSessionsClose(): Promise<void>;
  /**
   * Closes all connections. What an HTTP/2 session has not ended is reset with an error: that its connection is reset
   * does not tell its client enough, because it may take a GOAWAY before that for the end. Resolves when all that could
   * leave has left: in the next turns of the event loop.
   */
  destroyAll(): Promise<void>;
}

/** Builds the servers; `open`, or `http1.listen`, opens the port. */
export function createListener(
  handlers: ListenerHandlers,
  headersTimeoutMs = HEADERS_TIMEOUT_MS,
  tls?: TlsKeyPair,
  http2Times = HTTP2_TIMES,
): Listener {
  const sockets = new Set<Socket>();
  const sessions = new Map<ServerHttp2Session, Roster<ServerHttp2Stream>>();
  const http1 = buildHttp1(handlers, headersTimeoutMs);
  const http2 = buildHttp2(handlers, sessions, http2Times);
  const accept = takeConnections(http1, http2);
  const decrypt = tls === undefined ? undefined : createTlsFront(tls, accept, headersTimeoutMs);
  http1.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    chooseProtocol(socket, headersTimeoutMs, (protocol) => {
      if (protocol === 'tls' && decrypt !== undefined) decrypt(socket);
      else accept(socket, protocol === 'http2');
    });
  });
  const others: NetServer[] = [];
  const another = (): NetServer => {
    const server = createNetServer(SOCKET_OPTIONS, (socket) => void http1.emit('connection', socket));
    others.push(server);
    return server;
  };
  return {
    http1,
    open: (addresses, port) => openPort(http1, another, { addresses, port }),
    stopAccepting: () => {
      http1.close();
      for (const other of others) other.close();
      for (const session of sessions.keys()) session.close();
    },
    closeIdle: () => http1.closeIdleConnections(),
    untilSessionsClose: async () => {
      await Promise.all(
        [...sessions.keys()].map((session) => new Promise((resolve) => session.once('close', resolve))),
      );
    },
    destroyAll: async () => {
      for (const [session, open] of sessions) cutOff(session, open);
      // One turn later, when the last frames of the sessions have left.
      await nextTurn();
      // What a client does not read is not to be followed by an end in order.
      sockets.forEach((socket) => (socket.writableLength > 0 ? breakConnection(socket) : socket.destroy()));
      await nextTurn();
    },
  };
}

/** Takes the new connections away from `http1`; gives a function that hands one to the server of its protocol. */
function takeConnections(http1: Server, http2: Http2Server): (socket: Socket, isHttp2: boolean) => void {
  const [acceptHttp1] = http1.listeners('connection') as ((socket: Socket) => void)[];
  http1.removeAllListeners('connection');
  return (socket, isHttp2) => {
    if (isHttp2) {
      // The http server's sockets stay half open; a session would not notice that its client has left.
      socket.on('end', () => socket.destroy());
      // The session drains what is buffered by itself; resuming here would lose the preface.
      http2.emit('connection', socket);
    } else {
      acceptHttp1?.call(http1, socket);
      socket.resume();
    }
  };
}

function buildHttp1({ onHttp1, onUpgrade, onMalformed }: ListenerHandlers, headersTimeoutMs: number): Server {
  const openResponses = new WeakMap<Socket, Roster<ServerResponse>>();
  // A pipelined upgrade would write into the response before it: then it is no upgrade but one more request.
  const isResponding = (socket: Socket): boolean => (openResponses.get(socket)?.size ?? 0) > 0;
  const server = createHttp1Server({
    maxHeaderSize: MAX_HEADER_BYTES,
    ...SOCKET_OPTIONS,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.min(headersTimeoutMs, TIMEOUT_CHECK_MS),
    // No limit on a whole request: a large upload over a slow line is legitimate. `readBody` limits silence.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // The guard checks Host itself, and refuses in the AWS shape.
    requireHostHeader: false,
    shouldUpgradeCallback: (request) => asksForWebSocket(request) && !isResponding(request.socket),
  });
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const open = openResponses.get(request.socket) ?? new Roster();
    if (!openResponses.has(request.socket)) {
      openResponses.set(request.socket, open);
      // Node 22 does not notify the responses that wait behind another one when their connection is gone.
      request.socket.on('close', () => {
        for (const waiting of open) waiting.emit('close');
      });
    }
    const place = open.enter(response);
    response.once('close', () => open.leave(place));
    onHttp1(request, response);
  };
  server.on('request', onRequest);
  if (canTellUpgrades(process.versions.node)) {
    server.on('upgrade', (request, socket, head) => onUpgrade(request, socket as Socket, head));
  }
  // Without these listeners Node responds on its own: 100 before we know whether we want the body, 417 for the rest.
  server.on('checkContinue', onRequest);
  server.on('checkExpectation', onRequest);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // An error in the middle of a response would pass for a part of it.
    const hasBegun = [...(openResponses.get(socket) ?? [])].some((response) => response.headersSent);
    if (hasBegun) breakConnection(socket);
    else onMalformed(error, socket);
  });
  return server;
}

function buildHttp2(
  { onHttp2 }: ListenerHandlers,
  sessions: Map<ServerHttp2Session, Roster<ServerHttp2Stream>>,
  times: Http2Times,
): Http2Server {
  const server = createHttp2Server({
    maxSessionMemory: 64,
    ...HTTP2_RESETS,
    settings: {
      enableConnectProtocol: false,
      initialWindowSize: HTTP2_WINDOW_BYTES,
      maxConcurrentStreams: HTTP2_MAX_STREAMS,
      maxHeaderListSize: MAX_HEADER_BYTES,
    },
  });
  const resets = createResetLimit(MACHINE_TICKS);
  server.on('session', (session) => {
    const open = trackStreams(session);
    session.on('stream', (stream, _headers, flags, rawHeaders) => {
      stream.on('error', () => {});
      // The stream does not know its session any more if it was reset at once.
      if (!resets.admit(stream, session)) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
      onHttp2(stream, rawHeaders as unknown as readonly string[], (flags & 1) === 1);
    });
    sessions.set(session, open);
    session.setLocalWindowSize(HTTP2_WINDOW_BYTES * 16);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
    endWhenIdle(session, open, times);
  });
  // Errors of a session end that session; without a listener they would end the process.
  server.on('sessionError', () => {});
  return server;
}

function trackStreams(session: ServerHttp2Session): Roster<ServerHttp2Stream> {
  const open = new Roster<ServerHttp2Stream>();
  session.on('stream', (stream) => {
    const place = open.enter(stream);
    stream.once('close', () => open.leave(place));
  });
  return open;
}

/** Without an error code its streams would end in order, and their clients take what they have for all. */
function cutOff(session: ServerHttp2Session, open: Roster<ServerHttp2Stream>): void {
  if (open.size === 0) session.destroy();
  else session.destroy(new Error('cut off'), constants.NGHTTP2_INTERNAL_ERROR);
}

/**
 * Graceful: streams that wait for Bedrock go on; for new ones clients open a new connection. A client that never opens
 * its window would hold its responses, and their memory, for ever: it is cut off. A timer of our own, because Node's
 * keeps a session that is gone in memory until it fires.
 */
function endWhenIdle(
  session: ServerHttp2Session,
  open: Roster<ServerHttp2Stream>,
  { idleMs, unreadMs }: Http2Times,
): void {
  let seenBytes = 0;
  let silentSinceMs = MACHINE_TICKS();
  const check = (): void => {
    if (session.destroyed) return;
    const nowMs = MACHINE_TICKS();
    // Bytes that leave are activity: a client that reads slowly is not silent.
    const bytes = session.socket.bytesRead + session.socket.bytesWritten;
    if (bytes !== seenBytes) {
      seenBytes = bytes;
      silentSinceMs = nowMs;
    }
    if (nowMs - silentSinceMs < (session.closed ? unreadMs : idleMs)) return;
    silentSinceMs = nowMs;
    const isUnread = [...open].every(({ writableEnded, writableNeedDrain }) => writableEnded || writableNeedDrain);
    if (!session.closed) session.close();
    else if (isUnread) cutOff(session, open);
  };
  const timer = setInterval(check, Math.min(idleMs, unreadMs) / 2).unref();
  session.on('close', () => clearInterval(timer));
}

/** Reads just enough to choose the protocol, then hands the socket over paused, with every byte put back. */
function chooseProtocol(
  socket: Socket,
  timeoutMs: number,
  handOver: (protocol: 'http1' | 'http2' | 'tls') => void,
): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs).unref();
  const onData = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.length, PREFACE.length);
    const stillMatches = PREFACE.compare(seen, 0, compared, 0, compared) === 0;
    if (stillMatches && seen.length < PREFACE.length) return;
    leave();
    socket.pause();
    socket.unshift(seen);
    handOver(stillMatches ? 'http2' : seen[0] === TLS_HANDSHAKE ? 'tls' : 'http1');
  };
  const onEnd = (): void => {
    leave();
    socket.destroy();
  };
  const leave = (): void => {
    clearTimeout(timer);
    socket.off('data', onData).off('end', onEnd).off('error', onEnd);
  };
  socket.on('data', onData).on('end', onEnd).on('error', onEnd);
}
