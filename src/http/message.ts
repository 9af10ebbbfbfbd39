/**
 * What one request gathers on its way, and the shape in which the rest of the program sees a client, whatever the HTTP
 * version. Types and small constructors only: no I/O, no decisions.
 */
import type { Duplex, Readable, Writable } from 'node:stream';
import type { ProxyError } from '../lib/errors.ts';
import type { Usage } from '../domain/usage.ts';
import type { KeyPolicy } from '../domain/store.ts';

/** A header as it stood on the wire: name in the case it came (HTTP/2: lower-case), value undecoded, order kept. */
export type HeaderPair = readonly [name: string, value: string];

/** A request as a client sent it. */
export interface ClientRequest {
  readonly method: string;
  /** The request target exactly as received: never decoded, never normalised. `*` and absolute forms are refused before. */
  readonly rawTarget: string;
  /** Every header in wire order, repeats kept, without HTTP/2 pseudo-headers. */
  readonly headers: readonly HeaderPair[];
  /** `Host`, or `:authority` over HTTP/2, verbatim; undefined where the client sent neither. */
  readonly authority: string | undefined;
  readonly httpVersion: '1.0' | '1.1' | '2';
  /** IP address of the other end, as the socket tells it. */
  readonly peerAddress: string;
  /** Starts the flow of the body (and answers `Expect: 100-continue`). Called at most once. */
  openBody(): Readable;
  /** Set where the client asks for a WebSocket and the connection can become one (HTTP/1.1 only). */
  readonly upgrade: ClientUpgrade | undefined;
  /** Fires when the client leaves before its answer is complete. */
  readonly signal: AbortSignal;
}

/** A client's wish for a WebSocket. Whoever does not grant it answers as always, through the `ClientResponse`. */
export interface ClientUpgrade {
  /**
   * Sends `101` with these headers (`Connection` and `Upgrade` are added) and gives the bare connection, in which everything
   * stands that the client sent after its request. The caller owns it from then on, and ends it. Called at most once.
   */
  accept(headers: readonly HeaderPair[]): Duplex;
}

/** Where the answer goes. */
export interface ClientResponse {
  readonly headersSent: boolean;
  /**
   * Sends status and headers and gives the stream for the body, which the caller ends. The headers leave with the first
   * bytes of the body, or on their own within one turn of the event loop. Connection-level headers must be gone already.
   */
  start(status: number, headers: readonly HeaderPair[], reasonPhrase?: string): Writable;
  /** The rest of the request's body is not wanted: it is read and dropped for a short time, so that the answer gets through. */
  dropRequestBody(): void;
  /** Breaks the client's connection (HTTP/1.1) or stream (HTTP/2) so that no client can take what it got for complete. */
  breakOff(): void;
}

/** Whom a credential stands for. */
export type Principal =
  | {
      readonly kind: 'key';
      readonly keyId: string;
      readonly label: string;
      readonly policy: KeyPolicy;
      readonly tags: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'master'; readonly label: 'master' }
  | { readonly kind: 'anyone'; readonly label: 'anyone' };

/** What the access log, and later the ledger, want to know of a route. */
export interface RouteFacts {
  readonly service: string;
  /** AWS's name of the operation, or undefined where the table does not know the path. */
  readonly operation: string | undefined;
  readonly region: string;
  /** The model as named in the path, percent-decoded for people to read; undefined where the path has none. */
  readonly modelId: string | undefined;
}

/** One request on its way. Every stage adds what it found; `observe` reads it once, at the end. */
export interface Exchange {
  /** UUID; also the `x-amzn-requestid` of our own answers. */
  readonly id: string;
  /** Epoch milliseconds. */
  readonly startedAtMs: number;
  readonly method: string;
  readonly httpVersion: string;
  /** The raw target without its query, for lines about requests that found no operation. */
  readonly path: string;
  principal: Principal | undefined;
  route: RouteFacts | undefined;
  /** Status sent to the client; undefined where none was sent. */
  status: number | undefined;
  /** `x-amzn-requestid` of AWS's answer. */
  upstreamRequestId: string | undefined;
  /** `x-amzn-errortype` of AWS's answer, without what follows a colon. */
  upstreamErrorType: string | undefined;
  /** `user-agent` as it came. */
  readonly userAgent: string | undefined;
  /** `traceparent` as it came (W3C Trace Context). */
  readonly traceparent: string | undefined;
  /** The model as the request names it, in path or body, percent-decoded. */
  model: string | undefined;
  /** What AWS reported; undefined where it reported nothing. */
  usage: Usage | undefined;
  /** In AWS's words; undefined where the answer does not say. */
  serviceTier: string | undefined;
  /** `free`: known to cost nothing. `unpriced`: nobody knows what it cost. Undefined before the end. */
  pricing: 'priced' | 'unpriced' | 'free' | undefined;
  /** What was reported, at the model's price; undefined where that is not known. */
  costNanoUsd: number | undefined;
  /** What the key's budget was charged. */
  chargedNanoUsd: number;
  /** The usage is not all of it: the client left, or the answer broke off. */
  partial: boolean;
  /** Milliseconds from `startedAtMs`: the first byte of the answer's body (or its end), and the end of everything. */
  firstByteMs: number | undefined;
  totalMs: number | undefined;
  /** Milliseconds that the proxy itself took until the request was ready to leave; the arrival of its body is not counted. */
  overheadMs: number | undefined;
  /** Milliseconds from `startedAtMs` until it left. */
  sentMs: number | undefined;
  /** Body bytes, without framing. */
  requestBytes: number;
  responseBytes: number;
  error: ProxyError | undefined;
}

/** A fresh exchange; id and clock are handed in. */
export function openExchange(id: string, startedAtMs: number, clientRequest: ClientRequest): Exchange {
  const end = clientRequest.rawTarget.indexOf('?');
  return {
    id,
    startedAtMs,
    method: clientRequest.method,
    httpVersion: clientRequest.httpVersion,
    path: end === -1 ? clientRequest.rawTarget : clientRequest.rawTarget.slice(0, end),
    principal: undefined,
    route: undefined,
    status: undefined,
    upstreamRequestId: undefined,
    upstreamErrorType: undefined,
    userAgent: findHeader(clientRequest.headers, 'user-agent'),
    traceparent: findHeader(clientRequest.headers, 'traceparent'),
    model: undefined,
    usage: undefined,
    serviceTier: undefined,
    pricing: undefined,
    costNanoUsd: undefined,
    chargedNanoUsd: 0,
    partial: false,
    firstByteMs: undefined,
    totalMs: undefined,
    overheadMs: undefined,
    sentMs: undefined,
    requestBytes: 0,
    responseBytes: 0,
    error: undefined,
  };
}

/** The first value of a header, by lower-case name; undefined where it is absent. */
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
