import { describe, expect, it } from 'vitest';
import { createRandom } from '../helpers/random.ts';
import { countMistakes, findNearest } from '../../src/lib/nearest-name.ts';

const NAMES = ['alice', 'bob', 'team-search', 'team-sales'];

it.each([
  { name: 'a letter missing', typed: 'alce', meant: 'alice' },
  { name: 'a letter too many', typed: 'allice', meant: 'alice' },
  { name: 'a wrong letter', typed: 'alixe', meant: 'alice' },
  { name: 'two swapped', typed: 'bbo', meant: 'bob' },
  { name: 'another case', typed: 'ALICE', meant: 'alice' },
  { name: 'two mistakes in a long name', typed: 'taem-serch', meant: 'team-search' },
  { name: 'three mistakes', typed: 'taem-serhc', meant: undefined },
  { name: 'another name', typed: 'carol', meant: undefined },
  { name: 'a short name, of which everything is wrong', typed: 'xy', meant: undefined },
  { name: 'nothing', typed: '', meant: undefined },
])('finds the nearest name, or none, for $name: $typed', ({ typed, meant }) => {
  expect(findNearest(typed, NAMES)).toBe(meant);
});

it('takes the nearest of several names', () => {
  expect(findNearest('team-salse', ['team-seals', 'team-sales'])).toBe('team-sales');
});

it('finds nothing among no names', () => expect(findNearest('alice', [])).toBeUndefined());

describe('countMistakes', () => {
  it('is the same with a limit as without, or infinite beyond it', () => {
    const random = createRandom(1);
    const word = (): string => Array.from({ length: random() * 9 }, () => 'abc'[Math.floor(random() * 3)]).join('');
    for (let turn = 0; turn < 5_000; turn += 1) {
      const [left, right, most] = [word(), word(), Math.floor(random() * 9)];
      const mistakes = countMistakes(left, right);
      expect(countMistakes(left, right, most)).toBe(mistakes <= most ? mistakes : Number.POSITIVE_INFINITY);
    }
  });
});
