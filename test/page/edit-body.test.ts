/** A body that is edited: what was not edited keeps its bytes. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { showBody } from '../../page/src/details/edit-body.ts';

const plain = (text: string): string => text;
const escape = (text: string): string => text.replaceAll('\u202e', String.raw`\u202e`);

describe('a body that is edited', () => {
  it.each([
    { name: 'of boto3', original: '{"a": [1, 2.0, {}], "b": "x, y: z"}', edit: ['2.0', '2.5'] },
    { name: 'without spaces', original: String.raw`{"a":[1e2,"\u00e9\/"],"b":{"c":null}}`, edit: ['null', 'true'] },
    { name: 'with spaces around it', original: ' {"a" : 1, "b":2}\n', edit: ['"b"', '"c"'] },
    { name: 'of several lines', original: '{\n   "a": 1,\n\n "b": 2 }', edit: ['2', '3'] },
    { name: 'of several lines of Windows', original: '{\r\n "a": 1\r\n}', edit: ['1', '3'] },
    { name: 'that is no JSON', original: '{"a": 1,', edit: ['1', '3'] },
  ])('keeps what was not edited: $name', ({ original, edit: [before = '', after = ''] }) => {
    const { text, restore } = showBody(original, plain);
    expect(restore(text)).toBe(original);
    expect(text).toContain(before);
    expect(restore(text.replace(before, after))).toBe(original.replace(before, after));
  });

  it('spaces what is added as the rest of it, and takes out what is taken out', () => {
    const { text, restore } = showBody('{"a": [1, 2], "b": 3}', plain);
    expect(restore(text.replace('2\n', '2, {"x":[]}\n'))).toBe('{"a": [1, 2, {"x": []}], "b": 3}');
    expect(restore(text.replace(/,\s*"b": 3/, ''))).toBe('{"a": [1, 2]}');
    expect(restore('{"z":9}')).toBe('{"z": 9}');
  });

  it('is shown in lines, and characters that one does not see are written out, and sent as they came', () => {
    const original = '{"a": "x\u202ey", "b": [], "c": [{"d": 1}]}';
    const { text, restore } = showBody(original, escape);
    expect(text).toBe('{\n  "a": "x\\u202ey",\n  "b": [],\n  "c": [\n    {\n      "d": 1\n    }\n  ]\n}');
    expect(restore(text.replace('"a"', '"aa"').replace('1', '2'))).toBe('{"aa": "x\u202ey", "b": [], "c": [{"d": 2}]}');
  });

  it('comes again whatever it is, and says what was edited', () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), (one, other) => {
        const { text, restore } = showBody(one, escape);
        expect(restore(text)).toBe(one);
        expect(JSON.parse(restore(other))).toEqual(JSON.parse(other));
      }),
    );
  });
});
