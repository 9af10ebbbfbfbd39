/**
 * The scanner against JSON.parse: the same values at the same places, and the same texts refused, at any split. Then
 * what JSON.parse has no opinion on: bytes that are no UTF-8, repeated members, what is too long, and what looks like
 * base64.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BLOB_BYTES,
  type JsonScalar,
  JsonScanner,
  MAX_DEPTH,
  HEAD_BYTES,
  MAX_KEPT_BYTES,
} from '../../src/protocol/json-scan.ts';
import { JsonPaths } from '../../src/protocol/json-paths.ts';

interface Scanned {
  readonly isWhole: boolean;
  readonly values: readonly (readonly [path: string, value: JsonScalar])[];
}

function scan(chunks: readonly Uint8Array[], wanted: readonly string[] | JsonPaths): Scanned {
  const values: [string, JsonScalar][] = [];
  const scanner = new JsonScanner(wanted, (path, value) => values.push([path, value]));
  for (const chunk of chunks) scanner.push(chunk);
  return { isWhole: scanner.finish(), values };
}

/** Cut at these places, in whatever order they come. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

const bytesOf = (text: string): Buffer => Buffer.from(text);
const bytewise = (bytes: Buffer): Buffer[] => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));

/** What the scanner should find, worked out on the built document. */
function valuesAt(value: unknown, steps: readonly string[]): unknown[] {
  const [step, ...rest] = steps;
  if (step === undefined) return typeof value === 'object' && value !== null ? [] : [value];
  if (step === '[]') return Array.isArray(value) ? value.flatMap((element) => valuesAt(element, rest)) : [];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    step === '*' || step === name ? valuesAt(member, rest) : [],
  );
}

/** Text that JSON has to escape, that takes more than one byte, and halves of surrogate pairs. */
const text = fc.string({ unit: fc.constantFrom('a', ' ', '"', '\\', '/', '\n', '\u0001', 'é', '語', '😀', '\ud83d') });
const name = fc.constantFrom('a', 'b', 'né', '😀"', '*', '[]', '__proto__x');
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.boolean(), fc.constant(null)),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(name, tie('tree'), { maxKeys: 4 }),
  ),
}));
const steps = fc.array(fc.constantFrom('a', 'b', 'né', '😀"', '[]', '*'), { maxLength: 4 });
const splits = fc.array(fc.nat(), { maxLength: 6 });
const pathOf = (list: readonly string[]): string => list.join('.').replaceAll('.[]', '[]');

describe('values', () => {
  it('reads the values that JSON.parse gives, whatever the document, the path and the split', () => {
    fc.assert(
      fc.property(tree, steps, splits, fc.constantFrom(0, 1), (value, wanted, places, indent) => {
        const json = JSON.stringify(value, undefined, indent);
        const { isWhole, values } = scan(cut(bytesOf(json), places), [pathOf(wanted)]);
        expect(isWhole).toBe(true);
        expect(values.map(([, found]) => found)).toEqual(valuesAt(JSON.parse(json), wanted));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    { name: 'a member', json: '{"a":1,"b":2}', wanted: ['b'], found: [['b', 2]] },
    { name: 'a member of a member', json: '{"a":{"b":"x"},"b":3}', wanted: ['a.b'], found: [['a.b', 'x']] },
    { name: 'a bare value', json: ' -1.5e+2 ', wanted: [''], found: [['', -150]] },
    {
      name: 'elements',
      json: '{"a":[1,[2],{"b":3},"4"]}',
      wanted: ['a[]'],
      found: [
        ['a[]', 1],
        ['a[]', '4'],
      ],
    },
    {
      name: 'members of elements',
      json: '{"a":[{"b":[{"c":1}]},{"b":[{"c":2}]}]}',
      wanted: ['a[].b[].c'],
      found: [
        ['a[].b[].c', 1],
        ['a[].b[].c', 2],
      ],
    },
    {
      name: 'elements of the outermost array',
      json: '[[true],[null]]',
      wanted: ['[][]'],
      found: [
        ['[][]', true],
        ['[][]', null],
      ],
    },
    {
      name: 'any member',
      json: '{"a":{"x":1,"y":2},"b":3}',
      wanted: ['a.*'],
      found: [
        ['a.*', 1],
        ['a.*', 2],
      ],
    },
    {
      name: 'a name and any name at once',
      json: '{"a":{"x":1,"y":2}}',
      wanted: ['a.x', '*.x', '*.y'],
      found: [
        ['a.x', 1],
        ['*.x', 1],
        ['*.y', 2],
      ],
    },
    {
      name: 'a repeated member, each time',
      json: '{"model":"a","model":"b"}',
      wanted: ['model'],
      found: [
        ['model', 'a'],
        ['model', 'b'],
      ],
    },
    {
      name: 'a name in escapes',
      json: String.raw`{"mod\u0065l":"a","\u006Dodel":"b"}`,
      wanted: ['model'],
      found: [
        ['model', 'a'],
        ['model', 'b'],
      ],
    },
    {
      name: 'escapes',
      json: String.raw`["\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83d"]`,
      wanted: ['[]'],
      found: [['[]', '"\\/\b\f\n\r\té😀\ud83d']],
    },
    { name: 'nothing for a container', json: '{"a":{"a":1},"b":[2]}', wanted: ['a', 'b'], found: [] },
    { name: 'nothing for a member of an array', json: '{"a":[{"b":1}]}', wanted: ['a.b', 'a[]'], found: [] },
    {
      name: 'names of inherited members',
      json: '{"constructor":1,"__proto__":2}',
      wanted: ['constructor', '__proto__'],
      found: [
        ['constructor', 1],
        ['__proto__', 2],
      ],
    },
  ])('reads values by their path: $name', ({ json, wanted, found }) => {
    const bytes = bytesOf(json);
    for (let at = 0; at <= bytes.length; at += 1) expect(scan(cut(bytes, [at]), wanted).values).toEqual(found);
    expect(scan(bytewise(bytes), new JsonPaths(wanted))).toEqual({ isWhole: true, values: found });
  });

  it('counts the bytes of a value beyond the limit without keeping them', () => {
    const kept = 'é'.repeat(MAX_KEPT_BYTES / 2);
    const head = Buffer.from(kept).toString('latin1', 0, HEAD_BYTES);
    const json = bytesOf(JSON.stringify({ a: kept, b: `${kept}x`, [`${kept}x`]: 1 }));
    for (const chunks of [[json], bytewise(json)]) {
      expect(scan(chunks, ['a', 'b', '*']).values).toEqual([
        ['a', kept],
        ['*', kept],
        ['b', { tooLong: MAX_KEPT_BYTES + 1, head }],
        ['*', { tooLong: MAX_KEPT_BYTES + 1, head }],
        ['*', 1],
      ]);
    }
  });

  it('reports values before the text is known to be whole', () => {
    expect(scan([bytesOf('{"a":1,"b":"x","c":"y')], ['a', 'b', 'c'])).toEqual({
      isWhole: false,
      values: [
        ['a', 1],
        ['b', 'x'],
      ],
    });
  });
});

const parses = (json: string): boolean => {
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
};

const nested = (depth: number): Buffer => bytesOf('['.repeat(depth) + ']'.repeat(depth));

describe('texts', () => {
  it('refuses the texts that JSON.parse refuses', () => {
    const junk = fc.string({ unit: fc.constantFrom(...'{}[]:,"\\u0019.eE+-truefalsn \t\v\u0000é\uFEFF/') });
    const damaged = fc
      .tuple(tree, junk, fc.nat(), fc.nat({ max: 3 }))
      .map(([value, inserted, place, removed]) => {
        const json = JSON.stringify(value);
        const at = place % (json.length + 1);
        return json.slice(0, at) + inserted + json.slice(at + removed);
      })
      .filter((json) => json.isWellFormed());
    let refused = 0;
    fc.assert(
      fc.property(fc.oneof(damaged, junk), splits, (json, places) => {
        const isJson = parses(json);
        if (!isJson) refused += 1;
        expect(scan(cut(bytesOf(json), places), ['a', '*[]']).isWhole).toBe(isJson);
      }),
      { numRuns: 3000 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  it.each([
    '1',
    '-0',
    '0.5',
    '1e5',
    '1E-05',
    '-12.25e+3',
    'true',
    'null',
    '""',
    '[]',
    '{}',
    ' [ 1 , { "a" : [ ] } ] \r\n\t',
  ])('accepts %j as JSON', (json) => {
    expect(parses(json)).toBe(true);
    expect(scan(bytewise(bytesOf(json)), []).isWhole).toBe(true);
  });

  it.each([
    '',
    ' ',
    '01',
    '-',
    '+1',
    '.5',
    '1.',
    '1e',
    '1e+',
    '--1',
    '0x1',
    'NaN',
    'Infinity',
    '-Infinity',
    'tru',
    'truee',
    'True',
    'nul',
    'undefined',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[1',
    '1]',
    '[}',
    '{]',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{"a":1 "b":2}',
    '{a:1}',
    "{'a':1}",
    '{"a":1}}',
    '{}{}',
    '{} x',
    '1 2',
    '"a',
    '"\n"',
    '"\u0000"',
    '"\\x"',
    '"\\u12"',
    '"\\u123g"',
    '"\\U0041"',
    '\uFEFF{}',
    '/**/1',
    '{"a":1}//',
    '{1:2}',
    '{null:1}',
    ':',
    ',',
  ])('refuses %j as JSON', (json) => {
    expect(parses(json)).toBe(false);
    expect(scan([bytesOf(json)], ['a']).isWhole).toBe(false);
    expect(scan(bytewise(bytesOf(json)), ['a']).isWhole).toBe(false);
  });

  it.each([
    { name: 'an overlong form of a letter', hex: 'c1af' },
    { name: 'an overlong form of a slash, in three bytes', hex: 'e080af' },
    { name: 'half of a surrogate pair', hex: 'eda080' },
    { name: 'a byte that begins nothing', hex: 'ff' },
    { name: 'a continuation with no beginning', hex: '80' },
    { name: 'a beginning with no continuation', hex: 'e282' },
    { name: 'a character beyond Unicode', hex: 'f4908080' },
  ])('refuses text that is no UTF-8: $name', ({ hex }) => {
    const bytes = Buffer.concat([bytesOf('{"m'), Buffer.from(hex, 'hex'), bytesOf('del":"x"}')]);
    for (let at = 0; at <= bytes.length; at += 1) expect(scan(cut(bytes, [at]), ['*']).isWhole).toBe(false);
    expect(scan(bytewise(bytes), ['*']).isWhole).toBe(false);
  });

  it.each([
    { name: 'a beginning of two bytes', hex: 'c3' },
    { name: 'a beginning of three bytes', hex: 'e282' },
    { name: 'a beginning of four bytes', hex: 'f09f98' },
    { name: 'no byte of UTF-8', hex: 'f5' },
    { name: 'a byte of an overlong form', hex: 'c0' },
  ])('refuses text whose end looks whole behind $name, at any split', ({ hex }) => {
    const bytes = Buffer.concat([bytesOf('{"x":"'), Buffer.from(hex, 'hex'), bytesOf('"}')]);
    for (let at = 0; at <= bytes.length; at += 1) {
      expect(scan(cut(bytes, [at]), ['*']).isWhole).toBe(false);
      expect(scan(cut(bytes, [at, bytes.length - 1]), ['*']).isWhole).toBe(false);
    }
  });

  it('refuses a byte that begins no character with the bytes it came with', () => {
    const scanner = new JsonScanner([], () => {});
    scanner.push(Buffer.concat([bytesOf('{"x":"'), Buffer.from('f5', 'hex')]));
    expect(scanner.isBroken).toBe(true);
  });

  it('accepts documents up to a depth, and no deeper', () => {
    expect(scan([nested(MAX_DEPTH)], []).isWhole).toBe(true);
    expect(scan([nested(MAX_DEPTH + 1)], []).isWhole).toBe(false);
  });

  it('stays broken once a text is', () => {
    const scanner = new JsonScanner(['a'], () => expect.unreachable());
    scanner.push(bytesOf('{]'));
    expect(scanner.isBroken).toBe(true);
    scanner.push(bytesOf('{"a":1}'));
    expect(scanner.finish()).toBe(false);
  });

  it('reads any bytes without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), splits, (bytes, places) => {
        const json = Buffer.from(bytes);
        const isJson = json.equals(bytesOf(json.toString())) && parses(json.toString());
        expect(scan(cut(json, places), ['*', '[]', '']).isWhole).toBe(isJson);
      }),
      { numRuns: 1000 },
    );
  });
});

/** The bytes of text, those of blobs, and the number of blobs. */
const count = (value: unknown): readonly number[] => {
  const bytes = bytesOf(typeof value === 'string' ? value : JSON.stringify(value));
  const results = [[bytes], bytewise(bytes)].map((chunks) => {
    const scanner = new JsonScanner([], () => {});
    for (const chunk of chunks) scanner.push(chunk);
    scanner.finish();
    return [scanner.textBytes, scanner.blobBytes, scanner.blobs];
  });
  expect(results[1]).toEqual(results[0]);
  return results[0] ?? expect.unreachable();
};

describe('strings', () => {
  const base64 = Buffer.alloc(BLOB_BYTES * 3, 'picture').toString('base64');

  it.each([
    { name: 'base64', value: { bytes: base64, a: 'hi' }, counted: [2, base64.length, 1] },
    { name: 'in an array', value: { images: [base64, base64] }, counted: [0, 2 * base64.length, 2] },
    { name: 'a data URL', value: { url: `data:image/png;base64,${base64}` }, counted: [0, base64.length + 22, 1] },
    { name: 'a short one', value: { bytes: 'x'.repeat(BLOB_BYTES) }, counted: [BLOB_BYTES, 0, 0] },
    {
      name: 'where models read text',
      value: { text: base64, byte: base64, bytes64: [base64] },
      counted: [3 * base64.length, 0, 0],
    },
    { name: 'under no name', value: [base64], counted: [base64.length, 0, 0] },
    { name: 'under a disguised name', value: String.raw`{"b\u0079tes":"${base64}"}`, counted: [base64.length, 0, 0] },
    { name: 'one with a space', value: { bytes: `${base64} ` }, counted: [base64.length + 1, 0, 0] },
    { name: 'one with an escape', value: { bytes: `${base64}\n` }, counted: [base64.length + 2, 0, 0] },
    { name: 'one that is not ASCII', value: { data: '語'.repeat(1000) }, counted: [3000, 0, 0] },
    { name: 'a name', value: { [base64]: 1 }, counted: [0, 0, 0] },
    { name: 'text that is cut short', value: '{"a":"bc', counted: [2, 0, 0] },
    { name: 'base64 that is cut short', value: `{"data":"${base64}`, counted: [0, base64.length, 1] },
  ])('tells text from media in a string: $name', ({ value, counted }) => {
    expect(count(value)).toEqual(counted);
  });
});

it.each([
  { json: ' {}', isObject: true },
  { json: '[{}]', isObject: false },
  { json: '"{}"', isObject: false },
])('says whether $json is an object', ({ json, isObject }) => {
  const scanner = new JsonScanner([], () => {});
  scanner.push(bytesOf(json));
  expect(scanner.isObject).toBe(isObject);
  expect(scanner.finish()).toBe(true);
});
