/**
 * One line per request, for people (`pretty`) or programs (`json`). Pure: an exchange in, text out; where it goes and in
 * which colours is handed in. Shows labels of keys, never keys.
 */
import type { Exchange } from '../exchange.ts';

/** Colours a piece of text; the identity where the output is no terminal. */
export interface Paint {
  dim(text: string): string;
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  strong(text: string): string;
}

/** Controls, format characters (direction overrides, zero-width ones), lone surrogates and line separators of Unicode. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** The line of one finished exchange as a JSON object; fields that are unknown are null, never 0 or absent. */
export function formatJsonLine(exchange: Exchange): string {
  const { route, principal, error } = exchange;
  const line = JSON.stringify({
    time: new Date(exchange.startedAtMs).toISOString(),
    id: exchange.id,
    key: principal?.label ?? null,
    key_id: principal?.kind === 'key' ? principal.keyId : null,
    method: exchange.method,
    path: exchange.path,
    http: exchange.httpVersion,
    service: route?.service ?? null,
    operation: route?.operation ?? null,
    model: route?.modelId ?? null,
    region: route?.region ?? null,
    status: exchange.status ?? null,
    error: error?.code ?? null,
    error_detail: error?.detail ?? null,
    upstream_request_id: exchange.upstreamRequestId ?? null,
    first_byte_ms: exchange.firstByteMs ?? null,
    total_ms: exchange.totalMs ?? null,
    request_bytes: exchange.requestBytes,
    response_bytes: exchange.responseBytes,
  });
  // JSON lets most of these stand, but a terminal that shows the log would act on them.
  return line.replaceAll(UNPRINTABLE, escapeUnits);
}

/** The same for people: time, key, operation, model, region, status, first byte, total, bytes in and out. */
export function formatPrettyLine(exchange: Exchange, paint: Paint): string {
  const { route, error } = exchange;
  const columns = [
    paint.dim(formatClock(exchange.startedAtMs)),
    pad(printable(exchange.principal?.label ?? '-'), 14),
    paint.strong(pad(route?.operation ?? printable(`${exchange.method} ${exchange.path}`), 18)),
    pad(printable(route?.modelId ?? '-'), 12),
    pad(route?.region ?? '-', 9),
    paintStatus(exchange, paint),
    pad(formatMs(exchange.firstByteMs), 7),
    pad(formatMs(exchange.totalMs), 7),
    paint.dim(`${formatBytes(exchange.requestBytes)} > ${formatBytes(exchange.responseBytes)}`),
  ];
  if (error !== undefined) columns.push(paint.warn(describeError(exchange)));
  return columns.join('  ');
}

function paintStatus({ status, error }: Exchange, paint: Paint): string {
  const text = pad(status === undefined ? '---' : String(status), 3);
  if (error !== undefined && error.status >= 500) return paint.bad(text);
  if (status === undefined || status >= 500) return paint.bad(text);
  return status >= 400 || error !== undefined ? paint.warn(text) : paint.good(text);
}

function describeError({ error }: Exchange): string {
  if (error === undefined) return '';
  if (error.fault === 'client') return error.code;
  return printable([error.code, error.message, error.detail === undefined ? '' : `(${error.detail})`].join(' ').trim());
}

/** What a client chose must not move the cursor or forge a line. */
function printable(text: string): string {
  const clean = text.replaceAll(UNPRINTABLE, '?');
  return clean.length <= 200 ? clean : `${clean.slice(0, 199)}…`;
}

function escapeUnits(text: string): string {
  return text
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

function pad(text: string, width: number): string {
  return text.padEnd(width);
}

function formatClock(epochMs: number): string {
  const date = new Date(epochMs);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

function formatMs(ms: number | undefined): string {
  if (ms === undefined) return '-';
  if (ms < 10) return `${ms.toFixed(1)}ms`;
  return ms < 10_000 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(1)}s`;
}

function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
