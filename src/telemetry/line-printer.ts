/**
 * The lines of `start` and of `logs` as they follow each other: in a terminal with titles over the columns, once a
 * screen and when its width changes, and with a line for each day; elsewhere the bare lines, with the date in each.
 */
import type { RecordRow } from '../domain/ledger-columns.ts';
import { layoutFor, type LineLayout } from './line-layout.ts';
import { formatHead, formatRow, type Paint } from './record-line.ts';

/** The terminal, as it is now; undefined if there is none. */
export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/** So many lines go between two heads at least. */
const MIN_LINES = 10;

/** Makes the lines of one request after another. State: what stands above on the screen. */
export class LinePrinter {
  readonly #paint: Paint;
  readonly #findSize: () => ScreenSize | undefined;
  readonly #nowMs: () => number;
  #layout: LineLayout | undefined;
  #sinceHead = 0;
  #day = '';

  /** `findSize` is asked for each line, so that a terminal may become another size. */
  constructor(paint: Paint, findSize: () => ScreenSize | undefined, nowMs: () => number) {
    this.#paint = paint;
    this.#findSize = findSize;
    this.#nowMs = nowMs;
  }

  /** The line of a request, and what has to stand above it. */
  print(row: RecordRow): string[] {
    const size = this.#findSize();
    if (size === undefined || this.#layout === undefined || size.columns !== this.#layout.width) {
      this.#layout = layoutFor(size?.columns);
      this.#sinceHead = Number.POSITIVE_INFINITY;
    }
    const style = { paint: this.#paint, layout: this.#layout };
    const line = formatRow(row, style);
    if (size === undefined) return [line];
    const day = formatDay(row.startedAtMs);
    const isOtherDay = day !== (this.#day === '' ? formatDay(this.#nowMs()) : this.#day);
    this.#day = day;
    const isDue = isOtherDay || this.#sinceHead >= Math.max(MIN_LINES, size.rows - 2);
    this.#sinceHead = isDue ? 1 : this.#sinceHead + 1;
    return [...(isOtherDay ? [this.#paint.dim(`-- ${day} --`)] : []), ...(isDue ? [formatHead(style)] : []), line];
  }
}

/** `2026-07-01 UTC`. */
function formatDay(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 10)} UTC`;
}
