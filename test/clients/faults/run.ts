// What SDKs make of each fault, measured: `node test/clients/faults/run.ts` prints the tables of docs/testing.md, and
// writes them there with `--write`. `--only boto3,go` runs some. Each SDK has the retries that it has by default, and a
// time-out of three seconds. What an SDK needs is installed into .clients/, as for `npm run test:clients`.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createInstaller } from '../installs.ts';
import type { ToolchainName } from '../rows.ts';
import { type Cell, MODES, renderTables, replaceTables } from './tables.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PAGE = join(ROOT, 'docs', 'testing.md');
const AT_ONCE = 8;
const MASTER_KEY = 'sk-measuring-what-faults-do';

/** One of each kind, in the order of the docs; the slow one is slower than the time-out. */
const FAULTS = [
  'throttle',
  'unavailable',
  'internal',
  'not-ready',
  'timeout',
  'denied',
  'model-error',
  'expired-token',
  'connect',
  'budget',
  'first-byte=5s',
  'stall',
  'exception=throttlingException',
  'exception=modelStreamErrorException',
  'cut',
  'reset',
  'crc',
  'crc which=prelude',
  'body=malformed',
  'empty',
] as const;

interface Sdk {
  readonly id: string;
  readonly name: string;
  readonly toolchain: ToolchainName | undefined;
  readonly command: (installed: string) => readonly string[];
}

const own = (program: string): string => join(ROOT, 'test', 'clients', program);
const javaScript = (id: string, name: string, toolchain?: ToolchainName): Sdk => ({
  id,
  name,
  toolchain,
  command: (installed) => [
    process.execPath,
    toolchain === undefined ? own('javascript/faults.mjs') : join(installed, 'faults.mjs'),
  ],
});

const SDKS: readonly Sdk[] = [
  {
    id: 'boto3',
    name: 'boto3',
    toolchain: 'python',
    command: (installed) => [join(installed, 'bin', 'python'), own('python/faults.py')],
  },
  javaScript('aws-sdk', 'AWS SDK for JavaScript'),
  { id: 'go', name: 'AWS SDK for Go', toolchain: 'go', command: (installed) => [join(installed, 'faults')] },
  javaScript('anthropic', 'Anthropic (JavaScript)'),
  javaScript('openai', 'OpenAI (JavaScript)', 'javascript'),
];

interface TestCase {
  readonly id: string;
  readonly mode: (typeof MODES)[number];
  readonly fault: string;
  readonly key: string;
  readonly accessKeyId: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { only: { type: 'string', default: '' }, write: { type: 'boolean', default: false } },
  });
  const only = values.only.split(',').filter(Boolean);
  const sdks = SDKS.filter(({ id }) => only.length === 0 || only.includes(id));
  const install = createInstaller({ root: ROOT, signal: new AbortController().signal, say });
  const measured: { readonly name: string; readonly cells: readonly Cell[] }[] = [];
  for (const sdk of sdks) {
    const installed = sdk.toolchain === undefined ? { folder: ROOT } : await install(sdk.toolchain);
    if ('problem' in installed) say(`${sdk.name} is left out: ${installed.problem}`);
    else measured.push({ name: sdk.name, cells: await measure(sdk, installed.folder) });
  }
  const tables = renderTables(FAULTS, measured);
  process.stdout.write(`${tables}\n`);
  if (values.write) writeFileSync(PAGE, replaceTables(readFileSync(PAGE, 'utf8'), tables));
}

/** One SDK against a proxy of its own: each case has a key and a rule for it, by which its requests are counted. */
async function measure(sdk: Sdk, installed: string): Promise<readonly Cell[]> {
  say(`measuring ${sdk.name}`);
  const folder = mkdtempSync(join(tmpdir(), 'faults-'));
  const server = startServer(folder);
  try {
    const base = `http://127.0.0.1:${await findPort(server)}`;
    const cases: TestCase[] = [];
    for (const fault of FAULTS) {
      for (const mode of MODES) {
        const id = `case-${cases.length}`;
        const made = await call(base, 'POST', '/key/generate', { key_alias: id });
        cases.push({ id, mode, fault, key: String(made['key']), accessKeyId: String(made['access_key_id']) });
      }
    }
    await call(base, 'PUT', '/faults', { faults: cases.map(({ fault, id }) => `${fault} key=${id}`) });
    const outcomes = await runProgram(sdk, installed, { base, cases });
    const { faults } = (await call(base, 'GET', '/faults')) as { faults: { fault: string; matched: number }[] };
    return cases.map(({ id, fault, mode }) => {
      const attempts = faults.find((rule) => rule.fault === `${fault} key=${id}`)?.matched ?? 0;
      return { fault, mode, attempts, outcome: outcomes.get(id) ?? 'nothing' };
    });
  } finally {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function runProgram(
  sdk: Sdk,
  installed: string,
  { base, cases }: { readonly base: string; readonly cases: readonly TestCase[] },
): Promise<ReadonlyMap<string, string>> {
  const [command = '', ...args] = sdk.command(installed);
  const env = {
    PATH: process.env['PATH'],
    HOME: tmpdir(),
    CLIENT: sdk.id,
    PROXY_URL: `${base}/bedrock`,
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AT_ONCE: String(AT_ONCE),
    CASES: JSON.stringify(cases),
  };
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const outcomes = new Map<string, string>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const told = JSON.parse(line) as { id?: string; outcome?: string };
    if (told.id !== undefined) outcomes.set(told.id, told.outcome ?? '');
  });
  await once(child, 'close');
  return outcomes;
}

function startServer(folder: string): ChildProcess {
  const words = ['start', '--offline', '--port', '0', '--no-cut', '--db', join(folder, 'keys.db')];
  return spawn(process.execPath, [join(ROOT, 'bin', 'bedrock-proxy.js'), ...words], {
    env: { PATH: process.env['PATH'], HOME: folder, BEDROCK_PROXY_MASTER_KEY: MASTER_KEY },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

async function findPort({ stderr }: ChildProcess): Promise<string> {
  if (stderr === null) throw new Error('the proxy says nothing');
  let banner = '';
  for await (const bytes of stderr.iterator({ destroyOnReturn: false })) {
    banner += String(bytes);
    const port = /^\s*address\s+https?:\/\/[^/\s]+:(\d+)\//m.exec(banner)?.[1];
    if (port === undefined) continue;
    stderr.resume();
    return port;
  }
  throw new Error(`the proxy did not start:\n${banner}`);
}

async function call(base: string, method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${MASTER_KEY}`, 'content-type': 'application/json' };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(base + path, { method, headers, ...sent });
  if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

await main();
