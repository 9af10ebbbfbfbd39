/**
 * `cassette import`: words and options only; the command's own file is imported when it runs.
 */
import { defineCommand, JSON_OPTION } from '../command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy cassette import cassettes/checkout exchanges.ndjson
`;
const NOTES = `
The file has one exchange on each line, as \`cassette show --json\` prints it,
or as \`inspect export --unsanitized\` writes it.
Bodies are scrubbed by the rules of the cassette, and headers that are not
recorded are left out. Nothing that is there is replaced.
`;

/** `cassette import`. */
export const CASSETTE_IMPORT = defineCommand({
  name: 'import',
  description: 'add exchanges from a file to a cassette',
  examples: EXAMPLES,
  notes: NOTES,
  arguments: {
    directory: { usage: '<dir>', description: 'the cassette; made if it is not there' },
    file: { usage: '<file>', description: 'NDJSON: one exchange on each line' },
  },
  options: { json: JSON_OPTION },
  run: async (input) => (await import('./import.ts')).importExchanges(input),
});
