/** Values as the page writes them: units in the head of a column, unknown as a dash. Pure. */
import { shortModelName, shortOperationName } from '../../src/domain/shown-names.ts';
import type { ExchangeSummary, Json } from '../../src/inspector/wire.ts';

type Row = ExchangeSummary['row'];

/** What stands for what nobody knows. */
export const UNKNOWN = '–';

/** Text of a member of a row; undefined if it is none. */
export function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Number of a member of a row; undefined if it is none. */
export function numberOf(value: Json | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** `0.62 s`, `812 ms`, `3 m 12 s`. */
export function formatMs(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return UNKNOWN;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${Math.floor(ms / 60_000)} m ${Math.round((ms % 60_000) / 1_000)} s`;
}

/** `17 B`, `18.2 kB`, `1.4 MB`. */
export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return UNKNOWN;
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** `412`, `18.2k`, `1.2M`. */
export function formatCount(count: number | null | undefined): string {
  if (count === null || count === undefined) return UNKNOWN;
  if (count < 10_000) return String(count);
  return count < 1_000_000 ? `${(count / 1_000).toFixed(1)}k` : `${(count / 1_000_000).toFixed(1)}M`;
}

/** `1 piece`, `3 pieces`. */
export function formatNumber(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Dollars as decimal text, with as many digits as say something. */
export function formatDollars(usd: string | null | undefined): string {
  if (usd === null || usd === undefined) return UNKNOWN;
  const value = Number(usd);
  if (Number.isNaN(value)) return UNKNOWN;
  if (value === 0) return '$0';
  if (value >= 1) return `$${value.toFixed(2)}`;
  return value >= 0.0001 ? `$${value.toFixed(4)}` : '<$0.0001';
}

/** `12:04:31` of the reader's zone. */
export function formatTime(iso: string | undefined): string {
  if (iso === undefined) return UNKNOWN;
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? UNKNOWN : at.toTimeString().slice(0, 8);
}

/** The model of a row, short. */
export function modelOf(row: Row): string {
  const model = textOf(row['model']);
  return model === undefined ? UNKNOWN : shortModelName(model);
}

/** Its operation, short; of what the proxy refused itself, method and path. */
export function operationOf(row: Row): string {
  const [operation, method, path] = [textOf(row['operation']), textOf(row['method']), textOf(row['path'])];
  return shortOperationName({ operation, method, path }) ?? UNKNOWN;
}
