/**
 * Usage out of server-sent events, while they pass: the streams of OpenAI's and Anthropic's shapes. What cannot be read
 * ends the metering, never the stream.
 */
import { asObject, isObject } from '../lib/json.ts';
import { type SseEvent, SseSplitter } from '../protocol/sse.ts';
import { type EventShape, readEvent, type ResponseReader } from './usage-json.ts';
import { readChat, readMessage, readResponseEvent } from './usage-readers.ts';
import type { Tally } from './usage-tally.ts';

/** The events of one kind of stream. */
export interface SseShape extends EventShape {
  /** The names of the events (for those without a name, the data) after which nothing about usage follows. */
  readonly ends: ReadonlySet<string>;
  /** The names of the events that tell of a failure. */
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
  ends: new Set(['response.completed', 'response.incomplete']),
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
/** Of a longer event it is only known that it failed. */
const MAX_FAILURE_BYTES = 64 * 1024;

/** Data that is longer is no name. */
const MAX_NAME_BYTES = 64;

/** State: the event that is not complete yet. */
export class SseReader implements ResponseReader {
  readonly #shape: SseShape;
  readonly #tally: Tally;
  readonly #splitter = new SseSplitter();

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

  #readEvent({ event, data }: SseEvent): void {
    const { ends, failures } = this.#shape;
    if (event === undefined ? data.includes(ERROR_MEMBER) : failures.has(event)) this.#readFailure(event, data);
    readEvent(data, this.#shape, this.#tally);
    const name = event ?? (data.length > MAX_NAME_BYTES ? '' : data.toString());
    this.#tally.isLast ||= ends.has(name);
  }

  /** Chat completions tell of a failure in an event without a name. Of the others, an error may be null. */
  #readFailure(event: string | undefined, data: Buffer): void {
    const body = data.length > MAX_FAILURE_BYTES ? {} : asObject(parseJson(data));
    const error = [body['error'], asObject(body['response'])['error']].find(isObject);
    if (event === undefined && error === undefined) return;
    this.#tally.putErrorType(error?.['type'] ?? error?.['code'] ?? body['code']);
  }
}

function parseJson(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString());
  } catch {
    return undefined;
  }
}
