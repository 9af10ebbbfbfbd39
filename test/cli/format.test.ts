import { describe, expect, it } from 'vitest';
import { formatAge, formatCount, formatSpan, formatTime, isoTime } from '../../src/cli/format.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

it('writes a count in full', () => expect(formatCount(12_345_678)).toBe('12,345,678'));

describe('times', () => {
  it.each([
    [undefined, 'never', null],
    [0, '1970-01-01 00:00Z', '1970-01-01T00:00:00.000Z'],
    [1_700_000_000_123, '2023-11-14 22:13Z', '2023-11-14T22:13:20.123Z'],
  ])('writes the time %j as %s', (epochMs, shown, iso) => {
    expect([formatTime(epochMs), isoTime(epochMs)]).toEqual([shown, iso]);
  });

  it.each([
    [1, '1 min', 'just now'],
    [9 * MINUTE_MS + 1, '10 min', '9 min ago'],
    [119 * MINUTE_MS, '119 min', '119 min ago'],
    [2 * HOUR_MS, '2 h', '2 h ago'],
    [47 * HOUR_MS, '47 h', '47 h ago'],
    [3 * DAY_MS - 1, '3 d', '2 d ago'],
  ])('writes the length of %i ms as %s, and as %s', (ms, span, age) => {
    expect([formatSpan(ms), formatAge(1_000, 1_000 + ms)]).toEqual([span, age]);
  });

  it('says that a time never was', () => expect(formatAge(undefined, 0)).toBe('never'));
});
