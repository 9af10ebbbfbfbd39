/** Ids whose order is that of time, in the form of RFC 9562. */
import { expect, it } from 'vitest';
import { timeOrderedId } from '../../src/lib/time-ordered-id.ts';

const VERSION_7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

it('has the form of a UUID of version 7, whatever the clock says', () => {
  for (const time of [0, 1, 1_764_000_000_000.7, 2 ** 48 - 1, 2 ** 50]) {
    expect(timeOrderedId(() => time)).toMatch(VERSION_7);
  }
});

it('begins with the time: the example of RFC 9562, appendix A.6', () => {
  expect(timeOrderedId(() => 0x017f22e279b0).slice(0, 15)).toBe('017f22e2-79b0-7');
});

it('is another one every time, and later ones sort after earlier ones', () => {
  const ids = Array.from({ length: 1_000 }, (_, index) => timeOrderedId(() => 1_764_000_000_000 + index));
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(Array.from({ length: 1_000 }, () => timeOrderedId(() => 5))).size).toBe(1_000);
});
