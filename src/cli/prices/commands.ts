/**
 * The `prices` commands: words and options only; what they do is imported when one of them runs.
 */
import { type CommandGroup, defineCommand, JSON_OPTION, pickOptions } from '../command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy prices show us.anthropic.claude-sonnet-4-5-20250929-v1:0
  $ bedrock-proxy prices show amazon.nova-pro-v1:0 --tier flex --prices own.json
  $ bedrock-proxy prices list 'anthropic.*'
  $ bedrock-proxy prices update             fetch what is published today
`;
const NOTES = `
In USD per million tokens. The price file (--prices) comes first, then what
\`prices update\` fetched, then what is built in; a server reads them at its
start. A price that nobody knows is missing, never zero: such requests count
as unpriced.
`;
const TIERS = ['standard', 'flex', 'priority', 'batch', 'reserved', 'optimized'] as const;

const WORDS = { examples: EXAMPLES, notes: NOTES };

const SHOW = defineCommand({
  ...WORDS,
  name: 'show',
  description: 'the price in force for a model, and where it comes from',
  arguments: { model: { usage: '<model>', description: 'as requests name it: id, inference profile or ARN' } },
  options: {
    tier: { flag: '--tier <tier>', description: 'how it is served (default: standard)', choices: TIERS },
    ...pickOptions('prices', 'db'),
    json: JSON_OPTION,
  },
  run: async (input) => (await import('./table.ts')).showPrice(input),
});

const LIST = defineCommand({
  ...WORDS,
  name: 'list',
  description: 'every model that has a price',
  arguments: { pattern: { usage: '[pattern]', description: 'part of the name, or a pattern with *' } },
  options: { ...pickOptions('prices', 'db'), json: JSON_OPTION },
  run: async (input) => (await import('./table.ts')).listPrices(input),
});

const UPDATE = defineCommand({
  ...WORDS,
  name: 'update',
  description: 'fetch the published prices, and say what changed',
  options: {
    url: { flag: '--url <url>', description: 'fetch them from here', isHidden: true },
    ...pickOptions('db'),
    json: JSON_OPTION,
  },
  run: async (input) => (await import('./update.ts')).updatePrices(input),
});

/** `prices` and its verbs. */
export const PRICES: CommandGroup = {
  ...WORDS,
  name: 'prices',
  description: 'show and refresh what models cost',
  commands: [SHOW, LIST, UPDATE],
};
