/**
 * One request as a line for people, the same in `start` and in `logs`. Pure: a row in, text out; where it goes and in
 * which colours is handed in. Shows labels of keys, never keys; what a client chose cannot move the cursor or forge a
 * line.
 */
import type { RecordRow } from '../domain/ledger-columns.ts';
import { sumInput } from '../domain/usage.ts';
import { clipDisplay, displayWidth, padDisplay } from '../lib/display-width.ts';
import { ERROR_KINDS } from '../lib/errors.ts';
import { clipModel, compactBytes, compactCount, formatMs } from '../lib/format.ts';
import { printable } from '../lib/printable.ts';
import { formatUsd } from '../lib/usd.ts';
import { type ColumnName, type LineColumn, type LineLayout, widthOf } from './line-layout.ts';

/** Colours a piece of text; the identity if the output is no terminal. */
export interface Paint {
  dim(text: string): string;
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  strong(text: string): string;
}

/** How a line is laid out. */
export interface LineStyle {
  readonly paint: Paint;
  readonly layout: LineLayout;
}

/** No line needs more of what a client chose; the ledger keeps no more of a message. */
const MAX_SHOWN = 200;
const MAX_MESSAGE = 600;
/** A line with an error and a cost has both at the end if the error has so much room there. */
const READABLE_ERROR_WIDTH = 20;
const UNKNOWN = '-';
/** Between type and message; less of a message than this says nothing. */
const ERROR_GAP = '  ';
const MIN_MESSAGE_WIDTH = 6;

/** A piece of a line, and its colour. */
interface Cell {
  readonly text: string;
  readonly width: number;
  readonly side?: 'end' | 'start';
  readonly paint?: ((text: string) => string) | undefined;
}

/**
 * The titles over the columns of a layout. The columns of `formatRow` stand below them.
 */
export function formatHead({ paint, layout }: LineStyle): string {
  const { columns } = layout;
  const cells = columns.map(({ name, width }) => ({ text: TITLES[name], width, side: sideOf(name) }));
  return paint.dim(joinCells(cells, layout));
}

const TITLES: Readonly<Record<ColumnName, string>> = {
  time: 'UTC',
  key: 'KEY',
  operation: 'OPERATION',
  model: 'MODEL',
  status: 'ST',
  region: 'REGION',
  first: 'FIRST',
  total: 'TOTAL',
  tokens: 'IN>OUT',
  cost: 'COST',
};

/**
 * Time, key, operation, model, status, region, first byte, total, tokens in and out (bytes if none were counted), cost,
 * what went wrong. A request without an operation has method and path there and in the room of the model. In a terminal
 * the line is as wide as that at most; what failed and cost nothing has its error where others have numbers. `≥` marks
 * a cost that is not all of it.
 */
export function formatRow(row: RecordRow, style: LineStyle): string {
  const { layout, paint } = style;
  const { columns, gap, width } = layout;
  const kept = columns.slice(0, countKept(row, layout));
  const cells = fillCells(kept, row, style);
  if (!hasRemark(row)) return joinCells(cells, layout);
  const left = width === undefined ? Number.POSITIVE_INFINITY : width - widthOf(kept, gap) - gap.length;
  // A cost that has lost its column stands before the error, if there is room for both.
  const cost = isFreeFailure(row) || kept.length === columns.length ? '' : `${describeCost(row)} `;
  const text = cost + describeError(row, left - cost.length);
  const shown = displayWidth(text) <= left || cost === '' ? text : describeError(row, left);
  return joinCells([...cells, { text: shown, width: left, paint: paint.warn }], layout);
}

/** How many columns have their own cell; the error takes the place of the others. */
function countKept(row: RecordRow, { columns, errorFrom, gap, width }: LineLayout): number {
  if (!hasRemark(row) || width === undefined) return columns.length;
  const hasRoom = width - widthOf(columns, gap) - gap.length >= READABLE_ERROR_WIDTH;
  if (!isFreeFailure(row) && hasRoom) return columns.length;
  const from = columns.findIndex(({ name }) => name === errorFrom);
  return from === -1 ? columns.findIndex(({ name }) => name === 'status') + 1 : from;
}

/** Something stands behind the columns: an error, a fault that was injected, or both. */
function hasRemark({ errorCode, fault }: RecordRow): boolean {
  return errorCode !== undefined || fault !== undefined;
}

function fillCells(columns: readonly LineColumn[], row: RecordRow, style: LineStyle): Cell[] {
  const { layout, paint } = style;
  const cells: Cell[] = [];
  for (const { name, width } of columns) {
    const isPath = row.operation === undefined && row.model === undefined && row.path !== undefined;
    if (isPath && name === 'model') continue;
    const room = isPath && name === 'operation' ? width + layout.gap.length + modelWidth(layout) : width;
    const text = CELLS[name](row, layout.width === undefined ? Number.POSITIVE_INFINITY : room, layout);
    cells.push({ text, width: room, side: sideOf(name), paint: paintOf(name, row, paint) });
  }
  return cells;
}

function modelWidth({ columns }: LineLayout): number {
  return columns.find(({ name }) => name === 'model')?.width ?? 0;
}

const CELLS: Readonly<Record<ColumnName, (row: RecordRow, room: number, layout: LineLayout) => string>> = {
  time: ({ startedAtMs }, _, { width }) => (width === undefined ? isoOf(startedAtMs) : timeOfDay(startedAtMs)),
  key: ({ keyLabel }) => printable(keyLabel ?? UNKNOWN, MAX_SHOWN),
  operation: ({ operation, method, path }) =>
    printable(operation ?? (path === undefined ? UNKNOWN : `${method ?? ''} ${path}`.trimStart()), MAX_SHOWN),
  model: ({ model }, room) => clipModel(printable(model ?? UNKNOWN, MAX_SHOWN), room),
  status: ({ status }) => (status === undefined ? '---' : String(status)),
  region: ({ region }) => printable(region ?? UNKNOWN, MAX_SHOWN),
  first: ({ firstByteMs }) => formatMs(firstByteMs),
  total: ({ totalMs }) => formatMs(totalMs),
  tokens: describeAmount,
  cost: describeCost,
};

const RIGHT: ReadonlySet<ColumnName> = new Set(['first', 'total', 'tokens', 'cost']);

function sideOf(name: ColumnName): 'end' | 'start' {
  return RIGHT.has(name) ? 'start' : 'end';
}

function paintOf(name: ColumnName, row: RecordRow, paint: Paint): ((text: string) => string) | undefined {
  switch (name) {
    case 'time':
    case 'tokens':
      return paint.dim;
    case 'operation':
      return paint.strong;
    case 'status':
      return findPaint(row, paint);
    case 'cost':
      return isUnpriced(row) ? paint.warn : undefined;
    default:
      return undefined;
  }
}

/** Each cell in its width; the line is cut at the edge of the terminal. */
function joinCells(cells: readonly Cell[], { width, gap }: LineLayout): string {
  let left = width ?? Number.POSITIVE_INFINITY;
  let line = '';
  for (const [index, { text, width: cellWidth, side = 'end', paint = identity }] of cells.entries()) {
    if (index > 0) {
      line += gap;
      left -= gap.length;
    }
    const room = Math.min(width === undefined ? Number.POSITIVE_INFINITY : cellWidth, left);
    if (room <= 0) break;
    const clipped = clipDisplay(text, room);
    const isLast = index === cells.length - 1;
    const full = isLast && side === 'end' ? clipped : padDisplay(clipped, Math.min(cellWidth, left), side);
    line += paint(full);
    left -= displayWidth(full);
  }
  return line.trimEnd();
}

/**
 * Type and message in so many columns; a type that needs them all is not cut for a message. The message is without who
 * was refused, which is the proxy's owner in any case.
 */
function describeError({ errorCode, errorMessage, requests, fault }: RecordRow, room: number): string {
  const injected = fault === undefined ? '' : `fault ${fault}`;
  if (errorCode === undefined) return printable(injected, MAX_SHOWN);
  const times = requests > 1 ? ` x${requests}` : '';
  const isCut = room !== Number.POSITIVE_INFINITY;
  const type =
    printable(errorCode, MAX_SHOWN).replace(isCut ? /(?<=.)Exception$/ : '', '') +
    times +
    (fault === undefined ? '' : ` (${injected})`);
  const message = printable(errorMessage?.replace(/^User: \S+ is (?=not authorized)/, '') ?? '', MAX_MESSAGE);
  const left = room - displayWidth(type) - ERROR_GAP.length;
  if (message === '' || left < Math.min(MIN_MESSAGE_WIDTH, displayWidth(message))) return type;
  return type + ERROR_GAP + (isCut ? clipDisplay(message, left) : message);
}

function isFreeFailure({ pricing, errorCode }: RecordRow): boolean {
  return pricing === 'free' && errorCode !== undefined;
}

function isUnpriced({ pricing, costNanoUsd }: RecordRow): boolean {
  return pricing === 'unpriced' || costNanoUsd === undefined;
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
  return [input, output].map((count) => (count === undefined ? UNKNOWN : compactCount(count))).join('>');
}

function describeCost(row: RecordRow): string {
  const { pricing, costNanoUsd = 0, partial } = row;
  if (isUnpriced(row)) return 'unpriced';
  if (pricing === 'free') return UNKNOWN;
  // Part of a cost is known to be less than all of it; of what is not known there is nothing to say.
  return partial ? `≥${formatUsd(costNanoUsd)}` : formatUsd(costNanoUsd);
}

/** In UTC, as all times that commands print, and under a title that says so: `formatDay` says which day it is of. */
function timeOfDay(epochMs: number): string {
  return isoOf(epochMs).slice(11, 19);
}

function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
