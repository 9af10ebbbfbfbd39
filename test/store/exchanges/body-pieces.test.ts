import { describe, expect, it } from 'vitest';
import { randomBytes } from 'node:crypto';
import { cutBody } from '../../../src/store/exchanges/body-pieces.ts';

const hex = (pieces: readonly Uint8Array[]): string[] => pieces.map((piece) => Buffer.from(piece).toString('hex'));

describe('pieces of a body', () => {
  it.each([0, 1, 2_047, 2_048, 2_049, 65_537, 1_000_000])('are all of it: %d bytes', (sizeBytes) => {
    for (const bytes of [randomBytes(sizeBytes), Buffer.alloc(sizeBytes)]) {
      const pieces = cutBody(bytes);
      expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
      expect(Math.max(0, ...pieces.map(({ length }) => length))).toBeLessThanOrEqual(65_536);
    }
  });

  it('are the same in a body that has more behind them, or something else before', () => {
    const shared = randomBytes(200_000);
    const before = hex(cutBody(shared));
    const longer = hex(cutBody(Buffer.concat([shared, randomBytes(5_000)])));
    expect(longer.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    const shifted = hex(cutBody(Buffer.concat([randomBytes(77), shared])));
    expect(shifted.filter((piece) => before.includes(piece)).length).toBeGreaterThan(before.length / 2);
  });
});
