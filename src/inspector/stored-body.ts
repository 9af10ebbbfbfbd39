/**
 * Bodies of exchanges that are not in memory as they came, but were read again: from a file, or from an export. And
 * their lists of chunks as bytes, for there are many chunks. Pure.
 */
import type { KeptBody, KeptChunk } from './exchange.ts';

/** What is kept of a body, without its bytes. */
export type BodyHead = Pick<KeptBody, 'sizeBytes' | 'sha256' | 'hole'>;

/** A body with these bytes and chunks. */
export function makeBody(head: BodyHead, read: () => Buffer, chunks: () => readonly KeptChunk[]): KeptBody {
  const { sizeBytes, sha256, hole } = head;
  return { sizeBytes, sha256, hole, read, chunks };
}

/** How many bytes of a body are kept. */
export function countKept({ sizeBytes, hole }: BodyHead): number {
  return sizeBytes - (hole?.sizeBytes ?? 0);
}

/** Times are kept to the microsecond. */
const MICROSECONDS = 1000;

/** Numbers of seven bits in each byte, lowest first; each chunk: bytes since the one before, its size, microseconds. */
export function packChunks(chunks: readonly KeptChunk[]): Buffer {
  const bytes: number[] = [];
  const put = (value: number): void => {
    let rest = Math.max(0, Math.round(value));
    while (rest >= 0x80) {
      bytes.push((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    bytes.push(rest);
  };
  let end = 0;
  let atUs = 0;
  for (const chunk of chunks) {
    const nowUs = Math.max(atUs, Math.round(chunk.atMs * MICROSECONDS));
    put(chunk.offset - end);
    put(chunk.sizeBytes);
    put(nowUs - atUs);
    end = chunk.offset + chunk.sizeBytes;
    atUs = nowUs;
  }
  return Buffer.from(bytes);
}

/** What `packChunks` has packed; of other bytes it says something. */
export function unpackChunks(packed: Uint8Array): readonly KeptChunk[] {
  const numbers: number[] = [];
  let value = 0;
  let factor = 1;
  for (const byte of packed) {
    value += (byte & 0x7f) * factor;
    factor *= 0x80;
    if (byte >= 0x80) continue;
    numbers.push(value);
    value = 0;
    factor = 1;
  }
  const chunks: KeptChunk[] = [];
  let end = 0;
  let atUs = 0;
  for (let index = 0; index + 2 < numbers.length; index += 3) {
    const [gap = 0, sizeBytes = 0, sinceUs = 0] = numbers.slice(index, index + 3);
    atUs += sinceUs;
    chunks.push({ offset: end + gap, sizeBytes, atMs: atUs / MICROSECONDS });
    end += gap + sizeBytes;
  }
  return chunks;
}
