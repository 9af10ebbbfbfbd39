import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesEverything, matchesGlob } from '../../src/lib/glob.ts';

describe('matchesGlob', () => {
  it.each([
    ['abc', 'abc', true],
    ['abc', 'abcd', false],
    ['abc', 'xabc', false],
    ['abc', 'ABC', false],
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['*', 'anything/at:all', true],
    ['**', '', true],
    ['a*', 'a', true],
    ['a*', 'ba', false],
    ['*a', 'ba', true],
    ['*a', 'ab', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['ab*ba', 'aba', false],
    ['*ab*ab*', 'ab', false],
    ['*ab*ab*', 'xabab', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*bc*c', 'abc', false],
    ['a*b*b', 'ab', false],
    // Of regular expressions, nothing means anything.
    ['a.c', 'abc', false],
    ['a.c', 'a.c', true],
    ['[ab]+$', 'a', false],
    ['a?c', 'abc', false],
    ['\\*', '*', false],
    ['a\n*', 'a\nb', true],
    ['anthropic.claude-haiku-4-5*', 'anthropic.claude-haiku-4-5-20251001-v1:0', true],
    ['anthropic.claude-haiku-4-5*', 'us.anthropic.claude-haiku-4-5-20251001-v1:0', false],
  ])('matches %j against %j: %s', (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected);
  });

  it('agrees with a regular expression on short texts', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
    const texts = fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 12 });
    fc.assert(
      fc.property(letters, texts, (pattern, text) => {
        const expected = new RegExp(`^${pattern.replaceAll(/\*+/g, '[^]*')}$`).test(text);
        expect(matchesGlob(pattern, text)).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it('takes no time over a pattern that ruins regular expressions', () => {
    const startedAt = performance.now();
    expect(matchesGlob(`${'*a'.repeat(500)}*b`, 'a'.repeat(100_000))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});

it.each([
  ['*', true],
  ['***', true],
  ['', false],
  ['*a', false],
  ['?', false],
])('knows whether %j matches everything: %s', (pattern, expected) => {
  expect(matchesEverything(pattern)).toBe(expected);
});
