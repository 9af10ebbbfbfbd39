/**
 * Usage out of server-sent events, while they pass: the streams of OpenAI's and Anthropic's shapes. What cannot be read
 * ends the metering, never the stream.
 */
import { type SseEvent, SseSplitter } from '../protocol/sse.ts';
import type { ResponseReader } from './usage-json.ts';
import { CHAT, MESSAGE_EVENT, type Places, RESPONSE_EVENT, scanText } from './usage-places.ts';
import type { Tally } from './usage-tally.ts';
import { measureText, type TextMembers } from './usage-text.ts';

/** The events of one kind of stream. */
export interface SseShape {
  readonly places: Places;
  readonly members: TextMembers;
  /** Text is measured only in events whose data has this; others repeat it. */
  readonly textMarker: string;
  /** The names of the events (for those without a name, the data) after which nothing about usage follows. */
  readonly ends: ReadonlySet<string>;
  /** The names of the events that tell of a failure. */
  readonly failures: ReadonlySet<string>;
}

/** ChatCompletions. The chunk with the usage comes only if the request asked for it. */
export const CHAT_SSE: SseShape = {
  places: CHAT,
  members: new Set(['content', 'reasoning_content', 'reasoning', 'refusal', 'arguments', 'text']),
  textMarker: '"delta"',
  ends: new Set(['[DONE]']),
  failures: new Set(['error']),
};

/** CreateResponse. */
export const RESPONSE_SSE: SseShape = {
  places: RESPONSE_EVENT,
  members: new Set(['delta']),
  textMarker: '"delta"',
  ends: new Set(['response.completed', 'response.incomplete']),
  failures: new Set(['error', 'response.failed']),
};

/** CreateMessage. */
export const MESSAGE_SSE: SseShape = {
  places: MESSAGE_EVENT,
  members: new Set(['text', 'partial_json', 'thinking']),
  textMarker: '"delta"',
  ends: new Set(['message_stop']),
  failures: new Set(['error']),
};

/** No event tells of usage without these letters: `prompt_tokens`, `input_tokens`. */
const COUNT_MARKER = 'oken';

/** State: the event that is not complete yet, and how the stream stands. */
export class SseReader implements ResponseReader {
  textBytes = 0;
  readonly #shape: SseShape;
  readonly #tally: Tally;
  readonly #splitter = new SseSplitter();
  #hasFailed = false;

  constructor(shape: SseShape, tally: Tally) {
    this.#shape = shape;
    this.#tally = tally;
  }

  read(chunk: Buffer): void {
    for (const event of this.#splitter.push(chunk)) this.#readEvent(event);
  }

  finish(isWhole: boolean): boolean {
    const last = this.#splitter.finish();
    // The event whose end never came may be half of one.
    if (isWhole && last !== undefined) this.#readEvent(last);
    return !this.#hasFailed && this.#tally.isFinal && (isWhole || this.#tally.isLast);
  }

  #readEvent({ event, data }: SseEvent): void {
    const { places, members, textMarker, ends, failures } = this.#shape;
    if (event !== undefined && failures.has(event)) this.#hasFailed = true;
    if (data.includes(textMarker)) this.textBytes += measureText(Buffer.from(data), members);
    if (data.includes(COUNT_MARKER) && !scanText(places, Buffer.from(data), this.#tally)) this.#hasFailed = true;
    this.#tally.isLast ||= ends.has(event ?? data);
  }
}
