/**
 * The commands that lead clients to the proxy: `env`, `exec`, `credential-process`, `doctor`. Words and options only;
 * each command's own file is imported when it runs.
 */
import { type CommandOption, defineCommand, JSON_OPTION, pickOptions } from '../command.ts';
import { OPTIONS } from '../../config/options.ts';
import { CLIENTS, formatAwsProfile } from './client-settings.ts';
import { EXEC_POLICY_OPTIONS } from '../key/policy-options.ts';
import { SHELLS } from './shell-lines.ts';

const ENV_EXAMPLES = `
Examples:
  $ eval "$(bedrock-proxy env)"             any AWS SDK and the AWS CLI
  $ eval "$(bedrock-proxy env --for claude-code)" && claude
  $ bedrock-proxy env --for boto3 --key alice
  $ bedrock-proxy env --shell fish | source
  > bedrock-proxy env --shell powershell | Out-String | Invoke-Expression
  > for /f "delims=" %i in ('bedrock-proxy env --shell cmd') do @%i
`;
const EXEC_EXAMPLES = `
Examples:
  $ bedrock-proxy exec -- aws bedrock list-foundation-models
  $ bedrock-proxy exec -- claude              agents by name: codex, opencode
  $ bedrock-proxy exec --offline -- python app.py     no AWS account, no network
  $ bedrock-proxy exec --budget 2 -- npm test         no more than two dollars
  $ bedrock-proxy exec --key alice -- npm test        a key that stays
`;
const EXEC_NOTES = `
Takes the proxy that runs on --port, where it has the same database. Otherwise,
and whenever --profile, --region, --offline or --endpoint-url is given, starts
one on a free port that ends with the command. Without --key the command gets a
fresh key, which is revoked when it ends; its limits are those of key generate.
Within another exec it gets the key and the proxy of that one. Master key and
salt are kept from it.
Exit code: the command's own; 128 + n where signal n ended it; 126 cannot be
run, 127 not found.
`;
const PROCESS_EXAMPLES = `
Examples:
  $ bedrock-proxy credential-process --key alice

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

const CLIENT_OPTION = {
  flag: '--for <client>',
  description: 'whose variables; else those for any AWS SDK',
  choices: CLIENTS,
} as const satisfies CommandOption;
const KEY_OPTION = {
  flag: '--key <key>',
  description: 'id or alias of the key; else the only active one',
} as const satisfies CommandOption;
/** The two options of `start` that say where the proxy is, in words for those who look for it. */
const PROXY_ADDRESS = {
  port: { ...OPTIONS.port, description: 'port of the proxy' },
  host: { ...OPTIONS.host, description: 'host of the proxy' },
} as const;
const PROXY_TLS = { ...OPTIONS.tls, description: 'have clients call the proxy over https://' } as const;

/** `env`. */
export const ENV = defineCommand({
  name: 'env',
  description: 'print the lines that point a client at the proxy',
  examples: ENV_EXAMPLES,
  options: {
    for: CLIENT_OPTION,
    key: KEY_OPTION,
    shell: { flag: '--shell <shell>', description: 'whose syntax (default: by $SHELL)', choices: SHELLS },
    json: JSON_OPTION,
    url: { flag: '--url <url>', description: 'where clients reach the proxy; else by --host and --port' },
    ...pickOptions('region', 'profile', 'db'),
    region: { ...OPTIONS.region, description: 'region that clients call; else that of the proxy, or of the profile' },
    tls: PROXY_TLS,
    ...PROXY_ADDRESS,
  },
  run: async (input) => (await import('./env.ts')).printEnvironment(input),
});

/** `exec`. */
export const EXEC = defineCommand({
  name: 'exec',
  usage: '[options] -- <command...>',
  description: 'run a command that talks to the proxy',
  examples: EXEC_EXAMPLES,
  notes: EXEC_NOTES,
  arguments: { command: { usage: '<command...>', description: 'the command and its arguments, after --' } },
  options: {
    for: CLIENT_OPTION,
    key: { flag: KEY_OPTION.flag, description: 'id or alias of a key to lend, which stays' },
    ...EXEC_POLICY_OPTIONS,
    ...pickOptions(
      'profile',
      'region',
      'offline',
      'script',
      'cassette',
      'cassetteMode',
      'cassetteStrict',
      'cassetteSkip',
      'replaySpeed',
      'fault',
      'faultSeed',
      'endpointUrl',
      'db',
    ),
    tls: PROXY_TLS,
    ...PROXY_ADDRESS,
  },
  run: async (input) => {
    process.exitCode = await (await import('../exec/exec.ts')).execute(input);
  },
});

/** `credential-process`. */
export const CREDENTIAL_PROCESS = defineCommand({
  name: 'credential-process',
  description: 'print a key as credential_process of an AWS profile',
  examples: PROCESS_EXAMPLES,
  options: { key: KEY_OPTION, ...pickOptions('db') },
  run: async (input) => (await import('./credential-process.ts')).printProcessCredentials(input),
});

/** `doctor`. */
export const DOCTOR = defineCommand({
  name: 'doctor',
  description: 'check everything on the way to AWS, and say what to do',
  examples: DOCTOR_EXAMPLES,
  notes: DOCTOR_NOTES,
  options: {
    noInvoke: { flag: '--no-invoke', description: 'call no model' },
    json: JSON_OPTION,
    ...pickOptions('profile', 'region', 'offline', 'endpointUrl', 'db', 'prices'),
    offline: { ...OPTIONS.offline, description: 'check the Bedrock inside this program: no AWS account, no network' },
    ...PROXY_ADDRESS,
  },
  run: async (input) => {
    process.exitCode = await (await import('../doctor/doctor.ts')).diagnose(input);
    // What the SDK's credential chain may keep open is not waited for.
    process.stdout.write('', () => process.exit());
  },
});
