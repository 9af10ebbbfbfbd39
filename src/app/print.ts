/**
 * How the commands speak: data on stdout (a table, fields, or JSON), talk on stderr, errors as `error:` and `hint:`.
 * Colours only where a terminal reads them and nobody wants none.
 */
import { Chalk, type ChalkInstance } from 'chalk';
import { type ErrorCode, type ProxyError } from '../lib/errors.ts';
import { nameCommands } from '../lib/command-name.ts';
import { clipDisplay, colouredWidth, displayWidth, padDisplay, wrapWords } from '../lib/display-width.ts';
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

/** What follows `--` is for another program. */
function hasNoColorFlag(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? undefined : end).includes('--no-color');
}

/** Colours for a stream; none where it is no terminal, NO_COLOR is set (no-color.org) or `--no-color` is given. */
export function colorsFor(stream: NodeJS.WriteStream): ChalkInstance {
  const { NO_COLOR = '', TERM } = process.env;
  const wanted = stream.isTTY === true && NO_COLOR === '' && TERM !== 'dumb' && !hasNoColorFlag(process.argv);
  return wanted ? new Chalk() : new Chalk({ level: 0 });
}

/** The columns of the terminal that reads a stream, stdout if not another; undefined if none does. */
export function terminalWidth(stream: NodeJS.WriteStream = process.stdout): number | undefined {
  return stream.isTTY === true ? stream.columns || undefined : undefined;
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

/**
 * Talk: what is not the result. Commands in it are named as this user calls them; sentences that a terminal has no room
 * for break between words. Lines that are indented are laid out already.
 */
export function printTalk(text: string): void {
  const width = terminalWidth(process.stderr) ?? Number.POSITIVE_INFINITY;
  const lines = nameCommands(text, process.env).split('\n');
  const wrapped = lines.flatMap((line) =>
    colouredWidth(line) > width && /^\S/.test(line) ? wrapWords(line, width) : [line],
  );
  process.stderr.write(`${wrapped.join('\n')}\n`);
}

/**
 * A label and a text, in lines between words if a terminal is narrower; the lines after the first begin below the text.
 * `label` may have colours, `labelWidth` is what it shows.
 */
export function formatLabelled(label: string, labelWidth: number, text: string, width: number | undefined): string {
  const shown = nameCommands(text, process.env);
  if (width === undefined) return `${label}${shown}`;
  return label + wrapWords(shown, Math.max(MIN_TEXT_WIDTH, width - labelWidth)).join(`\n${' '.repeat(labelWidth)}`);
}

/** Narrower lines are not readable. */
const MIN_TEXT_WIDTH = 20;

/** One line, a hint where there is one, and with `debug` the stack of whatever caused it. */
export function printError(error: ProxyError, debug: boolean): void {
  const paint = colorsFor(process.stderr);
  const detail = error.detail === undefined ? '' : ` [${error.detail}]`;
  const width = terminalWidth(process.stderr);
  printTalk(formatLabelled(`${paint.red('error:')} `, 7, toPrintableLines(error.message + detail), width));
  if (error.hint !== undefined)
    printTalk(formatLabelled(`${paint.cyan('hint:')} `, 6, toPrintableLines(error.hint), width));
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

/** How a table is laid out beyond its cells. */
export interface TableStyle {
  /** Columns that end in line (numbers). */
  readonly right?: ReadonlySet<string>;
  /** Columns of the terminal, from `terminalWidth`; undefined: the table is as wide as it is. */
  readonly width?: number | undefined;
  /** Columns that a narrow terminal does without, the first of them first. */
  readonly spare?: readonly string[];
  /** Colours a line: its index in the rows. */
  readonly paint?: (line: string, row: number) => string;
}

/**
 * Columns as wide as their widest cell; the header in capitals. A terminal that is too narrow gets it without the spare
 * columns, as far as it takes, and then with the widest columns of text cut.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { right = new Set(), width, spare = [], paint = (line) => line }: TableStyle = {},
): string {
  const all = [header.map((title) => title.toUpperCase()), ...rows];
  const columns = header.map((title, index) => ({
    title,
    index,
    width: all.reduce((most, row) => Math.max(most, displayWidth(row[index] ?? '')), 0),
  }));
  const kept = fitColumns(columns, width, right, spare);
  return all
    .map((row, line) => {
      const cells = kept.map(({ title, index, width: room }) =>
        padDisplay(clipDisplay(row[index] ?? '', room), room, right.has(title) ? 'start' : 'end'),
      );
      const text = cells.join(TABLE_GAP).trimEnd();
      return line === 0 ? text : paint(text, line - 1);
    })
    .join('\n');
}

interface TableColumn {
  readonly title: string;
  readonly index: number;
  width: number;
}

const TABLE_GAP = '  ';
/** A name that is cut shorter is none. */
const MIN_CELL_WIDTH = 8;

function fitColumns(
  columns: readonly TableColumn[],
  width: number | undefined,
  right: ReadonlySet<string>,
  spare: readonly string[],
): readonly TableColumn[] {
  let kept = columns;
  const tooWide = (): number =>
    width === undefined
      ? 0
      : kept.reduce((sum, column) => sum + column.width + TABLE_GAP.length, -TABLE_GAP.length) - width;
  for (const title of spare) if (tooWide() > 0) kept = kept.filter((column) => column.title !== title);
  while (tooWide() > 0) {
    const texts = kept.filter((column) => !right.has(column.title) && column.width > MIN_CELL_WIDTH);
    const widest = texts.reduce<TableColumn | undefined>(
      (most, next) => (most && most.width >= next.width ? most : next),
      undefined,
    );
    if (widest === undefined) break;
    widest.width -= 1;
  }
  return kept;
}

/** `name  value` lines with the values aligned. */
export function formatFields(fields: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...fields.map(([name]) => displayWidth(name)));
  return fields.map(([name, value]) => `${padDisplay(name, width)}  ${value}`).join('\n');
}
