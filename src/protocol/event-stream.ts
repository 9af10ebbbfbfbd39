/**
 * The codec of AWS's event stream (`application/vnd.amazon.eventstream`): bytes to frames at any split, and back. Pure.
 * The lengths in a frame's first twelve bytes are checked before anything of it is kept. Source: the event stream
 * specification of Smithy ("Amazon Event Stream").
 *
 *   total length 4 | headers length 4 | CRC-32 of these 4 | headers | payload | CRC-32 of all before 4
 *   (big-endian)
 */
import { crc32 } from 'node:zlib';
import { ProxyError } from '../lib/errors.ts';
import { GrowingBuffer } from '../lib/growing-buffer.ts';

/** Largest payload of one frame, if its reader takes no less. */
export const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024;
/** Largest header block of one frame. */
export const MAX_HEADERS_BYTES = 128 * 1024;
/** What a frame has besides headers and payload. */
const FRAME_OVERHEAD_BYTES = 16;

const PRELUDE_BYTES = 12;
const LENGTH_BYTES = 4;
const CHECKSUM_BYTES = 4;

/** One frame whose checksums are right. All three are views of the same memory. */
export interface Frame {
  /** Everything as it came, lengths and checksums included. */
  readonly bytes: Buffer;
  /** The encoded header block, for `parseFrameHeaders`. */
  readonly headers: Buffer;
  readonly payload: Buffer;
}

/** The value of a header. Kinds that are not needed here stay encoded, with their wire type. */
export type FrameHeaderValue =
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'bytes'; readonly value: Buffer }
  /** Epoch milliseconds. */
  | { readonly kind: 'timestamp'; readonly value: number }
  | { readonly kind: 'other'; readonly type: number; readonly value: Buffer };

/** Cuts a byte stream into frames. Holds at most one frame that is not complete yet. */
export class FrameSplitter {
  readonly #maxPayloadBytes: number;
  /** Grows with what has arrived, not with what was announced. */
  readonly #buffered = new GrowingBuffer();
  #neededBytes = PRELUDE_BYTES;

  constructor(maxPayloadBytes = MAX_PAYLOAD_BYTES) {
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  /** Memory that the frame holds that is not complete yet. */
  get heldBytes(): number {
    return this.#buffered.roomBytes;
  }

  /**
   * The frames that `chunk` completes, in order. Run it to its end before the next chunk comes; a frame that lies
   * within one chunk is a view of it, not a copy. Throws ERR_BAD_REQUEST at the first frame that is malformed or over
   * the limits, after the good ones before it, whatever the split; the splitter is then of no more use.
   */
  *push(chunk: Buffer): Generator<Frame, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#buffered.length === 0 && chunk.length - at >= PRELUDE_BYTES) {
        const end = at + checkPrelude(chunk.subarray(at, at + PRELUDE_BYTES), this.#maxPayloadBytes);
        if (end <= chunk.length) {
          yield openFrame(chunk.subarray(at, end));
          at = end;
          continue;
        }
      }
      const piece = chunk.subarray(at, at + this.#neededBytes - this.#buffered.length);
      this.#buffered.append(piece);
      at += piece.length;
      if (this.#buffered.length < this.#neededBytes) return;
      if (this.#neededBytes === PRELUDE_BYTES) {
        this.#neededBytes = checkPrelude(this.#buffered.bytes, this.#maxPayloadBytes);
      } else {
        this.#neededBytes = PRELUDE_BYTES;
        yield openFrame(this.#buffered.take());
      }
    }
  }

  /** To be called when the stream has ended. Throws ERR_BAD_REQUEST if it ended within a frame. */
  finish(): void {
    if (this.#buffered.length > 0) throw malformed('is cut short: the stream ended within it');
  }
}

/** Follows a byte stream of frames by their lengths alone, and keeps none of it. State: where the stream stands. */
export class FrameBoundary {
  /** The first bytes of a frame whose length is not known yet. */
  #announced = 0;
  #announcedBytes = 0;
  #missingBytes = 0;
  #isLost = false;

  /** The stream stands between two frames, or before the first. False for ever after what can be no frame. */
  get isBetween(): boolean {
    return !this.#isLost && this.#missingBytes === 0 && this.#announcedBytes === 0;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#isLost;) {
      if (this.#missingBytes > 0) {
        const taken = Math.min(this.#missingBytes, chunk.length - at);
        this.#missingBytes -= taken;
        at += taken;
        continue;
      }
      this.#announced = this.#announced * 256 + (chunk[at] ?? 0);
      this.#announcedBytes += 1;
      at += 1;
      if (this.#announcedBytes === LENGTH_BYTES) this.#startFrame();
    }
  }

  #startFrame(): void {
    this.#isLost = this.#announced < FRAME_OVERHEAD_BYTES;
    this.#missingBytes = this.#announced - LENGTH_BYTES;
    this.#announced = 0;
    this.#announcedBytes = 0;
  }
}

/**
 * The headers of a frame by name. Throws ERR_BAD_REQUEST if the block is malformed or names a header twice (readers
 * would disagree on which one counts).
 */
export function parseFrameHeaders(block: Buffer): ReadonlyMap<string, FrameHeaderValue> {
  const headers = new Map<string, FrameHeaderValue>();
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > block.length) throw malformed('has a header that is cut short');
    at += length;
    return block.subarray(at - length, at);
  };
  while (at < block.length) {
    const name = take(take(1).readUInt8()).toString('utf8');
    const type = take(1).readUInt8();
    if (name === '' || headers.has(name)) throw malformed('has a header without a name, or one name twice');
    headers.set(name, parseValue(type, take));
  }
  return headers;
}

/** One frame around an encoded header block and a payload, both copied. */
export function encodeFrame(headers: Uint8Array, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_OVERHEAD_BYTES + headers.length + payload.length);
  frame.writeUInt32BE(frame.length, 0);
  frame.writeUInt32BE(headers.length, 4);
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  frame.set(headers, PRELUDE_BYTES);
  frame.set(payload, PRELUDE_BYTES + headers.length);
  const checked = frame.length - CHECKSUM_BYTES;
  frame.writeUInt32BE(crc32(frame.subarray(0, checked)), checked);
  return frame;
}

/** One encoded header of type 8. */
export function encodeTimestampHeader(name: string, epochMs: number): Buffer {
  const value = Buffer.allocUnsafe(8);
  value.writeBigInt64BE(BigInt(epochMs));
  return Buffer.concat([encodeName(name), Buffer.from([TYPE.timestamp]), value]);
}

/** One encoded header of type 6; at most 65,535 bytes. */
export function encodeBytesHeader(name: string, value: Uint8Array): Buffer {
  return encodeSized(name, TYPE.bytes, value);
}

/** One encoded header of type 7; at most 65,535 bytes of UTF-8. */
export function encodeStringHeader(name: string, value: string): Buffer {
  return encodeSized(name, TYPE.string, Buffer.from(value, 'utf8'));
}

function encodeSized(name: string, type: number, value: Uint8Array): Buffer {
  const length = Buffer.allocUnsafe(2);
  length.writeUInt16BE(value.length);
  return Buffer.concat([encodeName(name), Buffer.from([type]), length, value]);
}

const TYPE = { bytes: 6, string: 7, timestamp: 8 } as const;
/** Sizes of the types that have a fixed one: true, false, byte, short, integer, long, (6, 7), timestamp, UUID. */
const FIXED_SIZES: readonly (number | undefined)[] = [0, 0, 1, 2, 4, 8, undefined, undefined, 8, 16];

function parseValue(type: number, take: (length: number) => Buffer): FrameHeaderValue {
  if (type === TYPE.bytes) return { kind: 'bytes', value: take(take(2).readUInt16BE()) };
  if (type === TYPE.string) return { kind: 'string', value: take(take(2).readUInt16BE()).toString('utf8') };
  const size = FIXED_SIZES[type];
  if (size === undefined) throw malformed(`has a header of the unknown type ${type}`);
  const value = take(size);
  if (type === TYPE.timestamp) return { kind: 'timestamp', value: Number(value.readBigInt64BE()) };
  return { kind: 'other', type, value };
}

function encodeName(name: string): Buffer {
  const text = Buffer.from(name, 'utf8');
  return Buffer.concat([Buffer.from([text.length]), text]);
}

/** The length of the whole frame, from its first twelve bytes. */
function checkPrelude(prelude: Buffer, maxPayloadBytes: number): number {
  if (crc32(prelude.subarray(0, 8)) !== prelude.readUInt32BE(8)) throw malformed('has a wrong prelude checksum');
  const totalBytes = prelude.readUInt32BE(0);
  const headersBytes = prelude.readUInt32BE(4);
  const payloadBytes = totalBytes - headersBytes - FRAME_OVERHEAD_BYTES;
  if (payloadBytes < 0) throw malformed('has lengths that contradict each other');
  if (headersBytes > MAX_HEADERS_BYTES) throw malformed(`has more than ${MAX_HEADERS_BYTES} bytes of headers`);
  if (payloadBytes > maxPayloadBytes) throw malformed(`has a payload of more than ${maxPayloadBytes} bytes`);
  return totalBytes;
}

/** Takes a frame of the right length apart. */
function openFrame(bytes: Buffer): Frame {
  const checked = bytes.length - CHECKSUM_BYTES;
  if (crc32(bytes.subarray(0, checked)) !== bytes.readUInt32BE(checked)) throw malformed('has a wrong checksum');
  const headersEnd = PRELUDE_BYTES + bytes.readUInt32BE(4);
  return {
    bytes,
    headers: bytes.subarray(PRELUDE_BYTES, headersEnd),
    payload: bytes.subarray(headersEnd, checked),
  };
}

function malformed(what: string): ProxyError {
  return new ProxyError('ERR_BAD_REQUEST', `A frame of the event stream ${what}.`);
}
