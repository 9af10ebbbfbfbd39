/**
 * How counts, sizes, times and names are written on a line of a terminal. Pure. What is rounded never looks like
 * nothing if it is something.
 */

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

/** Milliseconds as `0.8ms`, `12ms` or `34.5s`; `-` if they are not known. */
export function formatMs(ms: number | undefined): string {
  if (ms === undefined) return '-';
  if (ms < 9.95) return `${ms.toFixed(1)}ms`;
  return ms < 9_999.5 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(1)}s`;
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
