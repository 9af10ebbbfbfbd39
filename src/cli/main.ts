/**
 * The table of commands. Imports what a command needs only when it runs: `--help` and `--version` are instant.
 */
import { Command, CommanderError, Option } from 'commander';
import { type Flags, OPTIONS } from '../config/options.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';
import { addKey } from './key/commands.ts';
import { addOnboarding } from './env/commands.ts';
import { EXIT_FAILED, EXIT_MISUSE, exitCodeOf, printError } from '../app/print.ts';
import { addPrices } from './prices/prices.ts';
import { addReports } from './usage/commands.ts';
import { readVersion } from '../lib/version.ts';

const START_EXAMPLES = `
Examples:
  $ bedrock-proxy start                     on http://localhost:4000/bedrock
  $ bedrock-proxy start --profile dev --region eu-west-1
  $ bedrock-proxy start --offline           no AWS account: a Bedrock inside
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

/**
 * Parses `argv` (node, script, arguments: as process.argv) and runs the command. Sets process.exitCode; never throws.
 */
export async function run(argv: readonly string[]): Promise<void> {
  const program = buildProgram();
  if (!process.stdout.listeners('error').includes(noteOutputError)) process.stdout.on('error', noteOutputError);
  try {
    await program.parseAsync(argv);
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

/** Whoever reads may have had enough (`key list | head`): no reason to complain. */
function noteOutputError(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') return;
  printError(new ProxyError('ERR_INTERNAL', 'The output cannot be written.', { detail: error.code }), false);
  process.exitCode = EXIT_FAILED;
}

function buildProgram(): Command {
  const program = new Command('bedrock-proxy')
    .description(
      'Local proxy for Amazon Bedrock: signs any Bedrock call with your AWS credentials, lends them out as ' +
        'virtual keys.',
    )
    .version(readVersion(), '-V, --version', 'print the version')
    .option('--debug', 'print stacks with errors')
    .addHelpText('before', PROGRAM_EXAMPLES.trimStart())
    .addHelpText('after', EXIT_CODES)
    .helpCommand('help [command]', 'show help for a command');
  forEachCommand(program);
  addStart(program);
  const tools = { addOption, forEachCommand };
  addKey(program, tools);
  addReports(program, tools);
  addPrices(program, tools);
  addOnboarding(program, tools);
  return program;
}

function addStart(program: Command): void {
  const command = program
    .command('start')
    .description('start the proxy')
    .addHelpText('before', START_EXAMPLES.trimStart())
    .addHelpText('after', `${START_NOTES}${EXIT_CODES}`)
    .action(async (flags: Flags) => {
      const { start } = await import('../app/start.ts');
      await start(flags);
      // Nothing is left to do; what the SDK's credential chain may keep open is not waited for.
      process.exit(0);
    });
  for (const name of Object.keys(OPTIONS)) addOption(command, name as keyof typeof OPTIONS);
  forEachCommand(command);
}

function addOption(command: Command, name: keyof typeof OPTIONS): void {
  const spec: { flag: string; env: readonly string[]; description: string; default?: string; repeatable?: boolean } =
    OPTIONS[name];
  const facts = [...(spec.default === undefined ? [] : [`default: ${spec.default}`]), `env: ${spec.env.join(', ')}`];
  const option = new Option(spec.flag, `${spec.description} (${facts.join('; ')})`);
  if (spec.repeatable === true)
    option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
  command.addOption(option);
}

/** Errors of usage leave through `run`, in the same two lines as all others. */
function forEachCommand(command: Command): void {
  command.exitOverride().showSuggestionAfterError(true);
  command.configureOutput({
    writeErr: (text) => process.stderr.write(text),
    outputError: (text) => printUsageError(text, command),
  });
}

function printUsageError(text: string, command: Command): void {
  const [first = '', suggestion] = text.trim().split('\n');
  const message = first.replace(/^error: /, '').replace(/\.+$/, '');
  const hint = suggestion?.replace(/^\((.*)\)$/, '$1') ?? `See \`${fullName(command)} --help\`.`;
  printError(new ProxyError('ERR_BAD_OPTION', `${message}.`, { hint }), false);
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}
