/**
 * An HTTP/1.1 exchange in the shape the rest of the program sees. Adapts, decides nothing.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { type ClientRequest, type ClientResponse, findHeader, flatten, type HeaderPair } from '../http/message.ts';
import { parseTarget } from '../http/target.ts';
import { breakConnection } from '../lib/reset.ts';

/**
 * After an early response, what the client still sends is read and dropped for this long, so that it can read the
 * response.
 */
export const LINGER_MS = 2_000;

/**
 * A reason phrase that Node can send and that is not empty. Bytes outside ASCII have been decoded on their way here and
 * could not leave as they came; clients ignore the phrase anyway (RFC 9112, section 4).
 */
const REASON_PHRASE = /^[\t\x20-\x7e]+$/;

/** Wraps Node's pair. `signal` fires when the connection closes before the response is complete. */
export function adaptHttp1(request: IncomingMessage, response: ServerResponse): [ClientRequest, ClientResponse] {
  const aborter = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) aborter.abort();
  });
  response.on('error', () => {});
  request.on('error', () => {});
  const headers = pairUp(request.rawHeaders);
  const clientRequest: ClientRequest = {
    method: request.method ?? '',
    target: parseTarget(request.url ?? ''),
    headers,
    authority: findHeader(headers, 'host'),
    httpVersion: request.httpVersion === '1.0' ? '1.0' : '1.1',
    peerAddress: request.socket.remoteAddress ?? '',
    openBody: () => openBody(request, response, headers),
    upgrade: undefined,
    signal: aborter.signal,
    cut: (error) => aborter.abort(error),
  };
  return [clientRequest, new Http1Response(request, response)];
}

function openBody(request: IncomingMessage, response: ServerResponse, headers: readonly HeaderPair[]): Readable {
  if (findHeader(headers, 'expect')?.toLowerCase() === '100-continue') response.writeContinue();
  return request;
}

class Http1Response implements ClientResponse {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  get headersSent(): boolean {
    return this.#response.headersSent;
  }

  start(status: number, headers: readonly HeaderPair[], reasonPhrase?: string): Writable {
    const response = this.#response;
    response.sendDate = findHeader(headers, 'date') === undefined;
    // The client waits for 100 Continue and may or may not send its body now: only closing the connection is
    // unambiguous.
    if (this.#request.headers.expect !== undefined && !this.#request.complete) response.shouldKeepAlive = false;
    const flat = flatten(headers);
    if (reasonPhrase === undefined || !REASON_PHRASE.test(reasonPhrase)) response.writeHead(status, flat);
    else response.writeHead(status, reasonPhrase, flat);
    // Headers wait for the first bytes of the body (one packet), but not longer than this turn of the loop.
    setImmediate(() => {
      if (!response.writableEnded && !response.destroyed) response.flushHeaders();
    });
    return response;
  }

  breakOff(): void {
    if (!this.#response.writableFinished) breakConnection(this.#request.socket);
  }

  /** Node would read an unwanted body to its end before the connection is used again; we limit the time. */
  dropRequestBody(): void {
    if (this.#request.complete) return;
    const { socket } = this.#request;
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    this.#request.once('end', () => clearTimeout(timer));
    this.#request.resume();
  }
}

/** Node's flat list of names and values, in pairs. */
export function pairUp(flat: readonly string[]): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) pairs.push([flat[index] ?? '', flat[index + 1] ?? '']);
  return pairs;
}
