/**
 * The commands that lead clients to the proxy, as commander sees them: `env`, `exec`, `credential-process`, `doctor`.
 * Names, options and help only; each command's own file is imported when it runs.
 */
import { type Command, Option } from 'commander';
import { type Flags, OPTIONS } from '../../config/options.ts';
import { CLIENTS, formatAwsProfile } from './client-settings.ts';
import { SHELLS } from './shell-lines.ts';

/** What main.ts does to every command and option. */
export interface CommandTools {
  readonly addOption: (command: Command, name: keyof typeof OPTIONS) => void;
  readonly forEachCommand: (command: Command) => void;
}

const ENV_EXAMPLES = `
Examples:
  $ eval "$(bedrock-proxy env)"             any AWS SDK and the AWS CLI
  $ eval "$(bedrock-proxy env --for claude-code)" && claude
  $ bedrock-proxy env --for boto3 --key alice
  $ bedrock-proxy env --shell fish | source
  > bedrock-proxy env --shell powershell | Out-String | Invoke-Expression
`;
const EXEC_EXAMPLES = `
Examples:
  $ bedrock-proxy exec -- aws bedrock list-foundation-models
  $ bedrock-proxy exec --for claude-code -- claude
  $ bedrock-proxy exec --offline -- python app.py     no AWS account, no network
  $ bedrock-proxy exec --key alice -- npm test        a key that stays
`;
const EXEC_NOTES = `
Takes the proxy that runs on --port, where it has the same database. Otherwise,
and whenever --profile, --region, --offline or --endpoint-url is given, starts
one on a free port that ends with the command. Without --key the command gets a
fresh key, which is revoked when it ends. Master key and salt are kept from it.
Exit code: the command's own; 128 + n where signal n ended it; 126 cannot be
run, 127 not found.
`;
const PROCESS_EXAMPLES = `
In ~/.aws/config (then: aws --profile proxy bedrock list-foundation-models):

${formatAwsProfile({
  profile: 'proxy',
  url: 'http://localhost:4000/bedrock',
  command: 'bedrock-proxy credential-process --key alice',
  region: 'us-east-1',
})}

With --tls the URL may be https://; the profile then needs ca_bundle = FILE, the
file that start shows. Never start the proxy itself with that profile.
`;
const DOCTOR_EXAMPLES = `
Examples:
  $ bedrock-proxy doctor
  $ bedrock-proxy doctor --profile dev --region eu-west-1
  $ bedrock-proxy doctor --no-invoke              calls no model: costs nothing
  $ bedrock-proxy doctor --json | jq '.checks[] | select(.status == "fail")'
`;
const DOCTOR_NOTES = `
Calls a small model twice, for a fraction of a cent; --no-invoke leaves it out.
Exit codes: 0 nothing failed (warnings may be there), 1 something failed, 2 used
wrongly.
`;

/** Adds the four commands. */
export function addOnboarding(program: Command, tools: CommandTools): void {
  addEnv(program, tools);
  addExec(program, tools);
  addCredentialProcess(program, tools);
  addDoctor(program, tools);
}

const KEY_FLAG = '--key <key>';

function addEnv(program: Command, tools: CommandTools): void {
  const command = program
    .command('env')
    .description('print the lines that point a client at the proxy')
    .addOption(clientOption())
    .option(KEY_FLAG, 'id or alias of the key; else the only active one')
    .addOption(new Option('--shell <shell>', 'whose syntax (default: by $SHELL)').choices(SHELLS))
    .option('--json', 'print JSON')
    .option('--url <url>', 'where clients reach the proxy; else by --host and --port')
    .action(async (flags: Flags) => (await import('./env.ts')).printEnvironment(flags));
  finish(command, ['region', 'profile', 'db', 'tls'], ENV_EXAMPLES, tools);
}

function addExec(program: Command, tools: CommandTools): void {
  const command = program
    .command('exec')
    .usage('[options] -- <command...>')
    .description('run a command that talks to the proxy')
    .argument('<command...>', 'the command and its arguments, after --')
    .addOption(clientOption())
    .option(KEY_FLAG, 'id or alias of a key to lend, which stays')
    .addHelpText('after', EXEC_NOTES)
    .action(async (commandLine: readonly string[], flags: Flags) => {
      process.exitCode = await (await import('../exec/exec.ts')).execute(commandLine, flags);
    });
  finish(command, ['profile', 'region', 'offline', 'endpointUrl', 'db', 'tls'], EXEC_EXAMPLES, tools);
}

function addCredentialProcess(program: Command, tools: CommandTools): void {
  const command = program
    .command('credential-process')
    .description('print a key as credential_process of an AWS profile')
    .option(KEY_FLAG, 'id or alias of the key; else the only active one')
    .action(async (flags: Flags) => (await import('./credential-process.ts')).printProcessCredentials(flags));
  tools.addOption(command, 'db');
  command.addHelpText('before', PROCESS_EXAMPLES.trimStart());
  tools.forEachCommand(command);
}

function addDoctor(program: Command, tools: CommandTools): void {
  const command = program
    .command('doctor')
    .description('check everything on the way to AWS, and say what to do')
    .option('--no-invoke', 'call no model')
    .option('--json', 'print JSON')
    .addHelpText('after', DOCTOR_NOTES)
    .action(async (flags: Flags) => {
      process.exitCode = await (await import('../doctor/doctor.ts')).diagnose(flags);
      // What the SDK's credential chain may keep open is not waited for.
      process.stdout.write('', () => process.exit());
    });
  finish(command, ['profile', 'region', 'offline', 'endpointUrl', 'db', 'prices'], DOCTOR_EXAMPLES, tools);
}

function clientOption(): Option {
  return new Option('--for <client>', 'whose variables; else those for any AWS SDK').choices(CLIENTS);
}

/** Options of `start`, and the two that say where the proxy is, in words for those who look for it. */
function finish(
  command: Command,
  options: readonly (keyof typeof OPTIONS)[],
  examples: string,
  { addOption, forEachCommand }: CommandTools,
): void {
  for (const name of options) addOption(command, name);
  for (const { flag, default: value, env } of [OPTIONS.port, OPTIONS.host]) {
    const what = flag.split(' ')[0]?.replace('--', '');
    command.option(flag, `${what} of the proxy (default: ${value}; env: ${env.join(', ')})`);
  }
  command.addHelpText('before', examples.trimStart());
  forEachCommand(command);
}
