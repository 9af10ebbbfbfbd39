import { describe, expect, it } from 'vitest';
import { readRetryAfterMs } from '../../../src/upstream/failover/verdict.ts';

const NOW = Date.UTC(2026, 10, 28, 12);

describe('retry-after', () => {
  it.each([
    ['7', 7_000],
    [' 0 ', undefined],
    ['99999', 900_000],
    ['Sat, 28 Nov 2026 12:00:05 GMT', 5_000],
    ['Sat, 28 Nov 2026 11:00:00 GMT', undefined],
    ['soon', undefined],
    ['-3', undefined],
    ['', undefined],
  ])('%j is a rest of %s milliseconds', (value, restMs) => {
    expect(readRetryAfterMs([['Retry-After', value]], NOW)).toBe(restMs);
  });

  it('is none if there is no such header', () => {
    expect(readRetryAfterMs([], NOW)).toBeUndefined();
  });
});
