/**
 * One request of the ledger as a line, for people or for programs. Pure. Shows labels of keys, never keys; what a
 * client chose cannot move the cursor or forge a line.
 */
import type { LedgerEntry } from '../../domain/ledger.ts';
import { sumInput } from '../../domain/usage.ts';
import { escapeUnprintable, printable } from '../../lib/printable.ts';
import type { Paint } from '../../telemetry/access-log.ts';
import { exactUsd, formatUsd } from '../../lib/usd.ts';
import { clip, clipModel, compactCount, formatMs } from '../format.ts';

/** No line needs more of what a client chose. */
const MAX_SHOWN = 200;

/** A JSON object; what is unknown is null, never 0 or absent. */
export function entryToJson(entry: LedgerEntry): string {
  const { usage } = entry;
  const line = JSON.stringify({
    sequence: entry.sequence,
    time: new Date(entry.startedAtMs).toISOString(),
    id: entry.id,
    principal: entry.principal,
    key: entry.keyLabel,
    key_id: entry.keyId ?? null,
    service: entry.service ?? null,
    operation: entry.operation ?? null,
    model: entry.model ?? null,
    region: entry.region ?? null,
    status: entry.status ?? null,
    error: entry.errorCode ?? null,
    upstream_request_id: entry.upstreamRequestId ?? null,
    input_tokens: usage?.inputTokens ?? null,
    output_tokens: usage?.outputTokens ?? null,
    cache_read_tokens: usage?.cacheReadTokens ?? null,
    cache_write_tokens: usage?.cacheWriteTokens ?? null,
    cache_write_1h_tokens: usage?.cacheWrite1hTokens ?? null,
    input_audio_tokens: usage?.inputAudioTokens ?? null,
    output_audio_tokens: usage?.outputAudioTokens ?? null,
    images: usage?.images ?? null,
    guardrail_units: usage?.guardrailUnits ?? null,
    service_tier: entry.serviceTier ?? null,
    pricing: entry.pricing,
    cost_nano_usd: entry.costNanoUsd ?? null,
    cost_usd: entry.costNanoUsd === undefined ? null : exactUsd(entry.costNanoUsd),
    charged_nano_usd: entry.chargedNanoUsd,
    partial: entry.partial,
    first_byte_ms: entry.firstByteMs ?? null,
    total_ms: entry.totalMs ?? null,
    request_bytes: entry.requestBytes,
    response_bytes: entry.responseBytes,
    user_agent: entry.userAgentFamily ?? null,
    tags: entry.tags,
  });
  // JSON lets most of these stand, but a terminal that shows the line would act on them.
  return escapeUnprintable(line);
}

/** How a line of the ledger is laid out. */
export interface LineStyle {
  readonly paint: Paint;
  /** Columns of the terminal, into which names are shortened to fit; undefined where there is none. */
  readonly width: number | undefined;
  /** Decides whether a time is shown with its day. */
  readonly nowMs: number;
}

/** What a column shows, the model aside. */
interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

/** Columns of a cost from a nano-dollar up. */
const COST_WIDTH = 10;
/** Below the first, region and tokens are left out; below the second, the time of the first byte. */
const NARROW_COLUMNS = 110;
const WIDE_COLUMNS = 150;
const MIN_MODEL_WIDTH = 10;
const READABLE_MODEL_WIDTH = 22;
/** None of the proxy's own codes is longer. */
const LONGEST_CODE = 'ERR_UPSTREAM_UNREACHABLE';
const GAP = '  ';

/** Time, key, operation, model, region, status, first byte, total, tokens in and out, cost, what went wrong. */
export function entryToLine(entry: LedgerEntry, style: LineStyle): string {
  const { width } = style;
  const front = frontCells(entry, style);
  const back = [...backCells(entry, style), ...remarkCells(entry, style)];
  const room = width === undefined ? MIN_MODEL_WIDTH : findRoom(width - widthOf(front), entry, style);
  const model = printable(entry.model ?? '-', MAX_SHOWN);
  const shown = (width === undefined ? model : clipModel(model, room)).padEnd(room);
  return [...front, { text: shown }, ...back]
    .map(({ text, paint = identity }: Cell) => paint(text))
    .join(GAP)
    .trimEnd();
}

/** For the model: the same on every line where there is enough of it, otherwise what this line leaves. */
function findRoom(left: number, entry: LedgerEntry, style: LineStyle): number {
  const widthWith = (fields: Partial<LedgerEntry>): number => {
    const other = { ...entry, ...fields };
    return widthOf([...backCells(other, style), ...remarkCells(other, style)]);
  };
  const needed = Math.max(widthWith({}), widthWith({ errorCode: undefined, partial: false }));
  const room = left - Math.max(needed, widthWith({ pricing: 'free', errorCode: LONGEST_CODE }));
  return room >= READABLE_MODEL_WIDTH ? room : Math.max(MIN_MODEL_WIDTH, left - needed);
}

/** With the gap before or after each. */
function widthOf(cells: readonly Cell[]): number {
  return cells.reduce((sum, { text }) => sum + text.length + GAP.length, 0);
}

function frontCells(entry: LedgerEntry, { paint, width, nowMs }: LineStyle): Cell[] {
  const [keyWidth, operationWidth] = isBelow(width, NARROW_COLUMNS) ? [7, 14] : [12, 18];
  const fit = (text: string, most: number): string =>
    (width === undefined ? printable(text, MAX_SHOWN) : clip(printable(text, MAX_SHOWN), most)).padEnd(most);
  return [
    { text: formatMoment(entry.startedAtMs, nowMs), paint: paint.dim },
    { text: fit(entry.keyLabel, keyWidth) },
    { text: fit(entry.operation ?? '-', operationWidth), paint: paint.strong },
  ];
}

function backCells(entry: LedgerEntry, { paint, width }: LineStyle): Cell[] {
  const isNarrow = isBelow(width, NARROW_COLUMNS);
  const cells: (Cell | undefined)[] = [
    isNarrow ? undefined : { text: (entry.region ?? '-').padEnd(9) },
    { text: (entry.status === undefined ? '---' : String(entry.status)).padEnd(3), paint: findPaint(entry, paint) },
    isBelow(width, WIDE_COLUMNS) ? undefined : { text: formatMs(entry.firstByteMs).padStart(6) },
    // What failed cost nothing, and why it failed stands there instead.
    isNarrow && isFreeFailure(entry) ? undefined : { text: formatMs(entry.totalMs).padStart(6) },
    isNarrow || isFreeFailure(entry) ? undefined : { text: describeTokens(entry).padStart(11), paint: paint.dim },
    isFreeFailure(entry) ? undefined : { text: describeCost(entry).padStart(COST_WIDTH) },
  ];
  return cells.filter((cell) => cell !== undefined);
}

function remarkCells({ errorCode }: LedgerEntry, { paint }: LineStyle): Cell[] {
  return errorCode === undefined ? [] : [{ text: printable(errorCode, MAX_SHOWN), paint: paint.warn }];
}

function isFreeFailure({ pricing, errorCode }: LedgerEntry): boolean {
  return pricing === 'free' && errorCode !== undefined;
}

function isBelow(width: number | undefined, columns: number): boolean {
  return width !== undefined && width < columns;
}

function identity(text: string): string {
  return text;
}

function findPaint({ status, errorCode }: LedgerEntry, paint: Paint): (text: string) => string {
  if (status === undefined || status >= 500) return paint.bad;
  return status >= 400 || errorCode !== undefined ? paint.warn : paint.good;
}

/** `1.2k>345`, caches counted as input. */
function describeTokens({ usage }: LedgerEntry): string {
  const input = sumInput(usage);
  const output = usage?.outputTokens;
  if (input === undefined && output === undefined) return '-';
  return [input, output].map((count) => (count === undefined ? '-' : compactCount(count))).join('>');
}

/** `?` where nobody knows, `~` in front of what is not all of it. */
function describeCost({ pricing, costNanoUsd, partial }: LedgerEntry): string {
  const cost = pricing === 'free' ? '-' : costNanoUsd === undefined ? '?' : formatUsd(costNanoUsd);
  return partial ? `~${cost}` : cost;
}

/** The time of day, local; of another day the day and less of the time. Eleven characters. */
function formatMoment(epochMs: number, nowMs: number): string {
  const date = new Date(epochMs);
  const [month, day, hours, minutes, seconds] = [
    date.getMonth() + 1,
    date.getDate(),
    date.getHours(),
    date.getMinutes(),
    date.getSeconds(),
  ].map((part) => String(part).padStart(2, '0'));
  const isToday = date.toDateString() === new Date(nowMs).toDateString();
  return isToday ? `${hours}:${minutes}:${seconds}`.padEnd(11) : `${month}-${day} ${hours}:${minutes}`;
}
