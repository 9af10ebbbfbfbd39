/**
 * What JSON text is made of, byte by byte: UTF-8, the grammar of numbers, escapes, the fast way through long strings,
 * and names. Pure.
 */
import { isUtf8 } from 'node:buffer';

/** Where a number stands after its last byte. From ZERO on it may end there. */
const BEFORE = 0;
const MINUS = 1;
const POINT = 2;
const EXPONENT = 3;
const EXPONENT_SIGN = 4;
const ZERO = 5;
const WHOLE = 6;
const FRACTION = 7;
const EXPONENT_DIGITS = 8;

/** A number of which no byte has been read. */
export const START_OF_NUMBER = BEFORE;

/** Bytes at which the search through a string has to stop, and pairs of bytes of which one is such a byte. */
export interface StringStops {
  readonly bytes: Uint8Array;
  readonly pairs: Uint8Array;
}

/** The end of a string, escapes, and what may not be in it. */
export const STOPS_TEXT = stopsAt((byte) => byte < 0x20 || byte === 0x22 || byte === 0x5c);
/** Also at what no base64 has: spaces, and all that is not ASCII. */
export const STOPS_BLOB = stopsAt((byte) => STOPS_TEXT.bytes[byte] === 1 || byte === 0x20 || byte > 0x7e);

function stopsAt(isStop: (byte: number) => boolean): StringStops {
  const bytes = Uint8Array.from({ length: 0x100 }, (_, byte) => (isStop(byte) ? 1 : 0));
  const pairs = new Uint8Array(0x10000);
  for (const [byte, stop] of bytes.entries()) {
    if (stop === 1) pairs.fill(1, byte * 0x100, (byte + 1) * 0x100);
    else pairs.set(bytes, byte * 0x100);
  }
  return { bytes, pairs };
}

/** AWS's and the providers' names of members that hold pictures, documents, speech and films. */
export const BLOB_NAMES: ReadonlySet<string> = new Set(
  (
    'bytes data url image_url b64_json file_data image images input_image init_image mask mask_image inputImage ' +
    'maskImage audio video base64 base64String mediaSource'
  ).split(' '),
);
const BLOB_NAME_ENDS = new Uint8Array(0x10000);
for (const name of BLOB_NAMES) BLOB_NAME_ENDS[name.charCodeAt(0) * 0x100 + name.charCodeAt(name.length - 1)] = 1;

/** Whether one of BLOB_NAMES begins and ends so. Most names do not, and need no further look. */
export function mayNameBlob(firstByte: number, lastByte: number): boolean {
  return BLOB_NAME_ENDS[firstByte * 0x100 + lastByte] === 1;
}

/** Well-formed UTF-8 at any split. State: the bytes of a character that is not complete yet. */
export class Utf8Check {
  readonly #tail = Buffer.alloc(4);
  #bufferedBytes = 0;
  #neededBytes = 0;

  /** False as soon as the bytes so far cannot be the beginning of UTF-8; overlong forms and surrogates are none. */
  push(bytes: Buffer): boolean {
    let start = 0;
    if (this.#bufferedBytes < this.#neededBytes) {
      start = bytes.copy(this.#tail, this.#bufferedBytes, 0, this.#neededBytes - this.#bufferedBytes);
      this.#bufferedBytes += start;
      if (this.#bufferedBytes < this.#neededBytes) return true;
      if (!isUtf8(this.#tail.subarray(0, this.#neededBytes))) return false;
    }
    let end = bytes.length;
    for (let back = 1; back <= 3 && bytes.length - back >= start; back += 1) {
      const size = utf8Size(bytes[bytes.length - back] ?? 0);
      if (size === 0) continue;
      if (size > back) {
        end = bytes.length - back;
        this.#bufferedBytes = bytes.copy(this.#tail, 0, end);
        this.#neededBytes = size;
      }
      break;
    }
    return isUtf8(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
  }

  /** Whether no character is open: the bytes so far may be all. */
  get isWhole(): boolean {
    return this.#bufferedBytes === this.#neededBytes;
  }
}

/**
 * Bytes of the character that begins with this byte; 0 for one that continues a character. A byte that begins none
 * (RFC 3629, section 4) is not waited for: it is refused with the bytes it came with.
 */
function utf8Size(byte: number): number {
  if (byte < 0x80 || byte > 0xf4) return 1;
  if (byte < 0xc0) return 0;
  if (byte < 0xe0) return 2;
  return byte < 0xf0 ? 3 : 4;
}

/** Names and most values are shorter. */
const NEAR_BYTES = 64;

/** The next byte at which to look closer, or the end. */
export function findStop(bytes: Buffer, from: number, stops: StringStops): number {
  const end = Math.min(from + NEAR_BYTES, bytes.length);
  let at = from;
  while (at < end && stops.bytes[bytes[at] ?? 0] === 0) at += 1;
  return at < end || at === bytes.length ? at : findFarStop(bytes, at, stops);
}

/** The same, eight bytes at a time, two in one step: nearly all bytes of a large body pass here. */
function findFarStop(bytes: Buffer, from: number, { bytes: single, pairs }: StringStops): number {
  // Pairs begin at an even address: the byte before is no stop.
  const start = from - ((bytes.byteOffset + from) % 2);
  const view = new Uint16Array(bytes.buffer, bytes.byteOffset + start, (bytes.length - start) >> 1);
  let index = 0;
  for (; index + 3 < view.length; index += 4) {
    const first = (pairs[view[index] ?? 0] ?? 0) | (pairs[view[index + 1] ?? 0] ?? 0);
    if ((first | (pairs[view[index + 2] ?? 0] ?? 0) | (pairs[view[index + 3] ?? 0] ?? 0)) !== 0) break;
  }
  let at = Math.max(from, start + 2 * index);
  while (at < bytes.length && single[bytes[at] ?? 0] === 0) at += 1;
  return at;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Of either case. */
export function isHexDigit(byte: number): boolean {
  return isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}

/** Whether this byte after a backslash is all of an escape. */
export function isSimpleEscape(byte: number): boolean {
  return '"\\/bfnrt'.includes(String.fromCharCode(byte));
}

/** Where a number stands after one more byte (RFC 8259, section 6); undefined if the byte does not belong to it. */
export function numberAfter(position: number, byte: number): number | undefined {
  if (isDigit(byte)) {
    if (position === ZERO) return undefined;
    if (position === BEFORE || position === MINUS) return byte === 0x30 ? ZERO : WHOLE;
    if (position === POINT) return FRACTION;
    return position === EXPONENT || position === EXPONENT_SIGN ? EXPONENT_DIGITS : position;
  }
  if (byte === 0x2e) return position === ZERO || position === WHOLE ? POINT : undefined;
  if (byte === 0x65 || byte === 0x45) return position >= ZERO && position < EXPONENT_DIGITS ? EXPONENT : undefined;
  if (byte === 0x2d && position === BEFORE) return MINUS;
  return (byte === 0x2b || byte === 0x2d) && position === EXPONENT ? EXPONENT_SIGN : undefined;
}

/** Whether the number may end where it stands. */
export function isCompleteNumber(position: number): boolean {
  return position >= ZERO;
}
