/** The fast way through long strings, beside the slow one. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { findStop, STOPS_BLOB, STOPS_TEXT } from '../../src/protocol/json-bytes.ts';

it('stops at the same byte as a look at one after the other, wherever the bytes begin in memory', () => {
  const harmless = fc.constantFrom(0x41, 0x7a, 0x2b);
  const any = fc.oneof(
    { weight: 200, arbitrary: harmless },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
  );
  fc.assert(
    fc.property(
      fc.array(any, { minLength: 0, maxLength: 400 }),
      fc.integer({ min: 0, max: 9 }),
      fc.integer({ min: 0, max: 90 }),
      fc.constantFrom(STOPS_TEXT, STOPS_BLOB),
      (values, offset, from, stops) => {
        const memory = new Uint8Array(values.length + offset);
        memory.set(values, offset);
        const bytes = Buffer.from(memory.buffer, offset);
        const start = Math.min(from, bytes.length);
        const found = bytes.findIndex((byte, at) => at >= start && stops.bytes[byte] === 1);
        expect(findStop(bytes, start, stops)).toBe(found === -1 ? bytes.length : found);
      },
    ),
    { numRuns: 2_000 },
  );
});

const stopsOf = (stops: typeof STOPS_TEXT): number[] => [...stops.bytes.keys()].filter((at) => stops.bytes[at] === 1);

it('stops at control characters, quotes and backslashes, and in what may be base64 at spaces and beyond ASCII', () => {
  const control = Array.from({ length: 32 }, (_, byte) => byte);
  expect(stopsOf(STOPS_TEXT)).toEqual([...control, 0x22, 0x5c]);
  const beyond = Array.from({ length: 129 }, (_, index) => 127 + index);
  expect(stopsOf(STOPS_BLOB)).toEqual([...control, 0x20, 0x22, 0x5c, ...beyond]);
});
