import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { MinuteWindow } from '../../src/admission/window.ts';

it('counts what came in the last sixty seconds, to the second', () => {
  const window = new MinuteWindow(1_000);
  window.add(1_000, 3);
  window.add(1_059, 4);
  expect(window.sum(1_059)).toBe(7);
  expect(window.sum(1_060)).toBe(4);
  expect(window.sum(1_118)).toBe(4);
  expect(window.sum(1_119)).toBe(0);
});

it.each([
  ['as much as there is', 7, 0],
  ['less', 6, 50],
  ['what the newest leaves', 4, 50],
  ['less than the newest', 3, 59],
  ['nothing', 0, 59],
  ['what can never be', -1, 60],
])('says how long it takes until %s is left in a window', (_, allowed, expected) => {
  const window = new MinuteWindow(1_000);
  window.add(1_000, 3);
  window.add(1_009, 4);
  expect(window.secondsUntil(1_010, allowed)).toBe(expected);
});

it('takes back from the second in which it was added, as long as that counts', () => {
  const window = new MinuteWindow(1_000);
  window.add(1_000, 3);
  window.add(1_030, 4);
  window.takeBack(1_000, 1);
  expect(window.sum(1_031)).toBe(6);
  expect(window.sum(1_060)).toBe(4);
  window.takeBack(1_000, 1);
  expect(window.sum(1_060)).toBe(4);
});

it('agrees with a list of everything that ever happened', () => {
  const step = fc.record({ wait: fc.nat({ max: 70 }), amount: fc.nat({ max: 9 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const window = new MinuteWindow(5);
      const happened: { second: number; amount: number }[] = [];
      let second = 5;
      for (const { wait, amount } of steps) {
        second += wait;
        window.add(second, amount);
        happened.push({ second, amount });
        const sumAt = (at: number): number =>
          happened.filter((entry) => entry.second > at - 60).reduce((sum, entry) => sum + entry.amount, 0);
        expect(window.sum(second)).toBe(sumAt(second));
        const wanted = Math.floor(sumAt(second) / 2);
        const seconds = window.secondsUntil(second, wanted);
        expect(sumAt(second + seconds)).toBeLessThanOrEqual(wanted);
        if (seconds > 0) expect(sumAt(second + seconds - 1)).toBeGreaterThan(wanted);
      }
    }),
  );
});
