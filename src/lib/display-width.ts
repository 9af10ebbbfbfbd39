/**
 * How many columns a text takes in a terminal: characters of East Asia and pictures take two, marks above others none.
 * Pure. The ranges are those of Unicode 16's EastAsianWidth.txt (wide and fullwidth), joined over what lies unassigned
 * between them, and the property Emoji_Presentation; Node has the function too, but not for others to call.
 */
import { stripVTControlCharacters } from 'node:util';
import { printable } from './printable.ts';

const PLAIN = /^[ -~]*$/;
const WIDE = new RegExp(
  [
    '[\u1100-\u115F\u231A\u231B\u2329\u232A\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97C\uAC00-\uD7A3\uF900-\uFAFF',
    '\uFE10-\uFE19\uFE30-\uFE6B\uFF01-\uFF60\uFFE0-\uFFE6',
    '\u{16FE0}-\u{18DFF}\u{1AFF0}-\u{1B2FF}\u{1F200}-\u{1F265}\u{20000}-\u{3FFFD}]',
    // Two letters of a flag make one picture: each of them is one column.
    '|(?![\u{1F1E6}-\u{1F1FF}])\\p{Emoji_Presentation}',
  ].join(''),
  'v',
);
/** Marks, joiners, and the vowels that complete a syllable of Hangul. */
const NARROWLESS = /[\p{Mn}\p{Me}\p{Cf}\u1160-\u11FF]/u;

/** Columns of a text that has no controls and no colours in it. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOf(character);
  return width;
}

/** Columns of a text of ours that may have colours in it: they take none. */
export function colouredWidth(text: string): number {
  return displayWidth(stripVTControlCharacters(text));
}

function widthOf(character: string): 0 | 1 | 2 {
  if (character <= '~') return 1;
  if (NARROWLESS.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** Filled up with spaces behind it, or before it if it ends in line (numbers). Never cut. */
export function padDisplay(text: string, width: number, side: 'end' | 'start' = 'end'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return side === 'end' ? text + space : space + text;
}

/**
 * The beginning of what is too wide, with a mark that there was more; at most `width` columns. What is clipped is shown
 * to people and may be a client's word: what is not printable becomes `?`.
 */
export function clipDisplay(text: string, width: number): string {
  const shown = printable(text, Number.POSITIVE_INFINITY);
  if (displayWidth(shown) <= width) return shown;
  let kept = '';
  let left = width - 1;
  for (const character of shown) {
    left -= widthOf(character);
    if (left < 0) break;
    kept += character;
  }
  return width < 1 ? '' : `${kept}…`;
}

/**
 * Breaks a text between words into lines of at most `width` columns; a word that is wider has a line of its own, whole,
 * so that it can still be copied. A command in backticks is one word.
 */
export function wrapWords(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.match(/[^\s`]*`[^`]+`\S*|\S+/g) ?? []) {
      const longer = line === '' ? word : `${line} ${word}`;
      if (line !== '' && colouredWidth(longer) > width) {
        lines.push(line);
        line = word;
      } else line = longer;
    }
    lines.push(line);
  }
  return lines;
}
