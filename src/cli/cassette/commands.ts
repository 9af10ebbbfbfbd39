/**
 * The `cassette` commands: words and options only; each command's own file is imported when it runs.
 */
import type { CommandGroup } from '../command.ts';
import { CASSETTE_CHECK } from './check-command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy cassette check cassettes/checkout
`;

/** `cassette` and its verbs. */
export const CASSETTE: CommandGroup = {
  name: 'cassette',
  description: 'look at recordings',
  examples: EXAMPLES,
  commands: [CASSETTE_CHECK],
};
