/**
 * `cassette check`: words and options only; the command's own file is imported when it runs.
 */
import { defineCommand, JSON_OPTION } from '../command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy cassette check cassettes/checkout
  $ bedrock-proxy cassette check cassettes --max-age 90d --strict
`;
const NOTES = `
Looks for secrets, addresses and account ids that are not scrubbed, broken files
and hashes, age, and what the last run did not play. Prints no secret. Ends with
1 if something is wrong: for continuous integration, and before a commit.
`;

/** `cassette check`. */
export const CASSETTE_CHECK = defineCommand({
  name: 'check',
  description: 'whether recordings hold secrets, are broken, old or unused',
  examples: EXAMPLES,
  notes: NOTES,
  arguments: { directory: { usage: '<dir>', description: 'the cassette, or a directory of several' } },
  options: {
    maxAge: { flag: '--max-age <days>', description: 'what was recorded longer ago is a problem, as in 90d' },
    strict: { flag: '--strict', description: 'what the last run did not play is a problem' },
    json: JSON_OPTION,
  },
  run: async (input) => (await import('./check.ts')).checkCassette(input),
});
