import { describe, expect, it } from 'vitest';
import { divideRounded, ONE, parseDecimal, toNanoUsd, toNumber } from '../../../src/pricing/bill/decimal.ts';

describe('parseDecimal', () => {
  it.each([
    ['0', 0n],
    ['1', ONE],
    ['-12.5', (-25n * ONE) / 2n],
    ['+.5', ONE / 2n],
    ['0.000000000000000001', 1n],
    ['0.0000000000000000005', 1n],
    ['4.1E-7', 410_000_000_000n],
    ['1e3', 1_000n * ONE],
    [' 2 ', 2n * ONE],
  ])('reads %s exactly', (text, value) => expect(parseDecimal(text)).toBe(value));

  it.each(['', '.', '-', 'NaN', '1,5', '0x10', '1e999', '1 2', 'Infinity', '9'.repeat(40)])('refuses %j', (text) =>
    expect(parseDecimal(text)).toBeUndefined(),
  );

  it('adds up what doubles do not', () => {
    const sum = Array.from({ length: 10 }, () => parseDecimal('0.1') ?? 0n).reduce((all, one) => all + one, 0n);
    expect([sum, toNumber(sum), toNanoUsd(sum)]).toEqual([ONE, 1, 1_000_000_000]);
  });
});

it('rounds halves away from zero', () => {
  expect([5n, 4n, -5n, -4n].map((value) => divideRounded(value, 10n))).toEqual([1n, 0n, -1n, 0n]);
});
