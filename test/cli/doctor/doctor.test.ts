/**
 * * `doctor` as a process: against the offline Bedrock, and against a stand-in for Bedrock and STS that verifies
 * signatures.
 * @module-tag slow
 */
import { createServer } from 'node:http';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Cli, openCli } from '../../helpers/cli.ts';
import { type FakeUpstream, startFakeUpstream } from '../../helpers/fake-upstream.ts';
import { listen } from '../../helpers/ports.ts';

const PAIR = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const AWS = {
  AWS_ACCESS_KEY_ID: PAIR.accessKeyId,
  AWS_SECRET_ACCESS_KEY: PAIR.secretAccessKey,
  AWS_REGION: 'us-east-1',
};

interface Check {
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly hint?: string;
}

async function diagnose(args: readonly string[], env: Readonly<Record<string, string>> = {}, place?: Cli) {
  const cli = place ?? (await openCli());
  const { code, stdout, stderr } = await cli.spawn(['doctor', '--json', '--port', '0', ...args], { env }).ended;
  const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: readonly Check[] };
  const find = (name: string): Check | undefined => checks.find((check) => check.name === name);
  return { code, ok, checks, find, all: stdout + stderr };
}

/** Plays Bedrock and STS; `stsDate` is the clock of AWS. */
async function startAws(stsDate = new Date()): Promise<FakeUpstream> {
  const upstream = await startFakeUpstream(PAIR);
  onTestFinished(() => upstream[Symbol.asyncDispose]());
  upstream.respondWith(({ rawTarget }, response) => {
    if (rawTarget.startsWith('/?Action=GetCallerIdentity')) {
      const Arn = 'arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com';
      const result = { GetCallerIdentityResult: { Account: '123456789012', Arn, UserId: 'AROAEXAMPLE:alice' } };
      response.setHeader('date', stsDate.toUTCString());
      return void response.end(JSON.stringify({ GetCallerIdentityResponse: result }));
    }
    if (rawTarget === '/foundation-models') return void response.end('{"modelSummaries":[{"modelId":"some.model"}]}');
    if (rawTarget.includes('/us.amazon.nova-micro-v1%3A0/converse-stream')) {
      response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
      // At the pace of a model: pieces in quick succession may reach a busy reader as one.
      let left = 10;
      const pace = setInterval(() => {
        left -= 1;
        if (left > 0) return void response.write('piece');
        clearInterval(pace);
        response.end('last');
      }, 20);
      return;
    }
    if (rawTarget.includes('/us.amazon.nova-micro-v1%3A0/')) return void response.end('{"metrics":{"latencyMs":7}}');
    const message = "Invocation of model ID with on-demand throughput isn't supported.";
    response.writeHead(400, { 'x-amzn-errortype': 'ValidationException' }).end(JSON.stringify({ message }));
  });
  return upstream;
}

describe('doctor', () => {
  it('finds nothing wrong with the offline Bedrock', async () => {
    const { code, ok, checks, find } = await diagnose(['--offline']);
    expect({ code, ok }).toEqual({ code: 0, ok: true });
    expect(checks.map(({ name }) => name)).toEqual([
      'node',
      'port',
      'database',
      'prices',
      'variables',
      'proxies',
      'certificates',
      'region',
      'credentials',
      'sso-login',
      'identity',
      'clock',
      'list-models',
      'converse',
      'stream',
      'running-proxy',
    ]);
    expect(find('clock')).toMatchObject({ status: 'skip', message: expect.stringContaining('offline') });
    expect(find('identity')).toMatchObject({ status: 'skip', message: expect.stringContaining('offline') });
    expect(find('list-models')).toMatchObject({ status: 'ok' });
    expect(find('converse')).toMatchObject({ status: 'ok' });
    expect(find('stream')).toMatchObject({ status: 'ok', message: expect.stringMatching(/^arrived in \d+ chunks$/) });
  });

  it('asks AWS who the credentials are, and calls a model through the profile of its geography', async () => {
    const upstream = await startAws();
    const at = `http://${upstream.authority}`;
    const { code, find, all } = await diagnose(['--endpoint-url', at], { ...AWS, AWS_ENDPOINT_URL_STS: at });
    expect(find('identity')).toMatchObject({ status: 'ok', message: 'assumed-role/Admin in account …9012' });
    expect(find('clock')).toMatchObject({ status: 'ok' });
    expect(find('converse')).toMatchObject({ status: 'ok', message: 'us.amazon.nova-micro-v1:0 answered in 7 ms' });
    expect(find('stream')).toMatchObject({ status: 'ok' });
    expect(code).toBe(0);
    expect(all).not.toMatch(/123456789012|alice|wJalr|AKIDEXAMPLE/);
    expect(upstream.failures).toEqual([]);
    const asked = upstream.requests.filter(({ method }) => method === 'POST').map(({ body }) => String(body));
    expect(asked.map((body) => /"maxTokens":(\d+)/.exec(body)?.[1])).toEqual(['1', '1', '32']);
  });

  it('calls no model with --no-invoke', async () => {
    const upstream = await startAws();
    const { code, find } = await diagnose(['--no-invoke', '--endpoint-url', `http://${upstream.authority}`], AWS);
    expect(code).toBe(0);
    expect(find('stream')).toMatchObject({ status: 'skip', message: '--no-invoke' });
    expect(upstream.requests.map(({ rawTarget }) => rawTarget)).toEqual(['/foundation-models']);
  });

  it('fails if the clock is off by more than AWS takes', async () => {
    const upstream = await startAws(new Date(Date.now() + 600_000));
    const at = `http://${upstream.authority}`;
    const { code, ok, find } = await diagnose(['--no-invoke', '--endpoint-url', at], {
      ...AWS,
      AWS_ENDPOINT_URL_STS: at,
    });
    expect({ code, ok }).toEqual({ code: 1, ok: false });
    expect(find('clock')).toMatchObject({
      status: 'fail',
      message: expect.stringMatching(/^(59\d|600) s behind AWS$/),
    });
  });

  it('says that there are no credentials and goes on', async () => {
    const { code, find, checks } = await diagnose(['--endpoint-url', 'http://127.0.0.1:9']);
    expect(code).toBe(1);
    expect(find('credentials')).toMatchObject({ status: 'fail', hint: expect.stringContaining('aws configure') });
    expect(checks.slice(-4, -1)).toEqual(
      ['list-models', 'converse', 'stream'].map((name) => ({ name, status: 'skip', message: 'no credentials' })),
    );
  });

  it('says of a profile that there is none of this name', async () => {
    const { code, find } = await diagnose(['--profile', 'nope', '--no-invoke', '--endpoint-url', 'http://127.0.0.1:9']);
    expect(code).toBe(1);
    expect(find('credentials')).toMatchObject({ status: 'fail', message: 'There is no AWS profile "nope".' });
  });

  it('says that there is no network and goes on', async () => {
    const nobody = 'http://127.0.0.1:9';
    const { code, find } = await diagnose(['--endpoint-url', nobody], { ...AWS, AWS_ENDPOINT_URL_STS: nobody });
    expect(code).toBe(1);
    expect(find('identity')).toMatchObject({ status: 'fail', message: expect.stringContaining('cannot be reached') });
    expect(find('clock')).toMatchObject({ status: 'skip' });
    expect(find('list-models')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('ERR_UPSTREAM_UNREACHABLE'),
    });
    expect(find('stream')).toMatchObject({ status: 'skip' });
  });

  it('notices credentials that are a virtual key of the proxy', async () => {
    const env = { ...AWS, AWS_ACCESS_KEY_ID: 'BRPXAAAAAAAAAAAAAAAA' };
    const { code, find } = await diagnose(['--endpoint-url', 'http://127.0.0.1:9'], env);
    expect(code).toBe(1);
    expect(find('credentials')).toMatchObject({ status: 'fail', message: expect.stringContaining('virtual key') });
  });

  it('asks the proxy that runs what it is, and sends a request through it with a key of its own', async () => {
    const cli = await openCli();
    const proxy = cli.spawn(['start', '--offline', '--port', '0']);
    const [, port = ''] = await proxy.waitFor('stderr', /localhost:(\d+)\/bedrock/);
    const here = ['--offline', '--no-invoke', '--port', port];
    const { code, find } = await diagnose(here, {}, cli);
    expect(find('port')?.message).toMatch(/\(offline, us-east-1, open, .*keys\.db\)$/);
    expect(find('running-proxy')).toMatchObject({ status: 'ok', message: expect.stringMatching(/: 200 in \d+ ms$/) });
    expect(code).toBe(0);
    await proxy.waitFor('stdout', /GET|ListFoundationModels/);
    const followed = await diagnose(['--no-invoke', '--port', port], {}, cli);
    expect(followed.find('region')?.message).toBe('us-east-1 (the proxy that runs)');
    expect(followed.find('credentials')).toMatchObject({ status: 'skip' });
    expect(followed.code).toBe(0);
    const ofAws = await diagnose(['--no-invoke', '--port', port, '--region', 'eu-west-1'], {}, cli);
    expect(ofAws.find('credentials')).toMatchObject({ status: 'fail' });
    expect(find('database')?.message).toContain('a proxy of it lets anybody');
    const other = await diagnose([...here, '--db', 'other.db'], {}, cli);
    const message = expect.stringMatching(/listens on .* and is not one of the database .*other\.db$/) as unknown;
    expect(other.find('port')).toMatchObject({ status: 'warn', message });
    expect(other.find('running-proxy')).toMatchObject({ status: 'skip' });
  });

  it('says how many keys are blocked or have ended, and warns if none lets anybody in', async () => {
    const cli = await openCli();
    for (const alias of ['a', 'b', 'c']) await cli.run(['key', 'generate', '--alias', alias]);
    await cli.run(['key', 'block', 'a']);
    await cli.run(['key', 'revoke', 'b']);
    const here = ['--offline', '--no-invoke'];
    const { find } = await diagnose(here, {}, cli);
    expect(find('database')).toMatchObject({
      status: 'ok',
      message: expect.stringMatching(/: 1 active of 3 keys \(1 blocked, 1 revoked\)$/),
    });
    await cli.run(['key', 'revoke', 'c']);
    const { find: findAgain, code } = await diagnose(here, {}, cli);
    expect(findAgain('database')).toMatchObject({ status: 'warn', hint: expect.stringContaining('key generate') });
    expect(code).toBe(0);
  });

  it('fails without the secret that a shared database needs, as start does', async () => {
    const env = { BEDROCK_PROXY_DB: 'postgres://owner@127.0.0.1:1/x' };
    const { find, code } = await diagnose(['--offline', '--no-invoke'], env);
    const message = expect.stringContaining('sealed with BEDROCK_PROXY_SALT_KEY, which is not set') as unknown;
    expect(find('database')).toMatchObject({ status: 'fail', message });
    expect(code).toBe(1);
  });

  it('reads the price file, says where it is wrong, and goes on', async () => {
    const cli = await openCli();
    const file = join(cli.home, 'own.json');
    const here = ['--offline', '--no-invoke'];
    const env = { BEDROCK_PROXY_PRICES: file };
    await writeFile(file, '{"models":{"own.model":{"input_mtok":1}}}');
    const { find } = await diagnose(here, env, cli);
    expect(find('prices')).toMatchObject({ status: 'ok', message: expect.stringContaining(file) });
    await writeFile(file, '{"models":{"own.model":{"input":1}}}');
    const { find: findAgain, code } = await diagnose(here, env, cli);
    expect(findAgain('prices')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('models["own.model"].input is not known here'),
    });
    expect(findAgain('list-models')).toMatchObject({ status: 'ok' });
    expect(code).toBe(1);
  });

  it('prints a line for people per check, and tells a stranger on the port from the proxy', async () => {
    const port = await listen(createServer((_request, response) => response.end('hello')));
    const cli = await openCli();
    const { code, stdout } = await cli.spawn(['doctor', '--offline', '--no-invoke', '--port', String(port)]).ended;
    expect(code).toBe(1);
    expect(stdout).toContain(`fail  port           another program listens on 127.0.0.1 port ${port}\n`);
    expect(stdout).toContain('hint: End it, or choose another --port.');
    expect(stdout).toContain('skip  stream         --no-invoke');
  });
});
