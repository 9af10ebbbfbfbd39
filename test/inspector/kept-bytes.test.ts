/** What is kept of a body: all of a small one, beginning and end of a large one, and nothing where there is no room. */
import { createHash, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KEPT_HEAD_BYTES, KEPT_TAIL_BYTES, KeptBytes } from '../../src/inspector/kept-bytes.ts';

function openRoom(limit = Infinity) {
  const room = {
    taken: 0,
    take(sizeBytes: number): boolean {
      if (room.taken + sizeBytes > limit) return false;
      room.taken += sizeBytes;
      return true;
    },
    give(sizeBytes: number): void {
      room.taken -= sizeBytes;
    },
  };
  return room;
}

describe('a body as it is kept', () => {
  it('has exactly the bytes that passed, however they were split, and gives back all that it took', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 60 }), (pieces) => {
        const room = openRoom();
        const kept = new KeptBytes(room);
        for (const [at, piece] of pieces.entries()) kept.add(piece, at);
        const all = Buffer.concat(pieces);
        expect(kept.read().equals(all)).toBe(true);
        expect(kept.hole).toBeUndefined();
        expect(kept.sha256).toBe(createHash('sha256').update(all).digest('hex'));
        const chunks = kept.chunks();
        expect(chunks.map(({ sizeBytes }) => sizeBytes)).toEqual(pieces.map(({ length }) => length).filter(Boolean));
        expect(chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBe(all.length);
        kept.drop('evicted');
        expect(room.taken).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('takes single bytes', () => {
    const kept = new KeptBytes(openRoom());
    const all = randomBytes(5_000);
    for (const byte of all) kept.add(Uint8Array.of(byte), 1);
    expect(kept.read().equals(all)).toBe(true);
    expect(kept.chunks()).toHaveLength(5_000);
  });

  it('takes single bytes by the hundred thousand at once, and no more room for their times than it says', () => {
    const room = openRoom();
    const kept = new KeptBytes(room);
    kept.add(Buffer.alloc(KEPT_HEAD_BYTES), 0);
    const startedAt = performance.now();
    for (let at = 1; at <= 400_000; at += 1) kept.add(Uint8Array.of(at % 256), at);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    const chunks = kept.chunks();
    expect(chunks.length).toBeLessThanOrEqual(100_000);
    expect(chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBe(kept.sizeBytes);
    expect(chunks.at(-1)?.atMs).toBe(400_000);
    expect(room.taken).toBeLessThan(KEPT_HEAD_BYTES + 2 * 1024 * 1024);
    kept.drop('evicted');
    expect(room.taken).toBe(0);
  });

  it('keeps copies, and not the buffer that a piece is of', () => {
    const kept = new KeptBytes(openRoom());
    const piece = Buffer.from('before');
    kept.add(piece, 0);
    piece.fill('x');
    expect(kept.read().toString()).toBe('before');
  });

  it.each([1, 1_000, 65_536, 100_000])('keeps beginning and end of a large one, in pieces of %i bytes', (size) => {
    const room = openRoom();
    const kept = new KeptBytes(room);
    // One byte at a time only around the edge.
    const total = KEPT_HEAD_BYTES + (size === 1 ? 70_000 : 500_000);
    const all = randomBytes(total);
    let at = 0;
    if (size === 1) kept.add(all.subarray(0, (at = KEPT_HEAD_BYTES - 10)), 0);
    for (; at < total; at += size) kept.add(all.subarray(at, at + size), 0);
    const { hole } = kept;
    expect(hole).toMatchObject({ at: KEPT_HEAD_BYTES, why: 'size' });
    const read = kept.read();
    expect(read.subarray(0, KEPT_HEAD_BYTES).equals(all.subarray(0, KEPT_HEAD_BYTES))).toBe(true);
    const tail = read.subarray(KEPT_HEAD_BYTES);
    expect(tail.length).toBeGreaterThanOrEqual(KEPT_TAIL_BYTES);
    expect(tail.equals(all.subarray(total - tail.length))).toBe(true);
    expect(kept.sizeBytes).toBe(total);
    expect(read.length + (hole?.sizeBytes ?? 0)).toBe(total);
    kept.drop('evicted');
    expect(room.taken).toBe(0);
  });

  it('lets go of all if there is no room, counts on, and says so', () => {
    const room = openRoom(10_000);
    const kept = new KeptBytes(room);
    kept.add(randomBytes(2_000), 0);
    kept.add(randomBytes(20_000), 1);
    kept.add(randomBytes(10), 2);
    expect(kept.sizeBytes).toBe(22_010);
    expect(kept.hole).toEqual({ at: 0, sizeBytes: 22_010, why: 'memory' });
    expect(kept.read()).toHaveLength(0);
    expect(room.taken).toBe(0);
  });
});
