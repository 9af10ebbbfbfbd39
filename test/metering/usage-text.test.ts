import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measureText } from '../../src/metering/usage-text.ts';

const MEMBERS = new Set(['text', 'input']);

describe('measureText', () => {
  it.each([
    ['{"text":"Hello"}', 5],
    ['{"delta":{"text":"Hello"},"p":"abcdef"}', 5],
    ['{"text":"a","input":"bc","type":"text_delta"}', 3],
    ['{"text":"say \\"hi\\" \\\\"}', 13],
    ['{"text":"\\\\"}', 2],
    ['{ "text": "spaced" }', 6],
    ['{"text":"é🙂"}', 6],
    ['{"text":null,"other":"x"}', 0],
    ['{"text":{"other":"x"}}', 0],
    ['{"input":{"text":"x"}}', 1],
    ['{"other":"text","more":"x"}', 0],
    ['{"text":""}', 0],
    ['', 0],
  ])('measures the text of %s as %i bytes', (json, bytes) => {
    expect(measureText(Buffer.from(json), MEMBERS)).toBe(bytes);
  });

  it('measures any JSON with one piece of text as the bytes of that', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.jsonValue(), (text, other) => {
        const json = Buffer.from(JSON.stringify({ delta: { text }, p: { q: JSON.stringify(other) } }));
        return measureText(json, MEMBERS) === Buffer.byteLength(JSON.stringify(text)) - 2;
      }),
    );
  });

  it('measures what is no JSON to its end, and as never more than there is', () => {
    const pieces = fc.constantFrom('"', '\\', ':', 'text', '"text":"', '{', 'x');
    fc.assert(
      fc.property(fc.array(pieces), (parts) => {
        const bytes = Buffer.from(parts.join(''));
        const measured = measureText(bytes, MEMBERS);
        return measured >= 0 && measured <= bytes.length;
      }),
    );
  });
});
