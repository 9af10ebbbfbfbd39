import { describe, expect, it } from 'vitest';
import { escapeUnprintable, isPrintable, printable, quote } from '../../src/lib/printable.ts';

const HOSTILE = [
  { name: 'an escape sequence', text: 'a\u001b[2Jb', shown: 'a?[2Jb', escaped: 'a\\u001b[2Jb' },
  { name: 'a line feed', text: 'a\nb', shown: 'a?b', escaped: 'a\\u000ab' },
  { name: 'a C1 control', text: 'a\u009bb', shown: 'a?b', escaped: 'a\\u009bb' },
  { name: 'a direction override', text: 'a\u202eb', shown: 'a?b', escaped: 'a\\u202eb' },
  { name: 'a line separator', text: 'a\u2028b', shown: 'a?b', escaped: 'a\\u2028b' },
  { name: 'a lone surrogate', text: 'a\ud800b', shown: 'a?b', escaped: 'a\\ud800b' },
  { name: 'a tag of the private plane', text: 'a\u{e0041}b', shown: 'a?b', escaped: 'a\\udb40\\udc41b' },
];

describe('what is not printable', () => {
  it.each(HOSTILE)('finds, replaces and escapes $name', ({ text, shown, escaped }) => {
    expect([isPrintable(text), printable(text, 100), escapeUnprintable(text)]).toEqual([false, shown, escaped]);
  });

  it('finds what is not printable every time anew', () => {
    expect([isPrintable('\n'), isPrintable('\n'), isPrintable('\n')]).toEqual([false, false, false]);
  });
});

it.each(['', 'plain', 'Grüße, 世界 🙂', 'a b'])('leaves the printable text %j as it is', (text) => {
  expect([isPrintable(text), printable(text, 100), escapeUnprintable(text)]).toEqual([true, text, text]);
});

it('cuts text that is too long', () => {
  expect([printable('abcdef', 6), printable('abcdef', 5)]).toEqual(['abcdef', 'abcd…']);
  expect(isPrintable(printable('ab🙂cd', 4))).toBe(true);
  expect(printable('x'.repeat(5_000))).toBe(`${'x'.repeat(119)}…`);
});

it('quotes a part of a message, which cannot end its quotes', () => {
  expect([quote('us-east-9'), quote('a"\nb'), quote('abcdef', 5)]).toEqual(['"us-east-9"', '"a\\"?b"', '"abcd…"']);
});
