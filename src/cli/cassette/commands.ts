/**
 * The `cassette` commands: words and options only; each command's own file is imported when it runs.
 */
import type { CommandGroup } from '../command.ts';
import { CASSETTE_CHECK } from './check-command.ts';
import { CASSETTE_IMPORT } from './import-command.ts';
import { CASSETTE_LIST } from './list-command.ts';
import { CASSETTE_SHOW } from './show-command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy cassette list cassettes/checkout
  $ bedrock-proxy cassette check cassettes/checkout
`;

/** `cassette` and its verbs. */
export const CASSETTE: CommandGroup = {
  name: 'cassette',
  description: 'look at recordings',
  examples: EXAMPLES,
  commands: [CASSETTE_LIST, CASSETTE_SHOW, CASSETTE_CHECK, CASSETTE_IMPORT],
};
