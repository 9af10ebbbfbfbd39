/**
 * What a cassette keeps of one exchange, as its file says it. Types only. `proof.ts` makes bytes of it and the other
 * way round, `shape.ts` checks what a file holds, and `print.ts` writes it.
 */

/**
 * A body. `json`: its bytes are this value printed compact, keys in this order. `text`: UTF-8. `blob`: the name of a
 * file in the folder `blobs` of the cassette.
 */
export type RecordedBody =
  | { readonly json: unknown }
  | { readonly text: string }
  | { readonly base64: string }
  | { readonly blob: string };

/** The request of an exchange, scrubbed. */
export interface RecordedRequest {
  readonly service: string;
  /** AWS's name of the operation; empty if the table does not know the path. */
  readonly operation: string;
  readonly method: string;
  /** Raw, as it was sent upstream. */
  readonly path: string;
  /** Raw, without `?`. */
  readonly query?: string;
  /** End-to-end headers, without any credential. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: RecordedBody;
}

/**
 * How a response ended. `complete`: in order. `exception`: in order, with an exception in its last frame. `cut`: the
 * upstream broke off within it. `reset`: it broke off with a reset of the connection.
 */
export type RecordedEnd = 'complete' | 'exception' | 'cut' | 'reset';

/**
 * A frame of an event stream; times are milliseconds from the first byte of the response's body. With a name: an event
 * with AWS's usual three headers, whose payload is this JSON printed compact. If its field `bytes` is no text,
 * then its bytes are the base64 of that value printed compact (the chunks of InvokeModelWithResponseStream).
 */
export type RecordedFrame =
  | readonly [atMs: number, event: string, payload: unknown]
  | readonly [atMs: number, frame: RecordedOddFrame];

/** A frame that cannot be said shorter. */
export type RecordedOddFrame =
  /** An exception with AWS's usual three headers. */
  | { readonly exception: string; readonly json: unknown }
  /** Headers of type string only, or the encoded block in base64. */
  | ({ readonly headers: readonly (readonly [string, string])[] | string } & RecordedPayload)
  /** Bytes that are no frame, in base64: the stream ended within one. */
  | { readonly raw: string };

/** The payload of a frame, or the data of a message. */
export type RecordedPayload = { readonly json: unknown } | { readonly text: string } | { readonly base64: string };

/**
 * A server-sent event: `event: NAME` (null: without that line), `data: JSON` printed compact, and a blank line; else
 * the very text, or base64.
 */
export type RecordedEvent =
  | readonly [atMs: number, event: string | null, payload: unknown]
  | readonly [atMs: number, raw: { readonly text: string } | { readonly base64: string }];

/** Bytes as they came. */
export type RecordedChunk = readonly [atMs: number, raw: { readonly text: string } | { readonly base64: string }];

/** The response of an exchange. It has at most one of `body`, `frames`, `events` and `chunks`; none: no byte came. */
export interface RecordedResponse {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  /** From when the request left until the first byte of the body, or its end. */
  readonly firstByteMs: number;
  readonly body?: RecordedBody;
  readonly frames?: readonly RecordedFrame[];
  readonly events?: readonly RecordedEvent[];
  readonly chunks?: readonly RecordedChunk[];
  /**
   * What the client sent in the meantime: frames of a bidirectional stream, or bytes of a WebSocket. Not needed for the
   * replay, which goes by time alone.
   */
  readonly sentFrames?: readonly RecordedFrame[];
  readonly sentChunks?: readonly RecordedChunk[];
  readonly end: RecordedEnd;
  /** Of the body, as it came. */
  readonly bytes: number;
  /** Lower-case hex, of the body as it came; absent: somebody has edited the file, and it is what it says. */
  readonly sha256?: string;
}

/** One exchange. */
export interface Recording {
  readonly version: 1;
  readonly request: RecordedRequest;
  readonly response: RecordedResponse;
}

/** A recording and the name of its file, without `.json`; below a sub-directory with its name and a slash before. */
export interface NamedRecording {
  readonly name: string;
  readonly recording: Recording;
}

/** A request that looks for its recording. */
export interface MatchableRequest {
  readonly service: string;
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  /** Raw, without `?`; empty: none. */
  readonly query: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}
