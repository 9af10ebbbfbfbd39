/** The command `explain`: words and options only; what it does is imported when it runs. */
import { defineCommand, JSON_OPTION, pickOptions } from '../command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy explain 0198c5b2-7d1e-7b6a-9c0f-3f6f0f3b2a11   a request
  $ bedrock-proxy explain 'Too many tokens, please wait before trying again.'
  $ bedrock-proxy explain error.json
  $ aws bedrock-runtime converse … 2>&1 | bedrock-proxy explain -
`;
const NOTES = `
Ends with 1 if nothing is known of it. Nothing is sent anywhere.
`;

/** `explain`. */
export const EXPLAIN = defineCommand({
  name: 'explain',
  description: 'what an error means, and what helps against it',
  examples: EXAMPLES,
  notes: NOTES,
  arguments: {
    what: { usage: '<what>', description: 'id of a request, text of an error, a file that holds it, or - for stdin' },
  },
  options: {
    model: { flag: '--model <id>', description: 'the model that was called, if the text does not say it' },
    json: JSON_OPTION,
    ...pickOptions('region', 'db'),
  },
  run: async (input) => (await import('./explain.ts')).printExplanation(input),
});
