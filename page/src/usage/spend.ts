/**
 * What was spent, as the plot and the tables need it: the days of `GET /spend/logs` as series. Pure. Dollars; null
 * where no price is known, which is never counted as 0.
 */

/** One day of `GET /spend/logs`: besides these, what each key spent, by its token. */
export interface SpendDay {
  readonly startTime: string;
  readonly spend: number | null;
  readonly models: Readonly<Record<string, number | null>>;
  readonly users: Readonly<Record<string, number | null>>;
  readonly unpriced_requests?: number;
  readonly [key: string]: unknown;
}

/** By what bars are divided. */
export type SpendGrouping = 'model' | 'key';

/** One bar of the plot. */
export interface SpendBar {
  /** `2026-11-28`. */
  readonly day: string;
  readonly totalUsd: number;
  readonly unpricedRequests: number;
  /** In the order of `names`. */
  readonly parts: readonly number[];
}

/** All that the plot shows. */
export interface SpendSeries {
  /** The most expensive first; what is not among the first is added up as `others`. */
  readonly names: readonly string[];
  readonly totals: readonly number[];
  readonly bars: readonly SpendBar[];
  readonly totalUsd: number;
  readonly unpricedRequests: number;
}

const OWN_MEMBERS: ReadonlySet<string> = new Set(['startTime', 'spend', 'models', 'users', 'unpriced_requests']);
/** Colours that can be told apart. */
const MAX_NAMES = 6;
/** What stands for the rest. */
const OTHERS = 'others';

/** Every day from the first to the last has a bar, also those on which nothing was spent. */
export function readSeries(
  days: readonly SpendDay[],
  by: SpendGrouping,
  range: { readonly from: string; readonly to: string },
): SpendSeries {
  const parts = new Map(days.map((day) => [day.startTime, by === 'model' ? readNumbers(day.models) : readKeys(day)]));
  const sums = new Map<string, number>();
  for (const ofDay of parts.values()) for (const [name, usd] of ofDay) sums.set(name, (sums.get(name) ?? 0) + usd);
  const sorted = [...sums]
    .filter(([, usd]) => usd > 0)
    .toSorted((left, right) => right[1] - left[1])
    .map(([name]) => name);
  const first = sorted.length > MAX_NAMES ? sorted.slice(0, MAX_NAMES - 1) : sorted;
  const names = sorted.length > first.length ? [...first, OTHERS] : first;
  const byDay = new Map(days.map((day) => [day.startTime, day]));
  const bars = listDays(range.from, range.to).map((day) => {
    const ofDay = parts.get(day) ?? new Map<string, number>();
    const totalUsd = [...ofDay.values()].reduce((sum, usd) => sum + usd, 0);
    const named = first.map((name) => ofDay.get(name) ?? 0);
    const rest = totalUsd - named.reduce((sum, usd) => sum + usd, 0);
    return {
      day,
      totalUsd,
      unpricedRequests: byDay.get(day)?.unpriced_requests ?? 0,
      parts: names.length > first.length ? [...named, Math.max(0, rest)] : named,
    };
  });
  return {
    names,
    totals: names.map((_, at) => bars.reduce((sum, bar) => sum + (bar.parts[at] ?? 0), 0)),
    bars,
    totalUsd: bars.reduce((sum, bar) => sum + bar.totalUsd, 0),
    unpricedRequests: bars.reduce((sum, bar) => sum + bar.unpricedRequests, 0),
  };
}

function readKeys(day: SpendDay): Map<string, number> {
  return readNumbers(Object.fromEntries(Object.entries(day).filter(([name]) => !OWN_MEMBERS.has(name))));
}

function readNumbers(members: Readonly<Record<string, unknown>>): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, usd] of Object.entries(members)) if (typeof usd === 'number') found.set(name, usd);
  return found;
}

/** Both included, in UTC; as `2026-11-28`. */
export function listDays(from: string, to: string): string[] {
  const days: string[] = [];
  const end = Date.parse(`${to}T00:00:00Z`);
  for (let at = Date.parse(`${from}T00:00:00Z`); at <= end && days.length < 1_000; at += 86_400_000) {
    days.push(new Date(at).toISOString().slice(0, 10));
  }
  return days;
}

/** A round number above the largest, and the lines below it. */
export function findScale(largest: number): { readonly top: number; readonly lines: readonly number[] } {
  if (!(largest > 0)) return { top: 1, lines: [1] };
  const power = 10 ** Math.floor(Math.log10(largest));
  const step = ([0.2, 0.25, 0.5, 1, 2, 2.5].find((each) => each * power * 4 >= largest) ?? 5) * power;
  const count = Math.ceil(largest / step - 1e-9);
  const lines = Array.from({ length: count }, (_, at) => Number(((at + 1) * step).toPrecision(6)));
  return { top: lines.at(-1) ?? largest, lines };
}

/** Of a line of the scale, which is a round number: no digit of it is left out. */
export function formatScale(usd: number): string {
  const isCents = usd >= 0.01 && Math.abs(usd * 100 - Math.round(usd * 100)) < 1e-6;
  return isCents ? formatUsd(usd) : `$${usd.toLocaleString('en-US', { maximumFractionDigits: 9 })}`;
}

/** `$12.30`, `$0.0042`; null: unknown. */
export function formatUsd(usd: number | null | undefined): string {
  if (usd === null || usd === undefined) return 'unknown';
  if (usd === 0) return '$0';
  if (usd >= 0.01) return `$${usd.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  return `$${Number(usd.toPrecision(2)).toLocaleString('en-US', { maximumFractionDigits: 9 })}`;
}
