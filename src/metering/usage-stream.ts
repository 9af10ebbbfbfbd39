/**
 * Usage out of AWS's event streams, while they pass. Most events only bring text: they are told by their headers, and
 * no more of them is looked at than it takes to measure that text. What cannot be read ends the metering, never the
 * stream.
 */
import { type Frame, FrameSplitter, parseFrameHeaders } from '../protocol/event-stream.ts';
import { readErrorBody } from './error-body.ts';
import { type EventShape, readEvent, type ResponseReader } from './usage-json.ts';
import { readAgentTrace, readConverse, readInvokeChunk, readSonicChunk } from './usage-readers.ts';
import type { Tally } from './usage-tally.ts';

/** What an event is good for. */
interface FrameShape extends EventShape {
  /**
   * `json`: the payload is the JSON; `chunk`: it has the provider's JSON in base64; `blob`: it has a piece of the
   * response in base64, as it is.
   */
  readonly payload: 'json' | 'chunk' | 'blob';
  /** Nothing about usage follows. */
  readonly isLast?: boolean;
  /** A chunk with this near its beginning has neither text nor usage: it is passed over undecoded. */
  readonly skip?: string;
}

/** The events of one operation, by `:event-type`. Those that are not named bring nothing. */
export type StreamShape = ReadonlyMap<string, FrameShape>;

/** ConverseStream. */
export const CONVERSE_STREAM: StreamShape = new Map<string, FrameShape>([
  ['contentBlockDelta', { payload: 'json', members: new Set(['text', 'input']) }],
  ['metadata', { payload: 'json', readUsage: readConverse, isLast: true }],
]);

/** Anthropic and Nova; OpenAI's shape, which others have too; Llama, Titan, Claude 2. */
const INVOKE_TEXT: ReadonlySet<string> = new Set(
  (
    'text partial_json thinking input content reasoning_content reasoning arguments ' +
    'generation outputText completion'
  ).split(' '),
);

/** Counts of tokens, and AWS's trace and metrics, which are not the model's. */
const INVOKE_MARKERS = [Buffer.from('oken'), Buffer.from('"amazon-bedrock-')];

/** InvokeModelWithResponseStream, of whatever provider. */
export const INVOKE_STREAM: StreamShape = new Map<string, FrameShape>([
  ['chunk', { payload: 'chunk', members: INVOKE_TEXT, readUsage: readInvokeChunk, markers: INVOKE_MARKERS }],
]);

/** InvokeModelWithBidirectionalStream: Nova Sonic. Its speech is most of the bytes, and no text. */
export const BIDIRECTIONAL_STREAM: StreamShape = new Map<string, FrameShape>([
  ['chunk', { payload: 'chunk', members: new Set(['content']), readUsage: readSonicChunk, skip: '"audioOutput"' }],
]);

/** InvokeAgent and InvokeInlineAgent. */
export const AGENT_STREAM: StreamShape = new Map<string, FrameShape>([
  ['chunk', { payload: 'blob' }],
  ['trace', { payload: 'json', readUsage: readAgentTrace, markers: [Buffer.from('modelInvocation')] }],
]);

/** A larger chunk is not decoded; AWS sends parts of at most 1,000,000 bytes. */
const MAX_CHUNK_BYTES = 1_000_000;
const SKIPPED_WITHIN_BYTES = 48;
const BYTES_MEMBER = Buffer.from('"bytes"');
const QUOTE = 0x22;

/** State: the frame that is not complete yet. */
export class StreamReader implements ResponseReader {
  readonly #shape: StreamShape;
  readonly #tally: Tally;
  readonly #splitter = new FrameSplitter();
  readonly #types = new EventTypes();

  constructor(shape: StreamShape, tally: Tally) {
    this.#shape = shape;
    this.#tally = tally;
  }

  read(chunk: Buffer): void {
    for (const frame of this.#splitter.push(chunk)) this.#readFrame(frame);
  }

  finish(isWhole: boolean): void {
    if (isWhole) this.#splitter.finish();
  }

  #readFrame({ headers, payload }: Frame): void {
    const { eventType, errorType, errorMessage } = this.#types.read(headers);
    const shape = eventType === undefined ? undefined : this.#shape.get(eventType);
    if (eventType === undefined) this.#tally.breakOff(errorType, errorMessage ?? readErrorBody(payload).message);
    else if (shape?.payload === 'json') readEvent(payload, shape, this.#tally);
    else if (shape !== undefined) this.#readBytesMember(payload, shape);
    this.#tally.isLast ||= shape?.isLast === true;
  }

  #readBytesMember(payload: Buffer, shape: FrameShape): void {
    const encoded = findBytesMember(payload);
    if (encoded === undefined) return;
    const { skip } = shape;
    if (skip !== undefined && decode(encoded.subarray(0, SKIPPED_WITHIN_BYTES)).includes(skip)) return;
    const sizeBytes = Math.floor((encoded.length * 3) / 4);
    const isReadable = shape.payload === 'chunk' && sizeBytes <= MAX_CHUNK_BYTES;
    if (isReadable) return readEvent(decode(encoded), shape, this.#tally);
    this.#tally.textBytes += sizeBytes;
    if (shape.payload === 'chunk') this.#tally.hasUnread = true;
    return undefined;
  }
}

/** Tells events by their headers. Neighbours in a stream mostly have the same ones, which are not read again. */
class EventTypes {
  #block: Buffer = Buffer.alloc(0);
  #type: FrameType = {};

  /** May throw. */
  read(block: Buffer): FrameType {
    if (block.equals(this.#block)) return this.#type;
    const headers = parseFrameHeaders(block);
    const find = (name: string): string | undefined => {
      const header = headers.get(name);
      return header?.kind === 'string' ? header.value : undefined;
    };
    const isEvent = !headers.has(':message-type') || find(':message-type') === 'event';
    this.#type = isEvent
      ? { eventType: find(':event-type') }
      : { errorType: capitalize(find(':exception-type')) ?? find(':error-code'), errorMessage: find(':error-message') };
    // A copy: the block is a view of a chunk that must not be kept.
    this.#block = Buffer.from(block);
    return this.#type;
  }
}

/**
 * What a frame is: an event, or the exception or error that ends the stream. Neither is there if it is malformed.
 * https://smithy.io/2.0/aws/amazon-eventstream.html
 */
interface FrameType {
  readonly eventType?: string | undefined;
  readonly errorType?: string | undefined;
  /** Of an error; an exception says it in its payload. */
  readonly errorMessage?: string | undefined;
}

/** An exception in a stream is the same as the one that a status tells of, whose name begins with a capital. */
function capitalize(type: string | undefined): string | undefined {
  return type && `${type.charAt(0).toUpperCase()}${type.slice(1)}`;
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
