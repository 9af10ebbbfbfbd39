/**
 * `start --background`, `status` and `stop`: what they say of proxies that run, and that a file is not believed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { thisProcessSpace } from '../../../src/keys/exec-key.ts';
import { type Cli, openCli, type RunningCli } from '../../helpers/cli.ts';
import { findClosedPort, listen } from '../../helpers/ports.ts';

const LAUNCHER = fileURLToPath(new URL('../../../bin/bedrock-proxy.js', import.meta.url));

interface Status {
  readonly port: number;
  readonly pid: number;
  readonly responds: boolean;
}

interface Started {
  readonly proxy: RunningCli;
  readonly port: number;
}

async function start(cli: Cli, args: readonly string[] = [], env: Record<string, string> = {}): Promise<Started> {
  const proxy = cli.spawn(['start', '--offline', '--port', '0', ...args], { env });
  const [, port = ''] = await proxy.waitFor('stderr', /endpoint_url="http:\/\/localhost:(\d+)/);
  return { proxy, port: Number(port) };
}

async function readStatus(cli: Cli): Promise<Status[]> {
  return JSON.parse((await cli.run(['status', '--json'])).stdout) as Status[];
}

const runningFolder = (cli: Cli): string => join(cli.home, 'data', 'bedrock-proxy', 'running');

async function plantFile(cli: Cli, facts: Record<string, unknown>): Promise<string> {
  await mkdir(runningFolder(cli), { recursive: true });
  const path = join(runningFolder(cli), '1-1.json');
  const space = thisProcessSpace(Date.now()).tag;
  const database = cli.databasePath;
  await writeFile(
    path,
    JSON.stringify({ pid: process.pid, space, address: '127.0.0.1', database, startedAtMs: Date.now(), ...facts }),
  );
  return path;
}

async function converse(port: number): Promise<void> {
  const body = '{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}';
  await fetch(`http://127.0.0.1:${port}/bedrock/model/amazon.nova-lite-v1:0/converse`, { method: 'POST', body });
}

describe('status', () => {
  it('says of each proxy that runs where it is, in which mode, and what it did', async () => {
    const cli = await openCli();
    const { port, proxy } = await start(cli);
    await converse(port);
    const { code, stdout } = await cli.run(['status']);
    expect(code).toBe(0);
    expect(stdout.replace(/version \S+,/, 'version V,').replace(/\$0\.0{5}\d+/, '$COST')).toBe(
      [
        `http://localhost:${port}/bedrock`,
        `  process   ${proxy.child.pid}; version V, started just now`,
        '  mode      open, no key needed; offline',
        '  region    us-east-1',
        `  database  ${cli.databasePath}`,
        '  requests  1; $COST',
        '',
      ].join('\n'),
    );
    await cli.run(['key', 'generate']);
    expect((await cli.run(['status'])).stdout).toContain('mode      keys; offline');
  });

  it('finds a proxy of another database, or whose keys a salt seals, if it knows the salt', async () => {
    const cli = await openCli();
    const salt = { BEDROCK_PROXY_SALT_KEY: 'a salt of some length' };
    const { port } = await start(cli, ['--db', join(cli.home, 'other.db')], salt);
    const { stdout } = await cli.run(['status', '--json'], salt);
    expect(JSON.parse(stdout)).toMatchObject([{ port, responds: true, database: join(cli.home, 'other.db') }]);
    expect(await readStatus(cli)).toMatchObject([{ port, responds: false }]);
    expect((await cli.run(['stop'])).stderr).toContain(`What runs on port ${port} does not prove to be a proxy`);
    expect(await readStatus(cli)).toHaveLength(1);
  });

  it('adds up what workers did, and names the process that leads them', async () => {
    const cli = await openCli();
    const { port, proxy } = await start(cli, ['--workers', '2']);
    for (let turn = 0; turn < 4; turn += 1) await converse(port);
    const { pid } = proxy.child;
    expect(await readStatus(cli)).toMatchObject([
      { port, pid, workers: 2, requests: 4, cost_usd: expect.stringMatching(/^0\.0000/) },
    ]);
    expect((await cli.run(['stop'])).code).toBe(0);
    expect((await proxy.ended).code).toBe(0);
  });

  it('keeps no secret in a file, for its owner alone, and removes it at the end', async () => {
    const cli = await openCli();
    const { proxy } = await start(cli);
    const [name = ''] = readdirSync(runningFolder(cli));
    const file = join(runningFolder(cli), name);
    if (process.platform !== 'win32') expect(statSync(file).mode & 0o777).toBe(0o600);
    const told = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    expect(Object.keys(told).toSorted()).toEqual(['address', 'database', 'pid', 'port', 'space', 'startedAtMs']);
    proxy.child.kill('SIGTERM');
    await proxy.ended;
    expect(readdirSync(runningFolder(cli))).toEqual([]);
  });

  it('does not list a proxy that was killed, nor the server of exec', async () => {
    const cli = await openCli();
    const { proxy } = await start(cli);
    proxy.child.kill('SIGKILL');
    await proxy.ended;
    expect(readdirSync(runningFolder(cli))).toHaveLength(1);
    expect(await readStatus(cli)).toEqual([]);
    expect(readdirSync(runningFolder(cli))).toEqual([]);
    const look = `process.stdout.write(require('fs').readdirSync(${JSON.stringify(runningFolder(cli))}).join())`;
    const { code, stdout } = await cli.spawn(['exec', '--offline', '--', process.execPath, '-e', look]).ended;
    expect([code, stdout]).toEqual([0, '']);
    expect((await cli.run(['status'])).stderr).toBe('No proxy runs.\n');
    expect((await cli.run(['status'])).code).toBe(1);
  });

  it('tells nobody but a command of its database', async () => {
    const { port } = await start(await openCli());
    const challenge = 'ab'.repeat(16);
    for (const query of ['', `?challenge=${challenge}`, `?challenge=${challenge}&command=${'0'.repeat(64)}`]) {
      const response = await fetch(`http://127.0.0.1:${port}/health/status${query}`);
      expect([response.status, await response.text()]).toEqual([404, '{"status":"unknown"}\n']);
    }
  });
});

describe('a file that is not to be believed', () => {
  it('does not pass a process for a proxy whose number it has by chance', async () => {
    const cli = await openCli();
    await plantFile(cli, { port: await findClosedPort() });
    expect(await readStatus(cli)).toEqual([]);
    expect((await cli.run(['stop'])).stderr).toBe('No proxy runs.\n');
  });

  it('is removed if a proxy on that port has another number', async () => {
    const cli = await openCli();
    const { port, proxy } = await start(cli);
    const path = await plantFile(cli, { port });
    expect(await readStatus(cli)).toMatchObject([{ pid: proxy.child.pid }]);
    expect(existsSync(path)).toBe(false);
  });

  it('is removed if the machine was started since', async () => {
    const cli = await openCli();
    const path = await plantFile(cli, { port: await findClosedPort(), startedAtMs: 1 });
    expect(await readStatus(cli)).toEqual([]);
    expect(existsSync(path)).toBe(false);
  });

  it('does not have an impostor on the port signalled, whatever it says', async () => {
    const cli = await openCli();
    await cli.run(['key', 'generate']);
    const status = { pid: process.pid, version: '1', url: 'http://x', database: 'x', mode: 'open', offline: true };
    const counts = { workers: 1, startedAtMs: 1, requests: 0, inFlight: 0, costNanoUsd: 0, unpriced: 0 };
    const proof = 'ab'.repeat(32);
    const impostor = createServer((_, response) =>
      response.end(JSON.stringify({ proof, status: { ...status, ...counts } })),
    );
    const port = await listen(impostor);
    await plantFile(cli, { port });
    const signals: string[] = [];
    const note = (): void => void signals.push('SIGTERM');
    process.on('SIGTERM', note);
    onTestFinished(() => void process.off('SIGTERM', note));
    const { code, stderr } = await cli.run(['stop']);
    expect([code, signals]).toEqual([1, []]);
    expect(stderr).toContain(`What runs on port ${port} does not prove to be a proxy, and is left alone.`);
  });

  it.each(['', '{', '[]', 'null', '{"pid":-1}', '{"pid":0,"port":1}'])('may be damaged: %s', async (text) => {
    const cli = await openCli();
    await writeFile(await plantFile(cli, {}), text);
    expect(await readStatus(cli)).toEqual([]);
  });
});

describe('stop', () => {
  it('ends the one of a port, and waits for it', async () => {
    const cli = await openCli();
    const [one, other] = [await start(cli), await start(cli)];
    const { code, stderr } = await cli.run(['stop', '--port', String(one.port)]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/ends\.\nStopped\.\n$/);
    expect((await one.proxy.ended).code).toBe(0);
    expect(await readStatus(cli)).toMatchObject([{ port: other.port }]);
    const { stdout } = await cli.run(['stop', '--json']);
    expect(JSON.parse(stdout)).toEqual([
      { port: other.port, pid: other.proxy.child.pid, url: expect.any(String), stopped: true },
    ]);
    expect(await cli.run(['stop', '--port', String(one.port)])).toMatchObject({
      code: 1,
      stderr: `No proxy runs on port ${one.port}.\n`,
    });
  });

  it.skipIf(process.platform !== 'linux')('does not wait for one that has ended and whom nobody buries', async () => {
    const cli = await openCli();
    const args = [LAUNCHER, 'start', '--offline', '--port', '0', '--json', '--quiet'];
    const env = { PATH: process.env['PATH'] ?? '', HOME: cli.home, XDG_DATA_HOME: join(cli.home, 'data') };
    // What `sleep` takes over are children that it does not know of.
    const parent = spawn('sh', ['-c', '"$@" & exec sleep 60', 'sh', process.execPath, ...args], { env });
    onTestFinished(() => void parent.kill('SIGKILL'));
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const { pid } = JSON.parse(line.toString()) as Status;
    expect(await cli.run(['stop'])).toMatchObject({ code: 0, stderr: expect.stringMatching(/Stopped\.\n$/) });
    expect(readFileSync(`/proc/${pid}/stat`, 'latin1')).toContain(') Z ');
  });

  it('lets requests end, and ends them at once if it is interrupted', async () => {
    const cli = await openCli();
    const { port, proxy } = await start(cli);
    const cut = new Promise<string>((resolve) => {
      const headers = { 'content-length': '9' };
      const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
      const init = { method: 'POST', headers, body, duplex: 'half' } as const;
      fetch(`http://127.0.0.1:${port}/bedrock/model/x/invoke`, init).then(
        () => resolve('served'),
        () => resolve('cut'),
      );
    });
    await expect.poll(() => readStatus(cli)).toMatchObject([{ requests_in_flight: 1 }]);
    const stopping = cli.spawn(['stop']);
    await stopping.waitFor('stderr', /ends after 1 request that is under way/);
    await proxy.waitFor('stderr', /Ending/);
    await stopping.waitFor('stderr', new RegExp(`has not ended yet.*kill -9 ${proxy.child.pid}`));
    stopping.child.kill('SIGINT');
    expect((await stopping.ended).code).toBe(0);
    expect((await proxy.ended).code).toBe(143);
    expect(await cut).toBe('cut');
  });
});

describe('start --background', () => {
  it('returns when the proxy listens, which goes on and writes to a log', async () => {
    const cli = await openCli();
    const { code, stderr } = await cli.spawn(['start', '--offline', '--background', '--port', '0']).ended;
    onTestFinished(() => void cli.run(['stop']));
    expect(code).toBe(0);
    const [, log = ''] = /log +(.*)\n/.exec(stderr) ?? [];
    const [{ port = 0, pid = 0 } = {}] = await readStatus(cli);
    expect(stderr).toContain(`address  http://localhost:${port}/bedrock\nprocess  ${pid}\n`);
    await converse(port);
    await expect.poll(() => readFileSync(log, 'utf8')).toMatch(/boto3[^]*amazon\.nova-lite/);
    if (process.platform !== 'win32') expect(statSync(log).mode & 0o777).toBe(0o600);
    await cli.run(['stop']);
    expect(readFileSync(log, 'utf8')).toContain('Stopped after 1 request');
  });

  it('prints a line of JSON with the number of the process that leads the workers', async () => {
    const cli = await openCli();
    const args = ['start', '--offline', '--background', '--port', '0', '--workers', '2', '--json'];
    const { code, stdout, stderr } = await cli.spawn(args).ended;
    onTestFinished(() => void cli.run(['stop']));
    expect([code, stderr]).toEqual([0, '']);
    const { pid, port } = JSON.parse(stdout) as Status;
    expect(await readStatus(cli)).toMatchObject([{ pid, port, workers: 2 }]);
    expect((await cli.run(['stop'])).code).toBe(0);
  });

  it('says what the proxy said, and ends as it did, if it does not start', async () => {
    const cli = await openCli();
    const args = ['start', '--background', '--host', '0.0.0.0', '--port', '0'];
    const { code, stderr } = await cli.spawn(args).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: Without keys the proxy would serve everybody/);
    expect(await readStatus(cli)).toEqual([]);
  });
});

describe('start --json', () => {
  it.each([{ more: [] }, { more: ['--workers', '2'] }])('prints one line when it listens: $more', async ({ more }) => {
    const cli = await openCli();
    const proxy = cli.spawn(['start', '--offline', '--port', '0', '--json', ...more]);
    const [line] = await proxy.waitFor('stdout', /^.*\n/);
    const { pid, port } = JSON.parse(line) as Status;
    expect(pid).toBe(proxy.child.pid);
    expect(JSON.parse(line)).toEqual({
      pid,
      port,
      url: `http://localhost:${port}/bedrock`,
      database: cli.databasePath,
    });
    proxy.child.kill('SIGTERM');
    expect((await proxy.ended).stdout).toBe(line);
  });
});
