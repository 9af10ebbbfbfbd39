/**
 * The columns of a line about a request: where each begins and how wide it is, for a terminal of some width, the same
 * for every line. Pure.
 */

/** What a column shows. The error comes behind them, and takes the room of those that a failure has nothing for. */
export type ColumnName =
  | 'time'
  | 'key'
  | 'operation'
  | 'model'
  | 'status'
  | 'region'
  | 'first'
  | 'total'
  | 'tokens'
  | 'cost';

/** One column. */
export interface LineColumn {
  readonly name: ColumnName;
  readonly width: number;
}

/** The columns for one width, in their order. */
export interface LineLayout {
  /** Columns of the terminal; undefined: there is none, and nothing is cut. */
  readonly width: number | undefined;
  readonly gap: string;
  readonly columns: readonly LineColumn[];
  /** The column whose place the error takes if the request cost nothing. */
  readonly errorFrom: ColumnName;
}

/** What a narrow terminal has room for: 80 columns with one space between. */
const NARROW = { time: 8, key: 9, operation: 14, model: 17, status: 3, total: 6, cost: 13 };
/** From here on there is room for tokens; then for the region; then for two spaces, and for the first byte. */
const TOKENS_FROM = 100;
const REGION_FROM = 118;
const WIDE_FROM = 150;
/** An error that cost nothing has so much room: the longest code; in a wide terminal part of a message too. */
const MIN_ERROR_WIDTH = 24;
const WIDE_ERROR_WIDTH = 44;
/** What more room is given to, in this order: a column, and how wide it becomes. */
const GROWTH: readonly (readonly [name: ColumnName, upTo: number])[] = [
  ['model', 24],
  ['key', 10],
  ['operation', 18],
  ['model', 30],
  ['operation', 29],
  ['model', 44],
  ['key', 20],
  ['region', 14],
];
/** Where nothing is cut, columns are as wide as most of what stands in them. */
const UNBOUND = { time: 24, key: 20, operation: 29, model: 44, status: 3, region: 14, first: 6, total: 6, tokens: 13 };
const ORDER = ['time', 'key', 'operation', 'model', 'status', 'region', 'first', 'total', 'tokens', 'cost'] as const;

/** The layout for a terminal of so many columns; below 80 lines are cut at its edge. */
export function layoutFor(width: number | undefined): LineLayout {
  if (width === undefined) return { width, gap: '  ', columns: inOrder({ ...UNBOUND, cost: 13 }), errorFrom: 'cost' };
  const isWide = width >= WIDE_FROM;
  const widths: Partial<Record<ColumnName, number>> = {
    ...NARROW,
    ...(width >= TOKENS_FROM ? { tokens: 13 } : {}),
    ...(width >= REGION_FROM ? { region: 9 } : {}),
    ...(isWide ? { first: 6 } : {}),
  };
  const gap = isWide ? '  ' : ' ';
  const errorFrom = isWide ? 'tokens' : 'region';
  const before = inOrder(widths).filter(({ name }) => ORDER.indexOf(name) < ORDER.indexOf(errorFrom));
  const errorWidth = width - widthOf(before, gap) - gap.length;
  const spareOfError = errorWidth - (isWide ? WIDE_ERROR_WIDTH : MIN_ERROR_WIDTH);
  let spare = Math.min(width - widthOf(inOrder(widths), gap), spareOfError);
  for (const [name, upTo] of GROWTH) {
    const now = widths[name];
    if (now === undefined || spare <= 0) continue;
    const more = Math.min(spare, Math.max(0, upTo - now));
    widths[name] = now + more;
    spare -= more;
  }
  return { width, gap, columns: inOrder(widths), errorFrom };
}

function inOrder(widths: Partial<Record<ColumnName, number>>): LineColumn[] {
  return ORDER.flatMap((name) => {
    const width = widths[name];
    return width === undefined ? [] : [{ name, width }];
  });
}

/** Of these columns and what is between them. */
export function widthOf(columns: readonly LineColumn[], gap: string): number {
  return columns.reduce((sum, { width }) => sum + width, 0) + Math.max(0, columns.length - 1) * gap.length;
}
