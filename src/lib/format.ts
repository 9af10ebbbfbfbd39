/**
 * How counts, sizes, times and names are written. Pure. What is rounded for people never looks like nothing if it is
 * something; text for programs is exact.
 */
import { clipDisplay, displayWidth } from './display-width.ts';

/** At most five characters: `999`, `12.3k`, `4.56M`. */
export function compactCount(count: number): string {
  for (const [factor, unit] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    // From here on it would round up to the unit.
    if (count < factor * 0.9995 || count < 1000) continue;
    const scaled = count / factor;
    return `${scaled.toFixed(scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2)}${unit}`;
  }
  return String(count);
}

/** Bytes in the same way: `321B`, `45.7kB`. */
export function compactBytes(bytes: number): string {
  return `${compactCount(bytes)}B`;
}

/** Milliseconds as `0.8ms`, `12ms`, `34.5s` or, from a thousand seconds on, `25min`; `-` if they are not known. */
export function formatMs(ms: number | undefined): string {
  if (ms === undefined) return '-';
  if (ms < 9.95) return `${ms.toFixed(1)}ms`;
  if (ms < 9_999.5) return `${Math.round(ms)}ms`;
  return ms < 999_950 ? `${(ms / 1000).toFixed(1)}s` : `${Math.round(ms / 60_000)}min`;
}

/**
 * The beginning of what is too long, with a mark that there was more. What is clipped is shown, and may be a client's
 * word: what is not printable becomes `?`.
 */
export function clip(text: string, width: number): string {
  return clipDisplay(text, Math.max(1, width));
}

/**
 * Fits a model name into `width`, printable as `clip` makes it, leaving out first what says least: the ARN around it,
 * its date and version, its geography.
 */
export function clipModel(model: string, width: number): string {
  let shown = model;
  for (const [pattern, kept] of [
    [/^arn:[^/]*\//, ''],
    [/(?:-\d{8})?-v\d+(?::\d+)?(?::\w+)?$/, ''],
    [/^[a-z-]+\.(?=[a-z0-9]+\.)/, ''],
    [/^[a-z0-9]+\./, ''],
  ] as const) {
    if (displayWidth(shown) <= width) break;
    shown = shown.replace(pattern, kept);
  }
  return clip(shown, width);
}

/** `12,345`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** `2026-01-31 23:59Z`, or `never`. */
export function formatTime(epochMs: number | undefined): string {
  return epochMs === undefined ? 'never' : new Date(epochMs).toISOString().replace(/^(.{10})T(.{5}).*$/, '$1 $2Z');
}

/** ISO 8601 in UTC, with milliseconds; null if there is none, as JSON wants it. */
export function isoTime(epochMs: number | undefined): string | null {
  return epochMs === undefined ? null : new Date(epochMs).toISOString();
}

/** A length of time in its largest sensible unit, rounded up: `9 min`, `5 h`, `29 d`. */
export function formatSpan(spanMs: number): string {
  const minutes = Math.ceil(spanMs / 60_000);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.ceil(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.ceil(hours / 24)} d`;
}

/** How long ago, rounded down: `now`, `5 min ago`, `3 d ago`; `never` if there is no time. */
export function formatAge(epochMs: number | undefined, nowMs: number): string {
  if (epochMs === undefined) return 'never';
  const minutes = Math.floor((nowMs - epochMs) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 120) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`;
}

/** A tag as `name=value`, or its name if it has no value. */
export function formatTag([name, value]: readonly [name: string, value: string]): string {
  return value === '' ? name : `${name}=${value}`;
}
