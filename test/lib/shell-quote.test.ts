/** Words of shells: what is quoted comes out of the shell as it was. */
import { spawnSync } from 'node:child_process';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { quotePosix, quotePowerShell } from '../../src/lib/shell-quote.ts';

const HAS_SH = spawnSync('sh', ['-c', 'true']).status === 0;
const HOSTILE = [
  "'",
  '"',
  '\\',
  '$',
  '`',
  '!',
  '\n',
  ' ',
  '*',
  '~',
  '%',
  '(',
  ')',
  ';',
  '&',
  '|',
  '#',
  '-',
  'é',
  '🙂',
  '\u2019',
];

it.skipIf(!HAS_SH)('is one word of sh, whatever is in it (skipped where there is no sh)', () => {
  const texts = fc.sample(fc.string({ unit: fc.constantFrom(...HOSTILE, 'a', '/'), minLength: 1, maxLength: 12 }), 200);
  const { stdout } = spawnSync('sh', ['-c', `printf '%s\\0' ${texts.map(quotePosix).join(' ')}`], { encoding: 'utf8' });
  expect(stdout.split('\0').slice(0, -1)).toEqual(texts);
});

it.each([
  { text: 'plain', quoted: "'plain'" },
  { text: "it's $HOME", quoted: "'it''s $HOME'" },
  { text: 'it\u2019s \u2018so\u201b', quoted: "'it\u2019\u2019s \u2018\u2018so\u201b\u201b'" },
])('is one word of PowerShell: $text', ({ text, quoted }) => {
  expect(quotePowerShell(text)).toBe(quoted);
});
