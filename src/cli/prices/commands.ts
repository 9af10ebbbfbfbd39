/**
 * The `prices` commands: words and options only; what they do is imported when one of them runs.
 */
import { type CommandGroup, defineCommand, JSON_OPTION, pickOptions } from '../command.ts';

const EXAMPLES = `
Examples:
  $ bedrock-proxy prices show us.anthropic.claude-sonnet-4-5-20250929-v1:0
  $ bedrock-proxy prices show amazon.nova-pro-v1:0 --region eu-west-1
  $ bedrock-proxy prices list 'anthropic.*' --region ap-south-1
  $ bedrock-proxy prices update             fetch what is published today
  $ bedrock-proxy prices check own.json     is this a price file?
`;
const NOTES = `
In USD per million tokens. The price file (--prices) comes first, then what
\`prices update\` fetched, then what is built in; a running server takes a
change of them by itself. A price that nobody knows is missing, never zero:
such requests count as unpriced.
`;
const TIERS = ['standard', 'flex', 'priority', 'batch', 'reserved', 'optimized'] as const;

const REGION = {
  flag: '--region <region>',
  description: 'the region that is called (default: that of the proxy, or us-east-1)',
} as const;
const TIER = { flag: '--tier <tier>', description: 'how it is served (default: standard)', choices: TIERS } as const;

const WORDS = { examples: EXAMPLES, notes: NOTES };

const SHOW = defineCommand({
  ...WORDS,
  name: 'show',
  description: 'the price in force for a model, and where it comes from',
  arguments: { model: { usage: '<model>', description: 'as requests name it: id, inference profile or ARN' } },
  options: {
    region: REGION,
    tier: TIER,
    ...pickOptions('prices', 'db', 'profile'),
    json: JSON_OPTION,
  },
  run: async (input) => (await import('./table.ts')).showPrice(input),
});

const LIST = defineCommand({
  ...WORDS,
  name: 'list',
  description: 'every model that has a price',
  arguments: { pattern: { usage: '[pattern]', description: 'part of the name, or a pattern with *' } },
  options: {
    model: { flag: '--model <pattern>', description: 'the same as the argument' },
    region: REGION,
    tier: TIER,
    ...pickOptions('prices', 'db', 'profile'),
    json: JSON_OPTION,
  },
  run: async (input) => (await import('./table.ts')).listPrices(input),
});

const UPDATE = defineCommand({
  ...WORDS,
  name: 'update',
  description: 'fetch the published prices, and say what changed',
  options: {
    from: { flag: '--from <source>', description: 'aws, genai-prices, a file or a URL (default: aws, genai-prices)' },
    regions: {
      flag: '--regions <region...>',
      description: 'of these regions (default: those of the ledger, and that of the proxy)',
    },
    priceList: { flag: '--price-list <url>', description: "in place of AWS's Price List", isHidden: true },
    ...pickOptions('db', 'profile', 'region'),
    json: JSON_OPTION,
  },
  run: async (input) => (await import('./update.ts')).updatePrices(input),
});

const CHECK = defineCommand({
  ...WORDS,
  name: 'check',
  description: 'whether a price file is right, and speaks of known models',
  arguments: { file: { usage: '<file>', description: 'as --prices takes it' } },
  options: { json: JSON_OPTION },
  run: async (input) => (await import('./check.ts')).checkPriceFile(input),
});

/** `prices` and its verbs. */
export const PRICES: CommandGroup = {
  ...WORDS,
  name: 'prices',
  description: 'show and refresh what models cost',
  commands: [SHOW, LIST, UPDATE, CHECK],
};
