/**
 * How the commands speak: data on stdout (a table, fields, or JSON), talk on stderr, errors as `error:` and `hint:`.
 * Colours only where a terminal reads them and NO_COLOR is not set.
 */
import { Chalk, type ChalkInstance } from 'chalk';
import { type ErrorCode, type ProxyError } from '../lib/errors.ts';
import { escapeUnprintable, printable } from '../lib/printable.ts';

/** Exit codes, as documented: failed, and used wrongly (bad option, port in use, database unreadable). */
export const EXIT_FAILED = 1;
/** The exit code of a command that was used wrongly. */
export const EXIT_MISUSE = 2;

const MISUSE: ReadonlySet<ErrorCode> = new Set(['ERR_BAD_OPTION', 'ERR_ADDRESS_IN_USE', 'ERR_STORE_UNAVAILABLE']);

/** The exit code of a command that ended with this error. */
export function exitCodeOf(error: ProxyError): number {
  return MISUSE.has(error.code) ? EXIT_MISUSE : EXIT_FAILED;
}

/** Colours for a stream; none where it is no terminal or NO_COLOR is set (no-color.org). */
export function colorsFor(stream: NodeJS.WriteStream): ChalkInstance {
  const wanted = stream.isTTY === true && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb';
  return wanted ? new Chalk() : new Chalk({ level: 0 });
}

/** The columns of the terminal that reads stdout; undefined if none does. */
export function terminalWidth(): number | undefined {
  return process.stdout.isTTY === true ? process.stdout.columns : undefined;
}

/** Data for people or programs. */
export function printData(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints a value as indented JSON, as data. JSON lets most of what a terminal would act on stand: it is escaped. */
export function printJson(value: unknown): void {
  const lines = JSON.stringify(value, undefined, 2).split('\n');
  printData(lines.map(escapeUnprintable).join('\n'));
}

/** Talk: what is not the result. */
export function printTalk(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** One line, a hint where there is one, and with `debug` the stack of whatever caused it. */
export function printError(error: ProxyError, debug: boolean): void {
  const paint = colorsFor(process.stderr);
  const detail = error.detail === undefined ? '' : ` [${error.detail}]`;
  printTalk(`${paint.red('error:')} ${toPrintableLines(error.message + detail)}`);
  if (error.hint !== undefined) printTalk(`${paint.cyan('hint:')} ${toPrintableLines(error.hint)}`);
  if (debug) printTalk(String(error.cause instanceof Error ? error.cause.stack : error.stack));
}

/** What somebody else chose may stand in a message. */
function toPrintableLines(text: string): string {
  const lines = text.split('\n');
  return lines.map((line) => printable(line, Number.POSITIVE_INFINITY)).join('\n');
}

/**
 * A function that prints errors, each of them once: what is wrong with the database is found by the store and, in the
 * same words, by everybody who asks it.
 */
export function createErrorPrinter(): (error: ProxyError) => void {
  const printed = new WeakSet<ProxyError>();
  return (error) => {
    if (!printed.has(error)) printError(error, false);
    printed.add(error);
  };
}

/** Columns as wide as their widest cell; the header in capitals. Columns named in `right` (numbers) end in line. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<string> = new Set(),
): string {
  const widths = header.map((title, column) =>
    rows.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), title.length),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return right.has(header[column] ?? '') ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [header.map((title) => title.toUpperCase()), ...rows].map(line).join('\n');
}

/** `name  value` lines with the values aligned. */
export function formatFields(fields: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}
