import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  changeBudget,
  describeBudget,
  findBudgetWindow,
  parseBudgetWindow,
  parseTimeZone,
  type WindowLength,
} from '../../src/keys/budget.ts';
import type { Budget, BudgetWindows } from '../../src/domain/key.ts';
import { failureOf } from '../helpers/failure.ts';

const NOW_MS = Date.parse('2026-07-01T12:00:00Z');
const DAY_MS = 86_400_000;

const month = (timeZone: string): BudgetWindows => ({ windowMs: undefined, calendar: { unit: 'month', timeZone } });

describe('the windows of a budget, as they are asked for', () => {
  it.each<[string, WindowLength]>([
    ['total', undefined],
    ['1d', DAY_MS],
    ['7d', 7 * DAY_MS],
    ['24h', DAY_MS],
    ['30m', 1_800_000],
    ['1mo', 30 * DAY_MS],
    ['day', 'day'],
    ['week', 'week'],
    ['month', 'month'],
  ])('gives a budget windows of %s', (text, length) => {
    expect(parseBudgetWindow(text, '--flag', 'ERR_BAD_OPTION')).toBe(length);
  });

  it.each(['', '0d', 'daily', 'Month', 'year', '1M', 7, null])('refuses budget windows of %j', async (value) => {
    const error = await failureOf(() => parseBudgetWindow(value, 'a_field', 'ERR_BAD_REQUEST'));
    expect([error.code, error.message.slice(0, 13)]).toEqual(['ERR_BAD_REQUEST', 'a_field must ']);
  });

  it.each(['', 'Mars/Olympus', 7, null, 'a\u001b[2J'])('refuses the time zone %j', async (value) => {
    const error = await failureOf(() => parseTimeZone(value, 'a_field', 'ERR_BAD_REQUEST'));
    expect([error.code, error.message.slice(0, 13)]).toEqual(['ERR_BAD_REQUEST', 'a_field must ']);
    expect(error.message).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  });
});

describe('a changed budget', () => {
  const old: Budget = { limitNanoUsd: 5e9, windowMs: DAY_MS, anchorMs: 1_000 };
  const monthly: Budget = { limitNanoUsd: 5e9, anchorMs: 1_000, ...month('UTC') };

  it.each<{ name: string; from: Budget | undefined; changes: Parameters<typeof changeBudget>[1]; to: object }>([
    {
      name: 'a new one begins now',
      from: undefined,
      changes: { limitNanoUsd: 1 },
      to: { limitNanoUsd: 1, windowMs: undefined, anchorMs: NOW_MS },
    },
    {
      name: 'another limit keeps the windows',
      from: old,
      changes: { limitNanoUsd: 9e9 },
      to: { ...old, limitNanoUsd: 9e9 },
    },
    {
      name: 'other windows begin now',
      from: old,
      changes: { windows: { windowMs: 60_000 } },
      to: { ...old, windowMs: 60_000, anchorMs: NOW_MS },
    },
    {
      name: 'no windows any more',
      from: old,
      changes: { windows: { windowMs: undefined } },
      to: { ...old, windowMs: undefined, anchorMs: NOW_MS },
    },
    { name: 'the same windows go on', from: old, changes: { windows: { windowMs: DAY_MS } }, to: old },
    { name: 'no change', from: old, changes: {}, to: old },
    {
      name: 'months in place of days',
      from: old,
      changes: { windows: month('UTC') },
      to: { ...monthly, anchorMs: NOW_MS },
    },
    { name: 'the same months go on', from: monthly, changes: { windows: month('UTC') }, to: monthly },
    {
      name: 'the same months by another name go on',
      from: monthly,
      changes: { windows: { ...month('UTC'), givenAs: '30d' } },
      to: { ...monthly, givenAs: '30d' },
    },
    {
      name: 'another limit keeps the months',
      from: monthly,
      changes: { limitNanoUsd: 1 },
      to: { ...monthly, limitNanoUsd: 1 },
    },
    {
      name: 'months of another zone begin now',
      from: monthly,
      changes: { windows: month('Asia/Tokyo') },
      to: { ...monthly, ...month('Asia/Tokyo'), anchorMs: NOW_MS },
    },
    {
      name: 'lengths in place of months',
      from: monthly,
      changes: { windows: { windowMs: DAY_MS } },
      to: { ...old, anchorMs: NOW_MS },
    },
  ])('changes a budget: $name', ({ from, changes, to }) => {
    expect(changeBudget(from, changes, NOW_MS)).toStrictEqual(to);
  });

  it('gives no budget by windows alone', () => {
    expect(changeBudget(undefined, { windows: { windowMs: DAY_MS } }, NOW_MS)).toBeUndefined();
  });
});

describe('the window of a budget', () => {
  const given = Date.parse('2026-11-28T15:00:00Z');
  const monthly = (timeZone: string): Budget => ({
    limitNanoUsd: 1,
    windowMs: undefined,
    calendar: { unit: 'month', timeZone },
    anchorMs: given,
  });

  it('begins when the budget is given, and ends with the month of its zone', () => {
    const end = Date.parse('2026-11-30T23:00:00Z');
    expect(findBudgetWindow(monthly('Europe/Berlin'), given)).toEqual({ startMs: given, endMs: end });
    expect(findBudgetWindow(monthly('Europe/Berlin'), end - 1)).toEqual({ startMs: given, endMs: end });
    expect(findBudgetWindow(monthly('Europe/Berlin'), end)).toEqual({
      startMs: end,
      endMs: Date.parse('2026-12-31T23:00:00Z'),
    });
  });

  it('is one without end if there are no windows', () => {
    expect(findBudgetWindow({ limitNanoUsd: 1, windowMs: undefined, anchorMs: given }, given)).toBeUndefined();
  });

  it('follows the one before without gap or overlap, before and after it was given', () => {
    const windows = fc.oneof(
      fc.record({ windowMs: fc.integer({ min: 1_000, max: 90 * DAY_MS }) }),
      fc.record({
        windowMs: fc.constant(undefined),
        calendar: fc.record({
          unit: fc.constantFrom('day' as const, 'week' as const, 'month' as const),
          timeZone: fc.constantFrom('UTC', 'Africa/Cairo', 'Australia/Lord_Howe', 'America/St_Johns', 'Asia/Beirut'),
        }),
      }),
    );
    fc.assert(
      fc.property(windows, fc.integer({ min: -100 * DAY_MS, max: 100 * DAY_MS }), (form, offMs) => {
        const budget: Budget = { limitNanoUsd: 1, anchorMs: given, ...form };
        const atMs = given + offMs;
        const window = findBudgetWindow(budget, atMs) ?? expect.fail('no window');
        expect(window.startMs <= atMs && atMs < window.endMs).toBe(true);
        expect(findBudgetWindow(budget, window.startMs - 1)?.endMs).toBe(window.startMs);
        expect(findBudgetWindow(budget, window.endMs)?.startMs).toBe(window.endMs);
        expect(findBudgetWindow(budget, given)?.startMs).toBe(given);
      }),
    );
  });
});

it.each<[BudgetWindows, string]>([
  [{ windowMs: undefined }, '$25.00'],
  [{ windowMs: 7 * DAY_MS }, '$25.00 per 7d'],
  [{ windowMs: undefined, calendar: { unit: 'week', timeZone: 'UTC' } }, '$25.00 per week'],
])('describes a budget with %j as %s', (windows, text) => {
  expect(describeBudget({ limitNanoUsd: 25e9, anchorMs: 0, ...windows })).toBe(text);
});
