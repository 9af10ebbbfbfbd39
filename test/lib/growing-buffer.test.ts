import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GrowingBuffer } from '../../src/lib/growing-buffer.ts';

describe('GrowingBuffer', () => {
  it('gives all pieces of a buffer in one, and then begins anew', () => {
    const piece = fc.uint8Array({ maxLength: 3000 });
    fc.assert(
      fc.property(fc.array(piece), fc.array(piece), (one, other) => {
        const buffer = new GrowingBuffer();
        for (const pieces of [one, other]) {
          for (const bytes of pieces) buffer.append(bytes);
          const all = Buffer.concat(pieces);
          expect([buffer.length, buffer.bytes.equals(all)]).toEqual([all.length, true]);
          expect(buffer.take().equals(all)).toBe(true);
          expect(buffer.length).toBe(0);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('copies pieces, and leaves what was taken as it was', () => {
    const buffer = new GrowingBuffer();
    const piece = Buffer.from('abc');
    buffer.append(piece);
    piece.fill('x');
    const taken = buffer.take();
    buffer.append(Buffer.from('yyyy'));
    expect(taken.toString()).toBe('abc');
  });
});
