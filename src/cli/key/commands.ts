/**
 * The `key` commands, as commander sees them: names, options and help only; each command's own file is imported when it
 * runs.
 */
import { type Command, Help, Option } from 'commander';
import type { Flags } from '../../config/options.ts';
import type { LimitFlag } from '../../keys/define-limit.ts';
import { LIMIT_FLAGS, LIMITS } from '../../keys/limits.ts';
import type { CommandTools } from '../env/commands.ts';

const KEY_EXAMPLES = `
Examples:
  $ bedrock-proxy key generate --alias alice
  $ export AWS_BEARER_TOKEN_BEDROCK=$(bedrock-proxy key generate --quiet)
  $ bedrock-proxy key list
  $ bedrock-proxy key update alice --budget 25 --budget-window 30d
  $ bedrock-proxy key show alice
  $ bedrock-proxy key rotate alice --grace 10m
  $ bedrock-proxy key revoke alice
`;
const GENERATE_EXAMPLES = `
Examples:
  $ bedrock-proxy key generate --alias alice
  $ bedrock-proxy key generate --alias ci --budget 25 --budget-window 7d
  $ bedrock-proxy key generate --models '*claude-haiku*' amazon.nova-lite-v1:0
  $ export AWS_BEARER_TOKEN_BEDROCK=$(bedrock-proxy key generate --quiet)
`;
const UPDATE_EXAMPLES = `
Examples:
  $ bedrock-proxy key update alice --budget 50
  $ bedrock-proxy key update alice --models '*claude*' --tag team=search
  $ bedrock-proxy key update alice --expires never --rpm none --models any
`;
const GENERATE_NOTES = `
A pattern stands for whole model names (* for any characters) and matches a
model however a request names it: as id, as profile of a geography, as ARN.
Without --scope all a key calls models and agents and reads the rest; it creates
and deletes nothing. A key with a budget may use only what has a known price
(\`bedrock-proxy prices list\`). --expires 2030-12-31 is the end of that day, UTC.
`;
const TAKEN_AWAY = LIMIT_FLAGS.flatMap(({ name, takenAwayBy }) =>
  takenAwayBy === undefined ? [] : [`${name} ${takenAwayBy}`],
);
const UPDATE_NOTES = `\n${new Help().boxWrap(
  `What is not named stays as it is. Taken away: --expires never, ${TAKEN_AWAY.join(', ')}, --note '', --tag NAME=. ` +
    'Another --budget-window begins a new window, another --budget does not. ' +
    'A running proxy obeys from the next request on.',
  80,
)}\n`;
const KEY_ARGUMENT = ['<key>', 'id, alias, access key id, or the key itself (- reads it from standard input)'] as const;

type Run = (name: string, flags: Flags) => Promise<void>;

/** Adds `key` and what stands below it. */
export function addKey(program: Command, tools: CommandTools): void {
  const key = program
    .command('key')
    .description('make virtual keys, say what each may do, and end them')
    .addHelpText('before', KEY_EXAMPLES.trimStart());
  tools.forEachCommand(key);
  const generate = key
    .command('generate')
    .description('make a key and print it, once')
    .addHelpText('after', GENERATE_NOTES)
    .action(async (flags: Flags) => (await import('./generate.ts')).runGenerate(flags));
  addLimits(generate).option('-q, --quiet', 'print the key and nothing else');
  const list = key
    .command('list')
    .description('list all keys with what they spent, revoked ones too')
    .action(async (flags: Flags) => (await import('./show.ts')).runList(flags));
  finish(generate, GENERATE_EXAMPLES, tools);
  finish(list, KEY_EXAMPLES, tools);
  addKeyCommands(key, tools);
}

/** Those that take a key. */
function addKeyCommands(key: Command, tools: CommandTools): void {
  const add = (name: string, description: string, run: Run): Command =>
    key
      .command(name)
      .usage('<key> [options]')
      .description(description)
      .argument(...KEY_ARGUMENT)
      .action(run);
  const show = add('show', 'all about a key: state, limits, what it spent and what is left', async (name, flags) =>
    (await import('./show.ts')).runShow(name, flags),
  );
  const update = add('update', 'change what a key may do', async (name, flags) =>
    (await import('./update.ts')).runUpdate(name, flags),
  );
  addLimits(update).option('--no-allow-unpriced', 'not any more').addHelpText('after', UPDATE_NOTES);
  const block = add('block', 'refuse a key until it is unblocked', async (name, flags) =>
    (await import('./update.ts')).blockKey(name, flags),
  );
  const unblock = add('unblock', 'let a blocked key in again', async (name, flags) =>
    (await import('./update.ts')).unblockKey(name, flags),
  );
  const rotate = add(
    'rotate',
    'make a new key with all that the old one has, print it, and end the old one',
    async (name, flags) => (await import('./generate.ts')).runRotate(name, flags),
  )
    .option('--grace <time>', 'how long the old key still works, such as 10m or 24h (default: 0s)')
    .option('-q, --quiet', 'print the new key and nothing else');
  const revoke = add('revoke', 'end a key; a running server refuses it from the next request on', async (name, flags) =>
    (await import('./update.ts')).revokeKey(name, flags),
  );
  const remove = add(
    'delete',
    'end a key and forget it, its secret first of all; what it did stays in the ledger',
    async (name, flags) => (await import('./update.ts')).deleteKey(name, flags),
  );
  finish(update, UPDATE_EXAMPLES, tools);
  for (const command of [show, block, unblock, rotate, revoke, remove]) finish(command, KEY_EXAMPLES, tools);
}

/** The flags of `generate` and `update` that say what a key may do. */
function addLimits(command: Command): Command {
  // Last, so that `update` can have its opposite right below it.
  const { allowUnpriced, ...others } = LIMITS;
  command
    .option('--alias <name>', 'a name for people')
    .option('--expires <time>', 'when it ends: 12h, 30d, a day (through its end, UTC) or a time with its zone');
  for (const { flags } of Object.values(others)) addFlags(command, flags);
  command
    .option('--tag <name=value...>', 'a tag for what it does in the ledger')
    .option('--note <text>', 'a line for people');
  return addFlags(command, allowUnpriced.flags);
}

function addFlags(command: Command, flags: readonly LimitFlag[]): Command {
  for (const { name, argument, description, choices } of flags) {
    const option = new Option(argument === undefined ? name : `${name} ${argument}`, description);
    command.addOption(choices === undefined ? option : option.choices(choices));
  }
  return command;
}

function finish(command: Command, examples: string, { addOption, forEachCommand }: CommandTools): void {
  addOption(command, 'db');
  command.option('--json', 'print JSON').addHelpText('before', examples.trimStart());
  forEachCommand(command);
}
