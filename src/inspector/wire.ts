/**
 * The JSON of the inspector's API (`/inspect/api/v1/`), as types: `inspector-api/` writes it, `page/` reads it. Names
 * are in snake case, as in the ledger and the admin API. Bytes are not in here but as sizes, or decoded. Times are
 * milliseconds since the request was accepted. Unknown is null, never 0.
 */

/** Any JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** What a row is about: a model, the control plane, agents and the like, or a refusal of the proxy itself. */
export type ExchangeKind = 'model' | 'control' | 'agent' | 'own';

/** One row of the list. */
export interface ExchangeSummary {
  readonly id: string;
  readonly sequence: number;
  readonly state: 'open' | 'complete' | 'cut' | 'client-gone' | 'refused';
  /** The line of `logs --json`. */
  readonly row: { readonly [name: string]: Json };
  readonly kind: ExchangeKind;
  readonly source: 'live' | 'offline' | 'cassette' | 'fault';
  readonly is_streamed: boolean;
  /** Why no content is kept; null if it is. */
  readonly omitted: 'off' | 'opt-out' | 'size' | 'memory' | 'evicted' | 'failed' | 'sanitized' | null;
  /** Milliseconds of the longest pause between two pieces of the response. */
  readonly gap_ms: number | null;
  readonly parent: string | null;
  readonly is_edited: boolean;
  readonly is_pinned: boolean;
  readonly note: string | null;
  /** The first exchange of the conversation, how many requests it has had with this one, and the one before. */
  readonly conversation: { readonly id: string; readonly turn: number; readonly previous: string | null } | null;
  /** The same request was sent before and failed. */
  readonly attempt: { readonly number: number; readonly previous: string } | null;
  readonly cache: {
    readonly verdict: string;
    readonly confidence: Confidence;
    readonly lost_usd: string | null;
  } | null;
  /** The entry that explains its error: id of the entry, and in one line what is wrong. */
  readonly explanation: { readonly entry: string; readonly cause: string } | null;
}

/** How sure a verdict is. */
export type Confidence = 'certain' | 'likely' | 'possible' | 'unknown';

/** Everything about one exchange but bodies. */
export interface ExchangeDetails {
  readonly summary: ExchangeSummary;
  readonly layers: {
    readonly client_request: MessageHead;
    readonly signed_request: MessageHead | null;
    readonly upstream_response: MessageHead | null;
    readonly client_response: MessageHead | null;
  };
  readonly timing: TimingView;
  readonly signing: SigningView | null;
  readonly failed_attempts: readonly string[];
}

/** Names of layers in paths: `…/body/client_request`. `client_stream`: what a client sent after its request. */
export type LayerName = keyof ExchangeDetails['layers'] | 'client_stream';

/** A request's or a response's head, and what is kept of its body. */
export interface MessageHead {
  readonly method: string | null;
  readonly authority: string | null;
  readonly target: string | null;
  readonly http_version: string | null;
  readonly status: number | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Null: it has the body of the layer before. */
  readonly body: BodyFacts | null;
}

/** What is kept of a body. */
export interface BodyFacts {
  readonly size_bytes: number;
  readonly kept_bytes: number;
  readonly sha256: string | null;
  readonly hole: { readonly at: number; readonly size_bytes: number; readonly why: string } | null;
  readonly content_type: string | null;
}

/** Where the time went. */
export interface TimingView {
  /** Without overlap: `authenticate`, `body`, `admit`, `sign`, `connect`, `wait`, `response`, `settle`. */
  readonly steps: readonly { readonly name: string; readonly from_ms: number; readonly to_ms: number }[];
  readonly total_ms: number | null;
  /** The proxy's own part. */
  readonly overhead_ms: number | null;
  /** `latencyMs` of the response, by AWS. */
  readonly model_latency_ms: number | null;
  /** Pieces of the response: when, how many bytes. At most 2,000, evenly left out. */
  readonly pieces: readonly (readonly [at_ms: number, size_bytes: number])[];
}

/** What was signed. */
export interface SigningView {
  readonly scheme: 'sigv4' | 'bearer' | 'oauth' | 'none';
  readonly access_key_id: string | null;
  readonly scope: string | null;
  readonly signed_headers: readonly string[];
  readonly payload_hash: string | null;
  readonly canonical_request: string | null;
  readonly string_to_sign: string | null;
}

/** A page of frames. */
export interface FramesView {
  readonly protocol: 'aws-event-stream' | 'sse' | 'websocket' | 'chunks';
  readonly items: readonly FrameView[];
  /** `from` of the next page; null if there is none. */
  readonly next: number | null;
  /** How many there are so far. */
  readonly total: number;
  readonly end: 'open' | 'complete' | 'cut' | 'exception';
  /** "stream ended inside frame 64", or that bytes in the middle are not kept. */
  readonly problem: string | null;
}

/** A frame of an event stream, an event of SSE, a message of a WebSocket, or a piece as it came. */
export interface FrameView {
  readonly index: number;
  /** `in`: from the upstream; `out`: from the client. */
  readonly direction: 'in' | 'out';
  readonly at_ms: number;
  readonly gap_ms: number;
  readonly offset: number;
  readonly size_bytes: number;
  /** `:event-type`, `:exception-type`, SSE's event, or the opcode. */
  readonly type: string;
  readonly is_exception: boolean;
  readonly crc: 'ok' | 'bad' | 'none';
  /** Which of the two, expected and found, as hex. */
  readonly crc_problem: string | null;
  readonly headers: readonly (readonly [name: string, type: string, value: string])[];
  readonly payload: { readonly json: Json } | { readonly text: string } | { readonly base64: string };
}

/** What request and response say, put together. */
export interface MessagesView {
  /** `other`: this shape is not known, and the JSON speaks for itself. */
  readonly form:
    | 'converse'
    | 'anthropic'
    | 'openai-chat'
    | 'openai-responses'
    | 'nova'
    | 'text'
    | 'embedding'
    | 'other';
  readonly system: readonly BlockView[];
  readonly tools: readonly { readonly name: string; readonly description: string | null; readonly schema: Json }[];
  readonly messages: readonly MessageView[];
  /** Null as long as none has begun. */
  readonly response: MessageView | null;
  readonly stop: string | null;
  /** `max_tokens`, `temperature`, … as the request has them. */
  readonly parameters: { readonly [name: string]: Json };
  /** Whether more of the response will come. */
  readonly is_open: boolean;
  readonly problem: string | null;
}

/** A turn. */
export interface MessageView {
  readonly role: string;
  readonly blocks: readonly BlockView[];
}

/** A block of content. `pointer`: RFC 6901, in the request's body; null in responses. */
export type BlockView = { readonly pointer: string | null; readonly span: readonly [number, number] | null } & (
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'thinking'; readonly text: string; readonly duration_ms: number | null }
  | { readonly kind: 'tool_use'; readonly id: string; readonly name: string; readonly input: Json | string }
  | {
      readonly kind: 'tool_result';
      readonly id: string;
      readonly is_error: boolean;
      readonly blocks: readonly BlockView[];
    }
  | { readonly kind: 'media'; readonly media_type: string; readonly size_bytes: number; readonly base64: string | null }
  | { readonly kind: 'cache_point'; readonly ttl: string | null }
  | { readonly kind: 'other'; readonly name: string; readonly json: Json }
);

/** How a request differs from another one: first by parts, then by pointer, then by words. */
export interface DiffView {
  readonly base: string;
  /** One line: "+2 messages, tools same, system changed at byte 1,284". */
  readonly summary: string;
  readonly parts: readonly DiffPart[];
}

/** `system`, a tool, a message, or another member of the body. */
export interface DiffPart {
  readonly name: string;
  readonly pointer: string;
  readonly change: 'same' | 'changed' | 'added' | 'removed' | 'moved';
  /** Offset of the first byte that differs, in the newer body. */
  readonly at_byte: number | null;
  readonly changes: readonly {
    readonly pointer: string;
    readonly before: Json | null;
    readonly after: Json | null;
  }[];
}

/** The cache doctor's finding. */
export interface CacheView {
  readonly verdict: string;
  readonly confidence: Confidence;
  /** In one sentence, and what to do. */
  readonly says: string;
  readonly advice: string | null;
  /** What differs: where in the request, and bytes of this one and of the one before. */
  readonly pointer: string | null;
  readonly bytes: readonly [from: number, to: number] | null;
  readonly previous_bytes: readonly [from: number, to: number] | null;
  /** `timestamp`, `uuid`, `counter`, `key-order`, `white-space`, `reordered`, `text`, … */
  readonly change: string | null;
  /** Both texts, if the content is kept. */
  readonly before: string | null;
  readonly after: string | null;
  readonly previous: string | null;
  /** In the order in which the model sees them. */
  readonly segments: readonly {
    readonly pointer: string;
    readonly size_bytes: number;
    readonly state: 'hit' | 'written' | 'changed' | 'same' | 'after';
    readonly has_marker: boolean;
  }[];
  readonly money: {
    readonly actual_usd: string | null;
    readonly with_hit_usd: string | null;
    readonly without_markers_usd: string | null;
    readonly lost_usd: string | null;
  };
}

/** The explainer's finding. */
export interface ExplanationView {
  readonly entry: string;
  readonly cause: string;
  readonly steps: readonly string[];
  readonly link: string | null;
  readonly retry: 'never' | 'later' | 'after-fix';
  readonly checked: string;
}

/** `GET state`. */
export interface InspectorState {
  readonly version: string;
  readonly region: string | null;
  readonly mode: 'aws' | 'offline' | 'cassette';
  readonly url: string;
  /** `ledger`: no content is kept. */
  readonly kept: 'ledger' | 'memory' | 'file' | 'opened';
  readonly is_capturing: boolean;
  readonly captures_until: string | null;
  /** Whether this caller may switch that on and off. */
  readonly may_capture?: boolean;
  readonly exchanges: number;
  readonly max_exchanges: number | null;
  readonly bytes: number;
  readonly max_bytes: number | null;
  readonly dropped: { readonly [why: string]: number };
  /** Whether the token that was shown is the master key: keys and usage can be changed. */
  readonly is_master: boolean;
  /** Whether this caller may replay. */
  readonly may_replay: boolean;
  readonly upstreams: readonly Json[];
}

/** `GET exchanges`. */
export interface ExchangeList {
  readonly items: readonly ExchangeSummary[];
  /** Where the live stream goes on: `events?after=`. */
  readonly cursor: number;
  /** `before` of the next page; null if there is none. */
  readonly next: number | null;
  readonly scanned: number;
  /** Of what the filter lets through, of all that was scanned. */
  readonly totals: {
    readonly exchanges: number;
    readonly errors: number;
    readonly cost_usd: string;
    readonly cached_share: number | null;
  };
}

/** Events of `GET events` (SSE): the name is that of `event:`, the rest is its data. */
export type InspectorEvent =
  | { readonly event: 'upsert'; readonly cursor: number; readonly exchange: ExchangeSummary }
  | { readonly event: 'remove'; readonly cursor: number; readonly id: string }
  /** Changes were missed: the list has to be asked for again. */
  | { readonly event: 'reset'; readonly cursor: number }
  | { readonly event: 'state'; readonly state: InspectorState };

/** Events of `GET exchanges/{id}/events` (SSE). */
export type ExchangeEvent =
  | { readonly event: 'frames'; readonly frames: readonly FrameView[]; readonly total: number }
  | { readonly event: 'summary'; readonly exchange: ExchangeSummary };

/** `POST exchanges/{id}/replay`. */
export interface ReplayRequest {
  /** Id of the key that is charged. */
  readonly key: string;
  readonly edits?: { readonly target?: string; readonly headers?: MessageHead['headers']; readonly body?: string };
  /** Wanted for what is no invocation of a model. */
  readonly confirm?: boolean;
}

/** `GET exchanges/{id}/replay`: what a replay would be charged to, and about how much it costs. */
export interface ReplayOffer {
  readonly keys: readonly { readonly id: string; readonly name: string }[];
  readonly estimate_usd: string | null;
  readonly needs_confirmation: boolean;
  /** Why it cannot be replayed; null if it can. */
  readonly refusal: string | null;
}

/** What a page that was saved has in `<script type="application/json" id="exchanges">`: it needs no server then. */
export interface SavedExchanges {
  readonly exported: string;
  readonly is_sanitized: boolean;
  readonly state: InspectorState;
  readonly list: ExchangeList;
  /** By the ids of exchanges. */
  readonly details: { readonly [id: string]: ExchangeDetails };
  readonly frames: { readonly [id: string]: FramesView };
  readonly messages: { readonly [id: string]: MessagesView };
  /** Kept bytes in base64. */
  readonly bodies: { readonly [id: string]: { readonly [Layer in LayerName]?: string } };
}
