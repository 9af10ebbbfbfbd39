/**
 * A login by AWS SSO that expires while the proxy runs: real profile and cache files, the AWS SDK's own chain, and a
 * stand-in for the SSO portal (AWS_ENDPOINT_URL_SSO). The next request after the login works, without a restart.
 * @module-tag slow
 */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { type Cli, openCli } from '../../helpers/cli.ts';
import { startFakeUpstream } from '../../helpers/fake-upstream.ts';
import { listen } from '../../helpers/ports.ts';

const HOUR_MS = 3_600_000;
const CREDENTIALS = {
  accessKeyId: 'ASIAFROMSSO',
  secretAccessKey: 'the-secret-of-the-role',
  sessionToken: 'the-session-of-the-role',
};

async function writeProfile(cli: Cli): Promise<void> {
  await mkdir(join(cli.home, '.aws', 'sso', 'cache'), { recursive: true });
  const session = '[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = eu-central-1\n';
  const profile =
    '[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Dev\nregion = us-west-2\n';
  await writeFile(join(cli.home, '.aws', 'config'), session + profile);
}

/** As `aws sso login` does. */
async function logIn(cli: Cli, accessToken: string, expiresAtMs: number): Promise<void> {
  const file = `${createHash('sha1').update('corp').digest('hex')}.json`;
  const token = { accessToken, expiresAt: new Date(expiresAtMs).toISOString(), region: 'eu-central-1' };
  await writeFile(join(cli.home, '.aws', 'sso', 'cache', file), JSON.stringify(token));
}

/** Gives the role's credentials for the token `good` alone. */
async function startPortal(): Promise<string> {
  const portal = createServer((request, response) => {
    const isGood = request.headers['x-amz-sso_bearer_token'] === 'good';
    const roleCredentials = { ...CREDENTIALS, expiration: Date.now() + HOUR_MS };
    if (isGood) return void response.end(JSON.stringify({ roleCredentials }));
    response.writeHead(401, { 'x-amzn-errortype': 'UnauthorizedException' });
    response.end('{"message":"Session token not found or invalid"}');
  });
  return `http://127.0.0.1:${await listen(portal)}`;
}

async function listModels(port: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${port}/bedrock/foundation-models`);
  return { status: response.status, body: await response.text() };
}

it.each([
  { name: 'has expired', token: 'good', ageMs: HOUR_MS },
  { name: 'was taken back by AWS', token: 'bad', ageMs: -HOUR_MS },
  { name: 'was never made', token: undefined, ageMs: 0 },
])(
  'reports an SSO login that $name on the terminal and to the client, and takes the next one up',
  async ({ token, ageMs }) => {
    const cli = await openCli();
    await writeProfile(cli);
    if (token !== undefined) await logIn(cli, token, Date.now() - ageMs);
    const upstream = await startFakeUpstream(CREDENTIALS);
    onTestFinished(() => upstream[Symbol.asyncDispose]());
    upstream.respondWith((_request, response) => void response.end('{}'));
    const env = { AWS_ENDPOINT_URL_SSO: await startPortal() };
    const flags = ['--profile', 'dev', '--port', '0', '--endpoint-url', `http://${upstream.authority}`];
    const proxy = cli.spawn(['start', ...flags], { env });
    await proxy.waitFor(
      'stderr',
      /error: The AWS SSO login of the proxy has expired or is missing\.[^]*hint: .*aws sso login --profile dev/,
    );
    const [, port = ''] = await proxy.waitFor('stderr', /localhost:(\d+)\/bedrock/);

    const refused = await listModels(port);
    expect(refused.status).toBe(403);
    expect(refused.body).toContain('aws sso login --profile dev');
    expect(refused.body).toContain('"__type":"ExpiredTokenException"');
    expect(upstream.requests).toEqual([]);

    await logIn(cli, 'good', Date.now() + HOUR_MS);
    // The chain is left alone for a second after a failure.
    await vi.waitFor(async () => expect((await listModels(port)).status).toBe(200), { timeout: 5_000, interval: 100 });
    expect(upstream.failures).toEqual([]);
    expect(upstream.requests[0]?.signature).toMatchObject({
      accessKeyId: CREDENTIALS.accessKeyId,
      scope: { region: 'us-west-2' },
    });
  },
);

it('takes rewritten keys in ~/.aws/credentials up after AWS refused the old ones', async () => {
  const cli = await openCli();
  await mkdir(join(cli.home, '.aws'), { recursive: true });
  const write = (secret: string): Promise<void> =>
    writeFile(
      join(cli.home, '.aws', 'credentials'),
      `[dev]\naws_access_key_id = ${CREDENTIALS.accessKeyId}\naws_secret_access_key = ${secret}\n`,
    );
  await write('the-old-one');
  const { accessKeyId, secretAccessKey } = CREDENTIALS;
  const upstream = await startFakeUpstream({ accessKeyId, secretAccessKey });
  onTestFinished(() => upstream[Symbol.asyncDispose]());
  upstream.respondWith((_request, response) => void response.end('{}'));
  const flags = [
    '--profile',
    'dev',
    '--region',
    'us-west-2',
    '--port',
    '0',
    '--endpoint-url',
    `http://${upstream.authority}`,
  ];
  const proxy = cli.spawn(['start', ...flags]);
  const [, port = ''] = await proxy.waitFor('stderr', /localhost:(\d+)\/bedrock/);
  expect((await listModels(port)).status).toBe(403);
  await write(secretAccessKey);
  expect((await listModels(port)).status).toBe(200);
});

it('says in doctor when the SSO login expired, and what to do', async () => {
  const cli = await openCli();
  await writeProfile(cli);
  await logIn(cli, 'good', Date.now() - HOUR_MS);
  const { code, stdout } = await cli.spawn([
    'doctor',
    '--profile',
    'dev',
    '--port',
    '0',
    '--endpoint-url',
    'http://127.0.0.1:9',
  ]).ended;
  expect(code).toBe(1);
  expect(stdout).toMatch(/^ok {4}region {9}us-west-2 \(profile dev\)$/m);
  expect(stdout).toMatch(/^fail {2}credentials {4}The AWS SSO login of the proxy has expired/m);
  expect(stdout).toMatch(/^fail {2}sso-login {6}expired 60 min ago\n +hint: Run: aws sso login --profile dev/m);
});
