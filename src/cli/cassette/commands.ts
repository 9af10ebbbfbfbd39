/**
 * The `cassette` commands: words and options only; each command's own file is imported when it runs.
 */
import { type CommandGroup, defineCommand, JSON_OPTION } from '../command.ts';
import { CASSETTE_CHECK } from './check-command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy cassette list cassettes/checkout
  $ bedrock-proxy cassette show cassettes/checkout 004
  $ bedrock-proxy cassette check cassettes/checkout
`;

const DIRECTORY = { usage: '<dir>', description: 'the cassette' } as const;

const CASSETTE_LIST = defineCommand({
  name: 'list',
  description: 'what was recorded, a line for each exchange',
  examples: EXAMPLES,
  arguments: { directory: DIRECTORY },
  options: { json: JSON_OPTION },
  run: async (input) => (await import('./list.ts')).listCassette(input),
});

const CASSETTE_SHOW = defineCommand({
  name: 'show',
  description: 'one recording: what was asked, and what came when',
  examples: EXAMPLES,
  arguments: {
    directory: DIRECTORY,
    name: { usage: '<name>', description: 'the name of its file, or how that begins' },
  },
  options: { json: JSON_OPTION },
  run: async (input) => (await import('./list.ts')).showRecording(input),
});

/** `cassette` and its verbs. */
export const CASSETTE: CommandGroup = {
  name: 'cassette',
  description: 'look at recordings',
  examples: EXAMPLES,
  commands: [CASSETTE_LIST, CASSETTE_SHOW, CASSETTE_CHECK],
};
