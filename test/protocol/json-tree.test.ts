import { array, assert, jsonValue, property, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findMember, type JsonNode, readJsonText, readJsonTree } from '../../src/protocol/json-tree.ts';

/** The value that a tree stands for, read by its spans. */
function valueOf(text: Buffer, node: JsonNode): unknown {
  if (node.items.length > 0) return node.items.map((item) => valueOf(text, item));
  if (node.members.length > 0) {
    return Object.fromEntries(node.members.map(({ name, value }) => [name, valueOf(text, value)]));
  }
  return JSON.parse(text.toString('utf8', node.from, node.to));
}

describe('the spans of a JSON text', () => {
  it('are those of its values, however it is printed', () => {
    assert(
      property(jsonValue(), array(jsonValue()), (one, more) => {
        for (const indent of [0, 2]) {
          const value = { one, more };
          const text = Buffer.from(JSON.stringify(value, null, indent));
          const tree = readJsonTree(text, 100);
          if (tree === undefined) throw new Error('no tree');
          expect(valueOf(text, tree.root)).toEqual(JSON.parse(text.toString()));
        }
      }),
    );
  });

  it('leave out white space between values, and only that', () => {
    const text = Buffer.from(' { "a" : [ 1 , "b c\\" " ] } ');
    const { blanks } = readJsonTree(text) ?? { blanks: [] };
    const kept = [...text].filter((_, at) => !isIn(blanks, at));
    expect(Buffer.from(kept).toString()).toBe('{"a":[1,"b c\\" "]}');
  });

  it('are those of leaves below the depth, whatever is in them', () => {
    const text = Buffer.from('{"a":{"b":[{"c":"]}\\""}]}}');
    const leaf = findMember(findMember(readJsonTree(text, 2)?.root, 'a'), 'b');
    expect(text.toString('utf8', leaf?.from, leaf?.to)).toBe('[{"c":"]}\\""}]');
  });

  it('give the last of two members, as parsers do, and texts without their escapes', () => {
    const text = Buffer.from('{"a":"one","a":"t\\u00fc\\n"}');
    expect(readJsonText(text, findMember(readJsonTree(text)?.root, 'a'))).toBe('tü\n');
    expect(readJsonText(text, readJsonTree(text)?.root)).toBeUndefined();
  });

  it.each(['', '{', '{"a"}', '[1,]', '{"a":1,}', '"open', '{} x', '{"a\\', '[[[', '{"\\x":1}'])(
    'are not there of %j',
    (text) => {
      expect(readJsonTree(Buffer.from(text))).toBeUndefined();
    },
  );

  it('never throw', () => {
    assert(
      property(uint8Array({ maxLength: 200 }), (bytes) => {
        readJsonTree(Buffer.from(bytes));
      }),
    );
  });
});

function isIn(spans: readonly number[], at: number): boolean {
  return spans.some((from, index) => index % 2 === 0 && at >= from && at < (spans[index + 1] ?? 0));
}
