/**
 * `cassette list`: words and options only; the command's own file is imported when it runs.
 */
import { defineCommand, JSON_OPTION } from '../command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy cassette list cassettes/checkout
  $ bedrock-proxy cassette list cassettes/checkout --json
`;

/** `cassette list`. */
export const CASSETTE_LIST = defineCommand({
  name: 'list',
  description: 'the recordings of a cassette: what was asked, and how it ended',
  examples: EXAMPLES,
  arguments: { directory: { usage: '<dir>', description: 'the cassette' } },
  options: { json: JSON_OPTION },
  run: async (input) => (await import('./list.ts')).listCassette(input),
});
