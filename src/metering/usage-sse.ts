/**
 * Usage out of server-sent events, while they pass: the streams of OpenAI's and Anthropic's shapes. What cannot be read
 * ends the metering, never the stream.
 */
import { asObject, isObject } from '../lib/json.ts';
import { type SseEvent, SseSplitter } from '../protocol/sse.ts';
import { BodyReader, type EventShape, readEvent, type ResponseReader } from './usage-json.ts';
import { readChat, readMessage, readResponseEvent, type UsageReader } from './usage-readers.ts';
import type { Tally } from './usage-tally.ts';

/** The events of one kind of stream. */
export interface SseShape extends EventShape {
  readonly readUsage: UsageReader;
  /** The names of the events (for those without a name, the data) after which nothing about usage follows. */
  readonly ends: ReadonlySet<string>;
  /** The names of the events that tell of a failure. After one that is none of `ends`, more may have been used. */
  readonly failures: ReadonlySet<string>;
}

const DELTA = Buffer.from('"delta"');

/** ChatCompletions. The chunk with the usage comes only if the request asked for it. */
export const CHAT_SSE: SseShape = {
  readUsage: readChat,
  members: new Set(['content', 'reasoning_content', 'reasoning', 'refusal', 'arguments', 'text']),
  textMarker: DELTA,
  ends: new Set(['[DONE]']),
  failures: new Set(['error']),
};

/** CreateResponse. */
export const RESPONSE_SSE: SseShape = {
  readUsage: readResponseEvent,
  members: new Set(['delta']),
  textMarker: DELTA,
  ends: new Set(['response.completed', 'response.incomplete', 'response.failed']),
  failures: new Set(['error', 'response.failed']),
};

/** CreateMessage. */
export const MESSAGE_SSE: SseShape = {
  readUsage: readMessage,
  members: new Set(['text', 'partial_json', 'thinking']),
  textMarker: DELTA,
  ends: new Set(['message_stop']),
  failures: new Set(['error']),
};

/** Stands in no text of a model: quotes in it are escaped. */
const ERROR_MEMBER = Buffer.from('"error"');

/** Data that is longer is no name. */
const MAX_NAME_BYTES = 64;

/** State: the event that is not complete yet. */
export class SseReader implements ResponseReader {
  readonly #shape: SseShape;
  readonly #tally: Tally;
  readonly #splitter = new SseSplitter((piece) => this.#scan(piece));
  /** Of an event that is too large to be kept. */
  #scanner: BodyReader | undefined;

  constructor(shape: SseShape, tally: Tally) {
    this.#shape = shape;
    this.#tally = tally;
  }

  read(chunk: Buffer): void {
    for (const event of this.#splitter.push(chunk)) this.#readEvent(event);
  }

  finish(isWhole: boolean): void {
    const last = this.#splitter.finish();
    // The event whose end never came may be half of one.
    if (isWhole && last !== undefined) this.#readEvent(last);
  }

  #scan(piece: Buffer): void {
    const { readUsage } = this.#shape;
    this.#scanner ??= new BodyReader({ readUsage, isEvent: true }, this.#tally);
    this.#scanner.read(piece);
  }

  #readEvent({ event, data }: SseEvent): void {
    const { ends, failures } = this.#shape;
    if (data === undefined) this.#finishScan();
    else readEvent(data, this.#shape, this.#tally);
    const isFailure = event === undefined ? data?.includes(ERROR_MEMBER) === true : failures.has(event);
    if (isFailure) this.#readFailure(event, data);
    const name = event ?? (data === undefined || data.length > MAX_NAME_BYTES ? '' : data.toString());
    this.#tally.isLast ||= ends.has(name);
  }

  #finishScan(): void {
    this.#scanner?.finish();
    this.#scanner = undefined;
  }

  /** Chat completions tell of a failure in an event without a name. Of the others, an error may be null. */
  #readFailure(event: string | undefined, data: Buffer | undefined): void {
    const body = data === undefined ? {} : asObject(parseJson(data));
    const error = [body['error'], asObject(body['response'])['error']].find(isObject);
    if (event === undefined && error === undefined) return;
    const type = error?.['type'] ?? error?.['code'] ?? body['code'];
    const message = error?.['message'] ?? body['message'];
    if (event !== undefined && this.#shape.ends.has(event)) this.#tally.putError(type, message);
    else this.#tally.breakOff(type, message);
  }
}

function parseJson(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString());
  } catch {
    return undefined;
  }
}
