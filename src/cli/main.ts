/**
 * The table of commands. Imports what a command needs only when it runs: `--help` and `--version` are instant.
 */
import { Command, CommanderError, Option } from 'commander';
import { type Flags, OPTIONS } from '../options.ts';
import { ProxyError, toProxyError } from '../errors.ts';
import { addOnboarding } from './onboarding.ts';
import { EXIT_MISUSE, exitCodeOf, printError } from './print.ts';
import { readVersion } from './version.ts';

const START_EXAMPLES = `
Examples:
  $ bedrock-proxy start                           listen on http://localhost:4000/bedrock
  $ bedrock-proxy start --profile dev --region eu-west-1
  $ bedrock-proxy start --offline                 no AWS account, no network: a Bedrock inside
  $ bedrock-proxy start --log-format json | jq .status
`;
const KEY_EXAMPLES = `
Examples:
  $ bedrock-proxy key generate --alias alice
  $ export AWS_BEARER_TOKEN_BEDROCK=$(bedrock-proxy key generate --quiet)
  $ bedrock-proxy key list
  $ bedrock-proxy key rotate alice --grace 10m
  $ bedrock-proxy key revoke alice
`;
const PROGRAM_EXAMPLES = `
Examples:
  $ bedrock-proxy start --offline                 try it without an AWS account
  $ bedrock-proxy start --profile dev             sign with that profile
  $ bedrock-proxy key generate --alias alice      make a virtual key
  $ eval "$(bedrock-proxy env)"                   point this shell's AWS clients at it
  $ bedrock-proxy exec --for claude-code -- claude
  $ bedrock-proxy doctor                          what is wrong, and what to do
`;
const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 used wrongly (bad option, port in use, database unreadable),
130 or 143 ended at once by a second signal.
`;

/** Parses `argv` (node, script, arguments: as process.argv) and runs the command. Sets process.exitCode; never throws. */
export async function run(argv: readonly string[]): Promise<void> {
  const program = buildProgram();
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

function buildProgram(): Command {
  const program = new Command('bedrock-proxy')
    .description(
      'Local proxy for Amazon Bedrock: signs any Bedrock call with your AWS credentials, lends them out as virtual keys.',
    )
    .version(readVersion(), '-V, --version', 'print the version')
    .option('--debug', 'print stacks with errors')
    .addHelpText('before', PROGRAM_EXAMPLES.trimStart())
    .addHelpText('after', EXIT_CODES)
    .helpCommand('help [command]', 'show help for a command');
  forEachCommand(program);
  addStart(program);
  addKey(program);
  addOnboarding(program, { addOption, forEachCommand });
  return program;
}

function addStart(program: Command): void {
  const command = program
    .command('start')
    .description('start the proxy')
    .addHelpText('before', START_EXAMPLES.trimStart())
    .addHelpText(
      'after',
      `\nMaster key: BEDROCK_PROXY_MASTER_KEY or LITELLM_MASTER_KEY. Keys at rest: BEDROCK_PROXY_SALT_KEY.\n${EXIT_CODES}`,
    )
    .action(async (flags: Flags) => {
      const { start } = await import('./start.ts');
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

function addKey(program: Command): void {
  const key = program
    .command('key')
    .description('make, list, rotate and revoke virtual keys')
    .addHelpText('before', KEY_EXAMPLES.trimStart());
  forEachCommand(key);
  const generate = addKeyOptions(key.command('generate'))
    .description('make a key and print it, once')
    .option('--alias <name>', 'a name for people')
    .option('-q, --quiet', 'print the key and nothing else')
    .action(async (flags: Flags) => (await import('./key.ts')).generateKey(flags));
  const list = addKeyOptions(key.command('list'))
    .description('list all keys, revoked ones too')
    .action(async (flags: Flags) => (await import('./key.ts')).listKeys(flags));
  const rotate = addKeyOptions(key.command('rotate'))
    .description('make a new key under the same alias, print it, and end the old one')
    .argument('<key>', 'id, alias, or the key itself (- reads it from standard input)')
    .option('--grace <time>', 'how long the old key still works, such as 10m or 24h (default: 0s)')
    .option('-q, --quiet', 'print the new key and nothing else')
    .action(async (name: string, flags: Flags) => (await import('./key.ts')).rotateKey(name, flags));
  const revoke = addKeyOptions(key.command('revoke'))
    .description('end a key; a running server refuses it from the next request on')
    .argument('<key>', 'id, alias, or the key itself (- reads it from standard input)')
    .action(async (name: string, flags: Flags) => (await import('./key.ts')).revokeKey(name, flags));
  for (const command of [generate, list, rotate, revoke]) {
    forEachCommand(command);
    command.addHelpText('before', KEY_EXAMPLES.trimStart());
  }
}

function addKeyOptions(command: Command): Command {
  return command
    .option(OPTIONS.db.flag, `${OPTIONS.db.description} (env: ${OPTIONS.db.env.join(', ')})`)
    .option('--json', 'print JSON');
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
  const message = first.replace(/^error: /, '');
  const hint = suggestion?.replace(/^\((.*)\)$/, '$1') ?? `See \`${fullName(command)} --help\`.`;
  printError(new ProxyError('ERR_BAD_OPTION', `${message}.`, { hint }), false);
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}
