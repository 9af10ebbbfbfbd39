// Installs and builds a checkout, one process at a time: `npm ci`, then tsc into a temporary folder that takes dist's place
// when it is whole. Called when freshness.mjs found something missing or old. Talks on stderr only.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SetUpError, cleanEnvironment, runQuietly, underSignals } from './children.mjs';
import { isBuilt, isInstalled, listSources, stampBuild, stampInstall } from './freshness.mjs';
import { withLock } from './lock.mjs';
import { runNpmCi } from './npm.mjs';

/**
 * Brings node_modules and, where needed, dist up to date. Throws a SetUpError of one line; a build's errors are on stderr
 * by then.
 *
 * @param {string} root
 * @param {import('./set-up.mjs').Need} needs
 */
export async function makeReady(root, needs) {
  await holdCheckout(root, async (signal) => {
    // Another launcher may have done it while this one waited.
    if (!isInstalled(root)) await install(root, signal);
    if (needs === 'build' && !isBuilt(root)) await build(root, signal);
  });
}

/**
 * Runs `work` as the only one that changes this checkout. A signal from the user ends it in good order.
 *
 * @template T
 * @param {string} root
 * @param {(signal: AbortSignal) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function holdCheckout(root, work) {
  const folder = join(root, '.toolchain', 'lock');
  try {
    return await underSignals((signal) =>
      withLock({ folder, signal, onWait }, () => {
        removeLeftovers(join(root, '.toolchain'));
        return work(signal);
      }),
    );
  } catch (error) {
    const { code, path } = /** @type {NodeJS.ErrnoException} */ (error);
    if (path === undefined) throw error;
    throw new SetUpError(`could not set this checkout up: ${code} at ${path}`);
  }
}

/**
 * @param {string} root
 * @param {AbortSignal} signal
 */
async function install(root, signal) {
  say('installing the dependencies of this checkout (npm ci)');
  const fault = await runNpmCi({ root, cwd: root, signal });
  if (fault !== undefined) throw new SetUpError(`could not install the dependencies: ${fault}`);
  stampInstall(root);
}

/**
 * @param {string} root
 * @param {AbortSignal} signal
 */
async function build(root, signal) {
  say('building (tsc)');
  const sources = listSources(root);
  const output = join(root, '.toolchain', `build-${process.pid}`);
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = [compiler, '-p', 'tsconfig.json', '--outDir', output];
  const env = cleanEnvironment(process.env, process.execPath);
  const result = await runQuietly({ command: process.execPath, args, cwd: root, env, signal });
  if (result.code !== 0) {
    process.stderr.write(result.output);
    throw new SetUpError('could not build: tsc found the errors above');
  }
  stampBuild(output, sources);
  swapIn(output, join(root, 'dist'), join(root, '.toolchain', `old-${process.pid}`));
}

/**
 * Two renames apart, dist is always either the old build or the new one, never half of each.
 *
 * @param {string} output
 * @param {string} dist
 * @param {string} aside
 */
function swapIn(output, dist, aside) {
  if (existsSync(dist)) renameSync(dist, aside);
  renameSync(output, dist);
  rmSync(aside, { recursive: true, force: true });
}

/**
 * What killed set-ups left behind; whoever calls this holds the lock, so nobody else uses it.
 *
 * @param {string} toolchain
 */
function removeLeftovers(toolchain) {
  mkdirSync(toolchain, { recursive: true });
  for (const name of readdirSync(toolchain)) {
    if (/^(fetch|build|old)-\d+$/.test(name)) rmSync(join(toolchain, name), { recursive: true, force: true });
  }
}

function onWait() {
  say('another bedrock-proxy is setting this checkout up: waiting for it');
}

/** @param {string} line */
function say(line) {
  process.stderr.write(`bedrock-proxy: ${line}\n`);
}
