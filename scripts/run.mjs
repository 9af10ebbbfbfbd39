// What the npm scripts run: `node scripts/run.mjs TASK [arguments]`. Each sets the checkout up first, devDependencies
// included, so each works right after a clone, on too old a Node too. Arguments after `--` go to the tool. `test` and
// `bench` take `--node 22` (or BEDROCK_PROXY_TEST_NODE=22) and run under a Node of that major, fetched like the
// launcher's; `test` takes `--all`.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canSetItselfUp, lineForOldNode } from '../bin/node-version.js';
import { endWithNpm } from '../bin/parent-watch.js';
import { prepareBoto3 } from './boto3.mjs';
import { SetUpError, handOver } from './children.mjs';
import { findNpm } from './npm.mjs';
import { setUp } from './set-up.mjs';

const ROOT = new URL('../', import.meta.url);
const root = fileURLToPath(ROOT);

/**
 * The steps of `check`: a name to say when it fails, then the tool (a package's command) and its arguments.
 *
 * @type {readonly (readonly [name: string, tool: string, ...args: string[]])[]}
 */
const CHECKS = [
  ['types of src', 'typescript/tsc', '--noEmit', '-p', '.'],
  ['types of tests and scripts', 'typescript/tsc', '-p', 'test'],
  ['types of the page', 'typescript/tsc', '-p', 'page'],
  ['lint', 'oxlint', '--deny-warnings'],
  ['format', 'oxfmt', '--check'],
  ['dead code', 'knip'],
];

/**
 * @typedef {{ run: (args: string[]) => Promise<void> | void, takesNode?: true }} Task
 * @type {Readonly<Record<string, Task>>}
 */
const TASKS = {
  build: { run: build },
  check: { run: check },
  test: { takesNode: true, run: runTests },
  bench: { takesNode: true, run: (args) => startNode(join('bench', 'run.ts'), ...args) },
  fuzz: { takesNode: true, run: (args) => startNode(join('test', 'fuzz', 'run.ts'), ...args) },
  soak: { takesNode: true, run: (args) => startNode(join('test', 'soak', 'run.ts'), ...args) },
  generate: { run: (args) => startNode(join('scripts', 'generate-operations.mjs'), ...args) },
  docs: { run: () => startNode(join('scripts', 'generate-docs.ts')) },
  page: { run: () => startNode(join('scripts', 'build-page.mjs')) },
  pictures: { run: (args) => startNode(join('scripts', 'page-pictures.mjs'), ...args) },
  prices: { run: (args) => startNode(join('scripts', 'generate-prices.ts'), ...args) },
  clients: { takesNode: true, run: (args) => startNode(join('test', 'clients', 'run.ts'), ...args) },
  package: { run: makePackage },
};

/**
 * Tests that are tagged slow are left out unless `--all` asks for them; those that were left out are named at the end.
 *
 * @param {string[]} args
 */
async function runTests(args) {
  prepareBoto3(root, say);
  const others = args.filter((arg) => arg !== '--all');
  const filter = others.length < args.length ? [] : ['--tags-filter=!slow'];
  await startNode(findTool('vitest'), 'run', ...filter, ...others);
}

/** JavaScript for the package, in dist/. A checkout runs from src/ and does not need it. */
async function build() {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  const { status } = spawnSync(process.execPath, [findTool('typescript/tsc'), '-p', '.'], { stdio: 'inherit' });
  if (status !== 0) throw new SetUpError('could not build: tsc found the errors above');
  await writeTypes();
  say('dist is built');
}

/** The types of what programs import, each of which stands in one file. */
async function writeTypes() {
  const { default: ts } = await import('typescript');
  for (const name of ['testing/vitest']) {
    const text = readFileSync(join(root, 'src', `${name}.ts`), 'utf8');
    const { outputText } = ts.transpileDeclaration(text, {
      compilerOptions: { declaration: true, module: ts.ModuleKind.NodeNext },
    });
    writeFileSync(join(root, 'dist', `${name}.d.ts`), outputText);
  }
}

/** Runs every step, also after one that fails: one run tells all there is to mend. */
function check() {
  const failed = CHECKS.filter(([name, tool, ...args]) => {
    say(`check: ${name}`);
    return spawnSync(process.execPath, [findTool(tool), ...args], { stdio: 'inherit' }).status !== 0;
  });
  if (failed.length > 0) throw new SetUpError(`check failed: ${failed.map(([name]) => name).join(', ')}`);
  say('check passed');
}

/**
 * `npm pack`, of a dist that is made for it. (npm runs no prepack here, see .npmrc.)
 *
 * @param {string[]} args
 */
async function makePackage(args) {
  await build();
  const npm = findNpm(process.env, process.execPath);
  await handOver(npm.command, [...npm.args, 'pack', ...args], npm.shell);
}

/**
 * @param {string} script
 * @param {string[]} args
 */
async function startNode(script, ...args) {
  say(`${[relative(root, resolve(script)), ...args].join(' ')} under Node ${process.version}`);
  await handOver(process.execPath, [script, ...args]);
}

/**
 * The script behind a package's command, from its package.json: run by this Node, whichever is first on the PATH.
 *
 * @param {string} tool "package", or "package/command" where the package has more than one
 */
function findTool(tool) {
  const [name, command = name] = /** @type {[string, string?]} */ (tool.split('/'));
  const folder = join(root, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof bin === 'string' ? bin : bin[command]);
}

/**
 * Takes `--node MAJOR` out of a task's arguments.
 *
 * @param {string[]} given
 */
function parseNodeMajor(given) {
  const args = [...given];
  const at = args.findIndex((arg) => arg === '--node' || arg.startsWith('--node='));
  const [flag = ''] = at === -1 ? [] : args.splice(at, 1);
  const asked = flag === '--node' ? args.splice(at, 1)[0] : flag.slice('--node='.length);
  const text = asked || process.env['BEDROCK_PROXY_TEST_NODE'];
  if (flag !== '' && !/^\d+$/.test(text ?? '')) throw new SetUpError('--node wants a major version, as in --node 22');
  return { args, nodeMajor: text ? Number(text) : undefined };
}

async function main() {
  endWithNpm();
  if (!canSetItselfUp(process.version)) throw new SetUpError(lineForOldNode(process.version) ?? '');
  const [name = '', ...rest] = process.argv.slice(2);
  const task = Object.hasOwn(TASKS, name) ? TASKS[name] : undefined;
  if (task === undefined) throw new SetUpError(`which task? one of ${Object.keys(TASKS).join(', ')}`);
  const { args, nodeMajor } = task.takesNode ? parseNodeMajor(rest) : { args: rest };
  process.chdir(root);
  const script = new URL(import.meta.url);
  if (await setUp({ root: ROOT, script, args: [name, ...rest], dev: true, nodeMajor })) await task.run(args);
}

/** @param {string} line */
function say(line) {
  process.stderr.write(`bedrock-proxy: ${line}\n`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SetUpError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
