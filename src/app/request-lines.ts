/**
 * The lines of requests on a stream: for people if a terminal reads it, in its width and colours. Apart from
 * `print.ts`, which every command loads.
 */
import type { Config } from '../config/config.ts';
import { hasFailed } from '../domain/outcome.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { describeForPeople, formatJsonLine } from '../telemetry/access-log.ts';
import { LinePrinter, type ScreenSize } from '../telemetry/line-printer.ts';
import { MACHINE_TICKS } from '../lib/clock.ts';
import { printable } from '../lib/printable.ts';
import { createErrorHints, type ErrorHints } from './error-hints.ts';
import type { LineWriter } from './line-writer.ts';
import { colorsFor, formatLabelled, printError, terminalWidth } from './print.ts';

/** Of a hint. */
const MAX_HINT = 400;
const HINT_LABEL_WIDTH = 8;
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

/** In lines of the terminal's width, each below the other. */
function formatHint(hint: string): string {
  return formatLabelled('  hint: ', HINT_LABEL_WIDTH, hint, terminalWidth(process.stdout));
}

/** Writes a line for each request that has ended. `view`: what of the requests is to be seen now. */
export function logRequests(
  { quiet, logFormat }: Config,
  lines: LineWriter,
  view: { readonly isOnlyErrors: boolean },
): (record: RequestRecord) => void {
  const printer = createLinePrinter(process.stdout);
  const { yellow: paint, dim } = colorsFor(process.stdout);
  let hints: ErrorHints | undefined;
  const format = (record: RequestRecord): readonly string[] =>
    logFormat === 'json' ? [formatJsonLine(record)] : printer.print(describeForPeople(record));
  return (record) => {
    const isShown = !quiet && (!view.isOnlyErrors || hasFailed(record));
    if (isShown) for (const line of format(record)) lines.write(line);
    if (isShown && logFormat !== 'json' && record.cache?.line !== undefined)
      lines.write(paint(`  ${record.cache.line}`));
    if (isShown && logFormat !== 'json' && hasFailed(record)) {
      const hint = (hints ??= createErrorHints(MACHINE_TICKS)).hintFor(record);
      if (hint !== undefined) lines.write(dim(formatHint(printable(hint, MAX_HINT))));
    }
    if (record.error?.code === 'ERR_INTERNAL') printError(record.error, true);
  };
}
