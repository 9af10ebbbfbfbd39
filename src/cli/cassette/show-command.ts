/**
 * `cassette show`: words and options only; the command's own file is imported when it runs.
 */
import { defineCommand, JSON_OPTION } from '../command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy cassette show cassettes/checkout 4
  $ bedrock-proxy cassette show cassettes/checkout refuses/001-converse --json
`;
const NOTES = `
A recording is named by its number, or by the name of its file or its beginning.
--json prints it on one line, as \`cassette import\` reads it.
`;

/** `cassette show`. */
export const CASSETTE_SHOW = defineCommand({
  name: 'show',
  description: 'one recording: request, response, and when each part came',
  examples: EXAMPLES,
  notes: NOTES,
  arguments: {
    directory: { usage: '<dir>', description: 'the cassette' },
    recording: { usage: '<recording>', description: 'its number, its name or the beginning of it' },
  },
  options: { json: JSON_OPTION },
  run: async (input) => (await import('./show.ts')).showRecording(input),
});
