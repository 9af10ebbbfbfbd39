/**
 * How the commands write counts and times. Pure. Text for people is rounded so that it never looks like nothing
 * where it is something; text for programs is exact.
 */

/** `12,345`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
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
