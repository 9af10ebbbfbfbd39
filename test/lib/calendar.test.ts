/** Days, weeks and months of zones whose clocks jump over midnight, show it twice, or skip whole days. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Calendar,
  type CalendarUnit,
  findCalendarSpan,
  findLocalTimeZone,
  findTimeZone,
} from '../../src/lib/calendar.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

function spanOf(calendar: Calendar, at: string): readonly string[] {
  const { startMs, endMs } = findCalendarSpan(calendar, Date.parse(at));
  return [startMs, endMs].map((ms) => new Date(ms).toISOString().replace(':00.000Z', 'Z'));
}

describe('a span of the calendar', () => {
  it.each<{ name: string; zone: string; unit: CalendarUnit; at: string; span: readonly [string, string] }>([
    {
      name: 'a day of UTC',
      zone: 'UTC',
      unit: 'day',
      at: '2026-11-28T23:59:59.999Z',
      span: ['2026-11-28T00:00Z', '2026-11-29T00:00Z'],
    },
    {
      name: 'its first moment',
      zone: 'UTC',
      unit: 'day',
      at: '2026-11-28T00:00Z',
      span: ['2026-11-28T00:00Z', '2026-11-29T00:00Z'],
    },
    {
      name: 'a week, from Monday on',
      zone: 'UTC',
      unit: 'week',
      at: '2026-11-29T12:00Z',
      span: ['2026-11-23T00:00Z', '2026-11-30T00:00Z'],
    },
    {
      name: 'a week over New Year',
      zone: 'UTC',
      unit: 'week',
      at: '2027-01-01T00:00Z',
      span: ['2026-12-28T00:00Z', '2027-01-04T00:00Z'],
    },
    {
      name: 'a week before 1970',
      zone: 'UTC',
      unit: 'week',
      at: '1969-12-31T00:00Z',
      span: ['1969-12-29T00:00Z', '1970-01-05T00:00Z'],
    },
    {
      name: 'December',
      zone: 'UTC',
      unit: 'month',
      at: '2026-12-31T23:00Z',
      span: ['2026-12-01T00:00Z', '2027-01-01T00:00Z'],
    },
    {
      name: 'February of a leap year',
      zone: 'UTC',
      unit: 'month',
      at: '2028-02-29T12:00Z',
      span: ['2028-02-01T00:00Z', '2028-03-01T00:00Z'],
    },
    {
      name: 'a day of 23 hours',
      zone: 'Europe/Berlin',
      unit: 'day',
      at: '2026-03-29T12:00Z',
      span: ['2026-03-28T23:00Z', '2026-03-29T22:00Z'],
    },
    {
      name: 'a day of 25 hours',
      zone: 'Europe/Berlin',
      unit: 'day',
      at: '2026-10-25T12:00Z',
      span: ['2026-10-24T22:00Z', '2026-10-25T23:00Z'],
    },
    {
      name: 'a week with summer time in it',
      zone: 'America/New_York',
      unit: 'week',
      at: '2026-03-05T12:00Z',
      span: ['2026-03-02T05:00Z', '2026-03-09T04:00Z'],
    },
    {
      name: 'a month with summer time in it',
      zone: 'America/New_York',
      unit: 'month',
      at: '2026-11-28T12:00Z',
      span: ['2026-11-01T04:00Z', '2026-12-01T05:00Z'],
    },
    {
      name: 'a zone of half an hour',
      zone: 'Asia/Kolkata',
      unit: 'day',
      at: '2026-11-28T18:29:59Z',
      span: ['2026-11-27T18:30Z', '2026-11-28T18:30Z'],
    },
    {
      name: 'summer time of half an hour',
      zone: 'Australia/Lord_Howe',
      unit: 'day',
      at: '2026-10-03T20:00Z',
      span: ['2026-10-03T13:30Z', '2026-10-04T13:00Z'],
    },
    {
      name: 'a day that begins at 01:00',
      zone: 'America/Sao_Paulo',
      unit: 'day',
      at: '2018-11-04T12:00Z',
      span: ['2018-11-04T03:00Z', '2018-11-05T02:00Z'],
    },
    {
      name: 'a last hour that comes twice',
      zone: 'America/Sao_Paulo',
      unit: 'day',
      at: '2018-02-18T02:30Z',
      span: ['2018-02-17T02:00Z', '2018-02-18T03:00Z'],
    },
    {
      name: 'a day without midnight in Beirut',
      zone: 'Asia/Beirut',
      unit: 'day',
      at: '2022-03-27T12:00Z',
      span: ['2022-03-26T22:00Z', '2022-03-27T21:00Z'],
    },
    {
      name: 'a day without midnight in Cairo',
      zone: 'Africa/Cairo',
      unit: 'day',
      at: '2024-04-26T12:00Z',
      span: ['2024-04-25T22:00Z', '2024-04-26T21:00Z'],
    },
    {
      name: 'a midnight that comes twice',
      zone: 'America/Havana',
      unit: 'day',
      at: '2026-11-01T05:30Z',
      span: ['2026-11-01T04:00Z', '2026-11-02T05:00Z'],
    },
    {
      name: 'a midnight that clocks go back over a minute later',
      zone: 'America/St_Johns',
      unit: 'day',
      at: '2010-11-07T02:45Z',
      span: ['2010-11-07T02:30Z', '2010-11-08T03:30Z'],
    },
    {
      name: 'the day before a skipped one',
      zone: 'Pacific/Apia',
      unit: 'day',
      at: '2011-12-30T09:59Z',
      span: ['2011-12-29T10:00Z', '2011-12-30T10:00Z'],
    },
    {
      name: 'the day after a skipped one',
      zone: 'Pacific/Apia',
      unit: 'day',
      at: '2011-12-30T10:00Z',
      span: ['2011-12-30T10:00Z', '2011-12-31T10:00Z'],
    },
    {
      name: 'a month without a day',
      zone: 'Pacific/Apia',
      unit: 'month',
      at: '2011-12-31T09:00Z',
      span: ['2011-12-01T10:00Z', '2011-12-31T10:00Z'],
    },
    {
      name: 'an offset',
      zone: '+05:30',
      unit: 'day',
      at: '2026-11-28T12:00Z',
      span: ['2026-11-27T18:30Z', '2026-11-28T18:30Z'],
    },
    {
      name: 'UTC for a zone that nobody knows',
      zone: 'Mars/Olympus',
      unit: 'day',
      at: '2026-11-28T12:00Z',
      span: ['2026-11-28T00:00Z', '2026-11-29T00:00Z'],
    },
  ])('finds $name: $unit of $zone', ({ zone: timeZone, unit, at, span }) => {
    expect(spanOf({ unit, timeZone }, at)).toEqual(span);
  });

  it('answers the same whatever was asked before', () => {
    const calendar = { unit: 'day', timeZone: 'Europe/Berlin' } as const;
    const ask = (): readonly string[][] =>
      ['2026-06-01T00:00Z', '2026-12-01T00:00Z', '2026-06-01T00:00Z'].map((at) => [...spanOf(calendar, at)]);
    expect(ask()).toEqual(ask().toReversed());
    expect(spanOf({ ...calendar, unit: 'month' }, '2026-06-01T00:00Z')).not.toEqual(
      spanOf(calendar, '2026-06-01T00:00Z'),
    );
  });

  it('lets days, weeks and months of every zone follow each other, each from the first minute of its date', () => {
    const zones = ['UTC', ...Intl.supportedValuesOf('timeZone')];
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom<CalendarUnit>('day', 'week', 'month'),
        // Before 1973 some offsets were no whole minutes.
        fc.integer({ min: Date.UTC(1973, 0, 1), max: Date.UTC(2040, 0, 1) }),
        (timeZone, unit, atMs) => {
          const calendar = { unit, timeZone };
          const span = findCalendarSpan(calendar, atMs);
          expect(atMs).toBeGreaterThanOrEqual(span.startMs);
          expect(atMs).toBeLessThan(span.endMs);
          expect(findCalendarSpan(calendar, span.startMs - 1).endMs).toBe(span.startMs);
          expect(findCalendarSpan(calendar, span.endMs).startMs).toBe(span.endMs);
          const date = firstDateOf(unit, dateOf(timeZone)(atMs));
          expect(firstMinuteOf(timeZone, date)).toBe(span.startMs);
        },
      ),
      { numRuns: 150 },
    );
  });
});

/** `2026-11-28`: what a calendar on the wall shows. */
function dateOf(timeZone: string): (atMs: number) => string {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' });
  return (atMs) => format.format(atMs);
}

function firstDateOf(unit: CalendarUnit, date: string): string {
  if (unit === 'day') return date;
  if (unit === 'month') return `${date.slice(0, 7)}-01`;
  const day = new Date(`${date}T12:00Z`);
  while (day.getUTCDay() !== 1) day.setTime(day.getTime() - DAY_MS);
  return day.toISOString().slice(0, 10);
}

/** Looks at every minute in which that date can begin anywhere. */
function firstMinuteOf(timeZone: string, date: string): number {
  const show = dateOf(timeZone);
  let atMs = Date.parse(`${date}T00:00Z`) - 16 * 60 * MINUTE_MS;
  while (show(atMs) < date) atMs += MINUTE_MS;
  return atMs;
}

describe('a time zone', () => {
  it.each([
    ['Europe/Berlin', 'Europe/Berlin'],
    ['europe/berlin', 'Europe/Berlin'],
    ['Asia/Kolkata', 'Asia/Kolkata'],
    ['utc', 'UTC'],
    ['+05:30', '+05:30'],
  ])('knows %s as %s', (name, known) => {
    expect(findTimeZone(name)).toBe(known);
  });

  it.each(['', 'Mars/Olympus', 'Europe/Berlin ', '../etc/passwd', 'local', 'x'.repeat(10_000), '+25:00'])(
    'knows no %j',
    (name) => {
      expect(findTimeZone(name)).toBeUndefined();
    },
  );

  it('knows that of this machine', () => {
    expect(findTimeZone(findLocalTimeZone())).toBe(findLocalTimeZone());
  });
});
