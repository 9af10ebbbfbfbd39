/** What the scanner keeps whole: the objects and arrays at wanted paths, against JSON.parse, at any split. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_CONTAINER_BYTES } from '../../src/protocol/json-container.ts';
import { type JsonScalar, JsonScanner, MAX_DEPTH } from '../../src/protocol/json-scan.ts';

interface Kept {
  readonly containers: readonly (readonly [path: string, value: unknown])[];
  readonly values: readonly (readonly [path: string, value: JsonScalar])[];
  readonly isWhole: boolean;
}

function keep(chunks: readonly Uint8Array[], wanted: readonly string[]): Kept {
  const containers: [string, unknown][] = [];
  const values: [string, JsonScalar][] = [];
  const scanner = new JsonScanner(
    wanted,
    (path, value) => values.push([path, value]),
    (path, value) => containers.push([path, value]),
  );
  for (const chunk of chunks) scanner.push(chunk);
  return { isWhole: scanner.finish(), containers, values };
}

/** Cut at these places, in whatever order they come. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

const bytesOf = (text: string): Buffer => Buffer.from(text);
const bytewise = (bytes: Buffer): Buffer[] => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));

describe('a container that is wanted', () => {
  it('builds a container at any split, as JSON.parse builds it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.array(fc.nat(), { maxLength: 4 }), (value, other, places) => {
        const bytes = bytesOf(JSON.stringify({ other, a: value, last: 1 }));
        const isContainer = typeof value === 'object' && value !== null;
        const expected = {
          isWhole: true,
          containers: isContainer ? [['a', JSON.parse(JSON.stringify(value))]] : [],
          values: isContainer ? [] : [['a', JSON.parse(JSON.stringify(value))]],
        };
        expect(keep(cut(bytes, places), ['a'])).toEqual(expected);
        expect(keep(bytewise(bytes), ['a'])).toEqual(expected);
      }),
    );
  });

  it('reports a container whole, and not what is in it', () => {
    const bytes = bytesOf('{"a":{"b":[1,{"b":true}],"c":"x"},"d":[{"b":2},null],"e":{"b":3}}');
    expect(keep([bytes], ['a', 'a.b', 'a.c', 'd[]', 'e.b'])).toEqual({
      isWhole: true,
      containers: [
        ['a', { b: [1, { b: true }], c: 'x' }],
        ['d[]', { b: 2 }],
      ],
      values: [
        ['d[]', null],
        ['e.b', 3],
      ],
    });
  });

  it('reports a container as often as it occurs, which may be all there is', () => {
    expect(keep([bytesOf('{"a":{},"a":[1]}')], ['a']).containers).toEqual([
      ['a', {}],
      ['a', [1]],
    ]);
    expect(keep([bytesOf(' [1, 2] ')], [''])).toEqual({ isWhole: true, containers: [['', [1, 2]]], values: [] });
  });

  it('does not report a container if the text breaks within it', () => {
    const broken = { isWhole: false, containers: [], values: [] };
    expect(keep([bytesOf('{"a":{"b":1,')], ['a'])).toEqual(broken);
    expect(keep([bytesOf('{"a":{"b":1]}')], ['a'])).toEqual(broken);
    expect(keep([bytesOf('{"a":'), bytesOf('['.repeat(MAX_DEPTH))], ['a'])).toEqual(broken);
  });

  it.each([
    [MAX_CONTAINER_BYTES, true],
    [MAX_CONTAINER_BYTES + 1, false],
  ])('builds a container of %i bytes: %s', (sizeBytes, isBuilt) => {
    const bytes = bytesOf(`{"a":["${'x'.repeat(sizeBytes - 4)}"],"b":{}}`);
    for (const chunks of [[bytes], cut(bytes, [1000, 700_000, sizeBytes + 3])]) {
      const { isWhole, containers } = keep(chunks, ['a', 'b']);
      expect([isWhole, containers.map(([path, value]) => [path, value !== undefined])]).toEqual([
        true,
        [
          ['a', isBuilt],
          ['b', true],
        ],
      ]);
    }
  });
});
