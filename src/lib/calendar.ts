/**
 * Days, weeks and months of a time zone as moments: when the present one began and when the next one begins, whatever
 * summer time does in between. What is known of zones is known by Node (`Intl`). Pure, but for this machine's zone.
 */

/** A week begins on Monday, as in ISO 8601. */
export type CalendarUnit = 'day' | 'week' | 'month';

/** Days, weeks or months of one place. */
export interface Calendar {
  readonly unit: CalendarUnit;
  /** An IANA name such as `Europe/Berlin`, or an offset such as `+05:30`. */
  readonly timeZone: string;
}

/** From a moment on until another one, which is not part of it. Epoch milliseconds. */
export interface TimeSpan {
  readonly startMs: number;
  readonly endMs: number;
}

/** Epoch milliseconds in, and out what clocks on a wall show then, as if they showed UTC. */
type WallClock = (atMs: number) => number;

const DAY_MS = 86_400_000;
/** 1970-01-01 was a Thursday. */
const FIRST_MONDAY_MS = 4 * DAY_MS;
const MAX_ZONES = 1_000;

/** The last span that was found of each unit of a zone: to ask `Intl` for one takes far longer than a reservation. */
const foundSpans = new Map<string, Map<CalendarUnit, TimeSpan>>();

/**
 * The day, week or month that a moment lies in. These spans follow each other without gap or overlap. A day begins when
 * clocks first show its midnight; if they skip that, at the first moment after it. A zone that this Node does not know
 * counts as UTC.
 */
export function findCalendarSpan({ unit, timeZone }: Calendar, atMs: number): TimeSpan {
  let spans = foundSpans.get(timeZone);
  const found = spans?.get(unit);
  if (found !== undefined && found.startMs <= atMs && atMs < found.endMs) return found;
  if (spans === undefined) {
    if (foundSpans.size >= MAX_ZONES) foundSpans.clear();
    spans = new Map();
    foundSpans.set(timeZone, spans);
  }
  const span = computeSpan(unit, openWallClock(findTimeZone(timeZone) ?? 'UTC'), atMs);
  spans.set(unit, span);
  return span;
}

/** The name of a time zone as it is usually written; undefined if Node knows no such zone. */
export function findTimeZone(name: string): string | undefined {
  try {
    const { timeZone } = new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions();
    // `Asia/Kolkata` is resolved to the name that it had in 1993.
    return timeZone.toLowerCase() === name.toLowerCase() ? timeZone : name;
  } catch {
    return undefined;
  }
}

/** The time zone of this machine, which TZ sets; UTC if it is not known. */
export function findLocalTimeZone(): string {
  return findTimeZone(new Intl.DateTimeFormat('en-US').resolvedOptions().timeZone) ?? 'UTC';
}

function computeSpan(unit: CalendarUnit, toWall: WallClock, atMs: number): TimeSpan {
  let date = findFirstDay(unit, toWall(atMs));
  let startMs = findBeginning(date, toWall);
  for (;;) {
    date = findNextFirstDay(unit, date);
    const endMs = findBeginning(date, toWall);
    // Clocks set back over midnight show the end of a day a second time: that is the next day already.
    if (atMs < endMs) return { startMs, endMs };
    startMs = endMs;
  }
}

function findFirstDay(unit: CalendarUnit, wallMs: number): number {
  if (unit === 'day') return Math.floor(wallMs / DAY_MS) * DAY_MS;
  if (unit === 'week') {
    const weeks = Math.floor((wallMs - FIRST_MONDAY_MS) / (7 * DAY_MS));
    return FIRST_MONDAY_MS + weeks * 7 * DAY_MS;
  }
  const date = new Date(wallMs);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

function findNextFirstDay(unit: CalendarUnit, firstDay: number): number {
  // 32 days after the first of a month it is the next month.
  return findFirstDay(unit, firstDay + (unit === 'month' ? 32 : unit === 'week' ? 7 : 1) * DAY_MS);
}

/** The first moment at which the clock shows `wallMs` or later. No zone is a day or more away from UTC. */
function findBeginning(wallMs: number, toWall: WallClock): number {
  let beforeMs = wallMs - DAY_MS;
  let fromMs = wallMs + DAY_MS;
  const offsets = [toWall(beforeMs) - beforeMs, toWall(fromMs) - fromMs];
  const shown = offsets.map((offsetMs) => wallMs - offsetMs).filter((atMs) => toWall(atMs) === wallMs);
  if (shown.length > 0) return Math.min(...shown);
  // The clock jumps over it.
  while (fromMs - beforeMs > 1) {
    const middleMs = Math.floor((beforeMs + fromMs) / 2);
    if (toWall(middleMs) < wallMs) beforeMs = middleMs;
    else fromMs = middleMs;
  }
  return fromMs;
}

function openWallClock(timeZone: string): WallClock {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (atMs) => {
    const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
    const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    const seconds = Date.UTC(
      part('year'),
      part('month') - 1,
      part('day'),
      part('hour'),
      part('minute'),
      part('second'),
    );
    return seconds + (((atMs % 1_000) + 1_000) % 1_000);
  };
}
