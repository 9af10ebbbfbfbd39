/**
 * HTTP messages as the rest of the program sees them, whatever the HTTP version: a client's request, the response to
 * it, and header pairs. Types and small look-ups only: no I/O, no decisions.
 */
import type { Duplex, Readable, Writable } from 'node:stream';
import type { ProxyError } from '../lib/errors.ts';
import type { RequestHead } from '../domain/request-record.ts';
import type { RequestTarget } from './target.ts';

/** A header as it stood on the wire: name in the case it came (HTTP/2: lower-case), value undecoded, order kept. */
export type HeaderPair = readonly [name: string, value: string];

/** A request as a client sent it. */
export interface ClientRequest {
  readonly method: string;
  /** The request target as received. `*` and absolute forms match no mount, and are answered with 404. */
  readonly target: RequestTarget;
  /** Every header in wire order, repeats kept, without HTTP/2 pseudo-headers. */
  readonly headers: readonly HeaderPair[];
  /** `Host`, or `:authority` over HTTP/2, verbatim; undefined if the client sent neither. */
  readonly authority: string | undefined;
  readonly httpVersion: '1.0' | '1.1' | '2';
  /** IP address of the other end, as the socket reports it. */
  readonly peerAddress: string;
  /** Starts the flow of the body (and sends `100 Continue` if the client expects it). Called at most once. */
  openBody(): Readable;
  /** Set if the client asks for a WebSocket and the connection can become one (HTTP/1.1 only). */
  readonly upgrade: ClientUpgrade | undefined;
  /** Fires when the client leaves before its response is complete, or when the request is cut. */
  readonly signal: AbortSignal;
  /**
   * Set on a request that the proxy itself makes, of an exchange that is sent once more; nothing that a client sends
   * sets it.
   */
  readonly replay?: {
    /** Who is charged: a key, by its hash; or `master`, or `anonymous`. */
    readonly caller: string;
    /** The exchange that is sent again, and whether it was edited. */
    readonly parent: string;
    readonly isEdited: boolean;
    /** What its client signed for: where it wanted to go. Undefined: it did not sign. */
    readonly scope: { readonly region: string; readonly service: string } | undefined;
    /** Told under which id it is recorded. */
    readonly onRecord: (id: string) => void;
  };
  /** Ends the request from this side: `signal` fires, with the error as its reason. */
  readonly cut: (error: ProxyError) => void;
}

/** A client's request for a WebSocket. To refuse it, respond as always, through the `ClientResponse`. */
export interface ClientUpgrade {
  /**
   * Sends `101` with these headers (`Connection` and `Upgrade` are added) and gives the bare connection, with
   * everything that the client sent after its request. The caller owns it from then on, and ends it. Called at most
   * once.
   */
  accept(headers: readonly HeaderPair[]): Duplex;
}

/** Where the response goes. */
export interface ClientResponse {
  readonly headersSent: boolean;
  /**
   * Sends status and headers and gives the stream for the body, which the caller ends. The headers leave with the first
   * bytes of the body, or on their own within one turn of the event loop. Connection-level headers must be gone
   * already.
   */
  start(status: number, headers: readonly HeaderPair[], reasonPhrase?: string): Writable;
  /** Drops the rest of the request's body: it is read for a short time, so that the response gets through. */
  dropRequestBody(): void;
  /**
   * Breaks the client's connection (HTTP/1.1) or stream (HTTP/2) so that no client can take what it got for complete.
   * Does nothing to a response that is complete.
   */
  breakOff(): void;
}

/** As Node and undici take headers: names and values in turns. */
export function flatten(headers: readonly HeaderPair[]): string[] {
  const flat: string[] = [];
  for (const [name, value] of headers) flat.push(name, value);
  return flat;
}

/** The first value of a header, by lower-case name; undefined if it is absent. */
export function findHeader(headers: readonly HeaderPair[], lowerCaseName: string): string | undefined {
  for (const [name, value] of headers) {
    if (name.length === lowerCaseName.length && name.toLowerCase() === lowerCaseName) return value;
  }
  return undefined;
}

/** As node:http2 takes headers: names in lower case (RFC 9113, section 8.2), repeats as a list in their order. */
export function foldHeaders(headers: readonly HeaderPair[]): Record<string, string | string[]> {
  const folded: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    const before = folded[lower];
    folded[lower] = before === undefined ? value : [before, value].flat();
  }
  return folded;
}

/** What the record of a request says of its head. */
export function describeHead({ method, httpVersion, target, headers }: ClientRequest): RequestHead {
  return {
    method,
    httpVersion,
    path: target.path,
    userAgentHeader: findHeader(headers, 'user-agent'),
    traceparent: findHeader(headers, 'traceparent'),
  };
}
