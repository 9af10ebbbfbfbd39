/**
 * The budget of a key in LiteLLM's fields, read and shown. Pure. `1d`, `24h`, `7d`, `1w`, `30d` and `1mo` look like
 * lengths, but LiteLLM ends them with the day, the week and the month, in UTC: so do we, unless `budget_timezone`, a
 * field of ours, names another zone, or is null and asks for the length.
 */
import { changeBudget, parseBudgetWindow, parseTimeZone } from '../keys/budget.ts';
import { formatDuration, parseBudgetUsd } from '../keys/policy.ts';
import { toUsd } from '../lib/usd.ts';
import type { CalendarUnit } from '../lib/calendar.ts';
import type { Budget, BudgetWindows } from '../domain/key.ts';
import { AdminError, readField } from './envelope.ts';
import type { KeyFields, KeyRow } from './schemas.ts';

const CODE = 'ERR_BAD_REQUEST';
/** https://docs.litellm.ai/docs/proxy/budget_reset_and_tz; `1mo` and `1w` are read so there too. The words are ours. */
const UNITS: ReadonlyMap<string, CalendarUnit> = new Map([
  ...['1d', '24h', 'day', 'daily'].map((name) => [name, 'day'] as const),
  ...['7d', '1w', 'week', 'weekly'].map((name) => [name, 'week'] as const),
  ...['30d', '1mo', 'month', 'monthly'].map((name) => [name, 'month'] as const),
]);
const NAMES: Readonly<Record<CalendarUnit, string>> = { day: '1d', week: '7d', month: '1mo' };

/** The budget after the fields of a request. Throws AdminError naming the field. */
export function readBudgetFields(
  fields: KeyFields,
  before: Budget | undefined,
  nowMs: number,
): Budget | undefined | 'as before' {
  const { max_budget: limit, budget_duration: duration, budget_timezone: timeZone } = fields;
  if (limit === undefined && duration === undefined && timeZone === undefined) return 'as before';
  if (limit === null || (limit === undefined && before === undefined)) {
    if (isNone(duration) && isNone(timeZone)) return undefined;
    const param = isNone(duration) ? 'budget_timezone' : 'budget_duration';
    throw new AdminError(`${param} limits nothing without max_budget.`, { param });
  }
  const changes = {
    ...(limit === undefined ? {} : { limitNanoUsd: readField('max_budget', () => readUsd(limit)) }),
    windows: readWindows(fields, before),
  };
  return changeBudget(before, changes, nowMs);
}

/** The fields of a budget as a response shows them. */
export function toBudgetFields(
  budget: Budget | undefined,
): Pick<KeyRow, 'max_budget' | 'budget_duration' | 'budget_timezone'> {
  return {
    max_budget: budget === undefined ? null : toUsd(budget.limitNanoUsd),
    budget_duration: findWindowName(budget) ?? null,
    budget_timezone: budget?.calendar?.timeZone ?? null,
  };
}

/** As it was asked for, or as LiteLLM calls it; undefined without windows. */
function findWindowName(budget: Budget | undefined): string | undefined {
  if (budget?.givenAs !== undefined) return budget.givenAs;
  if (budget?.calendar !== undefined) return NAMES[budget.calendar.unit];
  return budget?.windowMs === undefined ? undefined : formatDuration(budget.windowMs);
}

/** Undefined if they stay as they are: also if they are named as they are shown. */
function readWindows(fields: KeyFields, before: Budget | undefined): BudgetWindows | undefined {
  const { budget_duration: asked, budget_timezone: zone } = fields;
  const duration = asked === null || asked === '' ? null : asked?.trim();
  const timeZone = zone === '' ? undefined : zone;
  const shown = findWindowName(before);
  if (timeZone === undefined && (duration === undefined || duration === shown)) return undefined;
  const name = duration === undefined ? shown : (duration ?? undefined);
  const unit = name === undefined ? undefined : UNITS.get(name.toLowerCase());
  if (name !== undefined && unit !== undefined && timeZone !== null) {
    return { windowMs: undefined, calendar: { unit, timeZone: readZone(timeZone, before) }, givenAs: name };
  }
  if (typeof timeZone === 'string') {
    const message = 'budget_timezone needs a budget_duration of a day, a week or a month: 1d, 7d, 30d or 1mo.';
    throw new AdminError(message, { param: 'budget_timezone' });
  }
  return name === undefined ? { windowMs: undefined } : readLength(name);
}

/** The zone of a key stays unless another one is named. */
function readZone(timeZone: string | undefined, before: Budget | undefined): string {
  if (timeZone === undefined) return before?.calendar?.timeZone ?? 'UTC';
  return readField('budget_timezone', () => parseTimeZone(timeZone, 'budget_timezone', CODE));
}

function readLength(name: string): BudgetWindows {
  const windowMs = readField('budget_duration', () => parseBudgetWindow(name, 'budget_duration', CODE));
  if (typeof windowMs !== 'string') return { windowMs, ...(windowMs === undefined ? {} : { givenAs: name }) };
  throw new AdminError(`budget_duration must be a length of time such as 30d, not ${name}, without a time zone.`, {
    param: 'budget_duration',
  });
}

function isNone(value: string | null | undefined): boolean {
  return value === undefined || value === null || value === '';
}

/** Up to the next nano-dollar, so that something never becomes nothing; what a sum of floats is off by is not. */
function readUsd(usd: number): number {
  const nanoUsd = parseBudgetUsd(usd, 'max_budget', CODE);
  const isAbove = usd - nanoUsd / 1e9 > Math.abs(usd) * 2 ** -50;
  return isAbove ? nanoUsd + 1 : nanoUsd;
}
