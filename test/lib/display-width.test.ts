import { describe, expect, it } from 'vitest';
import { clipDisplay, displayWidth, padDisplay, wrapWords } from '../../src/lib/display-width.ts';

describe('the columns of a text', () => {
  it.each([
    ['', 0],
    ['alice', 5],
    ['Zoë', 3],
    ['Zoe\u0308', 3],
    ['東京', 4],
    ['ﾊﾟ', 2],
    ['カタ', 4],
    ['한국', 4],
    ['각', 2],
    ['Ａ', 2],
    ['🚀', 2],
    ['🇩🇪', 2],
    ['𠀀', 2],
    ['→…≥', 3],
    ['Привет', 6],
    ['ไทย', 3],
  ])('counts the columns of %s', (text, columns) => {
    expect(displayWidth(text)).toBe(columns);
  });

  it('fills up to a width', () => {
    expect(padDisplay('東京', 6)).toBe('東京  ');
    expect(padDisplay('東京', 6, 'start')).toBe('  東京');
    expect(padDisplay('東京', 3)).toBe('東京');
  });

  it.each([
    ['alice', 5, 'alice'],
    ['alice', 4, 'ali…'],
    ['東京都', 6, '東京都'],
    ['東京都', 5, '東京…'],
    ['東京都', 4, '東…'],
    ['東京', 1, '…'],
    ['東京', 0, ''],
    ['a\u001b[2J', 10, 'a?[2J'],
  ])('clips %s to %i columns', (text, width, shown) => {
    expect(clipDisplay(text, width)).toBe(shown);
    expect(displayWidth(clipDisplay(text, width))).toBeLessThanOrEqual(width);
  });

  it('clips every text of such characters to any width', () => {
    const text = 'a東b🚀ë각x'.repeat(20);
    for (let width = 0; width < 200; width += 1)
      expect(displayWidth(clipDisplay(text, width))).toBeLessThanOrEqual(width);
  });

  it('breaks between words, and not within a command that fits', () => {
    expect(wrapWords('Make a key first (`bp key generate`), or not.', 20)).toEqual([
      'Make a key first',
      '(`bp key generate`),',
      'or not.',
    ]);
    expect(wrapWords('see /a/very/long/path/that/is/whole now', 10)).toEqual([
      'see',
      '/a/very/long/path/that/is/whole',
      'now',
    ]);
    expect(wrapWords('one\ntwo', 10)).toEqual(['one', 'two']);
  });

  it('takes colours for nothing', () => {
    expect(wrapWords('\u001b[31mred\u001b[39m car', 7)).toEqual(['\u001b[31mred\u001b[39m car']);
  });
});
