/**
 * The commands for a first look at Bedrock, `models` and `chat`: words and options only; each command's own file is
 * imported when it runs.
 */
import { defineCommand, JSON_OPTION, pickOptions } from '../command.ts';
import { OPTIONS } from '../../config/options.ts';

const MODELS_EXAMPLES = `
Examples:
  $ bedrock-proxy models                          what this account may call
  $ bedrock-proxy models haiku --region eu-west-1
  $ bedrock-proxy models 'us.anthropic.*' --json
`;
const MODELS_NOTES = `
Asks AWS for foundation models and inference profiles of one region: through
the proxy that runs on --port, if it is one of this database; otherwise, and
whenever --profile, --region, --offline or --endpoint-url is given, with your
credentials. Whether the account has access to a model, AWS does not say there:
\`bedrock-proxy chat MODEL hi\` shows it. Prices are in USD per million tokens;
- is not known, + more for long inputs.
`;
const CHAT_EXAMPLES = `
Examples:
  $ bedrock-proxy chat amazon.nova-micro-v1:0 'hi'
  $ git diff | bedrock-proxy chat us.amazon.nova-pro-v1:0 'Review this:' -
  $ bedrock-proxy chat amazon.nova-micro-v1:0 --offline 'hi'
`;
const CHAT_NOTES = `
One question, one answer, by Converse. Goes through the proxy that runs on
--port, if it is one of this database; otherwise, and whenever --profile,
--region, --offline or --endpoint-url is given, it is called without one, and
the ledger does not know of it. Without a message it is read from standard
input; a - stands for standard input too.
`;

const UPSTREAM = {
  ...pickOptions('profile', 'region', 'offline', 'endpointUrl', 'db'),
  offline: { ...OPTIONS.offline, description: 'ask the Bedrock inside this program: no AWS account, no network' },
} as const;
const ADDRESS = {
  port: { ...OPTIONS.port, description: 'port of the proxy' },
  host: { ...OPTIONS.host, description: 'host of the proxy' },
};

/** `models`. */
export const MODELS = defineCommand({
  name: 'models',
  description: 'the models that can be called in a region, how, and what they cost',
  examples: MODELS_EXAMPLES,
  notes: MODELS_NOTES,
  arguments: { pattern: { usage: '[pattern]', description: 'part of an id or a name, or a pattern with *' } },
  options: { ...UPSTREAM, ...ADDRESS, ...pickOptions('prices'), json: JSON_OPTION },
  run: async (input) => {
    await (await import('./models.ts')).listModels(input);
    endNow();
  },
});

/** `chat`. */
export const CHAT = defineCommand({
  name: 'chat',
  description: 'ask a model one question',
  examples: CHAT_EXAMPLES,
  notes: CHAT_NOTES,
  arguments: {
    model: { usage: '<model>', description: 'id, inference profile, ARN or alias of a model' },
    message: { usage: '[message...]', description: 'what to ask' },
  },
  options: {
    system: { flag: '--system <text>', description: 'a system prompt' },
    maxTokens: { flag: '--max-tokens <number>', description: 'longest answer' },
    key: { flag: '--key <key>', description: 'id or alias of the key; else the only active one' },
    json: { ...JSON_OPTION, description: 'print the answer, its usage and its cost as JSON' },
    ...UPSTREAM,
    ...ADDRESS,
  },
  run: async (input) => {
    await (await import('./chat.ts')).chat(input);
    endNow();
  },
});

/** What the SDK's credential chain may keep open is not waited for; what was printed is. */
function endNow(): void {
  process.stdout.write('', () => process.exit());
}
