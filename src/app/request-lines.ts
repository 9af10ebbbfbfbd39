/**
 * The lines of requests on a stream: for people if a terminal reads it, in its width and colours. Apart from
 * `print.ts`, which every command loads.
 */
import { LinePrinter, type ScreenSize } from '../telemetry/line-printer.ts';
import { colorsFor } from './print.ts';

/** What a terminal has that does not say its size. */
const COLUMNS = 80;
const ROWS = 24;

/** Makes the lines of requests for a stream. */
export function createLinePrinter(stream: NodeJS.WriteStream): LinePrinter {
  const { dim, green, yellow, red, bold } = colorsFor(stream);
  const findSize = (): ScreenSize | undefined =>
    stream.isTTY === true ? { columns: stream.columns || COLUMNS, rows: stream.rows || ROWS } : undefined;
  return new LinePrinter({ dim, good: green, warn: yellow, bad: red, strong: bold }, findSize, Date.now);
}
