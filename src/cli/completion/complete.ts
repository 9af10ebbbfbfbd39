/**
 * What may stand at the end of a command line, by the table of commands alone: commands, options, choices, and the kind
 * of value that an option or an argument takes. Pure; the values of a kind come from `values.ts`.
 */
import type { CommandGroup, CommandOption, CommandSpec } from '../command.ts';

/** What the scripts call: hidden, and no command of commander, because what it is given is half a command line. */
export const COMPLETE = '__complete';

/** Values that are not in the table. `file` is left to the shell. */
export type ValueKind = 'key' | 'profile' | 'model' | 'region' | 'file';

/** What can come next. */
export interface Completion {
  readonly value: string;
  readonly description: string;
}

/** All that can come next: what is known, and values of a kind, with this in front of each. */
export interface Completions {
  readonly known: readonly Completion[];
  readonly kind?: ValueKind | undefined;
  readonly prefix?: string;
}

/** The program: its commands, and the options that every command has. */
export interface CommandTable {
  readonly commands: readonly (CommandSpec | CommandGroup)[];
  readonly options: readonly CommandOption[];
}

interface Position {
  readonly command: CommandSpec | CommandGroup | CommandTable;
  readonly options: readonly CommandOption[];
  /** Whose value comes next; `mayEnd`: or something else, because it has one already. */
  readonly pending: { readonly option: CommandOption; readonly mayEnd: boolean } | undefined;
  readonly used: ReadonlySet<CommandOption>;
  readonly argumentCount: number;
  /** After `--`, or in a command that is not known. */
  readonly isForeign: boolean;
}

/** `words`: those after the name of the program; the last one is being typed, and may be empty. */
export function complete(table: CommandTable, words: readonly string[]): Completions {
  const current = words.at(-1) ?? '';
  const start: Position = {
    command: table,
    options: table.options,
    pending: undefined,
    used: new Set(),
    argumentCount: 0,
    isForeign: false,
  };
  const position = words.slice(0, -1).reduce(step, start);
  if (position.isForeign) return { known: [], kind: 'file' };
  const { pending, options } = position;
  if (pending !== undefined && !(pending.mayEnd && current.startsWith('-')))
    return valuesOf(pending.option, current, '');
  const [, name = '', value] = /^(--[^=]+)=(.*)$/s.exec(current) ?? [];
  const assigned = value === undefined ? undefined : options.find((option) => flagsOf(option).includes(name));
  if (assigned !== undefined && value !== undefined) return valuesOf(assigned, value, `${name}=`);
  const next = startingWith(current, current.startsWith('-') ? listOptions(position) : listCommands(position));
  const argument = current.startsWith('-') ? undefined : findArgument(position);
  if (argument === undefined) return { known: next };
  const choices = (argument.choices ?? []).map((choice) => ({ value: choice, description: argument.description }));
  return { known: [...next, ...startingWith(current, choices)], kind: kindOf('', argument.usage) };
}

function step(position: Position, word: string): Position {
  const { command, pending, options, used } = position;
  if (position.isForeign) return position;
  if (pending !== undefined && !(pending.mayEnd && word.startsWith('-'))) {
    return { ...position, pending: pending.option.flag.includes('...') ? { ...pending, mayEnd: true } : undefined };
  }
  const at = { ...position, pending: undefined };
  if (word === '--') return { ...at, isForeign: true };
  if (word.startsWith('-')) {
    const option = options.find((each) => flagsOf(each).includes(word.replace(/=.*$/s, '')));
    if (option === undefined) return at;
    const takesNext = option.flag.includes('<') && !word.includes('=');
    const isOver = option.repeatable !== true && !option.flag.includes('...');
    return {
      ...at,
      pending: takesNext ? { option, mayEnd: false } : undefined,
      used: isOver ? new Set([...used, option]) : used,
    };
  }
  if ('commands' in command && word === 'help') return at;
  if (!('commands' in command)) return { ...at, argumentCount: at.argumentCount + 1 };
  const below = command.commands.find(({ name }) => name === word);
  if (below === undefined) return { ...at, isForeign: true };
  return {
    ...at,
    command: below,
    options: 'options' in below ? [...Object.values(below.options), ...options] : options,
  };
}

function valuesOf(option: CommandOption, current: string, prefix: string): Completions {
  const { flag, choices = option.values } = option;
  if (choices === undefined) return { known: [], kind: kindOf(flag, flag), prefix };
  const found = startingWith(
    current,
    choices.map((value) => ({ value, description: '' })),
  );
  return { known: found.map(({ value, description }) => ({ value: prefix + value, description })) };
}

function listCommands({ command }: Position): Completion[] {
  if (!('commands' in command)) return [];
  return command.commands.map(({ name, description }) => ({ value: name, description }));
}

function listOptions({ options, used }: Position): Completion[] {
  return options
    .filter((option) => option.isHidden !== true && !used.has(option))
    .map((option) => ({ value: flagsOf(option).at(-1) ?? option.flag, description: option.description }));
}

function findArgument({ command, argumentCount }: Position) {
  if ('commands' in command) return undefined;
  const all = Object.values(command.arguments ?? {});
  return all[argumentCount] ?? all.findLast(({ usage }) => usage.includes('...'));
}

/** `-n` and `--lines` of `-n, --lines <number>`. */
function flagsOf({ flag }: CommandOption): string[] {
  return flag.match(/(?<![\w<-])--?[a-z][a-z-]*/gi) ?? [];
}

/** By the name of the flag, in the singular, and by what stands in the brackets. */
function kindOf(flag: string, usage: string): ValueKind | undefined {
  const [, name = ''] = /--([a-z-]+)/.exec(flag) ?? [];
  const [, placeholder = ''] = /[<[]([^.\]>]+)/.exec(usage) ?? [];
  const words = [name.replace(/s$/, ''), placeholder === 'command' ? 'file' : placeholder];
  return KINDS.find((kind) => words.includes(kind)) ?? (placeholder === 'pattern' ? 'model' : undefined);
}

const KINDS: readonly ValueKind[] = ['key', 'profile', 'model', 'region', 'file'];

function startingWith(start: string, candidates: readonly Completion[]): Completion[] {
  return candidates.filter(({ value }) => value.startsWith(start));
}
