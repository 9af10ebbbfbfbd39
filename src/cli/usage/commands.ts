/**
 * The commands that read the ledger, `usage` and `logs`, as commander sees them: names, options and help only; each
 * command's own file is imported when it runs.
 */
import { type Command, Option } from 'commander';
import type { Flags } from '../../config/options.ts';
import { DEFAULT_SINCE, GROUPINGS } from './groupings.ts';
import type { CommandTools } from '../env/commands.ts';

const USAGE_EXAMPLES = `
Examples:
  $ bedrock-proxy usage                           the last seven days, by key
  $ bedrock-proxy usage --since 30d --by model
  $ bedrock-proxy usage --key alice --by day
  $ bedrock-proxy usage --since 2026-01-01 --until 2026-01-31 --csv > jan.csv
`;
const USAGE_NOTES = `
Days are those of UTC; one given to --until is included.
What a request without a known price cost is unknown: it is counted as unpriced
and is not in the sums.
`;
const LOGS_EXAMPLES = `
Examples:
  $ bedrock-proxy logs                            the last 20 requests
  $ bedrock-proxy logs -f --status 4xx            follow what fails
  $ bedrock-proxy logs --key alice --since 1h --model '*claude*'
  $ bedrock-proxy logs -f --json | jq .cost_usd
`;

/** Adds both. */
export function addReports(program: Command, tools: CommandTools): void {
  addUsage(program, tools);
  addLogs(program, tools);
}

const KEY_FLAG = ['--key <key>', 'only of this key: id or alias'] as const;

function addUsage(program: Command, tools: CommandTools): void {
  const command = program
    .command('usage')
    .description('what was used and what it cost')
    .option('--since <time>', `from when: 7d, 12h, a date, or all (default: ${DEFAULT_SINCE})`)
    .option('--until <time>', 'until when (default: now)')
    .addOption(new Option('--by <group>', 'one line for each (default: key)').choices(GROUPINGS))
    .option(...KEY_FLAG)
    .addOption(new Option('--json', 'print JSON').conflicts('csv'))
    .option('--csv', 'print CSV, without the totals')
    .addHelpText('after', USAGE_NOTES)
    .action(async (flags: Flags) => (await import('./usage.ts')).printUsage(flags));
  finish(command, USAGE_EXAMPLES, tools);
}

function addLogs(program: Command, tools: CommandTools): void {
  const command = program
    .command('logs')
    .description('the requests in the ledger, one line each')
    .option('-f, --follow', 'go on with those that come, until interrupted')
    .option('-n, --lines <number>', 'how many of the last (default: 20; with --since all)')
    .option('--since <time>', 'from when: 7d, 12h, a date, or all')
    .option(...KEY_FLAG)
    .option('--status <status>', 'only of this status: 429, 4xx or 400-499')
    .option('--model <pattern>', 'only of models such as *claude-haiku*')
    .option('--operation <name>', 'only of this operation, such as ConverseStream')
    .option('--json', 'print a JSON object per line')
    .action(async (flags: Flags) => (await import('../logs/logs.ts')).printLogs(flags));
  finish(command, LOGS_EXAMPLES, tools);
}

function finish(command: Command, examples: string, { addOption, forEachCommand }: CommandTools): void {
  addOption(command, 'db');
  command.addHelpText('before', examples.trimStart());
  forEachCommand(command);
}
