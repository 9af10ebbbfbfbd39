import { describe, expect, it } from 'vitest';
import { exactUsd, formatUsd, fullUsd } from '../../src/lib/usd.ts';

describe('money', () => {
  it.each([
    [0, '0', '$0'],
    [1, '0.000000001', '$0.000000001'],
    [999, '0.000000999', '$0.000000999'],
    [24_020, '0.00002402', '$0.000024'],
    [1_234_567, '0.001234567', '$0.00123'],
    [500_000_000, '0.5', '$0.50'],
    [999_400_000, '0.9994', '$0.999'],
    [999_500_000, '0.9995', '$1.00'],
    [1_000_000_000, '1', '$1.00'],
    [1_234_567_890, '1.23456789', '$1.23'],
    [1_234_567_890_123, '1234.567890123', '$1,234.57'],
    [1e15, '1000000', '$1,000,000.00'],
    [-24_020, '-0.00002402', '$-0.000024'],
  ])('writes %i nano-dollars as %s, and as %s for people', (nano, exact, shown) => {
    expect([exactUsd(nano), formatUsd(nano)]).toEqual([exact, shown]);
  });
});

it.each([
  [0, '$0.00'],
  [5_522_000, '$0.005522'],
  [100_000_000, '$0.10'],
  [5_000_000_000, '$5.00'],
])('writes %i nano-dollars in full as %s', (nano, shown) => expect(fullUsd(nano)).toBe(shown));
