/**
 * One line per request, for people (`pretty`) or programs (`json`). Pure: a record in, text out; where it goes and in
 * which colours is handed in. Shows labels of keys, never keys.
 */
import { sumInput } from '../domain/usage.ts';
import { formatUsd, toUsd } from '../lib/usd.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { escapeUnprintable, printable } from '../lib/printable.ts';
import { findCostNanoUsd, findModel, findPricing, hideKeys } from '../domain/outcome.ts';
import { findUserAgentFamily } from '../domain/user-agent.ts';

/** Colours a piece of text; the identity where the output is no terminal. */
export interface Paint {
  dim(text: string): string;
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  strong(text: string): string;
}

/** Of a model's name on a line for people: enough to know it by. */
const MODEL_WIDTH = 32;

/** The line of one finished exchange as a JSON object; fields that are unknown are null, never 0 or absent. */
export function formatJsonLine(record: RequestRecord): string {
  const { route, principal, error, usage } = record;
  const cost = findCostNanoUsd(record);
  const line = JSON.stringify({
    time: new Date(record.startedAtMs).toISOString(),
    id: record.id,
    key: principal?.label ?? null,
    key_id: principal?.kind === 'key' ? principal.keyId : null,
    method: record.method,
    path: hideKeys(record.path),
    http: record.httpVersion,
    service: route?.service ?? null,
    operation: route?.operation ?? null,
    model: findModel(record) ?? null,
    region: route?.region ?? null,
    status: record.status ?? null,
    error: error?.code ?? null,
    error_detail: error?.detail ?? null,
    upstream_error: record.upstreamErrorType ?? null,
    upstream_request_id: record.upstreamRequestId ?? null,
    input_tokens: usage?.inputTokens ?? null,
    output_tokens: usage?.outputTokens ?? null,
    cache_read_tokens: usage?.cacheReadTokens ?? null,
    cache_write_tokens: usage?.cacheWriteTokens ?? null,
    service_tier: record.serviceTier ?? null,
    pricing: findPricing(record),
    cost_usd: cost === undefined ? null : toUsd(cost),
    partial: record.partial,
    overhead_ms: record.overheadMs ?? null,
    first_byte_ms: record.firstByteMs ?? null,
    total_ms: record.totalMs ?? null,
    request_bytes: record.requestBytes,
    response_bytes: record.responseBytes,
    user_agent_family: findUserAgentFamily(record.userAgent) ?? null,
  });
  // JSON lets most of these stand, but a terminal that shows the log would act on them.
  return escapeUnprintable(line);
}

/** On a terminal with fewer columns, region, first byte and amount are left out, and names are shorter. */
const NARROW_COLUMNS = 120;
const GAP = '  ';

interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

/**
 * The same for people: time, key, operation, model, region, status, first byte, total, then tokens in and out (bytes,
 * where nobody counted tokens) and cost. `~` marks what is not all of it. `width`: columns of the terminal, into which
 * the names are made to fit; undefined where there is none.
 */
export function formatPrettyLine(record: RequestRecord, paint: Paint, width?: number): string {
  const isNarrow = width !== undefined && width < NARROW_COLUMNS;
  const front = frontCells(record, paint, isNarrow, width !== undefined);
  const back = backCells(record, paint, isNarrow);
  const model = legible(findModel(record) ?? '-');
  const others = [...front, ...back].reduce((sum, { text }) => sum + text.length + GAP.length, 0);
  const room = width === undefined ? MODEL_WIDTH : Math.min(MODEL_WIDTH, Math.max(12, width - others));
  const shown = pad(shortenModel(model, room), width === undefined ? 12 : room);
  return [...front, { text: shown }, ...back].map(({ text, paint: colour }: Cell) => colour?.(text) ?? text).join(GAP);
}

function frontCells(record: RequestRecord, paint: Paint, isNarrow: boolean, mayCut: boolean): Cell[] {
  const [keyWidth, operationWidth] = isNarrow ? [8, 14] : [14, 18];
  const fit = (text: string, most: number): string => pad(mayCut ? cut(text, most) : text, most);
  const operation = record.route?.operation ?? legible(`${record.method} ${hideKeys(record.path)}`);
  return [
    { text: formatClock(record.startedAtMs), paint: paint.dim },
    { text: fit(legible(record.principal?.label ?? '-'), keyWidth) },
    { text: fit(operation, operationWidth), paint: paint.strong },
  ];
}

function backCells(record: RequestRecord, paint: Paint, isNarrow: boolean): Cell[] {
  const { route, error, status, firstByteMs, totalMs } = record;
  const cost = formatCost(record);
  const isUnpriced = findPricing(record) === 'unpriced';
  const cells: (Cell | undefined)[] = [
    isNarrow ? undefined : { text: pad(route?.region ?? '-', 9) },
    {
      text: pad(status === undefined ? '---' : String(status), 3),
      paint: (text) => paintStatus(text, record, paint),
    },
    isNarrow ? undefined : { text: pad(formatMs(firstByteMs), 7) },
    { text: pad(formatMs(totalMs), 7) },
    isNarrow ? undefined : { text: formatAmount(record), paint: paint.dim },
    cost === '' ? undefined : { text: cost, ...(isUnpriced ? { paint: paint.warn } : {}) },
    error === undefined ? undefined : { text: describeError(record), paint: paint.warn },
  ];
  return cells.filter((cell) => cell !== undefined);
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

function paintStatus(text: string, { status, error }: RequestRecord, paint: Paint): string {
  if (error !== undefined && error.status >= 500) return paint.bad(text);
  if (status === undefined || status >= 500) return paint.bad(text);
  return status >= 400 || error !== undefined ? paint.warn(text) : paint.good(text);
}

function describeError({ error }: RequestRecord): string {
  if (error === undefined) return '';
  if (error.fault === 'client') return error.code;
  return legible([error.code, error.message, error.detail === undefined ? '' : `(${error.detail})`].join(' ').trim());
}

function legible(text: string): string {
  return printable(text, 200);
}

/** Without the path of an ARN, and cut where it is still too long. */
function shortenModel(model: string, width: number): string {
  return cut(model.startsWith('arn:') ? model.slice(model.lastIndexOf('/') + 1) : model, width);
}

/** `1.2k>310`: tokens in, from caches too, and out. Where nothing was reported, `321 B > 45.7 kB`. */
function formatAmount({ usage, requestBytes, responseBytes }: RequestRecord): string {
  const input = sumInput(usage);
  const output = usage?.outputTokens;
  if (input === undefined && output === undefined)
    return `${formatBytes(requestBytes)} > ${formatBytes(responseBytes)}`;
  return `${formatTokens(input)}>${formatTokens(output)}`;
}

function formatTokens(count: number | undefined): string {
  if (count === undefined) return '?';
  if (count < 1_000) return String(count);
  return count < 999_950 ? `${(count / 1_000).toFixed(1)}k` : `${(count / 1_000_000).toFixed(1)}M`;
}

/** `$0.0042`, `unpriced`, or nothing for what cost nothing. */
function formatCost(record: RequestRecord): string {
  const pricing = findPricing(record);
  const mark = record.partial ? '~' : '';
  if (pricing === 'free') return '';
  const cost = findCostNanoUsd(record);
  return cost === undefined ? `${mark}unpriced` : `${mark}${formatUsd(cost)}`;
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
