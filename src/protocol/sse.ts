/**
 * Cuts a stream of server-sent events into events, at any split of the bytes, as the WHATWG standard reads them (HTML,
 * section 9.2.6). Holds one event at a time; the data of one that is larger than MAX_EVENT_BYTES is handed on as it
 * comes. Pure: it only watches, and never changes what passes.
 */
import { GrowingBuffer } from '../lib/growing-buffer.ts';

/** Data of more bytes is not kept. Most events have some hundred; one that repeats a whole response has megabytes. */
export const MAX_EVENT_BYTES = 64 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
/** Tells by itself of what field a line is: a byte order mark, `event` or `data`, a colon, and a space. */
const FIELD_BYTES = 16;
const EMPTY = Buffer.alloc(0);
const LINE_FEED = Buffer.of(LF);
const EVENT = Buffer.from('event');
const DATA = Buffer.from('data');
const BYTE_ORDER_MARK = Buffer.of(0xef, 0xbb, 0xbf);

/**
 * `data` is what the event's data lines said, joined by line feeds: bytes, because most events are never read as text.
 * It is undefined if it was larger than MAX_EVENT_BYTES. `event` is absent if the stream named none.
 */
export interface SseEvent {
  readonly event?: string;
  readonly data: Buffer | undefined;
}

/**
 * State: the line that is not complete yet, and what the lines before it said of the event that is not complete yet.
 */
export class SseSplitter {
  readonly #onLargeData: (piece: Buffer) => void;
  readonly #maxBytes: number;
  /** The pieces of a line that comes in several. */
  readonly #buffered = new GrowingBuffer();
  #lineBytes = 0;
  /** `kept`: until it is complete. `data`: it is too long for that, and all that comes of it is data. */
  #line: 'kept' | 'data' | 'ignored' = 'kept';
  #isFirstLine = true;
  /** The last byte was a CR, so that an LF belongs to the same line end. */
  #endedByCr = false;
  #event = '';
  #hasData = false;
  /** The data was too large: all of it so far was handed on. */
  #isLarge = false;
  readonly #data = new GrowingBuffer();

  /**
   * `onLargeData` gets the data of an event that is larger than `maxBytes` (FIELD_BYTES at least), from its beginning,
   * in pieces that are views: before the event itself, and even if that never ends. What it throws passes through.
   */
  constructor(onLargeData: (piece: Buffer) => void, maxBytes = MAX_EVENT_BYTES) {
    this.#onLargeData = onLargeData;
    this.#maxBytes = maxBytes;
  }

  /**
   * The events that this chunk completes. Has to be iterated to its end, or bytes are left unread. Throws only what
   * `onLargeData` throws.
   */
  *push(chunk: Uint8Array): Generator<SseEvent> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = this.#endedByCr && bytes[0] === LF ? 1 : 0;
    if (bytes.length > 0) this.#endedByCr = false;
    let lf = bytes.indexOf(LF, start);
    let cr = bytes.indexOf(CR, start);
    while (lf !== -1 || cr !== -1) {
      const end = lf === -1 || (cr !== -1 && cr < lf) ? cr : lf;
      const event = this.#endLine(bytes.subarray(start, end));
      start = end + 1;
      if (end === cr) {
        if (bytes[start] === LF) start += 1;
        else this.#endedByCr = start === bytes.length;
        cr = bytes.indexOf(CR, start);
      }
      if (lf !== -1 && lf < start) lf = bytes.indexOf(LF, start);
      if (event !== undefined) yield event;
    }
    this.#buffer(bytes.subarray(start));
  }

  /**
   * The stream ended. Gives the event whose blank line never came, if its lines said anything: browsers drop it, the
   * SDKs of OpenAI and Anthropic take it, and it may be cut short.
   */
  finish(): SseEvent | undefined {
    if (this.#lineBytes > 0) this.#endLine(EMPTY);
    return this.#endEvent();
  }

  /** Takes a piece of a line, whose rest may come in the next chunk: a copy, or none if the line is too long. */
  #buffer(piece: Buffer): void {
    if (piece.length === 0) return;
    if (this.#lineBytes === 0) this.#line = piece[0] === COLON ? 'ignored' : 'kept';
    this.#lineBytes += piece.length;
    if (this.#line === 'data') this.#addData(piece);
    else if (this.#line === 'kept') {
      if (this.#lineBytes > this.#maxBytes) this.#beginLongLine(piece);
      else this.#buffered.append(piece);
    }
  }

  #beginLongLine(piece: Buffer): void {
    const head = piece.subarray(0, FIELD_BYTES);
    this.#buffered.append(head);
    const line = this.#withoutMark(this.#buffered.take());
    // No name of an event is as long, and no other field counts.
    if (hasName(line, EVENT)) this.#event = '';
    this.#line = hasName(line, DATA) ? 'data' : 'ignored';
    if (this.#line === 'ignored') return;
    this.#beginData();
    this.#addData(line.subarray(startOfValue(line, DATA)));
    this.#addData(piece.subarray(head.length));
  }

  #endLine(lastPiece: Buffer): SseEvent | undefined {
    const isBlank = this.#lineBytes === 0 && lastPiece.length === 0;
    const isInPieces = this.#lineBytes > 0;
    if (isInPieces) this.#buffer(lastPiece);
    if (!isInPieces && lastPiece[0] !== COLON) this.#readField(lastPiece);
    else if (isInPieces && this.#line === 'kept') this.#readField(this.#buffered.take());
    this.#lineBytes = 0;
    this.#isFirstLine = false;
    return isBlank ? this.#endEvent() : undefined;
  }

  #readField(bytes: Buffer): void {
    const line = this.#withoutMark(bytes);
    if (hasName(line, EVENT))
      this.#event = bytes.length > this.#maxBytes ? '' : line.toString('utf8', startOfValue(line, EVENT));
    if (!hasName(line, DATA)) return;
    this.#beginData();
    this.#addData(line.subarray(startOfValue(line, DATA)));
  }

  #withoutMark(line: Buffer): Buffer {
    const hasMark = this.#isFirstLine && line.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
    return hasMark ? line.subarray(BYTE_ORDER_MARK.length) : line;
  }

  #beginData(): void {
    if (this.#hasData) this.#addData(LINE_FEED);
    this.#hasData = true;
  }

  #addData(piece: Buffer): void {
    if (!this.#isLarge && this.#data.length + piece.length <= this.#maxBytes) return this.#data.append(piece);
    if (!this.#isLarge) {
      this.#isLarge = true;
      this.#onLargeData(this.#data.take());
    }
    this.#onLargeData(piece);
  }

  #endEvent(): SseEvent | undefined {
    const [event, hasData, isLarge] = [this.#event, this.#hasData, this.#isLarge];
    const kept = this.#data.take();
    this.#event = '';
    this.#hasData = false;
    this.#isLarge = false;
    if (!hasData) return undefined;
    const data = isLarge ? undefined : kept;
    return event === '' ? { data } : { event, data };
  }
}

/** Follows a stream of server-sent events by its line ends alone, and keeps none of it. */
export class SseBoundary {
  /** The last bytes; four are enough for two line ends of any kind. */
  #last = '\n\n';

  /** The stream stands between two events, or before the first. */
  get isBetween(): boolean {
    return /(?:\n\n|\r\r|\n\r\n?|\r\r\n)$/.test(this.#last);
  }

  push(chunk: Buffer): void {
    this.#last = (this.#last + chunk.toString('latin1', Math.max(0, chunk.length - 4))).slice(-4);
  }
}

/** Whether a line is of the field with this name. */
function hasName(line: Buffer, name: Buffer): boolean {
  if (line.length > name.length && line[name.length] !== COLON) return false;
  for (let at = 0; at < name.length; at += 1) if (line[at] !== name[at]) return false;
  return true;
}

function startOfValue(line: Buffer, name: Buffer): number {
  return line[name.length + 1] === SPACE ? name.length + 2 : name.length + 1;
}
