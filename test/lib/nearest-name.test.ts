import { expect, it } from 'vitest';
import { findNearest } from '../../src/lib/nearest-name.ts';

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
