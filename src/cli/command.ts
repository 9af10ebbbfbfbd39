/**
 * What a command of this program is, as data: its words, its options, and what it runs. From that come a command of
 * commander, which reads the command line and prints the help, and the type of the input that `run` gets.
 */
import { resolve } from 'node:path';
import { Argument, Command, Option } from 'commander';
import { CONFIG_VARIABLE, readConfigFiles } from '../config/files.ts';
import {
  CONFIG_FILES,
  type FlagValue,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  type OptionValue,
  START_HELP_HINT,
} from '../config/options.ts';
import { nameCommands } from '../lib/command-name.ts';
import { ProxyError } from '../lib/errors.ts';
import { printError } from '../app/print.ts';
import { findMeant } from '../lib/nearest-name.ts';
import { findMeantFlag, findVerb } from './verbs.ts';

/** An option of a command. Those of `start` (`OPTIONS`) have this form too. */
export interface CommandOption {
  /** As shown in help: `-n, --lines <number>` takes a value, `--models <pattern...>` several, `--json` is a switch. */
  readonly flag: string;
  readonly description: string;
  readonly choices?: readonly string[] | undefined;
  /** What it takes, if not commander but whoever reads it checks that. */
  readonly values?: readonly string[];
  /** May be given more than once, each time with one value. */
  readonly repeatable?: boolean;
  /** The names of options that may not stand beside it. */
  readonly conflicts?: string | readonly string[];
  /** Left out of the help. */
  readonly isHidden?: boolean;
  /** What holds without it, and the variables that set it, for the help. */
  readonly default?: string;
  readonly env?: readonly string[];
}

/** Options by the name that their value has in the input: that of the flag in camel case. */
export type CommandOptions = Readonly<Record<string, CommandOption>>;

/** An argument of a command. */
interface CommandArgument {
  /** As shown in help: `<key>`, `[pattern]` if it may be left out, `<command...>` for all that follow. */
  readonly usage: string;
  readonly description: string;
  readonly choices?: readonly string[];
}

type CommandArguments = Readonly<Record<string, CommandArgument>>;

type ArgumentValue<Usage extends string> = Usage extends `${string}...${'>' | ']'}`
  ? readonly string[]
  : Usage extends `<${string}>`
    ? string
    : string | undefined;

/** What a command with these options and arguments gets. */
type InputOf<Options extends CommandOptions, Arguments extends CommandArguments> = {
  readonly [Name in keyof Options]: OptionValue<Options[Name]>;
} & { readonly [Name in keyof Arguments]: ArgumentValue<Arguments[Name]['usage']> };

/** The words of a command, or of a group of commands. */
interface CommandWords {
  readonly name: string;
  readonly description: string;
  /** Stands above the help, and `notes` below it: lines of 80 columns. */
  readonly examples: string;
  readonly notes?: string;
}

/** A command that runs. */
export interface CommandSpec<Input = Readonly<Record<string, FlagValue>>> extends CommandWords {
  /** In place of `[options] <arguments>`. */
  readonly usage?: string;
  /** Of a group: it runs if no other one of the group is named. */
  readonly isDefault?: true;
  readonly arguments?: CommandArguments;
  /** In the order of the help. */
  readonly options: CommandOptions;
  /** Imports what the command needs, and does it. */
  run(input: Input): Promise<void>;
}

/** Commands under one name. */
export interface CommandGroup extends CommandWords {
  readonly commands: readonly CommandSpec[];
}

/** The command itself: this only derives the type of its input from its options and arguments. */
export function defineCommand<
  const Options extends CommandOptions,
  const Arguments extends CommandArguments = Record<never, never>,
>(
  spec: CommandSpec<InputOf<Options, Arguments>> & { readonly options: Options; readonly arguments?: Arguments },
): CommandSpec {
  return spec;
}

/** These options of `start`. */
export function pickOptions<const Name extends OptionName>(...names: readonly Name[]): Pick<typeof OPTIONS, Name> {
  return Object.fromEntries(names.map((name) => [name, OPTIONS[name]])) as Pick<typeof OPTIONS, Name>;
}

/** Options by the names that their flags have in camel case. */
export function nameOptions(options: readonly CommandOption[]): CommandOptions {
  return Object.fromEntries(options.map((option) => [new Option(option.flag).attributeName(), option]));
}

/** `--json`. */
export const JSON_OPTION = { flag: '--json', description: 'print JSON' } as const satisfies CommandOption;

/** Adds a command or a group to a program or a group. */
export function addCommand(parent: Command, spec: CommandSpec | CommandGroup): void {
  const isDefault = 'isDefault' in spec && spec.isDefault === true;
  const command = parent.command(spec.name, { isDefault }).description(spec.description);
  addWords(command, spec);
  if ('commands' in spec) {
    for (const below of spec.commands) {
      addCommand(command, { ...below, examples: pickExamples(below.examples, `${spec.name} ${below.name}`) });
    }
    return;
  }
  if (spec.usage !== undefined) command.usage(spec.usage);
  for (const { usage, description, choices } of Object.values(spec.arguments ?? {})) {
    const argument = new Argument(usage, description);
    command.addArgument(choices === undefined ? argument : argument.choices(choices));
  }
  for (const option of Object.values(spec.options)) command.addOption(toOption(option));
  command.addOption(new Option('--no-color').hideHelp());
  command.action(async () => {
    try {
      await spec.run(addFiles(readInput(command, spec), spec, command));
    } catch (error) {
      throw error instanceof ProxyError ? nameOwnHelp(error, command) : error;
    }
  });
}

const isExample = (line: string): boolean => line.startsWith('  $ ');

/** Of the examples of a group those of one command, or all if there are none. */
function pickExamples(examples: string, words: string): string {
  const lines = examples
    .split('\n')
    .filter((line) => !isExample(line) || `${line} `.includes(`bedrock-proxy ${words} `));
  return lines.some(isExample) ? lines.join('\n') : examples;
}

/** A flag of `start` that another command takes is in the help of that one too. */
function nameOwnHelp(error: ProxyError, command: Command): ProxyError {
  if (error.hint !== START_HELP_HINT || !error.message.startsWith('--')) return error;
  const { code, message, detail, cause } = error;
  return new ProxyError(code, message, { hint: hintAtHelp(command), detail, cause });
}

/** Where its options are told; or, if it runs a command whose options it took for its own, how to keep them apart. */
function hintAtHelp(command: Command): string {
  const name = fullName(command);
  return command.usage().includes(' -- ') && !listGiven(command).includes('--')
    ? `Options of the command that it runs stand behind --: \`${name} -- COMMAND\`.`
    : `See \`${name} --help\`.`;
}

/** The whole command line. Commander has it, but not in its types. */
function listGiven(command: Command): readonly unknown[] {
  if (command.parent !== null) return listGiven(command.parent);
  const given: unknown = 'rawArgs' in command ? command.rawArgs : undefined;
  return Array.isArray(given) ? given : [];
}

/** The texts around the help. Errors of usage leave through `run` of main.ts, in the same two lines as all others. */
export function addWords(command: Command, { examples, notes = '' }: Pick<CommandWords, 'examples' | 'notes'>): void {
  const [before, after] = [examples.trimStart(), notes].map((text) => nameCommands(text, process.env));
  command.addHelpText('before', before ?? '').addHelpText('after', after ?? '');
  command.exitOverride().showSuggestionAfterError(true);
  command.configureOutput({
    writeErr: (text) => process.stderr.write(text),
    outputError: (text) => printUsageError(text, command),
  });
}

function toOption(spec: CommandOption): Option {
  const facts = [
    ...(spec.default === undefined ? [] : [`default: ${spec.default}`]),
    ...(spec.env === undefined || spec.env.length === 0 ? [] : [`env: ${spec.env.join(', ')}`]),
  ];
  const option = new Option(spec.flag, spec.description + (facts.length === 0 ? '' : ` (${facts.join('; ')})`));
  if (spec.choices !== undefined) option.choices(spec.choices);
  if (spec.conflicts !== undefined) option.conflicts([spec.conflicts].flat());
  if (spec.repeatable === true)
    option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
  return option.hideHelp(spec.isHidden === true);
}

/** Values by name, as `InputOf` has them. Commander takes `--no-x` for an `x` that is false. */
function readInput(command: Command, spec: CommandSpec): Readonly<Record<string, FlagValue>> {
  const given = command.opts<Record<string, FlagValue>>();
  const options = Object.entries(spec.options).map(([name, { flag }]) => {
    const option = new Option(flag);
    const value = given[option.attributeName()];
    if (option.negate) return [name, value === false];
    return [name, option.isBoolean() ? value === true : value];
  });
  const args = Object.keys(spec.arguments ?? {}).map((name, at) => [name, command.processedArgs[at]]);
  return Object.fromEntries([...options, ...args]);
}

/** With what configuration files say, for a command that has options of `start`. */
function addFiles<Input extends object>(input: Input, spec: CommandSpec, command: Command): Input {
  if (!OPTION_NAMES.some((name) => name in spec.options)) return input;
  const named: unknown = command.optsWithGlobals()['config'];
  // In the environment, so that a server that this process starts reads it too.
  if (typeof named === 'string') process.env[CONFIG_VARIABLE] = resolve(named);
  const places = { environment: process.env, workingFolder: process.cwd(), platform: process.platform };
  const files = readConfigFiles(places);
  return files.length === 0 ? input : { ...input, [CONFIG_FILES]: files };
}

function printUsageError(text: string, command: Command): void {
  const [first = '', suggestion] = text.trim().split('\n');
  const message = first.replace(/^error: /, '').replace(/\.+$/, '');
  const meant = suggestFor(first, command);
  const hint = meant ?? suggestion?.replace(/^\((.*)\)$/, '$1') ?? hintAtHelp(command);
  printError(new ProxyError('ERR_BAD_OPTION', `${message}.`, { hint }), false);
}

/** For what commander has no suggestion, or a wrong one: verbs of other programs, and the values of an option. */
function suggestFor(message: string, command: Command): string | undefined {
  const [, verb] = /unknown command '(.*)'/.exec(message) ?? [];
  if (verb !== undefined) {
    const names = command.commands.map((below) => below.name());
    const words = findVerb(verb, names);
    return words && `Did you mean \`${fullName(command)} ${words}\`?`;
  }
  const [, words] = /too many arguments .* but got \d+: (.*)\./.exec(message) ?? [];
  if (words !== undefined) {
    const [word = ''] = words.split(', ');
    const flags = command.options.map(({ long }) => long ?? '');
    const found = findMeantFlag(command.name(), word, flags);
    return found && `Did you mean \`${fullName(command)} ${found} ${word}\`?`;
  }
  const [, argument = '', choices = ''] =
    /value '(.*)' is invalid for argument .* choices are (.*?)\.?$/.exec(message) ?? [];
  const choice = findMeant(argument, choices.split(', '));
  if (choice !== undefined) return `Did you mean ${choice}?`;
  const [, flag = '', value = '', list = ''] =
    /option '(?:-\w, )?(--[\w-]+).*' argument '(.*)' is invalid\. Allowed choices are (.*?)\.?$/.exec(message) ?? [];
  const meant = findMeant(value, list.split(', '));
  return flag === '' || meant === undefined ? undefined : `Did you mean ${flag} ${meant}?`;
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}
