/**
 * The `key` commands: words and options only; each command's own file is imported when it runs.
 */
import { Help } from 'commander';
import { type CommandGroup, type CommandSpec, defineCommand, JSON_OPTION, pickOptions } from '../command.ts';
import { LIMIT_FLAGS } from '../../keys/limits.ts';
import { POLICY_OPTIONS } from './policy-options.ts';
import type { KeyEndInput, KeyNameInput } from './input.ts';

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
  $ bedrock-proxy key generate --alias ci --budget 25 --budget-window week
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
Without --scope all a key uses models and agents and reads the rest; with
--scope inference it calls models alone. A key with a budget may use only what
has a known price (\`bedrock-proxy prices list\`). --expires 2030-12-31 is the
end of that day, UTC.
`;
const TAKEN_AWAY = LIMIT_FLAGS.flatMap(({ name, takenAwayBy }) =>
  takenAwayBy === undefined ? [] : [`${name} ${takenAwayBy}`],
);
const UPDATE_NOTES = `\n${new Help().boxWrap(
  `What is not named stays as it is. Taken away: --expires never, ${TAKEN_AWAY.join(', ')}, --note '', --tag NAME=. ` +
    'Another --budget-window or --budget-timezone begins a new window, another --budget does not. ' +
    'A running proxy obeys from the next request on.',
  80,
)}\n`;
const TAKES_KEY = {
  usage: '<key> [options]',
  arguments: {
    key: {
      usage: '<key>',
      description: 'id, alias, access key id, or the key itself (- reads it from standard input)',
    },
  },
} as const;
const QUIET = '-q, --quiet';
const OUTPUT = { ...pickOptions('db'), json: JSON_OPTION };

const GENERATE = defineCommand({
  name: 'generate',
  description: 'make a key and print it',
  examples: GENERATE_EXAMPLES,
  notes: GENERATE_NOTES,
  options: {
    ...POLICY_OPTIONS,
    copy: { flag: '--copy', description: 'put the key on the clipboard, too' },
    quiet: { flag: QUIET, description: 'print the key and nothing else' },
    ...OUTPUT,
  },
  run: async (input) => (await import('./generate.ts')).runGenerate(input),
});

const LIST = defineCommand({
  name: 'list',
  description: 'list the keys with what they spent, revoked ones too',
  examples: KEY_EXAMPLES,
  options: { all: { flag: '--all', description: 'with the keys of exec whose command has ended' }, ...OUTPUT },
  run: async (input) => (await import('./show.ts')).runList(input),
});

const UPDATE = defineCommand({
  name: 'update',
  ...TAKES_KEY,
  description: 'change what a key may do',
  examples: UPDATE_EXAMPLES,
  notes: UPDATE_NOTES,
  options: {
    ...POLICY_OPTIONS,
    noAllowUnpriced: { flag: '--no-allow-unpriced', description: 'not any more' },
    ...OUTPUT,
  },
  run: async (input) => (await import('./update.ts')).runUpdate(input),
});

const ROTATE = defineCommand({
  name: 'rotate',
  ...TAKES_KEY,
  description: 'make a new key with all that the old one has, print it, and end the old one',
  examples: KEY_EXAMPLES,
  options: {
    grace: {
      flag: '--grace <time>',
      description: 'how long the old key still works, such as 10m or 24h (default: 0s)',
    },
    quiet: { flag: QUIET, description: 'print the new key and nothing else' },
    ...OUTPUT,
  },
  run: async (input) => (await import('./generate.ts')).runRotate(input),
});

const exampleOf = (name: string): string => `\nExamples:\n  $ bedrock-proxy key ${name} alice\n`;

/** One that takes a key and no more. */
function onKey(name: string, description: string, run: (input: KeyNameInput) => Promise<void>): CommandSpec {
  return defineCommand({ ...TAKES_KEY, name, description, examples: exampleOf(name), options: OUTPUT, run });
}

/** The same for what asks on a terminal. */
function endsKey(name: string, description: string, run: (input: KeyEndInput) => Promise<void>): CommandSpec {
  return defineCommand({
    ...TAKES_KEY,
    name,
    description,
    examples: exampleOf(name),
    options: { yes: { flag: '-y, --yes', description: 'do not ask, as it is without a terminal' }, ...OUTPUT },
    run,
  });
}

/** `key` and what stands below it. */
export const KEY: CommandGroup = {
  name: 'key',
  description: 'make virtual keys, say what each may do, and end them',
  examples: KEY_EXAMPLES,
  commands: [
    GENERATE,
    LIST,
    onKey('show', 'all about a key: state, limits, what it spent and what is left', async (input) =>
      (await import('./show.ts')).runShow(input),
    ),
    UPDATE,
    onKey('block', 'refuse a key until it is unblocked', async (input) =>
      (await import('./update.ts')).blockKey(input),
    ),
    onKey('unblock', 'let a blocked key in again', async (input) => (await import('./update.ts')).unblockKey(input)),
    ROTATE,
    endsKey('revoke', 'end a key; a running server refuses it at once, and cuts what it has under way', async (input) =>
      (await import('./update.ts')).revokeKey(input),
    ),
    endsKey(
      'delete',
      'end a key and forget it, its secret first of all; what it did stays in the ledger',
      async (input) => (await import('./update.ts')).deleteKey(input),
    ),
  ],
};
