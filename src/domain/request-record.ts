/**
 * What is known of one request: filled in by the stages on its way, read once at its end. Types and one constructor.
 */
import type { ProxyError } from '../lib/errors.ts';
import type { Principal } from './principal.ts';
import type { Usage } from './usage.ts';

/** What the access log and the ledger show of a route. */
export interface RouteFacts {
  readonly service: string;
  /** AWS's name of the operation, or undefined if the table does not know the path. */
  readonly operation: string | undefined;
  readonly region: string;
  /** The model as named in the path, percent-decoded for people to read; undefined if the path has none. */
  readonly modelId: string | undefined;
  /** The name that stood there instead, if it is an alias of the owner's. */
  readonly modelAlias?: string | undefined;
  /** The application inference profile that is sent in place of the model. */
  readonly inferenceProfile?: string | undefined;
  /** What it does to the account (`operations/facts.ts`): `secret` hands out credentials. */
  readonly effect?: string | undefined;
}

/** An attempt that failed, of which the client has seen nothing. */
export interface FailedAttempt {
  /** The name of the upstream. */
  readonly upstream: string;
  /**
   * `refused`: the upstream responded, and bills nothing. `unsent`: it has not seen the request. `lost`: it may have,
   * and may bill it.
   */
  readonly kind: 'refused' | 'unsent' | 'lost';
  /** AWS's type of the error, its status, or the proxy's code. */
  readonly code: string;
}

/** What the cache doctor says of a request. */
export interface CacheFacet {
  readonly verdict: string;
  /** What it cost that a cache was not read; undefined: nothing, or nobody knows. */
  readonly lostNanoUsd: number | undefined;
  /** For the log: which block and bytes, and what was lost; undefined: not worth a line. Never content. */
  readonly line: string | undefined;
}

/** One request on its way. Every stage adds what it found; the subscribers of events read it. */
export interface RequestRecord {
  /** UUID; also the `x-amzn-requestid` of our own responses. */
  readonly id: string;
  /** Epoch milliseconds. */
  readonly startedAtMs: number;
  readonly method: string;
  readonly httpVersion: string;
  /** The raw target without its query, for lines about requests that found no operation. */
  readonly path: string;
  /**
   * How far it has come. `admitted`: limits let it in. `sent`: AWS may have seen it. `responding`: AWS's response has
   * begun. `ended`: all is over, and nothing changes any more.
   */
  phase: 'received' | 'admitted' | 'sent' | 'responding' | 'ended';
  principal: Principal | undefined;
  route: RouteFacts | undefined;
  /** With several upstreams: the name of the one that was asked last, and how many attempts were made. */
  upstream: string | undefined;
  attempts: number | undefined;
  /** Status sent to the client; undefined if none was sent. */
  status: number | undefined;
  /** Status of AWS's response; undefined if none came. */
  upstreamStatus: number | undefined;
  /** `x-amzn-requestid` of AWS's response. */
  upstreamRequestId: string | undefined;
  /**
   * AWS's type of error: `x-amzn-errortype` of a response that is one, without what follows a colon, or what a response
   * with a good status says in its body. Undefined if nothing failed there.
   */
  upstreamErrorType: string | undefined;
  /** What AWS says of that failure, as it came but bounded; `findErrorMessage` makes it fit to be kept. */
  upstreamErrorMessage: string | undefined;
  /** `user-agent` as it came. */
  readonly userAgentHeader: string | undefined;
  /** `traceparent` as it came (W3C Trace Context). */
  readonly traceparent: string | undefined;
  /** The session and the agent that the request is of, and tags for it, if the client named any: its word alone. */
  session: string | undefined;
  agent: string | undefined;
  requestTags: Readonly<Record<string, string>> | undefined;
  /** The model as the request names it, in path or body, percent-decoded. */
  model: string | undefined;
  /** What AWS reported; undefined if it reported nothing. */
  usage: Usage | undefined;
  /** In AWS's words; undefined if the response does not say. */
  serviceTier: string | undefined;
  /** `free`: known to cost nothing. `unpriced`: its cost is unknown. Undefined before the end. */
  pricing: 'priced' | 'unpriced' | 'free' | undefined;
  /** Who told the price, such as `aws`; undefined if none was found. */
  priceSource: string | undefined;
  /** What was reported, at the model's price; undefined if that is not known. */
  costNanoUsd: number | undefined;
  /** What the key's budget was charged. */
  chargedNanoUsd: number;
  /**
   * Usage and cost are of a part only: the client left, the response broke off, or something is billed of which nobody
   * knows how much.
   */
  partial: boolean;
  /** Milliseconds from `startedAtMs`: the first byte of the response's body (or its end), and the end of everything. */
  firstByteMs: number | undefined;
  totalMs: number | undefined;
  /** Milliseconds until the request's body was there, from when it was asked for. */
  bodyMs: number;
  /**
   * Milliseconds that the proxy itself took until the request was ready to leave; the arrival of its body is not
   * counted.
   */
  overheadMs: number | undefined;
  /** Milliseconds from `startedAtMs` until it left. */
  sentMs: number | undefined;
  /** Its response is a stream, which has begun. */
  isStreamed: boolean;
  /** The upstream's response came to its proper end, whatever became of the client. */
  hasEnded: boolean;
  /** Body bytes, without framing. */
  requestBytes: number;
  responseBytes: number;
  /** The recording that was played, by the name of its file: nothing was sent. Undefined if none was. */
  recording: string | undefined;
  /** The fault that was injected, such as `throttle#3`; undefined if none was. */
  fault: string | undefined;
  /** What became of its prompt's cache; undefined if nobody looked, or nothing is to be said. */
  cache: CacheFacet | undefined;
  error: ProxyError | undefined;
}

/** What a client's request says of itself before it is read: what `openRecord` starts from. */
export type RequestHead = Pick<RequestRecord, 'method' | 'httpVersion' | 'path' | 'userAgentHeader' | 'traceparent'>;

/** A fresh record; id and clock are handed in. */
export function openRecord(id: string, startedAtMs: number, head: RequestHead): RequestRecord {
  return {
    id,
    startedAtMs,
    ...head,
    phase: 'received',
    principal: undefined,
    route: undefined,
    upstream: undefined,
    attempts: undefined,
    status: undefined,
    upstreamStatus: undefined,
    upstreamRequestId: undefined,
    upstreamErrorType: undefined,
    upstreamErrorMessage: undefined,
    session: undefined,
    agent: undefined,
    requestTags: undefined,
    model: undefined,
    usage: undefined,
    serviceTier: undefined,
    pricing: undefined,
    priceSource: undefined,
    costNanoUsd: undefined,
    chargedNanoUsd: 0,
    partial: false,
    firstByteMs: undefined,
    totalMs: undefined,
    bodyMs: 0,
    overheadMs: undefined,
    sentMs: undefined,
    isStreamed: false,
    hasEnded: false,
    requestBytes: 0,
    responseBytes: 0,
    recording: undefined,
    fault: undefined,
    cache: undefined,
    error: undefined,
  };
}
