/**
 * Cuts a body into pieces by what it says: a request that repeats the conversation so far has the pieces of the request
 * before, whatever its API, and is kept once. Pure.
 */

/** Pieces are no smaller, but for the last, and no larger. */
const MIN_PIECE_BYTES = 2 * 1024;
const MAX_PIECE_BYTES = 64 * 1024;
/** A cut every 8 KiB, on average: after each byte whose hash has these bits clear. */
const HASH_SHIFT = 32 - 13;

/** A number for each byte, the same in every process: else pieces would not be found again. */
const GEAR: Int32Array = makeGear();

function makeGear(): Int32Array {
  const gear = new Int32Array(256);
  let state = 0x9e3779b9;
  for (let index = 0; index < gear.length; index += 1) {
    // Marsaglia's xorshift32.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    gear[index] = state;
  }
  return gear;
}

/** The pieces in their order, as views of the same bytes; none of no bytes. Content-defined chunking, "gear hash". */
export function cutBody(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let from = 0;
  while (from < bytes.length) {
    const to = findCut(bytes, from);
    pieces.push(bytes.subarray(from, to));
    from = to;
  }
  return pieces;
}

function findCut(bytes: Uint8Array, from: number): number {
  const end = Math.min(bytes.length, from + MAX_PIECE_BYTES);
  let hash = 0;
  for (let at = from + MIN_PIECE_BYTES - 32; at < end; at += 1) {
    hash = ((hash << 1) + (GEAR[bytes[at] ?? 0] ?? 0)) | 0;
    if (hash >>> HASH_SHIFT === 0 && at >= from + MIN_PIECE_BYTES) return at + 1;
  }
  return end;
}
