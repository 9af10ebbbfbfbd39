/**
 * Usage out of AWS's event streams, while they pass. Most events only bring text: they are told by their headers, and
 * no more of them is looked at than it takes to measure that text. What cannot be read ends the metering, never the
 * stream.
 */
import { type Frame, FrameSplitter, parseFrameHeaders } from '../protocol/event-stream.ts';
import type { ResponseReader } from './usage-json.ts';
import { AGENT_TRACE, CONVERSE, INVOKE_CHUNK, type Places, scanText, SONIC_CHUNK } from './usage-places.ts';
import type { Tally } from './usage-tally.ts';
import { measureText, type TextMembers } from './usage-text.ts';

/** What an event is good for. */
type EventRule =
  /** JSON text with a piece of the response. */
  | { readonly kind: 'text'; readonly members: TextMembers }
  /** JSON text with usage; `isLast`: nothing about usage follows. Without `marker` in it, it has none. */
  | { readonly kind: 'usage'; readonly places: Places; readonly isLast: boolean; readonly marker: string }
  /** A JSON text of the provider's, in base64; it brings text or usage, or both. */
  | {
      readonly kind: 'chunk';
      readonly places: Places;
      readonly members: TextMembers;
      /** A text with this near its beginning is neither: it is passed over undecoded. */
      readonly skip: string | undefined;
    }
  /** A piece of the response in base64, as it is. */
  | { readonly kind: 'blob' };

/** The events of one operation, by `:event-type`. Those that are not named bring nothing. */
export type StreamShape = ReadonlyMap<string, EventRule>;

/** ConverseStream. */
export const CONVERSE_STREAM: StreamShape = new Map<string, EventRule>([
  ['contentBlockDelta', { kind: 'text', members: new Set(['text', 'input']) }],
  ['metadata', { kind: 'usage', places: CONVERSE, isLast: true, marker: 'oken' }],
]);

/** Anthropic and Nova; OpenAI's shape, which others have too; Llama, Titan, Claude 2. */
const INVOKE_TEXT: TextMembers = new Set(
  (
    'text partial_json thinking input content reasoning_content reasoning arguments ' +
    'generation outputText completion'
  ).split(' '),
);

/** InvokeModelWithResponseStream, of whatever provider. */
export const INVOKE_STREAM: StreamShape = new Map<string, EventRule>([
  [
    'chunk',
    {
      kind: 'chunk',
      places: INVOKE_CHUNK,
      members: INVOKE_TEXT,
      skip: undefined,
    },
  ],
]);

/** InvokeModelWithBidirectionalStream: Nova Sonic. Its speech is most of the bytes, and no text. */
export const BIDIRECTIONAL_STREAM: StreamShape = new Map<string, EventRule>([
  ['chunk', { kind: 'chunk', places: SONIC_CHUNK, members: new Set(['content']), skip: '"audioOutput"' }],
]);

/** InvokeAgent and InvokeInlineAgent. */
export const AGENT_STREAM: StreamShape = new Map<string, EventRule>([
  ['chunk', { kind: 'blob' }],
  ['trace', { kind: 'usage', places: AGENT_TRACE, isLast: false, marker: 'modelInvocation' }],
]);

/** No count has a name without these letters: `inputTokens`, `prompt_token_count`, `totalOutputTextTokenCount`. */
const COUNT_MARKER = Buffer.from('oken');
/** A larger chunk is not decoded; AWS sends parts of at most 1,000,000 bytes. */
const MAX_CHUNK_BYTES = 1_000_000;
const SKIPPED_WITHIN_BYTES = 48;
const BYTES_MEMBER = Buffer.from('"bytes"');
const QUOTE = 0x22;

/** State: the frame that is not complete yet, and how the stream stands. */
export class StreamReader implements ResponseReader {
  textBytes = 0;
  readonly #shape: StreamShape;
  readonly #tally: Tally;
  readonly #splitter = new FrameSplitter();
  readonly #types = new EventTypes();
  #hasFailed = false;

  constructor(shape: StreamShape, tally: Tally) {
    this.#shape = shape;
    this.#tally = tally;
  }

  read(chunk: Buffer): void {
    for (const frame of this.#splitter.push(chunk)) this.#readFrame(frame);
  }

  finish(isWhole: boolean): boolean {
    if (isWhole) this.#splitter.finish();
    return !this.#hasFailed && this.#tally.isFinal && (isWhole || this.#tally.isLast);
  }

  #readFrame({ headers, payload }: Frame): void {
    const eventType = this.#types.read(headers);
    if (eventType === undefined) {
      this.#hasFailed = true;
      return;
    }
    const rule = this.#shape.get(eventType);
    switch (rule?.kind) {
      case undefined:
        return;
      case 'text':
        this.textBytes += measureText(payload, rule.members);
        return;
      case 'blob':
        this.textBytes += sizeOfBase64(findBytesMember(payload)?.length ?? 0);
        return;
      case 'usage':
        if (payload.includes(rule.marker)) this.#readUsage(rule.places, payload);
        this.#tally.isLast ||= rule.isLast;
        return;
      case 'chunk':
        this.#readChunk(payload, rule);
    }
  }

  #readChunk(payload: Buffer, { places, members, skip }: EventRule & { kind: 'chunk' }): void {
    const encoded = findBytesMember(payload);
    if (encoded === undefined) return;
    const sizeBytes = sizeOfBase64(encoded.length);
    if (skip !== undefined && decode(encoded.subarray(0, SKIPPED_WITHIN_BYTES)).includes(skip)) return;
    if (sizeBytes > MAX_CHUNK_BYTES) {
      this.#hasFailed = true;
      this.textBytes += sizeBytes;
      return;
    }
    const text = decode(encoded);
    this.textBytes += measureText(text, members);
    if (text.includes(COUNT_MARKER)) this.#readUsage(places, text);
  }

  #readUsage(places: Places, text: Buffer): void {
    if (!scanText(places, text, this.#tally)) this.#hasFailed = true;
  }
}

/** Tells events by their headers. Neighbours in a stream mostly have the same ones, which are not read again. */
class EventTypes {
  #block: Buffer = Buffer.alloc(0);
  #eventType: string | undefined;

  /** The type of an event; undefined where the frame says an exception or an error instead. May throw. */
  read(block: Buffer): string | undefined {
    if (block.equals(this.#block)) return this.#eventType;
    const headers = parseFrameHeaders(block);
    const messageType = headers.get(':message-type');
    const eventType = headers.get(':event-type');
    const isEvent = messageType === undefined || (messageType.kind === 'string' && messageType.value === 'event');
    this.#eventType = isEvent && eventType?.kind === 'string' ? eventType.value : undefined;
    // A copy: the block is a view of a chunk that must not be kept.
    this.#block = Buffer.from(block);
    return this.#eventType;
  }
}

/** The base64 text of the member `bytes`, a view. AWS writes the payload without white space. */
function findBytesMember(payload: Buffer): Buffer | undefined {
  const name = payload.indexOf(BYTES_MEMBER);
  if (name === -1) return undefined;
  const start = payload.indexOf(QUOTE, name + BYTES_MEMBER.length) + 1;
  const end = payload.indexOf(QUOTE, start);
  return start === 0 || end === -1 ? undefined : payload.subarray(start, end);
}

function decode(base64: Buffer): Buffer {
  return Buffer.from(base64.toString('latin1'), 'base64');
}

function sizeOfBase64(length: number): number {
  return Math.floor((length * 3) / 4);
}
