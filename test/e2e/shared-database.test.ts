/**
 * docs/operate.md, "Several proxies": its commands in their order, on two machines, which are two homes here, from an
 * empty database to two proxies; and that the password of the database is nowhere in what they print, serve or write.
 */
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { POSTGRES, sharedPostgres, stopSharedPostgres } from '../helpers/postgres.ts';
import {
  AWS_VARIABLES,
  launchServer,
  openWorkplace,
  type ProgramEnd,
  run,
  type RunningServer,
  type Workplace,
} from '../helpers/program.ts';
import { ask } from '../helpers/raw-socket.ts';

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/operate.md', import.meta.url)), 'utf8');
const [, SECTION = ''] = /^## Several proxies\n([^]*?)^## /m.exec(PAGE) ?? [];
const blocksOf = (language: string): string[] =>
  [...SECTION.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gm'))].map(([, code = '']) => code);

const SALT = 'salt-key-of-this-test-0';
const PASSWORD = 'hunter2canary';
const BODY = JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'Hello' }] }] });

/** A machine: a home of its own, with the variables that the page sets. */
type Machine = Workplace;

let url: string;
let machines: readonly [Machine, Machine];
/** All that was printed. */
const printed: string[] = [];

async function openMachine(): Promise<Machine> {
  const place = await openWorkplace();
  const exported = [...SECTION.matchAll(/^export (\w+)=/gm)].map(([, name]) => name);
  expect(exported).toEqual(['BEDROCK_PROXY_DB', 'BEDROCK_PROXY_SALT_KEY']);
  const variables = { BEDROCK_PROXY_DB: url, BEDROCK_PROXY_SALT_KEY: SALT, BEDROCK_PROXY_OFFLINE: '1' };
  return { ...place, environment: { ...place.environment, ...AWS_VARIABLES, ...variables } };
}

async function runOn({ environment }: Machine, ...args: readonly string[]): Promise<ProgramEnd> {
  const end = await run(args, environment);
  printed.push(end.stdout, end.stderr);
  return end;
}

async function send({ port }: RunningServer, key: string): Promise<number> {
  const head = ['Host: localhost', `Authorization: Bearer ${key}`, 'Content-Type: application/json'];
  const request = [...head, `Content-Length: ${BODY.length}`];
  return (await ask(port, 'POST /bedrock/model/amazon.nova-lite-v1:0/converse HTTP/1.1', request, BODY)).status;
}

async function readEverything(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return (await Promise.all(files.map((file) => readFile(file, 'latin1')))).join('\n');
}

describe.skipIf(POSTGRES === undefined)('several proxies', () => {
  afterAll(async () => {
    for (const machine of machines) await machine[Symbol.asyncDispose]();
    await stopSharedPostgres();
  });

  beforeAll(async () => {
    const server = await sharedPostgres();
    const [creation = '', grants = ''] = blocksOf('sql');
    for (const statement of creation.split('\n').filter((line) => line !== '')) await server.run(statement);
    await server.run('CREATE ROLE app LOGIN');
    url = server.url('proxy').replace('owner@', `proxy:${PASSWORD}@`);
    machines = [await openMachine(), await openMachine()];
    expect(grants).toContain('GRANT USAGE');
  });

  it('share keys, budgets and the ledger, as the page says', { timeout: 60_000 }, async () => {
    const [here, there] = machines;
    const commands = blocksOf('sh')
      .join('')
      .matchAll(/^npx bedrock-proxy (.*?)(?: +#.*)?$/gm);
    const servers: RunningServer[] = [];
    let key = '';
    for (const [, command = ''] of commands) {
      if (command === 'start') {
        for (const machine of machines) servers.push(await launchServer([], machine.environment));
        continue;
      }
      const end = await runOn(here, ...command.split(' '));
      expect([end.code, command]).toEqual([0, command]);
      key ||= /^key +(sk-\S+)$/m.exec(end.stdout)?.[1] ?? '';
    }
    expect(servers).toHaveLength(2);
    for (const server of servers) {
      expect(await send(server, key)).toBe(200);
      expect(await send(server, 'sk-nobody')).toBe(401);
      for (const path of ['/health/readiness', '/metrics']) {
        printed.push((await ask(server.port, `GET ${path} HTTP/1.1`, ['Host: localhost'])).body.toString());
      }
    }
    for (const machine of machines) {
      const rows = (await runOn(machine, 'logs', '--json', '--key', 'alice')).stdout.trim().split('\n');
      expect(rows.map((row) => (JSON.parse(row) as { status: number }).status)).toEqual([200, 200]);
      const usage = JSON.parse((await runOn(machine, 'usage', '--json', '--key', 'alice')).stdout) as unknown;
      expect(usage).toMatchObject({ total: { requests: 2, errors: 0 } });
    }
    for (const args of [
      ['status'],
      ['doctor', '--no-invoke'],
      ['env', '--key', 'alice'],
      ['start', '--print-config'],
    ]) {
      await runOn(there, ...args);
    }
    await runOn(there, 'exec', '--key', 'alice', '--', process.execPath, '-p', 'JSON.stringify(process.env)');
    expect(printed.join('')).toContain('BEDROCK_PROXY_EXEC_ADDRESS');
    await runOn(there, 'key', 'revoke', 'alice');
    for (const server of servers) await expect.poll(() => send(server, key), { timeout: 3_000 }).toBe(401);
    for (const { child, ended } of servers) {
      child.kill('SIGTERM');
      const { code, stdout, stderr } = await ended;
      expect([code, stderr]).toEqual([0, expect.stringContaining('postgres://proxy@')]);
      printed.push(stdout, stderr);
    }
  });

  it('refuse to start with another salt, or with none', async () => {
    const [{ environment }] = machines;
    for (const salt of ['salt-key-of-another-one', '']) {
      const end = await run(['start', '--port', '0'], { ...environment, BEDROCK_PROXY_SALT_KEY: salt });
      printed.push(end.stdout, end.stderr);
      expect([end.code, end.stderr]).toEqual([2, expect.stringContaining('BEDROCK_PROXY_SALT_KEY')]);
    }
  });

  it('run with a role that makes no tables', { timeout: 30_000 }, async () => {
    const server = await sharedPostgres();
    for (const grant of (blocksOf('sql')[1] ?? '').split('\n').filter((line) => line !== '')) {
      await server.run(grant, 'proxy');
    }
    const [here] = machines;
    const app = {
      ...here,
      environment: { ...here.environment, BEDROCK_PROXY_DB: server.url('proxy').replace('owner@', 'app@') },
    };
    const { stdout } = await runOn(app, 'key', 'generate', '--quiet', '--budget', '5', '--rpm', '9');
    await using proxy = await launchServer([], app.environment);
    expect(await send(proxy, stdout.trim())).toBe(200);
    for (const command of ['logs', 'usage', 'db status']) {
      expect([command, (await runOn(app, ...command.split(' '))).code]).toEqual([command, 0]);
    }
  });

  it('tell nobody the password of the database', async () => {
    const closed = url.replace(/:\d+\//, ':1/');
    const [here] = machines;
    for (const args of [
      ['key', 'list'],
      ['start', '--port', '0'],
      ['db', 'status'],
      ['db', 'copy'],
      ['doctor', '--no-invoke'],
    ]) {
      const end = await run(args, { ...here.environment, BEDROCK_PROXY_DB: closed });
      expect([args, end.code]).not.toEqual([args, 0]);
      printed.push(end.stdout, end.stderr);
    }
    for (const machine of machines) printed.push(await readEverything(machine.folder));
    const said = printed.join('\n');
    expect(said).toContain('postgres://proxy@127.0.0.1');
    expect(said).not.toContain(PASSWORD);
  });
});
