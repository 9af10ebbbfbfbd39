/**
 * Event-stream frames of the bench's upstream, each with the time it was written: the load generator reads how long it
 * was on its way. Valid frames (both checksums right), because a proxy may look at them.
 */
import { crc32 } from 'node:zlib';

const PRELUDE_BYTES = 12;
const CRC_BYTES = 4;
/** Digits of a stamp: nanoseconds of the monotonic clock, which all processes of a machine share. */
const STAMP_DIGITS = 20;
/** The stamp stands in `p`, AWS's own padding field, as the last field of the payload. */
const AFTER_STAMP = '"}';

/**
 * One event whose payload ends in a stamp of now. `fields` is the beginning of its JSON, such as
 * `{"role":"assistant",`.
 */
export function encodeStampedEvent(eventType: string, fields: string): Buffer {
  const stamp = process.hrtime.bigint().toString().padStart(STAMP_DIGITS, '0');
  return encodeEvent(eventType, `${fields}"p":"${stamp}${AFTER_STAMP}`);
}

function encodeEvent(eventType: string, payload: string): Buffer {
  const headers = Buffer.concat([
    encodeHeader(':event-type', eventType),
    encodeHeader(':content-type', 'application/json'),
    encodeHeader(':message-type', 'event'),
  ]);
  const total = PRELUDE_BYTES + headers.length + Buffer.byteLength(payload) + CRC_BYTES;
  const frame = Buffer.allocUnsafe(total);
  frame.writeUInt32BE(total, 0);
  frame.writeUInt32BE(headers.length, 4);
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  headers.copy(frame, PRELUDE_BYTES);
  frame.write(payload, PRELUDE_BYTES + headers.length);
  frame.writeUInt32BE(crc32(frame.subarray(0, total - CRC_BYTES)), total - CRC_BYTES);
  return frame;
}

/** Type 7 is a string with a length of two bytes. */
function encodeHeader(name: string, value: string): Buffer {
  const encoded = Buffer.alloc(4 + name.length + value.length);
  encoded.writeUInt8(name.length, 0);
  encoded.write(name, 1, 'latin1');
  encoded.writeUInt8(7, 1 + name.length);
  encoded.writeUInt16BE(value.length, 2 + name.length);
  encoded.write(value, 4 + name.length, 'latin1');
  return encoded;
}

/**
 * Calls back with the age in milliseconds of every frame that is complete, and returns the bytes of the last one, if it
 * is incomplete.
 */
export function readAges(bytes: Buffer, onAge: (ageMs: number) => void): Buffer {
  const now = process.hrtime.bigint();
  let start = 0;
  while (bytes.length - start >= PRELUDE_BYTES) {
    const end = start + bytes.readUInt32BE(start);
    if (end > bytes.length) break;
    const stampEnd = end - CRC_BYTES - AFTER_STAMP.length;
    const stamp = bytes.toString('latin1', stampEnd - STAMP_DIGITS, stampEnd);
    onAge(Number(now - BigInt(stamp)) / 1e6);
    start = end;
  }
  return bytes.subarray(start);
}
