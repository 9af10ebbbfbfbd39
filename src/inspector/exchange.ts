/**
 * An exchange as the inspector keeps it: what a client sent, what was signed, what the upstream responded and what the
 * client got, each as bytes with the times of their arrival. Credentials are masked before anything is kept. Types
 * only: who keeps it (memory, a file, an export that was opened) is an `ExchangeSource`.
 */
import type { RecordRow } from '../domain/ledger-columns.ts';
import type { HeaderPair } from '../http/message.ts';

/** The four messages of an exchange, in their order. */
export type Layer = 'clientRequest' | 'signedRequest' | 'upstreamResponse' | 'clientResponse';

/** Why bytes of a message are not kept. */
export type Omission =
  /** Nothing is captured: the proxy was started without `--inspect`. */
  | 'off'
  /** The client or its key asked for it, or the operation hands out credentials. */
  | 'opt-out'
  /** It is larger than what is kept of one body. */
  | 'size'
  /** There was no room at that moment. */
  | 'memory'
  /** It was kept, and has made room for younger ones. */
  | 'evicted'
  /** It could not be written, or not be read again. */
  | 'failed'
  /** It was taken out of an export. */
  | 'sanitized';

/** Why something is not kept at all; `rate`: more came than are kept in a second, of which not even rows are kept. */
export type DropReason = Omission | 'rate';

/** A piece of a body as it arrived. */
export interface KeptChunk {
  /** Of its first byte in the whole body, bytes that are not kept included. */
  readonly offset: number;
  readonly sizeBytes: number;
  /** Milliseconds since the request was accepted, with microseconds as decimals. */
  readonly atMs: number;
}

/** What is kept of a body. */
export interface KeptBody {
  /** Of all that passed. */
  readonly sizeBytes: number;
  /** Lower-case hex SHA-256 of all that passed; undefined if it is not known. */
  readonly sha256: string | undefined;
  /** Bytes that passed and are not kept; undefined if all are kept. */
  readonly hole: { readonly at: number; readonly sizeBytes: number; readonly why: Omission } | undefined;
  /** The kept bytes: those before the hole and those after it. The caller must not change them. */
  readonly read: () => Buffer;
  readonly chunks: () => readonly KeptChunk[];
}

/** A request or a response. */
export interface KeptMessage {
  /** Of requests. */
  readonly method?: string | undefined;
  /** Of requests: host, and the raw path with its query, credentials masked. */
  readonly authority?: string | undefined;
  readonly target?: string | undefined;
  readonly httpVersion?: string | undefined;
  /** Of responses. */
  readonly status?: number | undefined;
  /** In wire order; values of credentials are masked. */
  readonly headers: readonly HeaderPair[];
  /** Undefined: it is the same as that of the layer before (`signedRequest`, `clientResponse`). */
  readonly body: KeptBody | undefined;
}

/** What was signed, for people: nothing in it lets anybody sign. */
export interface KeptSigning {
  readonly scheme: 'sigv4' | 'bearer' | 'oauth' | 'none';
  /** The first four and the last four characters. */
  readonly accessKeyId?: string | undefined;
  /** `20261128/us-east-1/bedrock/aws4_request`. */
  readonly scope?: string | undefined;
  readonly signedHeaders?: readonly string[] | undefined;
  readonly payloadHash?: string | undefined;
  /** The value of the session token is masked. */
  readonly canonicalRequest?: string | undefined;
  readonly stringToSign?: string | undefined;
}

/** Moments of an exchange, in milliseconds since it was accepted; undefined: it did not come so far. */
export interface ExchangeTimes {
  /** Caller known. */
  readonly authenticatedMs?: number | undefined;
  /** Its body was there. */
  readonly bodyReadMs?: number | undefined;
  readonly admittedMs?: number | undefined;
  readonly signedMs?: number | undefined;
  /** It went out on a connection. */
  readonly sentMs?: number | undefined;
  readonly headMs?: number | undefined;
  readonly firstByteMs?: number | undefined;
  readonly lastByteMs?: number | undefined;
  /** All is over, the client has everything or has left. */
  readonly endedMs?: number | undefined;
}

/** How the upstream's response ended. */
export type ExchangeEnd = 'open' | 'complete' | 'cut' | 'client-gone' | 'refused';

/** One exchange. It grows as long as `end` is `open`. */
export interface Exchange {
  /** That of the ledger and of `x-bedrock-proxy-request-id`. */
  readonly id: string;
  /** 1 for the first that this source has seen; the cursor of lists. */
  readonly sequence: number;
  /** As `logs --json` has it; of one under way, what is known so far. */
  readonly row: RecordRow & { readonly isStreamed: boolean };
  readonly end: ExchangeEnd;
  readonly times: ExchangeTimes;
  readonly layers: { readonly [Name in Layer]?: KeptMessage };
  /** What a client sent through its WebSocket or its event stream, after its request. */
  readonly clientStream: KeptBody | undefined;
  readonly signing: KeptSigning | undefined;
  /** The first exchange of its conversation, its number in it from 1 on, and the one before; undefined: not known. */
  readonly conversation:
    | { readonly id: string; readonly turn: number; readonly previous: string | undefined }
    | undefined;
  /** It repeats a request that failed: 2 for the first repetition, and the one before. */
  readonly attempt: { readonly number: number; readonly previous: string } | undefined;
  /** Attempts of which the client has seen nothing: name of the upstream, what became of it. */
  readonly failedAttempts: readonly string[];
  /** Why there is no content; undefined if there is some. */
  readonly omitted: Omission | undefined;
  /** Replay of that exchange, and whether it was edited. */
  readonly parent: string | undefined;
  readonly isEdited: boolean;
  readonly isPinned: boolean;
  readonly note: string | undefined;
}

/** What a list asks for. */
export interface ExchangeQuery {
  /** Undefined: all. */
  readonly matches: ((exchange: Exchange) => boolean) | undefined;
  /** Only those whose sequence is below; undefined: from the newest on. */
  readonly before: number | undefined;
  readonly limit: number;
}

/** Newest first. */
export interface ExchangePage {
  readonly items: readonly Exchange[];
  /** How many were looked at. */
  readonly scanned: number;
  /** `before` of the next page; undefined: there is none. */
  readonly next: number | undefined;
  /** Where changes go on; undefined: where the source's cursor was before. */
  readonly cursor?: number | undefined;
}

/** A change of an exchange: it came, it grew, it ended, it was pinned; or it is gone. */
export interface ExchangeChange {
  /** Grows by one with each change. */
  readonly cursor: number;
  readonly id: string;
  readonly kind: 'upsert' | 'remove';
}

/** Who keeps exchanges. */
export interface ExchangeSource {
  list(query: ExchangeQuery): ExchangePage | Promise<ExchangePage>;
  find(id: string): Exchange | undefined | Promise<Exchange | undefined>;
  /** Undefined if there is none of this id. */
  mark(id: string, marks: { readonly isPinned?: boolean; readonly note?: string }): Exchange | undefined;
  /** Those that are not pinned, if no id is given. How many. */
  remove(id?: string): number;
  /** The cursor of the last change. */
  readonly cursor: number;
  /** Changes after a cursor, each exchange once; undefined: they are not kept any more, ask for the list. */
  changesAfter(cursor: number): readonly ExchangeChange[] | undefined;
  /** Called after each change, at once; gives the function that ends it. */
  watch(listener: (change: ExchangeChange) => void): () => void;
  /** What is kept, and what was not for want of room, by reason. */
  state(): ExchangeSourceState;
  close(): Promise<void>;
}

/** Keeps exchanges where they can be had at once: in memory, or in a file of its own. */
export interface KeptExchanges extends ExchangeSource {
  list(query: ExchangeQuery): ExchangePage;
  find(id: string): Exchange | undefined;
}

/** For the line above the list. */
export interface ExchangeSourceState {
  readonly kind: 'ledger' | 'memory' | 'file' | 'opened';
  readonly exchanges: number;
  readonly maxExchanges: number | undefined;
  readonly bytes: number;
  readonly maxBytes: number | undefined;
  readonly maxAgeMs: number | undefined;
  readonly dropped: { readonly [Why in DropReason]?: number };
}
