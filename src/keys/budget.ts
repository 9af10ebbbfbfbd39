/**
 * The budget of a key: how its windows are read, changed and worded, and which one a moment lies in. Windows are of a
 * length and follow each other from the moment they were given, or are days, weeks or months of a time zone. Pure: no
 * store, no clock.
 */
import type { Budget, BudgetWindows } from '../domain/key.ts';
import { type CalendarUnit, findCalendarSpan, findTimeZone, type TimeSpan } from '../lib/calendar.ts';
import { fullUsd } from '../lib/usd.ts';
import { badValue, type BadValueCode, findDurationMs, formatDuration } from './policy.ts';

const CALENDAR_UNITS: readonly CalendarUnit[] = ['day', 'week', 'month'];

/** The length of windows in milliseconds, or days, weeks or months; undefined: one without end. */
export type WindowLength = number | CalendarUnit | undefined;

/** `total`, a unit of the calendar, or a length of time. Throws `code` naming `field`. */
export function parseBudgetWindow(value: unknown, field: string, code: BadValueCode): WindowLength {
  if (value === 'total') return undefined;
  const windowMs = findDurationMs(value) ?? 0;
  const length = windowMs > 0 ? windowMs : CALENDAR_UNITS.find((unit) => unit === value);
  if (length !== undefined) return length;
  throw badValue(value, field, code, 'must be total, day, week, month or a length of time such as 12h, 7d or 30d');
}

/** The name of a time zone. Throws `code` naming `field`. */
export function parseTimeZone(value: unknown, field: string, code: BadValueCode): string {
  const timeZone = typeof value === 'string' ? findTimeZone(value) : undefined;
  if (timeZone !== undefined) return timeZone;
  throw badValue(value, field, code, 'must be a time zone such as Europe/Berlin or UTC');
}

/**
 * A budget after a change; what is absent of `changes` stays. A new window begins now if the budget is new or its
 * windows are others.
 */
export function changeBudget(
  old: Budget | undefined,
  changes: { readonly limitNanoUsd?: number; readonly windows?: BudgetWindows | undefined },
  nowMs: number,
): Budget | undefined {
  const limitNanoUsd = changes.limitNanoUsd ?? old?.limitNanoUsd;
  if (limitNanoUsd === undefined) return undefined;
  const { windowMs, calendar, givenAs } = changes.windows ?? old ?? { windowMs: undefined };
  const isSame =
    old !== undefined &&
    windowMs === old.windowMs &&
    calendar?.unit === old.calendar?.unit &&
    calendar?.timeZone === old.calendar?.timeZone;
  return makeBudget({ limitNanoUsd, windowMs, calendar, givenAs, anchorMs: isSame ? old.anchorMs : nowMs });
}

/** A budget without the fields that say nothing, as it is stored. */
export function makeBudget({ limitNanoUsd, windowMs, calendar, givenAs, anchorMs }: Budget): Budget {
  return {
    limitNanoUsd,
    windowMs,
    ...(calendar === undefined ? {} : { calendar }),
    ...(givenAs === undefined ? {} : { givenAs }),
    anchorMs,
  };
}

/**
 * The window of a budget at a moment; undefined if it has no windows. Windows of one budget follow each other without
 * gap or overlap: the day, week or month in which it was given its windows is two of them.
 */
export function findBudgetWindow({ windowMs, calendar, anchorMs }: Budget, atMs: number): TimeSpan | undefined {
  if (calendar === undefined) {
    if (windowMs === undefined) return undefined;
    const startMs = anchorMs + Math.floor((atMs - anchorMs) / windowMs) * windowMs;
    return { startMs, endMs: startMs + windowMs };
  }
  const span = findCalendarSpan(calendar, atMs);
  if (anchorMs <= span.startMs || anchorMs >= span.endMs) return span;
  return atMs < anchorMs ? { ...span, endMs: anchorMs } : { ...span, startMs: anchorMs };
}

/** Whether a budget ever begins anew. */
export function hasWindows(budget: Budget | undefined): boolean {
  return budget?.windowMs !== undefined || budget?.calendar !== undefined;
}

/** `month`, `7d`, `total`: as `parseBudgetWindow` reads it. */
export function formatBudgetWindow({ windowMs, calendar }: BudgetWindows): string {
  return calendar?.unit ?? (windowMs === undefined ? 'total' : formatDuration(windowMs));
}

/** `$25.00 per 7d`, `$25.00 per month`, `$25.00`, `-`. */
export function describeBudget(budget: Budget | undefined): string {
  if (budget === undefined) return '-';
  const limit = fullUsd(budget.limitNanoUsd);
  return hasWindows(budget) ? `${limit} per ${formatBudgetWindow(budget)}` : limit;
}
