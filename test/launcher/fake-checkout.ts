/**
 * A checkout in a temporary folder: the real bin/ and scripts/, a program of a few lines, and an npm that does what the
 * set-up needs of it in no time and notes each start. No network. Used by the launcher's tests only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The program, as src/cli/main.ts and as dist/cli/main.js: prints its arguments, ends with a code, or waits and tells
 * which signals it gets.
 */
const PROGRAM = `export async function run(argv) {
  const [command, ...rest] = argv.slice(2);
  if (command === 'end') process.exitCode = Number(rest[0]);
  else if (command !== 'wait') process.stdout.write(JSON.stringify([command, ...rest]));
  else {
    const seen = [];
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(name, () => {
        process.stdout.write(name + ' ');
        if (seen.push(name) === 2) process.exit(7);
      });
    }
    setInterval(() => {}, 1000);
    process.stdout.write('ready ');
  }
}
`;

/**
 * STUB_NPM says what goes wrong; a project that asks for a Node package gets one that answers as the pinned one would.
 */
const NPM = `import { appendFileSync, chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
const [command] = process.argv.slice(2);
if (command === 'config') { console.log('/dev/null/npmrc'); process.exit(); }
const dev = process.argv.includes('--include=dev');
appendFileSync(process.env.STUB_LOG, 'npm ' + command + (dev ? ' with dev' : '') + '\\n');
console.log('npm speaks');
if (process.env.npm_config_prefix || process.env.npm_package_name) { console.error('npm error code INHERITED'); process.exit(1); }
if (process.env.STUB_NPM === 'offline') { console.error('npm error code ENOTFOUND'); process.exit(1); }
if (process.env.STUB_NPM === 'hang') { appendFileSync(process.env.STUB_LOG, 'hangs ' + process.pid + '\\n'); setInterval(() => {}, 1000); await new Promise(() => {}); }
const write = (path, text) => { mkdirSync(dirname(path), { recursive: true }); writeFileSync(path, text); };
const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
for (const [name, version] of Object.entries(dependencies)) {
  const path = join('node_modules', name, 'bin', 'node');
  write(path, '#!/bin/sh\\nunset NODE_OPTIONS\\n[ "$1" = --version ] && echo v' + version + ' && exit\\nexec "' + process.execPath + '" "$@"\\n');
  chmodSync(path, 0o755);
}
if (dev) write(join('node_modules', 'vitest', 'vitest.mjs'), '');
write(join('node_modules', '.package-lock.json'), '{}');
`;

/** Preloaded, makes this Node say that it is an older one. */
const OLD_NODE = `Object.defineProperty(process, 'version', { value: 'v20.20.2' });`;

/** How a launched process ended, and all that it printed. */
export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A launched process: `says` resolves when its stdout holds the text; `ending` when it is over. */
export interface Launched {
  child: ChildProcess;
  says: (text: string) => Promise<void>;
  ending: Promise<Ending>;
}

/**
 * Under a Node that says it is old; with an npm that fails; as npx does it, with the launcher's process id in ../pid;
 * an npm script in place of the launcher.
 */
export interface LaunchOptions {
  oldNode?: boolean;
  npm?: 'offline' | 'hang';
  throughShell?: boolean;
  script?: string;
}

/** The folder, and what was started in it so far, in order: "npm ci", "npm ci with dev". */
export interface FakeCheckout {
  root: string;
  write: (path: string, text: string) => void;
  read: (path: string) => string;
  launch: (args: readonly string[], options?: LaunchOptions) => Launched;
  started: () => string[];
  /** Turns it into what `npm install bedrock-proxy` leaves: dist/, no sources, no scripts. */
  publish: () => void;
  remove: () => void;
}

/** Makes a fresh checkout, with nothing installed. The caller removes it. */
export function makeCheckout(): FakeCheckout {
  const folder = mkdtempSync(join(tmpdir(), 'bedrock-proxy-launcher-'));
  const root = join(folder, 'check out');
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  cpSync(join(REPOSITORY, 'bin'), join(root, 'bin'), { recursive: true });
  cpSync(join(REPOSITORY, 'scripts'), join(root, 'scripts'), { recursive: true });
  write('package.json', JSON.stringify({ name: 'bedrock-proxy', type: 'module', dependencies: {} }));
  write('package-lock.json', '{ "lockfileVersion": 3 }');
  write('.npmrc', '');
  write('src/cli/main.ts', PROGRAM);
  write('../npm/npm-cli.js', NPM);
  write('../npm/package.json', '{ "type": "module" }');
  write('../old-node.cjs', OLD_NODE);
  const log = join(folder, 'log');
  return {
    root,
    write,
    read: (path) => readFileSync(join(root, path), 'utf8'),
    started: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
    publish: () => {
      write('dist/cli/main.js', PROGRAM);
      for (const name of ['src', 'scripts']) rmSync(join(root, name), { recursive: true });
      appendFileSync(log, '');
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
    launch: (args, { oldNode = false, npm, throughShell = false, script = 'bin/bedrock-proxy.js' } = {}) => {
      const env = {
        ...process.env,
        npm_execpath: join(folder, 'npm', 'npm-cli.js'),
        npm_config_globalconfig: '/dev/null/npmrc',
        npm_config_prefix: '/nowhere',
        npm_package_name: 'somebody-else',
        npm_lifecycle_event: throughShell ? 'npx' : undefined,
        NODE_OPTIONS: oldNode ? `--require ${JSON.stringify(join(folder, 'old-node.cjs'))}` : '',
        STUB_LOG: log,
        STUB_NPM: npm,
      };
      const words = [process.execPath, join(root, script), ...args];
      return start(throughShell ? ['sh', '-c', `"$@" & echo $! > ../pid; wait`, 'sh', ...words] : words, root, env);
    },
  };
}

function start([command = '', ...args]: string[], cwd: string, env: NodeJS.ProcessEnv): Launched {
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return {
    child,
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = () => void (stdout.includes(text) && resolve());
        child.stdout.on('data', look);
        child.once('close', () => reject(new Error(`ended without saying ${text}: ${stdout}${stderr}`)));
        look();
      }),
    ending: new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    }),
  };
}
