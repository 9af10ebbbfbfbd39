/**
 * How the commands write counts and times. Pure. Text for people is rounded so that it never looks like nothing
 * where it is something; text for programs is exact.
 */

/** `12,345`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

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

/** `2026-01-31 23:59Z`, or `never`. */
export function formatTime(epochMs: number | undefined): string {
  return epochMs === undefined ? 'never' : new Date(epochMs).toISOString().replace(/^(.{10})T(.{5}).*$/, '$1 $2Z');
}

/** ISO 8601; null where there is none, as JSON wants it. */
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

/** How long ago, rounded down: `now`, `5 min ago`, `3 d ago`; `never` where there is no time. */
export function formatAge(epochMs: number | undefined, nowMs: number): string {
  if (epochMs === undefined) return 'never';
  const minutes = Math.floor((nowMs - epochMs) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 120) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`;
}

/** Milliseconds as `12ms` or `3.4s`; `-` where they are not known. */
export function formatMs(ms: number | undefined): string {
  if (ms === undefined) return '-';
  return ms < 10_000 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(1)}s`;
}

/** The beginning of what is too long, with a mark that there was more. */
export function clip(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/**
 * Fits a model name into `width`, leaving out first what says least: the ARN around it, its date and version, its
 * geography.
 */
export function clipModel(model: string, width: number): string {
  let shown = model;
  for (const [pattern, kept] of [
    [/^arn:[^/]*\//, ''],
    [/(?:-\d{8})?-v\d+(?::\d+)?(?::\w+)?$/, ''],
    [/^[a-z-]+\.(?=[a-z0-9]+\.)/, ''],
    [/^[a-z0-9]+\./, ''],
  ] as const) {
    if (shown.length <= width) return shown;
    shown = shown.replace(pattern, kept);
  }
  return clip(shown, width);
}
