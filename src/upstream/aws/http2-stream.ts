/**
 * One HTTP/2 request to AWS whose body is still open: sending the headers, reading the response's, leaving.
 * The only file that knows `node:http2` as a client. The caller feeds and drains the stream.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { Socket } from 'node:net';
import { ProxyError } from '../../lib/errors.ts';
import { foldHeaders, type HeaderPair } from '../../http/message.ts';

/** What is sent; `headers` has `host`, and nothing that HTTP/2 forbids. */
export interface Http2Request {
  readonly method: string;
  readonly origin: string;
  readonly target: string;
  readonly headers: readonly HeaderPair[];
}

/** How AWS is reached. */
export interface ConnectionOptions {
  /** A connection that stands and leads to the origin (`dialHttp2`); the session owns it from now on. */
  readonly socket: Socket;
  readonly ping?: PingTimes | undefined;
}

/** When the other side is asked whether it is still there. */
export interface PingTimes {
  /** After no byte has come for this long, at most twice as long. */
  readonly silenceMs: number;
  /** How long its answer may take. */
  readonly answerMs: number;
}

/** A stream on a connection of its own. */
export interface Http2Stream {
  readonly session: ClientHttp2Session;
  readonly stream: ClientHttp2Stream;
  /**
   * Ends both: with CANCEL if the request or its response is not complete. Nothing throws or emits an error after this.
   */
  leave(): void;
  /**
   * True if the stream's `end` was AWS's own (END_STREAM). Node emits `end` as well after a connection that broke and
   * after a reset without an error code; to be asked within that event.
   */
  isWhole(): boolean;
}

/**
 * As much of a response may be under way before we have read it; the protocol's own 64 KiB makes fast streams crawl.
 */
const WINDOW_BYTES = 1024 * 1024;
const PING: PingTimes = { silenceMs: 60_000, answerMs: 15_000 };
/** A connection whose stream is over gets this long to say so. */
const GOODBYE_MS = 2_000;

/**
 * Begins a session, in cleartext with prior knowledge (RFC 9113, section 3.3); headers and first bytes wait for it by
 * themselves. Throws ERR_BAD_REQUEST for headers HTTP/2 cannot carry.
 */
export function openHttp2Stream(
  { method, origin, target, headers }: Http2Request,
  { socket, ping = PING }: ConnectionOptions,
): Http2Stream {
  const settings = { initialWindowSize: WINDOW_BYTES, enablePush: false };
  const session = connect(origin, { settings, createConnection: () => socket });
  pingWhenSilent(session, ping);
  session.on('error', () => {});
  session.on('connect', () => {
    if (!session.destroyed) session.setLocalWindowSize(WINDOW_BYTES);
  });
  // Aborting is the way to reset a stream: `close` would end it in order first, and AWS would take a part for the
  // whole.
  const aborter = new AbortController();
  const pseudo = { ':method': method, ':scheme': origin.slice(0, origin.indexOf(':')), ':path': target };
  try {
    const options = { endStream: false, signal: aborter.signal };
    const stream = session.request({ ...pseudo, ...foldHeaders(nameAuthority(headers)) }, options);
    let wasCut = false;
    stream.on('aborted', () => {
      wasCut = !hasSeenEnd(stream);
    });
    return {
      session,
      stream,
      leave: () => leave(session, stream, aborter),
      isWhole: () => !wasCut && (stream.rstCode ?? 0) === constants.NGHTTP2_NO_ERROR,
    };
  } catch (cause) {
    session.destroy();
    throw new ProxyError('ERR_BAD_REQUEST', 'A header of the request cannot be sent over HTTP/2.', { cause });
  }
}

/**
 * A conversation may be silent for minutes, and what lies between drops connections that are without a word. The kernel
 * asks whether the machine is there; this asks whether it still speaks HTTP/2, and ends the session if it does not.
 */
function pingWhenSilent(session: ClientHttp2Session, { silenceMs, answerMs }: PingTimes): void {
  let seenBytes = 0;
  let isWaiting = false;
  let answer: NodeJS.Timeout | undefined;
  const check = (): void => {
    if (session.destroyed || session.connecting) return;
    const { bytesRead } = session.socket;
    if (bytesRead !== seenBytes || isWaiting) return void (seenBytes = bytesRead);
    isWaiting = session.ping(() => {
      isWaiting = false;
      clearTimeout(answer);
    });
    // After the next reading: the answer may lie there if this process stood still.
    const giveUp = (): void => void setImmediate(() => isWaiting && session.destroy(unanswered()));
    answer = setTimeout(giveUp, answerMs).unref();
  };
  const timer = setInterval(check, silenceMs).unref();
  session.once('close', () => {
    clearInterval(timer);
    clearTimeout(answer);
  });
}

function unanswered(): Error {
  return Object.assign(new Error('a PING was not answered'), { code: 'ETIMEDOUT' });
}

/** Status and headers of a response, from Node's flat list, in which the pseudo-headers stand first. */
export function splitStatus(rawHeaders: readonly string[]): { status: number; headers: HeaderPair[] } {
  const headers: HeaderPair[] = [];
  let status = 502;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const value = rawHeaders[index + 1] ?? '';
    if (name === ':status') status = Number(value);
    else if (!name.startsWith(':')) headers.push([name, value]);
  }
  return { status, headers };
}

/** The codes of RST_STREAM and GOAWAY, in order from 0 (RFC 9113, section 7). */
const RESET_NAMES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
] as const;

/** The name of a reset code, for people. */
export function resetName(code: number): string {
  return RESET_NAMES[code] ?? `code ${code}`;
}

/** END_STREAM has arrived, though it may not be read yet. Node shows it nowhere else. */
function hasSeenEnd(stream: ClientHttp2Stream): boolean {
  const state: unknown = Reflect.get(stream, '_readableState');
  return typeof state === 'object' && state !== null && Reflect.get(state, 'ended') === true;
}

function leave(session: ClientHttp2Session, stream: ClientHttp2Stream, aborter: AbortController): void {
  stream.on('error', () => {});
  aborter.abort();
  if (session.connecting) return session.destroy();
  session.close();
  const timer = setTimeout(() => session.destroy(), GOODBYE_MS).unref();
  session.once('close', () => clearTimeout(timer));
}

/** `host` is called `:authority` here (RFC 9113, section 8.3.1). */
function nameAuthority(headers: readonly HeaderPair[]): HeaderPair[] {
  return headers.map(([name, value]) => [name.toLowerCase() === 'host' ? ':authority' : name, value]);
}
