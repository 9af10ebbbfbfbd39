/**
 * @module-tag slow
 *
 * docs/first-ten-minutes.md, as somebody types it: every command of it in its order, in a copy of this working tree
 * that has nothing but what git knows, with a home of its own. Only the port is another. `...` stands for anything.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs/first-ten-minutes.md'), 'utf8');
/** What npm and the set-up say of themselves, before the program runs. */
const SET_UP = /^(?:npm |bedrock-proxy: )/;
const NO_REGISTRY = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT/;
const LIMIT_MS = 300_000;

interface Step {
  readonly command: string;
  readonly shown: readonly string[];
}

const STEPS: readonly Step[] = [...PAGE.matchAll(/^```console\n([^]*?)^```$/gm)].flatMap(([, code = '']) =>
  [...code.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)].map(([, command = '', shown = '']) => ({
    command,
    shown: shown.trimEnd().split('\n'),
  })),
);

/** A copy of what git tracks, or would. */
async function copyWorkingTree(to: string): Promise<void> {
  const list = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];
  const { stdout } = await promisify(execFile)('git', list, { cwd: ROOT, maxBuffer: 1 << 24 });
  for (const name of stdout.split('\0').filter((path) => path !== '')) {
    await mkdir(join(to, name, '..'), { recursive: true });
    // A file that was just deleted is still in the list.
    await cp(join(ROOT, name), join(to, name)).catch(() => {});
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Columns are as wide as what stands in them: runs of blanks count as one. */
function normalize(line: string): string {
  return line.trim().replaceAll(/\s+/g, ' ');
}

function escapeForPattern(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}

/** The lines of the page as a pattern for the whole of what a command shows. */
function toPattern(shown: readonly string[]): RegExp {
  const lines = shown.map((line) =>
    line === '...' ? '(?:.*\n)*?' : `${normalize(line).split('...').map(escapeForPattern).join('.*')}\n`,
  );
  return new RegExp(`^${lines.join('')}$`);
}

it('shows what a newcomer sees, from a fresh clone on', { timeout: LIMIT_MS }, async ({ skip }) => {
  expect(STEPS.length).toBeGreaterThan(10);
  const [home, clone, port] = [await makeTemporaryFolder(), await makeTemporaryFolder(), await findFreePort()];
  await copyWorkingTree(clone);
  const environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    AWS_EC2_METADATA_DISABLED: 'true',
    BEDROCK_PROXY_PORT: String(port),
    npm_config_cache: process.env['npm_config_cache'] ?? join(homedir(), '.npm'),
    npm_config_prefer_offline: 'true',
  };
  const type = async (command: string): Promise<string> => {
    const all = `{ ${command.replaceAll(':4000', `:${port}`)}\n} 2>&1`;
    const options = { cwd: clone, env: environment, timeout: LIMIT_MS / 2 };
    const said = await promisify(execFile)('sh', ['-c', all], options).catch((error: { stdout: string }) => error);
    return said.stdout.replaceAll(String(port), '4000');
  };
  onTestFinished(async () => void (await type('npx bedrock-proxy stop')));
  for (const { command, shown } of STEPS) {
    const said = await type(command);
    if (SET_UP.test(said) && NO_REGISTRY.test(said)) skip('the registry cannot be reached');
    const lines = said.split('\n').filter((line) => line !== '' && !SET_UP.test(line));
    expect(`${lines.map(normalize).join('\n')}\n`, command).toMatch(toPattern(shown));
  }
});
