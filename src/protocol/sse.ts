/**
 * Cuts a stream of server-sent events into events, at any split of the bytes, as the WHATWG standard reads them (HTML,
 * section 9.2.6). Holds one event at a time and no more than MAX_EVENT_BYTES of it. Pure: it only watches, and never
 * changes what passes.
 */
import { GrowingBuffer } from './growing-buffer.ts';

/**
 * An event that is larger is dropped and counted. Responses of models stay far below; an image in one piece would not.
 */
export const MAX_EVENT_BYTES = 1024 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const EMPTY = Buffer.alloc(0);
const LINE_FEED = Buffer.of(LF);
const EVENT = Buffer.from('event');
const DATA = Buffer.from('data');
const BYTE_ORDER_MARK = Buffer.of(0xef, 0xbb, 0xbf);

/**
 * `data` is what the event's data lines said, joined by line feeds: bytes, because most events are never read as text.
 * `event` is absent if the stream named none.
 */
export interface SseEvent {
  readonly event?: string;
  readonly data: Buffer;
}

/**
 * State: the line that is not complete yet, and what the lines before it said of the event that is not complete yet.
 */
export class SseSplitter {
  /** Events that were too large to buffer. */
  dropped = 0;
  /** The pieces of a line that comes in several. */
  readonly #buffered = new GrowingBuffer();
  #lineBytes = 0;
  /** The line so far begins with a colon: it says nothing, and none of it is buffered. */
  #isComment = false;
  #isFirstLine = true;
  /** The last byte was a CR, so that an LF belongs to the same line end. */
  #endedByCr = false;
  /** Bytes of the event's lines that count: those that were read, and those that are buffered. */
  #eventBytes = 0;
  #isTooLarge = false;
  #event = '';
  #hasData = false;
  readonly #data = new GrowingBuffer();

  /** The events that this chunk completes. Has to be iterated to its end, or bytes are left unread. Never throws. */
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

  /** Keeps a copy of a piece whose line goes on in the next chunk. */
  #buffer(piece: Buffer): void {
    if (this.#count(piece)) this.#buffered.append(piece);
  }

  /** Whether the piece is to be read: it is of no comment and of no event that is too large. */
  #count(piece: Buffer): boolean {
    if (piece.length === 0) return false;
    if (this.#lineBytes === 0) this.#isComment = piece[0] === COLON;
    this.#lineBytes += piece.length;
    if (this.#isComment || this.#isTooLarge) return false;
    this.#eventBytes += piece.length;
    if (this.#eventBytes <= MAX_EVENT_BYTES) return true;
    this.#isTooLarge = true;
    this.#data.take();
    this.#buffered.take();
    return false;
  }

  #endLine(lastPiece: Buffer): SseEvent | undefined {
    const isInPieces = this.#buffered.length > 0;
    if (isInPieces) this.#buffer(lastPiece);
    const isRead = isInPieces ? this.#buffered.length > 0 : this.#count(lastPiece);
    const isBlank = this.#lineBytes === 0;
    if (isRead) this.#readField(isInPieces ? this.#buffered.take() : lastPiece);
    this.#lineBytes = 0;
    this.#isFirstLine = false;
    return isBlank ? this.#endEvent() : undefined;
  }

  #readField(bytes: Buffer): void {
    const hasMark = this.#isFirstLine && bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
    const line = hasMark ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
    if (hasName(line, EVENT)) this.#event = line.toString('utf8', startOfValue(line, EVENT));
    if (!hasName(line, DATA)) return;
    if (this.#hasData) this.#data.append(LINE_FEED);
    this.#hasData = true;
    this.#data.append(line.subarray(startOfValue(line, DATA)));
  }

  #endEvent(): SseEvent | undefined {
    const [event, hasData, isTooLarge] = [this.#event, this.#hasData, this.#isTooLarge];
    const data = this.#data.take();
    this.#event = '';
    this.#hasData = false;
    this.#eventBytes = 0;
    this.#isTooLarge = false;
    if (isTooLarge) this.dropped += 1;
    if (isTooLarge || !hasData) return undefined;
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
