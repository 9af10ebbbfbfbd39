/**
 * Tables and numbers of the bench as text for people. Pure.
 */
import type { Spread } from './statistics.ts';

/** A title and a table, whose first row is the head; nothing if there is no other row. */
export function section(title: string, rows: readonly (readonly string[])[]): string[] {
  if (rows.length < 2) return [];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [title, ...lines.map((line) => `  ${line}`), ''];
}

/** The median, with the lowest and the highest. */
export function spread(value: Spread | undefined): string {
  if (value === undefined) return '-';
  return `${short(value.median)} (${short(value.min)} to ${short(value.max)})`;
}

/** Three digits or so. */
export function short(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '-';
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Decimal ones. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
