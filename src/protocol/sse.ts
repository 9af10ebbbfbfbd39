/**
 * Cuts a stream of server-sent events into events, at any split of the bytes, as the WHATWG standard reads them (HTML,
 * section 9.2.6). Holds one event at a time and no more than MAX_EVENT_BYTES of it. Pure: it only watches, and never
 * changes what passes.
 */

/**
 * An event that is larger is dropped and counted. Responses of models stay far below; an image in one piece would not.
 */
export const MAX_EVENT_BYTES = 1024 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const FIRST_ROOM_BYTES = 1024;
const EMPTY = Buffer.alloc(0);

/** `data` is what the event's data lines said, joined by line feeds; `event` is absent if the stream named none. */
export interface SseEvent {
  readonly event?: string;
  readonly data: string;
}

/**
 * State: the line that is not complete yet, and what the lines before it said of the event that is not complete yet.
 */
export class SseSplitter {
  /** Events that were too large to buffer. */
  dropped = 0;
  /** Room for a line that comes in pieces; it doubles, and is given up when it has been used. */
  #room = EMPTY;
  #bufferedBytes = 0;
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
  #data: string[] = [];

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
    if (!this.#count(piece)) return;
    const neededBytes = this.#bufferedBytes + piece.length;
    if (neededBytes > this.#room.length) {
      const room = Buffer.allocUnsafe(Math.max(neededBytes, this.#room.length * 2, FIRST_ROOM_BYTES));
      this.#room.copy(room, 0, 0, this.#bufferedBytes);
      this.#room = room;
    }
    this.#bufferedBytes += piece.copy(this.#room, this.#bufferedBytes);
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
    this.#data = [];
    this.#dropRoom();
    return false;
  }

  #dropRoom(): void {
    this.#room = EMPTY;
    this.#bufferedBytes = 0;
  }

  #endLine(lastPiece: Buffer): SseEvent | undefined {
    if (this.#bufferedBytes > 0) this.#buffer(lastPiece);
    const isRead = this.#bufferedBytes > 0 || this.#count(lastPiece);
    const isBlank = this.#lineBytes === 0;
    const bytes = this.#bufferedBytes > 0 ? this.#room.subarray(0, this.#bufferedBytes) : lastPiece;
    if (isRead) this.#readField(bytes.toString());
    this.#dropRoom();
    this.#lineBytes = 0;
    this.#isFirstLine = false;
    return isBlank ? this.#endEvent() : undefined;
  }

  #readField(rawLine: string): void {
    const line = this.#isFirstLine && rawLine.startsWith('\uFEFF') ? rawLine.slice(1) : rawLine;
    const colon = line.indexOf(':');
    const name = colon === -1 ? line : line.slice(0, colon);
    if (name !== 'data' && name !== 'event') return;
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'event') this.#event = value;
    else this.#data.push(value);
  }

  #endEvent(): SseEvent | undefined {
    const [event, data, isTooLarge] = [this.#event, this.#data, this.#isTooLarge];
    this.#event = '';
    this.#data = [];
    this.#eventBytes = 0;
    this.#isTooLarge = false;
    if (isTooLarge) this.dropped += 1;
    if (isTooLarge || data.length === 0) return undefined;
    return event === '' ? { data: data.join('\n') } : { event, data: data.join('\n') };
  }
}
