/**
 * Where frames begin and end in a body, for each protocol: AWS's event stream, server-sent events, WebSocket (RFC 6455)
 * and pieces as they came. Unlike the codecs that the proxy works with, these go on after a wrong checksum: to show it
 * is what they are for. Pure; asked again with more bytes they go on where they stopped.
 */
import { crc32 } from 'node:zlib';
import { MAX_HEADERS_BYTES, MAX_PAYLOAD_BYTES } from '../../protocol/event-stream.ts';

/** A frame among the bytes that were handed in. */
export interface CutFrame {
  readonly start: number;
  readonly end: number;
}

/** What a cutter found. */
export interface Cut {
  readonly frames: readonly CutFrame[];
  /** Where the frame begins that is not complete yet, or the first byte that belongs to none. */
  readonly next: number;
  /** Of the frame that is not complete; undefined if that is not known. */
  readonly expectedBytes?: number | undefined;
  /** The bytes at `next` begin no frame, and what comes after them cannot be read. */
  readonly isLost?: boolean;
}

/** More frames of one direction nobody looks at, and their places take room. */
export const MAX_FRAMES = 100_000;

/** Cuts what begins at `from`, MAX_FRAMES at most; `isWhole`: nothing follows. */
export type Cutter = (bytes: Buffer, from: number, isWhole: boolean) => Cut;

/** Length 4, headers length 4, CRC 4; then headers, payload, CRC 4. */
export const PRELUDE_BYTES = 12;
const FRAME_OVERHEAD_BYTES = 16;

/** Frames of AWS's event stream, by their lengths alone. */
export const cutEventStream: Cutter = (bytes, from) => {
  const frames: CutFrame[] = [];
  let start = from;
  while (bytes.length - start >= PRELUDE_BYTES && frames.length < MAX_FRAMES) {
    const sizeBytes = bytes.readUInt32BE(start);
    if (!isPlausible(sizeBytes, bytes.readUInt32BE(start + 4))) return { frames, next: start, isLost: true };
    const end = start + sizeBytes;
    if (end > bytes.length) return { frames, next: start, expectedBytes: sizeBytes };
    frames.push({ start, end });
    start = end;
  }
  const isAnnounced = bytes.length - start >= 4;
  return { frames, next: start, expectedBytes: isAnnounced ? bytes.readUInt32BE(start) : undefined };
};

function isPlausible(sizeBytes: number, headersBytes: number): boolean {
  const payloadBytes = sizeBytes - headersBytes - FRAME_OVERHEAD_BYTES;
  return payloadBytes >= 0 && payloadBytes <= MAX_PAYLOAD_BYTES && headersBytes <= MAX_HEADERS_BYTES;
}

/** Where the first frame of an event stream begins, at or after an offset: its checksum of the prelude is right. */
export function findEventStreamStart(bytes: Buffer, from: number): number | undefined {
  for (let at = from; at + PRELUDE_BYTES <= bytes.length; at += 1) {
    if (!isPlausible(bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4))) continue;
    if (crc32(bytes.subarray(at, at + 8)) === bytes.readUInt32BE(at + 8)) return at;
  }
  return undefined;
}

const LF = 0x0a;
const CR = 0x0d;

/** Server-sent events, each with the blank line that ends it, whatever ends its lines (LF, CRLF or CR). */
export const cutServerSentEvents: Cutter = (bytes, from, isWhole) => {
  const frames: CutFrame[] = [];
  let start = from;
  let line = from;
  // Blank lines before an event belong to it.
  let hasText = false;
  for (let at = nextLineEnd(bytes, from); at !== -1; at = nextLineEnd(bytes, line)) {
    // The LF that belongs to a CR may be the next byte that comes.
    if (bytes[at] === CR && at + 1 === bytes.length && !isWhole) break;
    const isBlank = at === line;
    line = bytes[at] === CR && bytes[at + 1] === LF ? at + 2 : at + 1;
    if (isBlank && hasText) {
      frames.push({ start, end: line });
      start = line;
      if (frames.length >= MAX_FRAMES) return { frames, next: start };
    }
    hasText = !isBlank;
  }
  if (!isWhole) return { frames, next: start };
  // Browsers drop an event without its blank line; the SDKs take it.
  const isOpen = hasText || line < bytes.length;
  return { frames: isOpen ? [...frames, { start, end: bytes.length }] : frames, next: bytes.length };
};

function nextLineEnd(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at += 1) if (bytes[at] === LF || bytes[at] === CR) return at;
  return -1;
}

/** Where the first event begins after an offset: behind a blank line. */
export function findServerSentStart(bytes: Buffer, from: number): number | undefined {
  const [first] = cutServerSentEvents(bytes, from, false).frames;
  return first?.end;
}

/** The head of a WebSocket's frame. */
export interface WebSocketHead {
  readonly isFinal: boolean;
  /** The first reserved bit: the message is compressed, if permessage-deflate was agreed upon (RFC 7692). */
  readonly isCompressed: boolean;
  readonly opcode: number;
  /** Undefined: the payload is not masked. */
  readonly mask: Buffer | undefined;
  readonly headBytes: number;
  readonly payloadBytes: number;
}

/** Undefined if there are not enough bytes yet. A length beyond 2^53 comes as Infinity. */
export function readWebSocketHead(bytes: Buffer, at: number): WebSocketHead | undefined {
  if (bytes.length - at < 2) return undefined;
  const [first, second] = [bytes.readUInt8(at), bytes.readUInt8(at + 1)];
  const short = second & 0x7f;
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const isMasked = (second & 0x80) !== 0;
  const headBytes = 2 + lengthBytes + (isMasked ? 4 : 0);
  if (bytes.length - at < headBytes) return undefined;
  const long = lengthBytes === 8 ? Number(bytes.readBigUInt64BE(at + 2)) : 0;
  return {
    isFinal: (first & 0x80) !== 0,
    isCompressed: (first & 0x40) !== 0,
    opcode: first & 0x0f,
    mask: isMasked ? bytes.subarray(at + headBytes - 4, at + headBytes) : undefined,
    headBytes,
    payloadBytes: lengthBytes === 2 ? bytes.readUInt16BE(at + 2) : lengthBytes === 8 ? safe(long) : short,
  };
}

function safe(count: number): number {
  return Number.isSafeInteger(count) ? count : Number.POSITIVE_INFINITY;
}

/** Frames of a WebSocket. */
export const cutWebSocket: Cutter = (bytes, from) => {
  const frames: CutFrame[] = [];
  let start = from;
  for (let head = readWebSocketHead(bytes, start); head !== undefined; head = readWebSocketHead(bytes, start)) {
    const sizeBytes = head.headBytes + head.payloadBytes;
    if (!Number.isFinite(sizeBytes)) return { frames, next: start, isLost: true };
    if (start + sizeBytes > bytes.length) return { frames, next: start, expectedBytes: sizeBytes };
    frames.push({ start, end: start + sizeBytes });
    start += sizeBytes;
    if (frames.length >= MAX_FRAMES) break;
  }
  return { frames, next: start };
};
