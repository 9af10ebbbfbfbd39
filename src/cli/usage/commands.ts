/**
 * The commands that read the ledger, `usage` and `logs`: words and options only; each command's own file is imported
 * when it runs.
 */
import { type CommandOption, defineCommand, JSON_OPTION, pickOptions } from '../command.ts';
import { OPTIONS } from '../../config/options.ts';
import { DEFAULT_SINCE, GROUPING_NAMES, GROUPINGS } from './groupings.ts';

const USAGE_EXAMPLES = `
Examples:
  $ bedrock-proxy usage                           the last seven days, by key
  $ bedrock-proxy usage --since 30d --by model
  $ bedrock-proxy usage --key alice --by day
  $ bedrock-proxy usage --by session,key --limit 20
  $ bedrock-proxy usage --since 1h --by model --watch
  $ bedrock-proxy usage --since 2026-01-01 --until 2026-01-31 --csv > jan.csv
  $ bedrock-proxy usage --compare cur-2026-01.csv.gz --by day,model
`;
const USAGE_NOTES = `
Several groups have commas between them: --by day,model.
Days are those of UTC; one given to --until is included.
What a request without a known price cost is unknown: it is counted as unpriced
and is not in the sums.
--compare reads a Cost and Usage Report (CSV, also gzip; 2.0, legacy or FOCUS)
or the JSON of \`aws ce get-cost-and-usage\`, and nothing is sent; --by is of
model (the default), region, tier, day.
`;
const TOP_EXAMPLES = `
Examples:
  $ bedrock-proxy top                             until q
  $ bedrock-proxy top --json | jq .in_flight
`;
const TOP_NOTES = `
What has ended in the last minute is from the ledger, of all proxies on its
database; what is in flight, from the proxy that runs on the port. Today is the
day of UTC. Without a terminal it prints once.
`;
const LOGS_EXAMPLES = `
Examples:
  $ bedrock-proxy logs                            the last 20 requests
  $ bedrock-proxy logs -f --status 4xx            follow what fails
  $ bedrock-proxy logs --key alice --since 1h --model '*claude*'
  $ bedrock-proxy logs --filter 'ttfb:>2s -client:boto3'
  $ bedrock-proxy logs -f --json | jq .cost_usd
`;

const KEY_OPTION = {
  flag: '--key <key>',
  description: 'only of this key: id or alias',
} as const satisfies CommandOption;

const SESSION_OPTION = {
  flag: '--session <id>',
  description: 'only of this session, as its client names it',
} as const satisfies CommandOption;

/** `usage`. */
export const USAGE = defineCommand({
  name: 'usage',
  description: 'what was used and what it cost',
  examples: USAGE_EXAMPLES,
  notes: USAGE_NOTES,
  options: {
    since: { flag: '--since <time>', description: `from when: 7d, 12h, a date, or all (default: ${DEFAULT_SINCE})` },
    until: { flag: '--until <time>', description: 'until when (default: now)' },
    by: {
      flag: '--by <group>',
      description: `one line for each (default: key): ${GROUPING_NAMES}`,
      values: GROUPINGS,
    },
    key: KEY_OPTION,
    session: SESSION_OPTION,
    limit: { flag: '--limit <number>', description: 'only so many lines, the first ones' },
    compare: {
      flag: '--compare <file...>',
      description: "beside AWS's bill, which these files have; --since is its begin then",
      conflicts: ['key', 'session', 'limit', 'watch'],
    },
    watch: { flag: '--watch', description: 'show it again and again, until q', conflicts: ['json', 'csv'] },
    json: { ...JSON_OPTION, conflicts: 'csv' },
    csv: { flag: '--csv', description: 'print CSV, without the totals' },
    ...pickOptions('db'),
  },
  run: async ({ compare, watch, ...input }) =>
    compare === undefined
      ? (await import('./usage.ts')).printUsage({ ...input, watch })
      : (await import('./print-comparison.ts')).printComparison({ ...input, compare }),
});

/** `top`. */
export const TOP = defineCommand({
  name: 'top',
  description: 'what goes on now: in flight, by the minute, and today',
  examples: TOP_EXAMPLES,
  notes: TOP_NOTES,
  options: {
    json: JSON_OPTION,
    port: { ...OPTIONS.port, description: 'port of the proxy' },
    host: { ...OPTIONS.host, description: 'host of the proxy' },
    tls: { ...OPTIONS.tls, description: 'reach it over https://' },
    ...pickOptions('db'),
  },
  run: async (input) => (await import('./top.ts')).printTop(input),
});

/** `logs`. */
export const LOGS = defineCommand({
  name: 'logs',
  description: 'the requests in the ledger, one line each',
  examples: LOGS_EXAMPLES,
  options: {
    follow: { flag: '-f, --follow', description: 'go on with those that come, until interrupted' },
    lines: { flag: '-n, --lines <number>', description: 'how many of the last (default: 20; with --since all)' },
    since: { flag: '--since <time>', description: 'from when: 7d, 12h, a date, or all' },
    key: KEY_OPTION,
    status: { flag: '--status <status>', description: 'only of this status: 429, 4xx or 400-499' },
    model: { flag: '--model <pattern>', description: 'only of models such as *claude-haiku*' },
    operation: { flag: '--operation <name>', description: 'only of this operation, such as ConverseStream' },
    session: SESSION_OPTION,
    filter: { flag: '--filter <filter>', description: "only what matches, such as 'status:4xx model:*haiku*'" },
    id: { flag: '--id <id>', description: 'all that is known of one request' },
    json: { ...JSON_OPTION, description: 'print a JSON object per line' },
    ...pickOptions('db'),
  },
  run: async (input) => (await import('../logs/logs.ts')).printLogs(input),
});
