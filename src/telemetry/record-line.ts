/**
 * One request as a line for people, the same in `start` and in `logs`. Pure: a row in, text out; where it goes and in
 * which colours is handed in. Shows labels of keys, never keys; what a client chose cannot move the cursor or forge a
 * line.
 */
import type { RecordRow } from '../domain/ledger-columns.ts';
import { sumInput } from '../domain/usage.ts';
import { ERROR_KINDS } from '../lib/errors.ts';
import { clip, clipModel, compactBytes, compactCount, formatMs } from '../lib/format.ts';
import { printable } from '../lib/printable.ts';
import { formatUsd } from '../lib/usd.ts';

/** Colours a piece of text; the identity if the output is no terminal. */
export interface Paint {
  dim(text: string): string;
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  strong(text: string): string;
}

/** No line needs more of what a client chose. */
const MAX_SHOWN = 200;

/** How a line is laid out. */
export interface LineStyle {
  readonly paint: Paint;
  /** Columns of the terminal, into which names are shortened to fit; undefined if there is none. */
  readonly width: number | undefined;
  /** Other days than this one's are named; undefined: every time is of today. */
  readonly nowMs?: number;
  /** More about what went wrong, behind its code. */
  readonly remark?: string;
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

/**
 * Time, key, operation, model, region, status, first byte, total, tokens in and out (bytes if none were counted), cost,
 * what went wrong. `~` marks a cost that is not all of it.
 */
export function formatRow(row: RecordRow, style: LineStyle): string {
  const { width } = style;
  const front = frontCells(row, style);
  const back = [...backCells(row, style), ...remarkCells(row, style)];
  const room = width === undefined ? MIN_MODEL_WIDTH : findRoom(width - widthOf(front), row, style);
  const remark =
    style.remark === undefined ? [] : [{ text: printable(style.remark, MAX_SHOWN), paint: style.paint.warn }];
  const model = printable(row.model ?? '-', MAX_SHOWN);
  const shown = (width === undefined ? model : clipModel(model, room)).padEnd(room);
  return [...front, { text: shown }, ...back, ...remark]
    .map(({ text, paint = identity }: Cell) => paint(text))
    .join(GAP)
    .trimEnd();
}

/** For the model: the same on every line if there is enough of it, otherwise what this line leaves. */
function findRoom(left: number, row: RecordRow, style: LineStyle): number {
  const widthWith = (fields: Partial<RecordRow>): number => {
    const other = { ...row, ...fields };
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

function frontCells(row: RecordRow, { paint, width, nowMs }: LineStyle): Cell[] {
  const [keyWidth, operationWidth] = isBelow(width, NARROW_COLUMNS) ? [7, 14] : [12, 18];
  const fit = (text: string, most: number): string =>
    (width === undefined ? printable(text, MAX_SHOWN) : clip(printable(text, MAX_SHOWN), most)).padEnd(most);
  return [
    { text: formatMoment(row.startedAtMs, nowMs), paint: paint.dim },
    { text: fit(row.keyLabel ?? '-', keyWidth) },
    { text: fit(row.operation ?? '-', operationWidth), paint: paint.strong },
  ];
}

function backCells(row: RecordRow, { paint, width }: LineStyle): Cell[] {
  const isNarrow = isBelow(width, NARROW_COLUMNS);
  const cells: (Cell | undefined)[] = [
    isNarrow ? undefined : { text: (row.region ?? '-').padEnd(9) },
    { text: (row.status === undefined ? '---' : String(row.status)).padEnd(3), paint: findPaint(row, paint) },
    isBelow(width, WIDE_COLUMNS) ? undefined : { text: formatMs(row.firstByteMs).padStart(6) },
    // What failed cost nothing, and why it failed stands there instead.
    isNarrow && isFreeFailure(row) ? undefined : { text: formatMs(row.totalMs).padStart(6) },
    isNarrow || isFreeFailure(row) ? undefined : { text: describeAmount(row).padStart(11), paint: paint.dim },
    isFreeFailure(row) ? undefined : describeCost(row, paint),
  ];
  return cells.filter((cell) => cell !== undefined);
}

function remarkCells({ errorCode, requests }: RecordRow, { paint }: LineStyle): Cell[] {
  const times = requests > 1 ? ` x${requests}` : '';
  return errorCode === undefined ? [] : [{ text: printable(errorCode, MAX_SHOWN) + times, paint: paint.warn }];
}

function isFreeFailure({ pricing, errorCode }: RecordRow): boolean {
  return pricing === 'free' && errorCode !== undefined;
}

function isBelow(width: number | undefined, columns: number): boolean {
  return width !== undefined && width < columns;
}

function identity(text: string): string {
  return text;
}

/** A response that broke off behind a good status is as bad as one that failed. */
function findPaint({ status, errorCode }: RecordRow, paint: Paint): (text: string) => string {
  const kind = errorCode === undefined ? undefined : OUR_ERRORS[errorCode];
  if (status === undefined || status >= 500 || (kind !== undefined && kind.status >= 500)) return paint.bad;
  if (status < 400 && errorCode !== undefined && kind === undefined) return paint.bad;
  return status >= 400 || errorCode !== undefined ? paint.warn : paint.good;
}

const OUR_ERRORS: Readonly<Record<string, { readonly status: number } | undefined>> = ERROR_KINDS;

/** `1.2k>345`, caches counted as input; `321B>45.7kB` if nobody counted tokens. */
function describeAmount({ usage, requestBytes, responseBytes }: RecordRow): string {
  const input = sumInput(usage);
  const output = usage?.outputTokens;
  if (input === undefined && output === undefined) return [requestBytes, responseBytes].map(compactBytes).join('>');
  return [input, output].map((count) => (count === undefined ? '-' : compactCount(count))).join('>');
}

function describeCost({ pricing, costNanoUsd, partial }: RecordRow, paint: Paint): Cell {
  const isUnpriced = pricing === 'unpriced' || costNanoUsd === undefined;
  const cost = pricing === 'free' ? '-' : isUnpriced ? 'unpriced' : formatUsd(costNanoUsd);
  // Part of a cost is known to be less than all of it; of what is not known there is nothing to say.
  const isPart = partial && !isUnpriced && pricing === 'priced';
  return { text: (isPart ? `≥${cost}` : cost).padStart(COST_WIDTH), ...(isUnpriced ? { paint: paint.warn } : {}) };
}

/** The time of day, local; of another day the day and less of the time, and then eleven characters for both. */
function formatMoment(epochMs: number, nowMs: number | undefined): string {
  const date = new Date(epochMs);
  const [month, day, hours, minutes, seconds] = [
    date.getMonth() + 1,
    date.getDate(),
    date.getHours(),
    date.getMinutes(),
    date.getSeconds(),
  ].map((part) => String(part).padStart(2, '0'));
  if (nowMs === undefined) return `${hours}:${minutes}:${seconds}`;
  const isToday = date.toDateString() === new Date(nowMs).toDateString();
  return isToday ? `${hours}:${minutes}:${seconds}`.padEnd(11) : `${month}-${day} ${hours}:${minutes}`;
}
