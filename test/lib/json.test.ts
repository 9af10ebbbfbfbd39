import { describe, expect, it } from 'vitest';
import {
  asCount,
  asObject,
  asObjects,
  asText,
  asTexts,
  isObject,
  measureJson,
  parseJsonObject,
} from '../../src/lib/json.ts';

const OTHERS = [undefined, null, true, 5, 'text', [], [{}]];

describe('JSON of others', () => {
  it('reads JSON of others as an object, or as an empty one', () => {
    const object = { a: 1 };
    expect([asObject(object), isObject(object)]).toEqual([object, true]);
    for (const other of OTHERS) expect([asObject(other), isObject(other)]).toEqual([{}, false]);
  });

  it('reads JSON of others as text or a count, or as none', () => {
    expect([asText('x'), asText(5), asTexts(['x', 5, 'y']), asTexts('x')]).toEqual(['x', '', ['x', 'y'], []]);
    expect([3, 1, 0, 1.5, '3', null].map((value) => asCount(value, 1, 7))).toEqual([3, 1, 7, 7, 7, 7]);
  });

  it('reads only the objects of a list of others', () => {
    expect(asObjects([{ a: 1 }, null, [], 'x', {}])).toEqual([{ a: 1 }, {}]);
    expect(asObjects({ a: 1 })).toEqual([]);
  });

  it.each([
    ['{"a":1}', { a: 1 }],
    ['[1]', undefined],
    ['null', undefined],
    ['{"a":', undefined],
    ['', undefined],
  ])('parses a body if it is an object: %s', (text, value) => {
    expect(parseJsonObject(Buffer.from(text))).toEqual(value);
  });
});

it.each([
  { json: '1', depth: 0, values: 0 },
  { json: '{}', depth: 1, values: 1 },
  { json: '{"a":[1,2,{"b":[]}],"c":3}', depth: 4, values: 7 },
  { json: '[[],[],[[]]]', depth: 3, values: 7 },
  { json: String.raw`["[[,{\"[[,\\",1]`, depth: 1, values: 2 },
  { json: ']]]]{"a', depth: 0, values: 1 },
])('measures $json before it is parsed', ({ json, depth, values }) => {
  expect(measureJson(Buffer.from(json))).toEqual({ depth, values });
});
