/** What `start` offers when it has nothing to sign with. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { formatOffer } from '../../src/app/offer-profiles.ts';
import { loadProfileStates } from '../../src/upstream/aws/profile-states.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';
import { HAS_TERMINAL, runOnTerminal } from '../helpers/terminal.ts';

const NOW_MS = Date.parse('2026-11-28T12:00:00Z');
const PROFILES = `[default]
region = eu-west-1
[profile dev]
sso_session = corp
sso_account_id = 1
sso_role_name = x
region = us-east-1
[sso-session corp]
sso_start_url = https://x.awsapps.com/start
sso_region = us-east-1
[profile fresh]
sso_session = new
[profile admin]
role_arn = arn:aws:iam::1:role/x
source_profile = dev
[profile ci]
aws_access_key_id = a
aws_secret_access_key = b
[profile proxy]
credential_process = bedrock-proxy credential-process
[profile tool]
credential_process = touch ran
`;

/** A home with these profiles, whose `corp` login ends then. */
async function makeHome(expiresAt: string) {
  const home = await makeTemporaryFolder();
  const cache = join(home, '.aws', 'sso', 'cache');
  await mkdir(cache, { recursive: true });
  await writeFile(join(home, '.aws', 'config'), PROFILES);
  const token = { accessToken: 'secret', startUrl: 'https://x.awsapps.com/start', expiresAt };
  await writeFile(join(cache, `${createHash('sha1').update('corp').digest('hex')}.json`), JSON.stringify(token));
  return home;
}

async function loadStates(expiresAt: string) {
  const home = await makeHome(expiresAt);
  vi.stubEnv('HOME', home);
  onTestFinished(() => void vi.unstubAllEnvs());
  return loadProfileStates(() => NOW_MS);
}

describe('the state of profiles', () => {
  it('tells what each is, by the files alone', async () => {
    expect(await loadStates('2026-11-28T09:00:00Z')).toEqual([
      { name: 'default', words: 'no credentials', region: 'eu-west-1', signs: false, remedy: undefined },
      {
        name: 'dev',
        words: 'AWS SSO, expired 3 h ago',
        region: 'us-east-1',
        signs: true,
        remedy: 'aws sso login --profile dev',
      },
      {
        name: 'fresh',
        words: 'AWS SSO, no login',
        region: undefined,
        signs: true,
        remedy: 'aws sso login --profile fresh',
      },
      { name: 'admin', words: 'a role, by dev', region: undefined, signs: true, remedy: 'aws sso login --profile dev' },
      { name: 'ci', words: 'access keys', region: undefined, signs: true, remedy: undefined },
      {
        name: 'proxy',
        words: 'keys of this proxy: for its clients, not for it',
        region: undefined,
        signs: false,
        remedy: undefined,
      },
      { name: 'tool', words: 'credential_process', region: undefined, signs: true, remedy: undefined },
    ]);
  });

  it('tells how long a login still counts', async () => {
    const [, dev] = await loadStates('2026-11-28T12:45:00Z');
    expect(dev).toMatchObject({ words: 'AWS SSO, for another 45 min', remedy: undefined });
  });
});

/** The lines below the table, without their indentation. */
function stepsOf(text: string): string[] {
  const [, steps = ''] = text.split('What can be done now:\n');
  return steps.split('\n').map((line) => line.trim());
}

function state(name: string, words: string, remedy?: string) {
  return { name, words, region: undefined, signs: words !== 'no credentials', remedy };
}

describe('the offer', () => {
  const OFFLINE = '`bedrock-proxy start --offline`, which needs no account';

  it('names a profile that works, and a login that makes one work', () => {
    const dev = state('dev', 'AWS SSO, no login', 'aws sso login --profile dev');
    const text = formatOffer([state('default', 'no credentials'), state("o'k", 'access keys'), dev]);
    expect(stepsOf(text)).toEqual([
      "`bedrock-proxy start --profile 'o'\\''k'`",
      '`aws sso login --profile dev`, then `bedrock-proxy start --profile dev`',
      OFFLINE,
    ]);
    expect(stepsOf(formatOffer([dev], 'dev'))).toEqual([
      '`aws sso login --profile dev`; the next request works then, without a restart',
      OFFLINE,
    ]);
  });

  it('says how to make a profile if there is none', () => {
    const text = formatOffer([]);
    expect(text).toContain('There are no AWS profiles here.');
    expect(stepsOf(text)).toEqual(['`aws configure sso` or `aws configure`, which make a profile', OFFLINE]);
  });

  it.runIf(HAS_TERMINAL)('stands on the terminal of a start without credentials, within its columns', async () => {
    const home = await makeHome('2026-11-28T09:00:00Z');
    const main = new URL('../../src/cli/main.ts', import.meta.url).href;
    const script = `const { run } = await import(${JSON.stringify(main)}); await run(process.argv);`;
    const flags = [
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '--eval',
      script,
      '--',
      'bedrock-proxy',
    ];
    const { shown } = await runOnTerminal(
      [process.execPath, ...flags, 'start', '--port', '0'],
      [{ until: 'which needs no account' }, { send: '\u0003' }],
      {
        environment: { PATH: process.env['PATH'] ?? '', HOME: home, AWS_EC2_METADATA_DISABLED: 'true', NO_COLOR: '1' },
        folder: home,
        columns: 80,
      },
    );
    expect(shown).toContain('admin    a role, by dev');
    const table = shown.slice(shown.indexOf('PROFILE'), shown.indexOf('no account')).split('\r\n');
    expect(table.filter((line) => line.length > 80)).toEqual([]);
  });
});
