/**
 * The commands for proxies that run, `status` and `stop`: words and options only; each command's own file is imported
 * when it runs.
 */
import { type CommandOption, defineCommand, JSON_OPTION } from '../command.ts';

const STATUS_EXAMPLES = `
Examples:
  $ bedrock-proxy status
  $ bedrock-proxy status --json | jq '.[].url'
  $ bedrock-proxy status || bedrock-proxy start --background
`;
const STATUS_NOTES = `
Shows the proxies that this user has started on this machine, but for those of
exec, which end with their command. Counts are those since their start. Ends
with 1 if none runs.
`;
const STOP_EXAMPLES = `
Examples:
  $ bedrock-proxy stop                     all that status shows
  $ bedrock-proxy stop --port 4001
`;
const STOP_NOTES = `
Waits until they have ended: requests under way have the time of
--shutdown-grace. Ctrl-C ends the proxies at once.
`;

const PORT_OPTION = {
  flag: '-p, --port <number>',
  description: 'only the one on this port',
} as const satisfies CommandOption;

/** `status`. */
export const STATUS = defineCommand({
  name: 'status',
  description: 'the proxies that run',
  examples: STATUS_EXAMPLES,
  notes: STATUS_NOTES,
  options: { port: PORT_OPTION, json: JSON_OPTION },
  run: async (input) => (await import('./status.ts')).printStatus(input),
});

/** `stop`. */
export const STOP = defineCommand({
  name: 'stop',
  description: 'end the proxies that run',
  examples: STOP_EXAMPLES,
  notes: STOP_NOTES,
  options: { port: PORT_OPTION, json: JSON_OPTION },
  run: async (input) => (await import('./stop.ts')).stopProxies(input),
});
