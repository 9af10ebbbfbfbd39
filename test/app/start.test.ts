import { once } from 'node:events';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type CliOptions, openCli, type RunningCli } from '../helpers/cli.ts';
import { findClosedPort, listen } from '../helpers/ports.ts';
import { openHttp2 } from '../helpers/http2-client.ts';

const HAS_IPV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

/** A running server on a free port, without AWS. */
async function startOffline(
  args: readonly string[] = [],
  options: CliOptions = {},
): Promise<RunningCli & { url: string }> {
  const running = (await openCli()).spawn(['start', '--offline', '--port', '0', ...args], options);
  const [, port] = await running.waitFor('stderr', /http:\/\/localhost:(\d+)\/bedrock\n/);
  // The banner ends in lines to paste.
  await running.waitFor('stderr', /endpoint_url=.*\n/);
  return { ...running, url: `http://127.0.0.1:${port}` };
}

/** Options for a Node that finds OpenTelemetry's packages as little as where nobody installed them. */
function withoutOpenTelemetry(): string {
  const hooks = `import { registerHooks } from 'node:module';
    const resolve = (name, context, next) =>
      next(name.startsWith('@opentelemetry/') ? name.replace('@opentelemetry/', '@absent-opentelemetry/') : name, context);
    registerHooks({ resolve });`;
  return `--import=data:text/javascript,${encodeURIComponent(hooks)}`;
}

const converse = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/bedrock/model/amazon.nova-lite-v1:0/converse`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: '{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}',
  });

describe('start', () => {
  it('greets on stderr, logs on stdout, and ends in order at the first signal', async () => {
    const { url, child, ended, waitFor } = await startOffline(['--log-format', 'json']);
    const response = await converse(url);
    expect(response.status).toBe(200);
    await waitFor('stdout', /\n/);
    child.kill('SIGTERM');
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(0);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([expect.objectContaining({ key: 'anonymous', operation: 'Converse', status: 200, error: null })]);
    expect(stderr).toContain('the offline Bedrock in this process');
    expect(stderr).not.toContain('Ending;');
    expect(stderr).toMatch(/^Stopped after 1 request, \$0\.\d+\.$/m);
  });

  it('serves without traces if their packages are not installed, and says in one line what to install', async () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', NODE_OPTIONS: withoutOpenTelemetry() };
    const { url, child, ended } = await startOffline([], { env });
    expect((await converse(url)).status).toBe(200);
    child.kill('SIGTERM');
    const { code, stderr } = await ended;
    expect(code).toBe(0);
    expect(stderr).toContain("error: There are no traces: OpenTelemetry's packages are not installed.\n");
    expect(stderr).toMatch(/^hint: .*: npm install @opentelemetry\/api@1\.\d+( @opentelemetry\/[\w-]+@[\d.]+){3}\n/m);
  });

  it.each([
    { signal: 'SIGINT', exit: 130 },
    { signal: 'SIGTERM', exit: 143 },
  ] as const)('lets requests end after $signal, and ends with $exit after a second one', async ({ signal, exit }) => {
    const { url, child, ended, waitFor } = await startOffline();
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
    onTestFinished(() => void socket.destroy());
    socket.write(
      'POST /bedrock/model/x/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n',
    );
    // 100 Continue: from here on the request is under way, and it never ends.
    await once(socket, 'data');
    child.kill(signal);
    await waitFor('stderr', /Ending; 1 running request has 30 s/);
    const broken = once(socket, 'error');
    child.kill(signal);
    expect((await ended).code).toBe(exit);
    expect((await broken)[0]).toMatchObject({ code: 'ECONNRESET' });
  });

  it('says nothing at start with --quiet', async () => {
    const cli = await openCli();
    const port = await findClosedPort();
    const running = cli.spawn(['start', '--offline', '--quiet', '--port', String(port)]);
    await expect
      .poll(
        () =>
          converse(`http://127.0.0.1:${port}`).then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: 10_000 },
      )
      .toBe(200);
    running.child.kill('SIGINT');
    expect(await running.ended).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('refuses streams in both directions if it is offline, and says why', async () => {
    const { url } = await startOffline();
    const client = openHttp2(Number(new URL(url).port));
    onTestFinished(() => client[Symbol.asyncDispose]());
    const response = await client.ask({
      ':method': 'POST',
      ':path': '/bedrock/model/amazon.nova-sonic-v1:0/invoke-with-bidirectional-stream',
      'content-type': 'application/vnd.amazon.eventstream',
    });
    expect(response).toMatchObject({ status: 501, headers: { 'x-bedrock-proxy-error': 'ERR_NOT_SUPPORTED' } });
    expect(response.body).toContain('The offline Bedrock does not carry streams in both directions.');
  });

  it('takes the master key from the environment and says so', async () => {
    const { url, waitFor } = await startOffline([], { env: { LITELLM_MASTER_KEY: 'sk-master' } });
    await waitFor('stderr', /the master key or a virtual key/);
    expect((await converse(url)).status).toBe(401);
    expect((await converse(url, { authorization: 'Bearer sk-master' })).status).toBe(200);
  });

  it.each([{ args: ['--offline'] }, { args: ['--region', 'us-east-1'] }])(
    'ends with 2 and a free port to try if its port is taken: $args',
    async ({ args }) => {
      const port = await listen(createServer());
      const { code, stdout, stderr } = await (await openCli()).spawn(['start', '--port', String(port), ...args]).ended;
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(
        new RegExp(`^error: Another program already listens on 127.0.0.1 port ${port}.\nhint: .*--port \\d+`),
      );
    },
  );

  it('says which proxy has the port, and names one that is free', async () => {
    const cli = await openCli();
    const first = cli.spawn(['start', '--offline', '--port', '0']);
    const [, port = ''] = await first.waitFor('stderr', /localhost:(\d+)\/bedrock/);
    const next = createServer();
    await once(next.listen(Number(port) + 1, '127.0.0.1'), 'listening').catch(() => {});
    onTestFinished(() => void next.close());
    await vi.waitFor(async () => {
      const { code, stderr } = await cli.spawn(['start', '--port', port]).ended;
      expect(code).toBe(2);
      expect(stderr).toMatch(/^error: A bedrock-proxy \S+ \(offline, us-east-1, open, .*keys\.db\) already listens on/);
      expect(stderr).not.toContain(`--port ${Number(port) + 1} `);
      expect(stderr).toMatch(/hint: Use that one, or choose another port: --port \d+ is free\./);
    }, 15_000);
    const other = await cli.spawn(['start', '--port', port, '--db', 'other.db']).ended;
    expect(other.stderr).toMatch(/^error: A bedrock-proxy \S+ of another database already listens on/);
  });

  it('refuses a damaged database instead of answering 503 to everything', async () => {
    const cli = await openCli();
    await cli.run(['key', 'generate']);
    const file = await open(cli.databasePath, 'r+');
    await file.write(Buffer.alloc(9_000, 0xa5), 0, 9_000, 8_000);
    await file.close();
    const { code, stderr } = await cli.spawn(['start', '--offline', '--port', '0']).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: The key database is damaged\.[^]*hint: `bedrock-proxy db /);
  });

  it('refuses a profile that is not there, and names those that are', async () => {
    const cli = await openCli();
    await mkdir(join(cli.home, '.aws'));
    await writeFile(
      join(cli.home, '.aws', 'config'),
      '[profile dev]\nregion = eu-west-1\n[profile production]\nregion = us-east-1\n',
    );
    for (const args of [['start'], ['exec', '--', 'true']]) {
      const { code, stderr } = await cli.spawn([args[0] ?? '', '--profile', 'produktion', ...args.slice(1)]).ended;
      expect(code).toBe(2);
      expect(stderr).toMatch(
        /^error: There is no AWS profile "produktion"\.\nhint: Did you mean production\?.*dev, prod/,
      );
    }
  });

  it.runIf(HAS_IPV6)('has both addresses of localhost', async () => {
    const { url, ended, child } = await startOffline();
    for (const each of [url, url.replace('127.0.0.1', '[::1]'), url.replace('127.0.0.1', 'localhost')]) {
      expect((await converse(each)).status).toBe(200);
    }
    child.kill('SIGTERM');
    expect((await ended).stderr).not.toContain('warning');
  });

  it.runIf(HAS_IPV6).each([{ more: [] }, { more: ['--workers', '2'] }])(
    'warns if another program has the other address of localhost, and names one that is its own: $more',
    async ({ more }) => {
      const port = await findClosedPort();
      const other = createServer((socket) => socket.end());
      await once(other.listen(port, '::1'), 'listening');
      onTestFinished(() => void other.close());
      const { waitFor } = (await openCli()).spawn(['start', '--offline', '--port', String(port), ...more]);
      const [, url = ''] = await waitFor('stderr', /endpoint_url="(.*)"/);
      expect(url).toBe(`http://127.0.0.1:${port}/bedrock`);
      await waitFor('stderr', /^warning: Another program listens on the same port of ::1, .*\nhint: .*127\.0\.0\.1/m);
      expect((await converse(new URL(url).origin)).status).toBe(200);
    },
  );

  it.skipIf(process.platform === 'darwin').each([{ more: [] }, { more: ['--workers', '2'] }])(
    'listens on several addresses, and on no other: $more',
    async ({ more }) => {
      const args = ['--host', '127.0.0.1', '--host', '127.0.0.7', '--port', '0', '--offline', ...more];
      const { waitFor } = (await openCli()).spawn(['start', ...args]);
      const [, port] = await waitFor('stderr', /endpoint_url="http:\/\/127\.0\.0\.1:(\d+)\/bedrock"/);
      for (const host of ['127.0.0.1', '127.0.0.7']) {
        expect((await converse(`http://${host}:${port}`)).status).toBe(200);
      }
      await expect(converse(`http://127.0.0.8:${port}`)).rejects.toThrow();
    },
  );

  it.each([{ hosts: ['0.0.0.0'] }, { hosts: ['127.0.0.1', '0.0.0.0'] }])(
    'does not open a network to everybody: $hosts',
    async ({ hosts }) => {
      const args = hosts.flatMap((host) => ['--host', host]);
      const { code, stderr } = await (await openCli()).spawn(['start', ...args, '--port', '0']).ended;
      expect(code).toBe(2);
      expect(stderr).toContain('Without keys the proxy would serve everybody who can reach 0.0.0.0.');
    },
  );

  it('does not open a network behind a master key that can be guessed', async () => {
    const env = { BEDROCK_PROXY_MASTER_KEY: 'sk-1234' };
    const { code, stderr } = await (await openCli()).spawn(['start', '--host', '0.0.0.0'], { env }).ended;
    expect(code).toBe(2);
    expect(stderr).toContain('The master key has fewer than 16 characters');
    expect(stderr).not.toContain('sk-1234');
  });
});

it('says at the start, and in doctor, that credentials of the environment have expired', async () => {
  const cli = await openCli();
  const env = {
    AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'x',
    AWS_SESSION_TOKEN: 'y',
    AWS_CREDENTIAL_EXPIRATION: new Date(Date.now() - 3 * 86_400_000).toISOString(),
  };
  const { waitFor } = cli.spawn(['start', '--region', 'us-east-1', '--port', '0'], { env });
  await waitFor(
    'stderr',
    /\n {2}credentials +none that work[^]*\nerror: .*\(environment variables\) expired 3 d ago\./,
  );
  const args = ['doctor', '--no-invoke', '--port', '0', '--endpoint-url', 'http://127.0.0.1:9'];
  const { code, stdout } = await cli.spawn(args, { env }).ended;
  expect(code).toBe(1);
  expect(stdout).toMatch(/^fail {2}credentials .*expired 3 d ago/m);
});

it('says at the start that a region is none that is known', async () => {
  const { waitFor } = (await openCli()).spawn(['start', '--offline', '--region', 'us-esat-1', '--port', '0']);
  await waitFor(
    'stderr',
    /^note: No region of Bedrock that is known here matches "us-esat-1"\. Did you mean us-east-1\?\n/,
  );
});
