/** Figures of the usage view: days without spend have a bar, unknown prices are none, the rest is added up. */
import { describe, expect, it } from 'vitest';
import { findScale, formatScale, formatUsd, listDays, readSeries, type SpendDay } from '../../page/src/usage/spend.ts';

const RANGE = { from: '2026-11-26', to: '2026-11-28' };

function day(startTime: string, models: Readonly<Record<string, number | null>>, more: object = {}): SpendDay {
  return { startTime, spend: null, models, users: {}, ...more };
}

describe('the series', () => {
  it('have a bar for every day, the most expensive name first', () => {
    const series = readSeries([day('2026-11-26', { a: 1, b: 2 }), day('2026-11-28', { b: 0.5 })], 'model', RANGE);
    expect(series.names).toEqual(['b', 'a']);
    expect(series.totals).toEqual([2.5, 1]);
    expect(series.bars.map((bar) => [bar.day, bar.totalUsd, bar.parts])).toEqual([
      ['2026-11-26', 3, [2, 1]],
      ['2026-11-27', 0, [0, 0]],
      ['2026-11-28', 0.5, [0.5, 0]],
    ]);
    expect(series.totalUsd).toBe(3.5);
  });

  it('count what has no known price apart, and never as 0 dollars of a model', () => {
    const series = readSeries([day('2026-11-27', { a: null }, { unpriced_requests: 3 })], 'model', RANGE);
    expect(series).toMatchObject({ names: [], totalUsd: 0, unpricedRequests: 3 });
  });

  it('go by key, whose sums stand beside the fields of the day', () => {
    const series = readSeries([day('2026-11-27', { a: 3 }, { spend: 3, k1: 1, k2: 2 })], 'key', RANGE);
    expect(series.names).toEqual(['k2', 'k1']);
  });

  it('add up what is not among the first', () => {
    const models = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`m${at}`, at + 1]));
    const series = readSeries([day('2026-11-27', models)], 'model', RANGE);
    expect(series.names).toEqual(['m8', 'm7', 'm6', 'm5', 'm4', 'others']);
    expect(series.totals.at(-1)).toBe(1 + 2 + 3 + 4);
    expect(series.bars[1]?.parts.reduce((sum, usd) => sum + usd, 0)).toBe(45);
  });
});

describe('days and scales', () => {
  it('have every day, over the end of a month', () => {
    expect(listDays('2026-02-27', '2026-03-01')).toEqual(['2026-02-27', '2026-02-28', '2026-03-01']);
  });

  it.each([0.000_004, 0.0013, 0.9, 1, 7, 99, 12_345])('have round lines up to the largest, %d', (largest) => {
    const { top, lines } = findScale(largest);
    expect(top).toBeGreaterThanOrEqual(largest);
    expect(top).toBeLessThan(largest * 2.6);
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.length).toBeLessThanOrEqual(6);
  });

  it.each([0.000_016, 0.0158, 0.9, 1, 7, 99, 12_345])('write another text at each line up to %d', (largest) => {
    const texts = findScale(largest).lines.map(formatScale);
    expect(new Set(texts).size).toBe(texts.length);
    expect(texts.map((text) => Number(text.replaceAll(/[$,]/g, '')))).toEqual(findScale(largest).lines);
  });

  it.each([
    [12.345, '$12.35'],
    [0.0213, '$0.02'],
    [0.0013, '$0.0013'],
    [0, '$0'],
    [null, 'unknown'],
    [1234.5, '$1,234.50'],
  ] as const)('write %s as %s', (usd, text) => {
    expect(formatUsd(usd)).toBe(text);
  });
});
