/**
 * What is to be known of the connections to an upstream, and undici does not tell: whether a request went out on one
 * that had served before, and whether a byte came after it. And what undici does not do: it reads what lies in a socket
 * before it gives up a write that failed.
 */
import { MACHINE_TICKS } from '../../lib/clock.ts';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { findCode } from '../../lib/errno.ts';

/** A response that came before the request had left lies in the socket by now, or comes within this time. */
const EARLY_RESPONSE_MS = 1_000;
/** Where undici tells the socket of a request, in the same call as `onRequestStart` of its handler. */
const SEND_HEADERS = 'undici:client:sendHeaders';

/**
 * A server may respond (413), and close, before it has read the request: what we still write fails, but its response is
 * there. So an error of a write waits until the other side has said all it had to say.
 */
export function readBeforeGivingUp(socket: Socket): Socket {
  const { _write: write, _writev: writev } = socket;
  type Callback = (error?: Error | null) => void;
  const hold =
    (callback: Callback): Callback =>
    (error) => {
      const code = findCode(error);
      if (!error || socket.destroyed || (code !== 'EPIPE' && code !== 'ECONNRESET')) return callback(error);
      const giveUp = (): void => {
        clearTimeout(timer);
        socket.off('close', giveUp);
        callback(error);
      };
      const timer = setTimeout(giveUp, EARLY_RESPONSE_MS);
      socket.once('close', giveUp);
    };
  // oxlint-disable no-underscore-dangle -- these are the names of Node's hooks for those who implement a stream
  socket._write = (chunk, encoding, callback) => write.call(socket, chunk, encoding, hold(callback));
  if (writev !== undefined) socket._writev = (chunks, callback) => writev.call(socket, chunks, hold(callback));
  // oxlint-enable no-underscore-dangle
  return socket;
}

/** The connection on which a request went out. */
export interface SocketUse {
  /** It has served another request before. */
  readonly isReused: boolean;
  /** Whether a byte has come since the request began to leave. */
  hasReceived(): boolean;
  /** Since the request began to leave. */
  ageMs(): number;
}

/** Tells which connection a request goes out on. */
export interface SocketUses {
  /** To be called in `onRequestStart`: `tell` is called in the same turn, when the connection is known. */
  expect(tell: (use: SocketUse) => void): void;
  close(): void;
}

/** Whoever makes it closes it. */
export function watchSocketUses(): SocketUses {
  const used = new WeakSet<Socket>();
  let expecting: ((use: SocketUse) => void) | undefined;
  const onSendHeaders = (message: unknown): void => {
    const tell = expecting;
    expecting = undefined;
    const { socket } = message as { readonly socket: Socket };
    const receivedBefore = socket.bytesRead;
    const startedAtMs = MACHINE_TICKS();
    tell?.({
      isReused: used.has(socket),
      hasReceived: () => socket.bytesRead !== receivedBefore,
      ageMs: () => MACHINE_TICKS() - startedAtMs,
    });
    used.add(socket);
  };
  subscribe(SEND_HEADERS, onSendHeaders);
  return {
    expect: (tell) => (expecting = tell),
    close: () => void unsubscribe(SEND_HEADERS, onSendHeaders),
  };
}

/** The other side had ended the connection (FIN) when the request came; a reset may have had other reasons. */
export function isEndOfOtherSide(error: Error): boolean {
  const code = findCode(error);
  return code === 'EPIPE' || (code === 'UND_ERR_SOCKET' && error.message === 'other side closed');
}
