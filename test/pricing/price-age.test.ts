import { expect, it } from 'vitest';
import { describeAge } from '../../src/pricing/price-age.ts';

const NOW = Date.UTC(2026, 10, 28, 12);

it.each([
  { days: ['2026-09-29', '2025-01-01'], told: undefined },
  { days: ['2025-01-01', '2026-09-28'], told: 'The newest prices are of 2026-09-28, 61 days ago.' },
  { days: [], told: undefined },
])('tells prices that are older than 60 days: $days', ({ days, told }) => {
  expect(
    describeAge(
      days.map((asOf) => ({ asOf })),
      NOW,
    ),
  ).toBe(told);
});
