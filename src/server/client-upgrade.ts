/**
 * A client that asks for a WebSocket (RFC 6455, section 4.1), in the shape the rest of the program sees. Node has taken
 * its HTTP parser off the connection by now: this file writes the bytes of a response itself, either `101` and then
 * what the two sides say, or a plain HTTP response and the end of the connection. Adapts, decides nothing.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Readable, type Writable } from 'node:stream';
import {
  type ClientRequest,
  type ClientResponse,
  type ClientUpgrade,
  findHeader,
  type HeaderPair,
} from '../http/message.ts';
import type { ProxyError } from '../lib/errors.ts';
import { parseTarget } from '../http/target.ts';
import { breakConnection } from '../lib/reset.ts';
import { LINGER_MS, pairUp } from './client-http1.ts';

/**
 * The first Node of each line that asks `shouldUpgradeCallback`. In older ones, a listener for `upgrade` makes every
 * request with an `Upgrade` header (`h2c`: JDK clients, `curl --http2`) lose its body; so there is no listener then,
 * and no WebSocket.
 */
const FIRST_MINOR_THAT_ASKS: ReadonlyMap<number, number> = new Map([
  [22, 21],
  [23, Number.POSITIVE_INFINITY],
  [24, 9],
]);

/**
 * Whether a Node (`22.21.0`, as in `process.versions.node`) can distinguish upgrades; on others WebSocket is not
 * served.
 */
export function canTellUpgrades(nodeVersion: string): boolean {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const firstMinor = FIRST_MINOR_THAT_ASKS.get(major);
  return firstMinor === undefined ? major > 24 : minor >= firstMinor;
}

/**
 * True for an upgrade to WebSocket and to nothing else, without a body. Everything else with an
 * `Upgrade` header is an ordinary request: a server may ignore the header (RFC 9110, section 7.8).
 */
export function asksForWebSocket({ method, httpVersion, headers }: IncomingMessage): boolean {
  if (method !== 'GET' || httpVersion !== '1.1') return false;
  // Node joins repeats with a comma, and a list with another word is not this upgrade.
  const words = headers.upgrade?.split(',').map((word) => word.trim().toLowerCase()) ?? [];
  if (words.length === 0 || words.some((word) => word !== 'websocket')) return false;
  return headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
}

/**
 * Wraps what Node's `upgrade` event gives; `head` are bytes of the client that came with its request. `signal` fires
 * when the connection closes before its response: before `101`, or before the end of a plain one.
 */
export function adaptUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): [ClientRequest, ClientResponse] {
  const connection = new UpgradingConnection(socket, head);
  const headers = foldRepeats(pairUp(request.rawHeaders));
  const clientRequest: ClientRequest = {
    method: request.method ?? '',
    target: parseTarget(request.url ?? ''),
    headers,
    authority: findHeader(headers, 'host'),
    httpVersion: '1.1',
    peerAddress: socket.remoteAddress ?? '',
    openBody: () => Readable.from([]),
    upgrade: connection,
    signal: connection.signal,
    cut: connection.cut,
  };
  return [clientRequest, connection];
}

/** RFC 6455, section 11.3: once in a request. The client that repeats them made the first itself, and goes by it. */
const ONCE: ReadonlySet<string> = new Set(['sec-websocket-key', 'sec-websocket-version']);

/**
 * The headers without the repeats that AWS's own recipe makes: its AgentCore SDK gives a WebSocket client all headers
 * of an upgrade, and the client adds them to its own. A `Host` is left out only if it is the same; two hosts are
 * refused later (guard.ts).
 */
function foldRepeats(headers: readonly HeaderPair[]): HeaderPair[] {
  const firsts = new Map<string, string>();
  return headers.filter(([name, value]) => {
    const lower = name.toLowerCase();
    const first = firsts.get(lower);
    if (first === undefined) firsts.set(lower, value);
    return first === undefined || !(ONCE.has(lower) || (lower === 'host' && first === value));
  });
}

class UpgradingConnection implements ClientResponse, ClientUpgrade {
  readonly #socket: Socket;
  readonly #aborter = new AbortController();
  #state: 'waiting' | 'accepted' | 'refused' = 'waiting';

  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    // An end of one side is passed on as such; it must not end the other one by itself.
    socket.allowHalfOpen = true;
    socket.setTimeout(0);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => {
      const isComplete = this.#state === 'accepted' || (this.#state === 'refused' && socket.writableFinished);
      if (!isComplete) this.#aborter.abort();
    });
    if (head.length > 0) socket.unshift(head);
    socket.on('readable', this.#watch).on('end', this.#leave);
  }

  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  readonly cut = (error: ProxyError): void => this.#aborter.abort(error);

  get headersSent(): boolean {
    return this.#state !== 'waiting';
  }

  accept(headers: readonly HeaderPair[]): Socket {
    this.#decide('accepted');
    this.#writeHead(101, 'Switching Protocols', [['Connection', 'Upgrade'], ['Upgrade', 'websocket'], ...headers]);
    return this.#socket;
  }

  start(status: number, headers: readonly HeaderPair[], reasonPhrase?: string): Writable {
    this.#decide('refused');
    this.#writeHead(status, reasonPhrase || (STATUS_CODES[status] ?? ''), [...headers, ['Connection', 'close']]);
    const socket = this.#socket;
    // Unread bytes would turn our close into a reset, and the client could lose the response.
    socket.on('data', () => {}).resume();
    socket.once('finish', () => {
      const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
      socket.once('close', () => clearTimeout(timer));
    });
    return socket;
  }

  /** An upgrade has no body, and `start` drops what comes instead. */
  dropRequestBody(): void {}

  breakOff(): void {
    breakConnection(this.#socket);
  }

  /** Only reading shows that the client has left, and nothing reads yet: this looks without taking anything. */
  readonly #watch = (): void => {
    if (this.#socket.readableLength === 0) this.#socket.read(0);
  };

  readonly #leave = (): void => {
    this.#socket.destroy();
  };

  #decide(state: 'accepted' | 'refused'): void {
    this.#state = state;
    this.#socket.off('readable', this.#watch).off('end', this.#leave);
  }

  #writeHead(status: number, reasonPhrase: string, headers: readonly HeaderPair[]): void {
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    this.#socket.write(`HTTP/1.1 ${status} ${reasonPhrase}\r\n${lines}\r\n`, 'latin1');
  }
}
