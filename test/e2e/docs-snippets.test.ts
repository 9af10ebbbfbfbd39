/**
 * The snippets of README and docs, run as they are written against `start --offline`: only the port is replaced, and
 * `sk-...` by a real key. Those for boto3 need a Python that has it (see boto3.test.ts), those for the shell a POSIX
 * one with curl; elsewhere they are skipped by name.
 */
import { execFile, spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPython } from '../helpers/python.ts';
import { launchServer, openWorkplace, run, type RunningServer, type Workplace } from '../helpers/program.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/bedrock-proxy.js', import.meta.url));
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** The session of the first ten minutes has a test of its own. */
const PAGES = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/*.md', { cwd: ROOT })]
  .filter((path) => path !== 'docs/first-ten-minutes.md')
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
const TEXT = PAGES.map(({ text }) => text).join('\n');
const PYTHON = findPython('boto3');
const HAS_CURL = process.platform !== 'win32' && spawnSync('curl', ['--version']).status === 0;
const MASTER_KEY = 'sk-1234';

interface Snippet {
  readonly name: string;
  readonly code: string;
}

/** The fenced blocks of a language, named by their first telling line. */
function blocksOf(language: string): Snippet[] {
  const found = [...TEXT.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))];
  return found.map(([, code = '']) => ({ name: code.trim().split('\n').at(2) ?? code.trim(), code }));
}

/** The curl commands of all shell blocks, and of the transcripts without their prompt. */
const CURLS: readonly Snippet[] = [
  ...blocksOf('sh').map(({ code }) => code),
  ...blocksOf('console').map(({ code }) => code.replaceAll(/^\$ /gm, '')),
]
  .flatMap((code) => [...code.matchAll(/^curl (?:.*\\\n)*.*$/gm)].map(([text]) => text))
  .filter((code) => code.includes('localhost:4000'))
  .map((code) => ({ name: code.split(/[ \\\n]/).find((word) => word.startsWith('http')) ?? code, code }));

/** The commands of a page that end by themselves, in their order, for a database of their own. */
const COMMANDS: readonly Snippet[] = PAGES.flatMap(({ path, text }) => {
  const code = [...text.matchAll(/^```(?:sh|console)\n([^]*?)^```$/gm)].map(([, block = '']) => block).join('');
  const found = code.replaceAll(/^\$ /gm, '').matchAll(/^npx bedrock-proxy (?:key|usage|logs|prices) (?:.*\\\n)*.*$/gm);
  // These ask the world, or look at a file of the reader's: test/cli has them.
  const lines = [...found].map(([line]) => line).filter((line) => !/ prices (?:update|check)\b| --compare /.test(line));
  return lines.length === 0 ? [] : [{ name: path, code: lines.join('\n') }];
});

/** Lines that set variables. */
const EXPORTS = blocksOf('sh').filter(({ code }) => /^export /m.test(code));

/** Without keys, with one, and with the master key of the docs. */
let servers: Record<'open' | 'keys' | 'master', RunningServer>;
let places: Workplace[];
let key: string;
let accessKeyId: string;
let folder: string;

beforeAll(async () => {
  places = await Promise.all([openWorkplace(), openWorkplace()]);
  const [fresh, keyed] = places as [Workplace, Workplace];
  const made = await run(['key', 'generate', '--json'], keyed.environment);
  ({ key, access_key_id: accessKeyId } = JSON.parse(made.stdout) as { key: string; access_key_id: string });
  const [open, keys, master] = await Promise.all([
    launchServer(['--offline'], fresh.environment),
    launchServer(['--offline'], keyed.environment),
    launchServer(['--offline'], { ...keyed.environment, BEDROCK_PROXY_MASTER_KEY: MASTER_KEY }),
  ]);
  servers = { open, keys, master };
  // Below the checkout's node_modules, where a program finds its packages.
  folder = await mkdtemp(join(ROOT, 'node_modules', '.docs-'));
});

afterAll(async () => {
  for (const server of Object.values(servers)) await server[Symbol.asyncDispose]();
  for (const place of places) await place[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** The snippet for the server that it is written for. */
function fill(code: string): string {
  const kind = code.includes(MASTER_KEY) ? 'master' : code.includes('anything') ? 'open' : 'keys';
  return code
    .replaceAll('localhost:4000', `localhost:${servers[kind].port}`)
    .replaceAll('sk-...', key)
    .replaceAll('BRPX...', accessKeyId);
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function execute(file: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const env = { ...places[0]?.environment, ...more };
  return new Promise((resolve) => {
    execFile(file, args, { env, timeout: 15_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

describe.skipIf(!HAS_CURL)('curl (skipped where there is none)', () => {
  it('finds curl in the docs', () => expect(CURLS.length).toBeGreaterThan(3));

  it.each(CURLS)('runs curl of the docs: $name', async ({ code }) => {
    const { code: exit, stdout } = await execute('sh', ['-c', fill(code)]);
    expect(exit).toBe(0);
    const response: unknown = JSON.parse(stdout);
    expect(response).not.toHaveProperty('__type');
    expect(response).not.toHaveProperty('error');
    expect(response).not.toHaveProperty('detail');
    if (code.includes('/converse')) expect(stdout).toContain('you said: Hello');
  });

  it.each(EXPORTS)('takes export lines of the docs in a shell: $name', async ({ code }) => {
    const lines = code.split('\n').filter((line) => line.startsWith('export '));
    const { code: exit, stdout, stderr } = await execute('sh', ['-euc', `${fill(lines.join('\n'))}\nenv`]);
    expect([exit, stderr]).toEqual([0, '']);
    for (const [name] of code.matchAll(/\b[A-Z][A-Z_]+(?==)/g)) expect(stdout).toMatch(new RegExp(`^${name}=.`, 'm'));
  });
});

describe.skipIf(process.platform === 'win32')('commands (skipped where there is no POSIX shell)', () => {
  it('finds commands in the docs', () => {
    expect(COMMANDS.length).toBeGreaterThan(3);
    const all = COMMANDS.map(({ code }) => code).join('\n');
    for (const command of ['key update', 'key rotate', 'usage', 'logs', 'prices show']) expect(all).toContain(command);
  });

  it.each(COMMANDS)('runs a command of the docs: $name', async ({ code }) => {
    await using place = await openWorkplace();
    const script = code.replaceAll('npx bedrock-proxy', `"${process.execPath}" "${LAUNCHER}"`);
    const { code: exit, stderr } = await execute('sh', ['-euc', script], place.environment);
    expect(stderr).not.toMatch(/^(?:error|note|warning):/m);
    expect(exit).toBe(0);
  });
});

describe.skipIf(PYTHON === undefined)('boto3 (skipped where no Python has it)', () => {
  it.each(blocksOf('python'))('runs Python of the docs: $name', async ({ code }) => {
    const pair = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: key };
    const variables = { ...pair, PYTHONDONTWRITEBYTECODE: '1' };
    const { stdout, stderr } = await execute(PYTHON ?? '', ['-c', fill(code)], variables);
    expect(stderr).toBe('');
    expect(stdout).toContain('Hello');
  });
});

/** Hooks of Vitest are no program: examples/tested-app has them, and its tests are run. */
const PROGRAMS = blocksOf('js').filter(({ code }) => !code.includes('bedrock-proxy/vitest'));

describe('JavaScript', () => {
  it.each(PROGRAMS.map((snippet, index) => ({ ...snippet, index })))(
    'runs JavaScript of the docs: $name',
    async ({ code, index }) => {
      const file = join(folder, `${index}.mjs`);
      await writeFile(file, fill(code));
      const { code: exit, stdout, stderr } = await execute(process.execPath, [file]);
      expect([exit, stderr]).toEqual([0, '']);
      if (code.includes('process.stdout')) expect(stdout).toContain('you said: Hello');
    },
  );
});

describe('every block', () => {
  /** Languages whose blocks are run above, and those that are only shown; each for a reason. */
  const RUN = new Set(['sh', 'console', 'python', 'js']);
  const SHOWN: Readonly<Record<string, string>> = {
    text: 'pictures, and the help of commands, which is generated',
    json: 'the price file, parsed in test/docs.test.ts, files of upstreams, and settings of other programs',
    ini: 'settings of other programs; what they start is run in docs-commands.test.ts',
    xml: 'the same',
    toml: 'the same; the client is run with it by `npm run test:clients`',
    hcl: 'the same',
    sql: 'run with PostgreSQL in shared-database.test.ts, as are the commands around it',
    powershell: 'the same',
  };
  const found = PAGES.flatMap(({ text }) => [...text.matchAll(/^ *```(.*)\n[^]*?^ *```$/gm)]);
  const languages = [...new Set(found.map(([, language = '']) => language))];

  it('finds every block of the docs at the left, where the tests look for it', () => {
    expect(found.filter(([block]) => block.startsWith(' ')).map(([block]) => block)).toEqual([]);
  });

  it.each(languages)('runs every block of the docs in %s, or says why not', (language) => {
    expect(RUN.has(language) || SHOWN[language] !== undefined).toBe(true);
  });

  it('parses every block of the docs in json', () =>
    expect(new Set(blocksOf('json').map(({ code }) => typeof JSON.parse(code)))).toEqual(new Set(['object'])));

  it('names in shell blocks only scripts that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
    const named = blocksOf('sh').flatMap(({ code }) => [...code.matchAll(/^npm (?:run )?([\w:-]+)/gm)]);
    expect(named.length).toBeGreaterThan(2);
    expect(named.map(([, name = '']) => name).filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  it('runs every command of a shell block, or one that starts something that stays', () => {
    const lines = blocksOf('sh').flatMap(({ code }) => code.replaceAll('\\\n', ' ').split('\n'));
    const known =
      /^(?:#|$|\s|export |curl |npm |eval |aws |link=\$\(|(?:\w+=\S+ )?npx bedrock-proxy (?:start|inspect|doctor|env|exec|key|usage|logs|prices|db|credential-process)\b)/;
    expect(lines.filter((line) => !known.test(line))).toEqual([]);
  });
});
