/** Members that come and go: none is lost, none stays, and nothing grows. */
import { expect, it } from 'vitest';
import { Roster } from '../../src/lib/roster.ts';
import { createRandom } from '../helpers/random.ts';

it('has those who have entered and not left, whatever the order', () => {
  const random = createRandom(5);
  const roster = new Roster<{ readonly id: number }>();
  const present = new Map<number, { readonly id: number }>();
  for (let id = 0; id < 5_000; id += 1) {
    const member = { id };
    present.set(roster.enter(member), member);
    const [place] = present.keys();
    if (random() < 0.5 && place !== undefined) {
      roster.leave(place);
      present.delete(place);
    }
    expect(roster.size).toBe(present.size);
  }
  expect(new Set(roster)).toEqual(new Set(present.values()));
});

it('gives the same place again, and may be left while it is gone through', () => {
  const roster = new Roster<{ readonly id: number }>();
  const [one, two] = [roster.enter({ id: 1 }), roster.enter({ id: 2 })];
  const seen: number[] = [];
  for (const { id } of roster) {
    seen.push(id);
    if (id === 1) roster.leave(two);
  }
  expect(seen).toEqual([1]);
  roster.leave(one);
  expect([roster.size, roster.enter({ id: 3 })]).toEqual([0, one]);
});
