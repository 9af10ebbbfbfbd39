/**
 * `exec` as a process, with real commands, a real second process for the proxy it starts, and real signals. What the
 * command saw is read from a file or from stdout.
 * @module-tag slow
 */
import { locateFile } from '../../../src/config/database-location.ts';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { proveCommand } from '../../../src/auth/server-proof.ts';
import { findServerSecret } from '../../../src/keys/server-secret.ts';
import { type Cli, openCli } from '../../helpers/cli.ts';
import { findClosedPort, listen } from '../../helpers/ports.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SHOW = 'console.log(JSON.stringify(process.env))';
const NODE = process.execPath;
const LAUNCH = `process.argv.splice(1, 0, 'bp');
  (await import(${JSON.stringify(new URL('../../../src/cli/main.ts', import.meta.url).href)})).run(process.argv);`;
const RUN = ([file = '', ...args]: readonly string[]): string =>
  `require('child_process').spawnSync(${JSON.stringify(file)}, ${JSON.stringify(args)}, { stdio: 'inherit' })`;
const HAS_IPV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

interface ListedKey {
  readonly alias: string | null;
  readonly state: string;
}

async function listKeys(cli: Cli): Promise<ListedKey[]> {
  return JSON.parse((await cli.run(['key', 'list', '--all', '--json'])).stdout) as ListedKey[];
}

/** A proxy that runs already, on a port of its own. */
async function startProxy(cli: Cli, ...args: string[]): Promise<string> {
  const proxy = cli.spawn(['start', '--offline', '--port', '0', ...args]);
  const [, port = ''] = await proxy.waitFor('stderr', /(?:localhost|127\.0\.0\.1):(\d+)\/bedrock/);
  return port;
}

async function converse(url: string, key: string): Promise<number> {
  const body = JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'Hi' }] }] });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  return (await fetch(`${url}/model/amazon.nova-micro-v1:0/converse`, { method: 'POST', headers, body })).status;
}

/** Speaks like a proxy, and has the real one on its other port answer whatever it cannot. */
async function startImpostor(realPort: string, host = '127.0.0.1', port = 0): Promise<[string, string[]]> {
  const seen: string[] = [];
  const impostor = createServer(async (request, response) => {
    seen.push(`${request.url?.replace(/challenge=.*/, 'challenge')} ${request.headers.authorization}`);
    const real = await fetch(`http://127.0.0.1:${realPort}${request.url}`);
    response.writeHead(real.status);
    response.end(await real.text());
  });
  await once(impostor.listen(port, host), 'listening');
  onTestFinished(() => void impostor.close());
  return [String((impostor.address() as AddressInfo).port), seen];
}

/** A program of this name that shows its arguments and its environment. */
async function writeAgent(cli: Cli, name: string): Promise<string> {
  const file = join(cli.home, name);
  const shown = 'JSON.stringify({ args: process.argv.slice(2), env: process.env })';
  await writeFile(file, `#!${NODE}\nconsole.log(${shown})\n`, { mode: 0o755 });
  return file;
}

describe('exec with an agent that it knows by name', () => {
  it.skipIf(process.platform === 'win32')(
    'sets the variables of Claude Code, and those of --for if it is there',
    async () => {
      const cli = await openCli();
      const claude = await writeAgent(cli, 'claude');
      const guessed = await cli.spawn(['exec', '--offline', '--', claude]).ended;
      expect(JSON.parse(guessed.stdout)).toMatchObject({ args: [], env: { CLAUDE_CODE_USE_BEDROCK: '1' } });
      const named = await cli.spawn(['exec', '--offline', '--for', 'js', '--', claude]).ended;
      expect(named.stdout).not.toContain('CLAUDE_CODE_USE_BEDROCK');
    },
  );

  it.skipIf(process.platform === 'win32')('gives Codex its provider before its own arguments', async () => {
    const cli = await openCli();
    const { stdout } = await cli.spawn(['exec', '--offline', '--', await writeAgent(cli, 'codex'), 'exec', 'hi']).ended;
    const { args, env } = JSON.parse(stdout) as { args: string[]; env: Record<string, string> };
    expect(args.slice(0, 3)).toEqual(['-c', 'model_provider=bedrock-proxy', '-c']);
    expect(args[3]).toMatch(/^model_providers\.bedrock-proxy=\{.*base_url="http:\/\/[^"]+\/bedrock\/openai\/v1"/);
    expect(args.slice(4)).toEqual(['exec', 'hi']);
    expect(env['CODEX_PROXY_KEY']).toMatch(/^sk-/);
  });

  it('says what variables cannot do', async () => {
    const { stderr } = await (await openCli()).run(['exec', '--offline', '--for', 'cline', '--', NODE, '-e', '0']);
    expect(stderr).toContain('note: Cline reads no variable for its endpoint.');
  });
});

describe('exec with a proxy of its own', () => {
  it('runs an unchanged program of the AWS SDK against a proxy of its own, and both are gone after', async () => {
    const cli = await openCli();
    const script = join(cli.home, 'app.cjs');
    await writeFile(
      script,
      `const { createRequire } = require('node:module');
       const { BedrockRuntimeClient, ConverseCommand } = createRequire(${JSON.stringify(ROOT)})('@aws-sdk/client-bedrock-runtime');
       const messages = [{ role: 'user', content: [{ text: 'Hi' }] }];
       new BedrockRuntimeClient({ maxAttempts: 1 })
         .send(new ConverseCommand({ modelId: 'amazon.nova-micro-v1:0', messages }))
         .then(({ stopReason }) => console.log(stopReason, process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME));`,
    );
    const { code, stdout } = await cli.spawn(['exec', '--offline', '--', NODE, script]).ended;
    expect(code).toBe(0);
    const [, url = ''] = /^end_turn (http:\/\/127\.0\.0\.1:\d+\/bedrock)\n$/.exec(stdout) ?? [];
    expect(url).not.toBe('');
    await expect(fetch(url)).rejects.toThrow();
    expect(await listKeys(cli)).toMatchObject([{ alias: expect.stringMatching(/^exec-node-\d+-/), state: 'revoked' }]);
  });

  it('keeps master key, salt and the credentials of the shell from the command', async () => {
    const cli = await openCli();
    const secrets = {
      BEDROCK_PROXY_MASTER_KEY: 'sk-the-master',
      LITELLM_MASTER_KEY: 'sk-the-other-master',
      BEDROCK_PROXY_SALT_KEY: 'a salt of some length',
      AWS_SESSION_TOKEN: 'the-session',
      AWS_PROFILE: 'default',
      AWS_BEARER_TOKEN_BEDROCK: 'the-bearer',
    };
    const env = { ...secrets, KEPT: 'yes' };
    const { stdout } = await cli.spawn(['exec', '--offline', '--', NODE, '-e', SHOW], { env }).ended;
    const seen = JSON.parse(stdout) as Record<string, string>;
    expect(seen).toMatchObject({
      KEPT: 'yes',
      AWS_REGION: 'us-east-1',
      AWS_SECRET_ACCESS_KEY: expect.stringMatching(/^sk-/),
    });
    expect(Object.keys(seen).filter((name) => name in secrets)).toEqual([]);
  });

  it('revokes the key and ends the proxy if exec is ended by a signal itself', async () => {
    const cli = await openCli();
    const wait = `process.on('SIGTERM', () => process.exit(42));
      setInterval(() => {}, 1e6);
      console.log(process.env.AWS_ENDPOINT_URL_BEDROCK);`;
    const running = cli.spawn(['exec', '--offline', '--', NODE, '-e', wait]);
    const [url = ''] = await running.waitFor('stdout', /http\S+/);
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(42);
    await expect(fetch(url)).rejects.toThrow();
    expect((await listKeys(cli)).map(({ state }) => state)).toEqual(['revoked']);
  });

  it('leaves no proxy behind if exec is killed, and the next exec revokes its key', async () => {
    const cli = await openCli();
    const script =
      'console.log(process.env.AWS_ENDPOINT_URL_BEDROCK); process.stdin.resume().on("end", () => process.exit())';
    const running = cli.spawn(['exec', '--offline', '--', NODE, '-e', `${script}; setTimeout(() => {}, 1000)`]);
    const [url = ''] = await running.waitFor('stdout', /http\S+/);
    running.child.kill('SIGKILL');
    await vi.waitFor(() => expect(fetch(url)).rejects.toThrow(), { timeout: 10_000 });
    await cli.spawn(['exec', '--offline', '--', NODE, '-e', '']).ended;
    expect((await listKeys(cli)).map(({ state }) => state)).toEqual(['revoked', 'revoked']);
  });

  it('says why the proxy of exec cannot start', async () => {
    const cli = await openCli();
    const { code, stdout, stderr } = await cli.run(['exec', '--endpoint-url', 'nonsense', '--', NODE, '-e', SHOW]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('--endpoint-url must be');
  });
});

describe('exec beside a proxy that runs', () => {
  it('takes a proxy that runs, with a key that works during the command and is refused after', async () => {
    const cli = await openCli();
    await cli.run(['key', 'generate']);
    const port = await startProxy(cli);
    const { stdout } = await cli.spawn(['exec', '--port', port, '--for', 'claude-code', '--', NODE, '-e', SHOW]).ended;
    const seen = JSON.parse(stdout) as Record<string, string>;
    const url = seen['ANTHROPIC_BEDROCK_BASE_URL'] ?? '';
    expect(url).toBe(`http://localhost:${port}/bedrock`);
    expect(await converse(url, seen['AWS_BEARER_TOKEN_BEDROCK'] ?? '')).toBe(401);
  });

  it('lends the command the key that --key names, and leaves it', async () => {
    const cli = await openCli();
    const key = (await cli.run(['key', 'generate', '--alias', 'alice', '--quiet'])).stdout.trim();
    const port = await startProxy(cli);
    const { stdout } = await cli.spawn(['exec', '--port', port, '--key', 'alice', '--', NODE, '-e', SHOW]).ended;
    const seen = JSON.parse(stdout) as Record<string, string>;
    expect(seen['AWS_SECRET_ACCESS_KEY']).toBe(key);
    expect(await converse(`http://localhost:${port}/bedrock`, key)).toBe(200);
    expect(await listKeys(cli)).toMatchObject([{ alias: 'alice', state: 'active' }]);
  });

  it.each([
    { name: 'has another database', other: ['--db', 'other.db'], args: ['--endpoint-url', 'http://127.0.0.1:9'] },
    { name: 'may sign otherwise than asked', other: [], args: ['--region', 'eu-west-1'] },
  ])('starts a proxy of its own if the one that runs $name', async ({ other, args }) => {
    const cli = await openCli();
    const port = await startProxy(cli, ...other);
    const { code, stdout } = await cli.spawn(['exec', '--port', port, ...args, '--', NODE, '-e', SHOW]).ended;
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as Record<string, string>)['AWS_ENDPOINT_URL_BEDROCK']).not.toContain(`:${port}/`);
  });

  it('does not take another program on the port for the proxy, and shows it no key', async () => {
    const seen: (string | undefined)[] = [];
    const stranger = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end('{}');
    });
    const port = await listen(stranger);
    const cli = await openCli();
    const { stdout } = await cli.spawn(['exec', '--port', String(port), '--', NODE, '-e', SHOW]).ended;
    expect((JSON.parse(stdout) as Record<string, string>)['AWS_ENDPOINT_URL_BEDROCK']).not.toContain(`:${port}/`);
    expect(seen).toEqual([undefined]);
  });
});

describe('exec beside an impostor on the port', () => {
  it('shows an impostor no key though it relays the challenge, says so, and starts a proxy of its own', async () => {
    const cli = await openCli();
    await cli.run(['key', 'generate']);
    const realPort = await startProxy(cli);
    const [port, seen] = await startImpostor(realPort);
    const { code, stdout, stderr } = await cli.spawn(['exec', '--port', port, '--', NODE, '-e', SHOW]).ended;
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as Record<string, string>)['AWS_ENDPOINT_URL_BEDROCK']).not.toContain(`:${port}/`);
    expect(seen).toEqual(['/ undefined', '/health/readiness?challenge undefined']);
    expect(stderr).toContain(
      `note: What listens on port ${port} is no proxy of this database; the command gets one of its own.\n`,
    );
    expect(stderr).toContain('warning: The proxy has no AWS credentials to sign with.');
    expect(stderr).toContain('note: No AWS region is known');
  });

  it.runIf(HAS_IPV6)('shows an impostor no key on the same port of [::1], which is localhost as well', async () => {
    const cli = await openCli();
    await cli.run(['key', 'generate']);
    const port = String(await findClosedPort());
    const [, seen] = await startImpostor(port, '::1', Number(port));
    await startProxy(cli, '--port', port);
    const { code } = await cli.spawn(['exec', '--port', port, '--', NODE, '-e', '']).ended;
    expect(code).toBe(0);
    expect(seen.filter((line) => line.includes('Bearer'))).toEqual([]);
  });
});

describe('the proof of a server that runs', () => {
  it('is there from the start, and tells nobody more who does not prove the same', async () => {
    const cli = await openCli();
    const port = await startProxy(cli);
    const challenge = 'ab'.repeat(16);
    const ask = async (query = ''): Promise<unknown> =>
      (await fetch(`http://localhost:${port}/health/readiness?challenge=${challenge}${query}`)).json();
    await vi.waitFor(async () => expect(await ask()).toHaveProperty('proof'));
    const { proof } = (await ask()) as { proof: string };
    for (const wrong of ['', 'ff', proof, 'f'.repeat(64)]) {
      expect(await ask(`&command=${wrong}`)).not.toHaveProperty('facts');
    }
    const secret = findServerSecret(locateFile(cli.databasePath), undefined);
    const command = proveCommand(secret, challenge, Number(port));
    expect(await ask(`&command=${command}`)).toMatchObject({ facts: { access: 'open', region: 'us-east-1' } });
    expect(await ask(`&command=${proveCommand(secret, challenge, Number(port) + 1)}`)).not.toHaveProperty('facts');
  });
});

describe('exec and open mode', () => {
  it('leaves an open proxy open, and its key has the limits and the end that it was given', async () => {
    const cli = await openCli();
    const port = await startProxy(cli);
    const url = `http://localhost:${port}/bedrock`;
    const args = [
      'exec',
      '--port',
      port,
      '--models',
      'amazon.nova-pro-v1:0',
      '--tag',
      'team=a',
      '--',
      NODE,
      '-e',
      SHOW,
    ];
    const { code, stdout, stderr } = await cli.spawn(args).ended;
    expect([code, stderr]).toEqual([0, '']);
    const seen = JSON.parse(stdout) as Record<string, string>;
    expect(seen['AWS_ENDPOINT_URL_BEDROCK']).toBe(url);
    expect(seen['AWS_REGION']).toBe('us-east-1');
    expect(await converse(url, 'anything')).toBe(200);
    // The key of the command is over, also where nobody needs one.
    expect(await converse(url, seen['AWS_SECRET_ACCESS_KEY'] ?? '')).toBe(401);
    expect((await cli.run(['key', 'list'])).stderr).toContain('1 ended key of exec is left out;');
    expect((await cli.run(['key', 'list', '--json'])).stdout).toBe('[]\n');
    expect((await cli.run(['key', 'list', '--all'])).stdout).toContain('exec: node');
    expect(await listKeys(cli)).toMatchObject([{ models: ['amazon.nova-pro-v1:0'], tags: { team: 'a' } }]);
    const call = `fetch('${url}/model/amazon.nova-lite-v1:0/converse', { method: 'POST', body: '{"messages":[]}',
      headers: { authorization: 'Bearer ' + process.env.AWS_SECRET_ACCESS_KEY } })
      .then(({ status }) => console.log(status))`;
    const limited = await cli.spawn([...args.slice(0, 7), '--', NODE, '-e', call]).ended;
    expect(limited.stdout).toBe('403\n');
  });

  it('says in the terminal of start when the first key is there, with the lines for it', async () => {
    const cli = await openCli();
    const proxy = cli.spawn(['start', '--offline', '--port', '0']);
    await proxy.waitFor('stderr', /Bearer anything/);
    await cli.spawn(['exec', '--offline', '--', NODE, '-e', '']).ended;
    await cli.run(['key', 'generate']);
    await proxy.waitFor('stderr', /^A key exists now: every call needs one[^]*Bearer sk-YOUR-KEY[^]*BRPX-YOUR-ID/m);
  });

  it('tells the requests of one program in one line of usage', async () => {
    const cli = await openCli();
    const port = await startProxy(cli);
    const call = `fetch(process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME + '/model/amazon.nova-lite-v1:0/converse', {
      method: 'POST', headers: { authorization: 'Bearer ' + process.env.AWS_SECRET_ACCESS_KEY },
      body: '{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}' }).then((response) => response.text())`;
    for (let times = 0; times < 2; times += 1) await cli.spawn(['exec', '--port', port, '--', NODE, '-e', call]).ended;
    await converse(`http://localhost:${port}/bedrock`, 'anything');
    await vi.waitFor(async () => {
      const { stdout } = await cli.run(['usage', '--json']);
      const { groups } = JSON.parse(stdout) as { groups: unknown[] };
      expect(groups).toMatchObject([
        { name: null, label: 'exec: node', requests: 2 },
        { label: 'anonymous', requests: 1 },
      ]);
    });
    const top = JSON.parse((await cli.run(['top', '--json', '--port', port])).stdout) as { keys: unknown[] };
    expect(top.keys).toMatchObject([
      { key_id: null, label: 'exec: node', requests_per_minute: 2 },
      { label: 'anonymous', requests_per_minute: 1 },
    ]);
  });

  it('refuses limits beside --key, which lends a key as it is', async () => {
    const cli = await openCli();
    const { code, stderr } = await cli.run(['exec', '--key', 'alice', '--budget', '1', '--', 'true']);
    expect(code).toBe(2);
    expect(stderr).toContain('Limits are for a new key');
  });
});

describe('exec within exec', () => {
  it('uses the proxy and the key of the outer one, wherever that listens', async () => {
    const cli = await openCli();
    const inner = [NODE, '--input-type=module', '-e', LAUNCH, 'exec', '--', NODE, '-e', SHOW];
    const outer = await cli.spawn(['exec', '--offline', '--', NODE, '-e', `${SHOW};${RUN(inner)}`]).ended;
    expect([outer.code, outer.stderr]).toEqual([0, '']);
    const [first, second] = outer.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    for (const name of ['AWS_ENDPOINT_URL_BEDROCK', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'])
      expect(second?.[name]).toBe(first?.[name]);
    expect(await listKeys(cli)).toHaveLength(1);
  });

  it('does not sign with the key of the outer one', async () => {
    const cli = await openCli();
    const env = { AWS_ACCESS_KEY_ID: 'BRPXAAAAAAAAAAAAAAAA', AWS_SECRET_ACCESS_KEY: `sk-${'a'.repeat(43)}` };
    const { code, stderr } = await cli.spawn(['start', '--port', '0', '--region', 'us-east-1'], { env }).ended;
    expect(code).toBe(2);
    expect(stderr).toContain('(environment variables) are a virtual key');
    expect(stderr).toContain('a shell without `bedrock-proxy env`');
  });
});

describe('exec hands back how the command ended', () => {
  it('ends by the exit code of the command, 128 + its signal, 126 and 127', async () => {
    const cli = await openCli();
    await cli.run(['key', 'generate', '--alias', 'alice']);
    const port = await startProxy(cli);
    const codeOf = async (...commandLine: string[]): Promise<number | null> =>
      (await cli.spawn(['exec', '--port', port, '--key', 'alice', '--', ...commandLine]).ended).code;
    const codes = Promise.all([
      codeOf('sh', '-c', 'exit 7'),
      codeOf('sh', '-c', 'kill -KILL $$'),
      codeOf('/'),
      codeOf('no-such-command-here'),
    ]);
    expect(await codes).toEqual([7, 137, 126, 127]);
  });

  it('asks for a command', async () => {
    const cli = await openCli();
    const { code, stderr } = await cli.run(['exec']);
    expect(code).toBe(2);
    expect(stderr).toContain("missing required argument 'command'");
  });
});
