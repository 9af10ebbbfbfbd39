/**
 * What `__complete` prints for the scripts of the shells: a line for each value, with a tab and its description for
 * shells that show one; or a colon alone, if names of files come next.
 */
import { printData } from '../../app/print.ts';
import { type CommandTable, complete, type Completion } from './complete.ts';

/** Longer ones wrap. */
const MAX_DESCRIPTION = 70;

/**
 * `args`: the shell, then what was typed. Bash and PowerShell give the line up to the cursor, and bash the characters
 * at which it breaks words; the others give the words after the name of the program.
 */
export async function answerShell(table: CommandTable, args: readonly string[]): Promise<void> {
  const [shell = '', ...typed] = args;
  const words = shell === 'bash' || shell === 'powershell' ? splitLine(typed[0] ?? '') : typed;
  const current = words.at(-1) ?? '';
  const { known, kind, prefix = '' } = complete(table, words);
  if (kind === 'file' && known.length === 0) return printData(':');
  const found = kind === undefined || kind === 'file' ? [] : await findMore(kind, prefix);
  const values = [...known, ...found].filter(({ value }) => value.startsWith(current));
  const cut = shell === 'bash' ? brokenOff(current, typed[1] ?? '') : 0;
  const lines = values.map(({ value, description }) =>
    shell === 'bash' || description === '' ? value.slice(cut) : `${value}\t${shorten(description)}`,
  );
  if (lines.length > 0) printData(lines.join('\n'));
}

async function findMore(
  kind: Parameters<typeof import('./values.ts').findValues>[0],
  prefix: string,
): Promise<Completion[]> {
  const { findValues } = await import('./values.ts');
  return (await findValues(kind)).map((value) => ({ value: prefix + value, description: '' }));
}

/** How much of the word bash has behind it: it replaces only what comes after the last `:` or `=`. */
function brokenOff(word: string, breaks: string): number {
  return Math.max(...[...':='].map((character) => (breaks.includes(character) ? word.lastIndexOf(character) + 1 : 0)));
}

/** The words after the first one. A quote that is open goes to the end. */
function splitLine(line: string): string[] {
  const words = line.match(/(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|\\.|[^\s"'\\])+/gs) ?? [];
  const plain = words.map((word) => word.replaceAll(/\\(.)|["']/gs, '$1'));
  return [...plain.slice(1), ...(/\s$/.test(line) && !/\\\s$/.test(line) ? [''] : [])];
}

function shorten(description: string): string {
  return description.length <= MAX_DESCRIPTION ? description : `${description.slice(0, MAX_DESCRIPTION - 1)}…`;
}
