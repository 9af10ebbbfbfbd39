/**
 * The table of commands. Imports what a command needs only when it runs: `--help` and `--version` are instant.
 */
import { Command, CommanderError, Option } from 'commander';
import { OPTIONS } from '../config/options.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';
import { addCommand, addWords, defineCommand, JSON_OPTION } from './command.ts';
import { KEY } from './key/commands.ts';
import { CACHE } from './cache/commands.ts';
import { EXPLAIN } from './explain/commands.ts';
import { CASSETTE } from './cassette/commands.ts';
import { COMPLETION } from './completion/commands.ts';
import { COMPLETE } from './completion/complete.ts';
import { DB } from './db/commands.ts';
import { CREDENTIAL_PROCESS, DOCTOR, ENV, EXEC } from './env/commands.ts';
import { EXIT_FAILED, EXIT_MISUSE, exitCodeOf, printError } from '../app/print.ts';
import { CHAT, MODELS } from './models/commands.ts';
import { INSPECT } from './inspect/commands.ts';
import { PRICES } from './prices/commands.ts';
import { STATUS, STOP } from './status/commands.ts';
import { LOGS, TOP, USAGE } from './usage/commands.ts';
import { readVersion } from '../lib/version.ts';

const START_EXAMPLES = `
Examples:
  $ bedrock-proxy start                     on http://localhost:4000/bedrock
  $ bedrock-proxy start --profile dev --region eu-west-1
  $ bedrock-proxy start --offline           no AWS account: a Bedrock inside
  $ bedrock-proxy start --background        until \`bedrock-proxy stop\`
  $ bedrock-proxy start --prices mine.json --ledger-days 365
  $ bedrock-proxy start --log-format json | jq .status
`;
const START_NOTES = `
Master key, which opens the admin API: BEDROCK_PROXY_MASTER_KEY or
LITELLM_MASTER_KEY. Keys at rest: BEDROCK_PROXY_SALT_KEY. Traces:
OTEL_EXPORTER_OTLP_ENDPOINT.
`;
const PROGRAM_EXAMPLES = `
Examples:
  $ bedrock-proxy start --offline                 try it without an AWS account
  $ bedrock-proxy start --profile dev             sign with that profile
  $ bedrock-proxy key generate --alias alice --budget 25 --budget-window 30d
  $ eval "$(bedrock-proxy env)"                   point this shell at it
  $ bedrock-proxy exec --for claude-code -- claude
  $ bedrock-proxy usage --by model                what it cost
  $ bedrock-proxy doctor                          what is wrong, and what to do
`;
const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 used wrongly (bad option, port in use, database
unreadable), 130 or 143 ended at once by a second signal.
`;

const START = defineCommand({
  name: 'start',
  description: 'start the proxy',
  examples: START_EXAMPLES,
  notes: `${START_NOTES}${EXIT_CODES}`,
  options: {
    ...OPTIONS,
    background: {
      flag: '--background',
      description: 'start it, and return when it listens; its output goes to a log file',
    },
    printConfig: { flag: '--print-config', description: 'print every setting and where it comes from, and end' },
    json: { ...JSON_OPTION, description: 'print a line of JSON, with port and pid, when it listens' },
  },
  run: async (input) => {
    if (input.printConfig) return (await import('./start/print-config.ts')).printConfig(input);
    const { launch } = await import('../app/launch.ts');
    const exitCode = await launch(input, runForHotKeys);
    // Nothing is left to do; what the SDK's credential chain may keep open is not waited for.
    // A cassette may have set it.
    process.exit(exitCode === 0 ? process.exitCode : exitCode);
  },
});

/** What goes wrong there has been said, and is not how the server ends. */
async function runForHotKeys(args: readonly string[]): Promise<void> {
  await run(['node', 'bedrock-proxy', ...args]);
  process.exitCode = 0;
}

/** What every command takes. */
const PROGRAM_OPTIONS = [
  { flag: '--debug', description: 'print stacks with errors' },
  { flag: '--no-color', description: 'print no colours; so does NO_COLOR' },
  { flag: '--config <file>', description: "configuration file in the place of the project's, trusted" },
];

/** In the order of the help. */
const COMMANDS = [
  START,
  STATUS,
  STOP,
  KEY,
  USAGE,
  LOGS,
  TOP,
  CACHE,
  EXPLAIN,
  PRICES,
  INSPECT,
  CASSETTE,
  DB,
  ENV,
  EXEC,
  CREDENTIAL_PROCESS,
  MODELS,
  CHAT,
  DOCTOR,
  COMPLETION,
];

/**
 * Parses `argv` (node, script, arguments: as process.argv) and runs the command. Sets process.exitCode; never throws.
 */
export async function run(argv: readonly string[]): Promise<void> {
  if (argv[2] === COMPLETE) {
    const { answerShell } = await import('./completion/answer.ts');
    return answerShell({ commands: COMMANDS, options: PROGRAM_OPTIONS }, argv.slice(3));
  }
  const program = buildProgram();
  if (!process.stdout.listeners('error').includes(noteOutputError)) process.stdout.on('error', noteOutputError);
  try {
    await program.parseAsync(askingForHelp(argv));
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      process.exitCode = thrown.exitCode === 0 ? 0 : EXIT_MISUSE;
      return;
    }
    const error = toProxyError(thrown);
    printError(error, program.opts()['debug'] === true || error.code === 'ERR_INTERNAL');
    process.exitCode = exitCodeOf(error);
  }
}

/**
 * `help key list` as `key list --help`: commander's own command for help goes down one step. What is no command is
 * refused as if it had been called.
 */
function askingForHelp(argv: readonly string[]): readonly string[] {
  const [node = '', script = '', first, ...words] = argv;
  const [command] = words;
  if (first !== 'help' || command === undefined) return argv;
  const isKnown = command === 'help' || COMMANDS.some(({ name }) => name === command);
  return [node, script, ...(isKnown ? [...words, '--help'] : [command])];
}

/** Whoever reads may have had enough (`key list | head`): no reason to complain. */
function noteOutputError(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') return;
  printError(new ProxyError('ERR_INTERNAL', 'The output cannot be written.', { detail: error.code }), false);
  process.exitCode = EXIT_FAILED;
}

/** All commands, as commander has them. */
export function buildProgram(): Command {
  const program = new Command('bedrock-proxy')
    .description(
      'Local proxy for Amazon Bedrock: signs any Bedrock call with your AWS credentials, lends them out as ' +
        'virtual keys.',
    )
    .version(readVersion(), '-v, --version', 'print the version')
    .helpCommand('help [command...]', 'show help for a command');
  // As the option was called before.
  program.addOption(new Option('-V').hideHelp()).on('option:V', () => {
    process.stdout.write(`${readVersion()}\n`);
    throw new CommanderError(0, 'commander.version', readVersion());
  });
  addWords(program, { examples: PROGRAM_EXAMPLES, notes: EXIT_CODES });
  for (const { flag, description } of PROGRAM_OPTIONS) program.option(flag, description);
  for (const command of COMMANDS) addCommand(program, command);
  return program;
}
