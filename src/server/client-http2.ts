/**
 * An HTTP/2 stream in the shape the rest of the program sees. Adapts, decides nothing.
 */
import { findCode } from '../lib/errno.ts';
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Writable } from 'node:stream';
import { type ClientRequest, type ClientResponse, foldHeaders, type HeaderPair } from '../http/message.ts';
import { parseTarget } from '../http/target.ts';

/** Wraps a stream and its header block (flat list of names and values, pseudo-headers first). */
export function adaptHttp2(stream: ServerHttp2Stream, rawHeaders: readonly string[]): [ClientRequest, ClientResponse] {
  const aborter = new AbortController();
  stream.on('close', () => {
    // A session that ends in order closes its streams without an error code, but as `aborted` if we had more to say.
    // A client that has all of it may be gone before Node says that the last write is finished.
    const isWritten = stream.writableEnded && stream.writableLength === 0;
    const isWhole = isWritten && !stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR;
    if (!isWhole) aborter.abort();
  });
  // At once; the stream closes only when what is left of the request's body has been read.
  stream.on('aborted', () => aborter.abort());
  // Opened and reset at once: no client waits for this response.
  if (stream.destroyed || stream.closed) aborter.abort();
  const { pseudo, headers } = splitPseudoHeaders(rawHeaders);
  const clientRequest: ClientRequest = {
    method: pseudo.get(':method') ?? '',
    target: parseTarget(pseudo.get(':path') ?? ''),
    headers,
    authority: pseudo.get(':authority') ?? headers.find(([name]) => name === 'host')?.[1],
    httpVersion: '2',
    peerAddress: stream.session?.socket.remoteAddress ?? '',
    openBody: () => {
      if (headers.some(([name, value]) => name === 'expect' && value.toLowerCase() === '100-continue')) {
        stream.additionalHeaders({ ':status': 100 });
      }
      return stream;
    },
    // RFC 8441 is switched off in the listener, so no client can ask.
    upgrade: undefined,
    signal: aborter.signal,
    cut: (error) => aborter.abort(error),
  };
  return [clientRequest, new Http2Response(stream)];
}

class Http2Response implements ClientResponse {
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
  }

  get headersSent(): boolean {
    return this.#stream.headersSent;
  }

  start(status: number, headers: readonly HeaderPair[]): Writable {
    const stream = this.#stream;
    const folded = foldHeaders(headers);
    try {
      stream.respond({ ':status': status, ...folded });
    } catch (error) {
      // Node refuses repeats of some headers that HTTP/1.1 lets pass. A response that is paid for must not be lost over
      // that.
      if (findCode(error) !== 'ERR_HTTP2_HEADER_SINGLE_VALUE') throw error;
      stream.respond({ ':status': status, ...keepFirstValues(folded) });
    }
    return stream;
  }

  /**
   * A stream whose response is complete may be ended without an error while the request still flows (RFC 9113, section
   * 8.1).
   */
  dropRequestBody(): void {
    const stream = this.#stream;
    if (stream.readableEnded) return;
    stream.resume();
    stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
  }

  breakOff(): void {
    // `close` would end the stream in order first, and only then reset what the client already takes for whole.
    if (!this.#stream.writableFinished) this.#stream.destroy(new Error('broken off'));
  }
}

function splitPseudoHeaders(rawHeaders: readonly string[]): { pseudo: Map<string, string>; headers: HeaderPair[] } {
  const pseudo = new Map<string, string>();
  const headers: HeaderPair[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const value = rawHeaders[index + 1] ?? '';
    if (name.startsWith(':')) pseudo.set(name, value);
    else headers.push([name, value]);
  }
  return { pseudo, headers };
}

/**
 * One value per header, the first that came; only `set-cookie` stays a list, because its values cannot stand for each
 * other.
 */
function keepFirstValues(folded: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const entries = Object.entries(folded);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) && name !== 'set-cookie' ? value[0] : value]),
  );
}
