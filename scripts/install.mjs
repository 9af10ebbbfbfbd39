// The dependencies of a checkout: whether node_modules is what package-lock.json asks for, and `npm ci` where it is
// not. It is installed into a folder of its own that takes the place of node_modules when it is whole, so that two
// processes which do it at once need no lock: the later one throws its own away. Talks on stderr only.
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SetUpError, underSignals } from './children.mjs';
import { runNpmCi } from './npm.mjs';

/** Inside node_modules: the package-lock.json that was installed. */
const INSTALLED_LOCK = '.package-lock.installed.json';
/** One of devDependencies: if it is there, the others are. */
const DEV_DEPENDENCY = 'vitest';
/** Attempts to put node_modules in its place. The second one succeeds unless the file system forbids it. */
const MAX_ATTEMPTS = 5;

/**
 * Whether node_modules holds what package-lock.json asks for; devDependencies too if `dev` is set. Asked on every
 * start, so it looks at times first: a newer lock may still have the same text, after git went to another branch and
 * back.
 *
 * @param {string} root
 * @param {boolean} dev
 */
export function isInstalled(root, dev) {
  const lock = join(root, 'package-lock.json');
  // npm writes this file last: it is missing after an install that was interrupted.
  const installed = statSync(join(root, 'node_modules', '.package-lock.json'), { throwIfNoEntry: false });
  if (installed === undefined || (dev && !hasDev(root))) return false;
  return (
    installed.mtimeMs >= statSync(lock).mtimeMs ||
    readText(lock) === readText(join(root, 'node_modules', INSTALLED_LOCK))
  );
}

/**
 * Brings node_modules up to date, with devDependencies if `dev` is set or if they were there before. Throws a
 * SetUpError of one line. A signal from the user ends it in good order.
 *
 * @param {string} root
 * @param {boolean} dev
 */
export async function install(root, dev) {
  process.stderr.write('bedrock-proxy: installing the dependencies of this checkout (npm ci)\n');
  await inScratchFolder(root, 'install', async (folder, signal) => {
    for (const name of ['package.json', 'package-lock.json', '.npmrc'])
      copyFileSync(join(root, name), join(folder, name));
    const fault = await runNpmCi({ root, cwd: folder, signal, dev: dev || hasDev(root) });
    if (fault !== undefined) throw new SetUpError(`could not install the dependencies: ${fault}`);
    copyFileSync(join(root, 'package-lock.json'), join(folder, 'node_modules', INSTALLED_LOCK));
    replaceModules(root, dev, folder);
  });
}

/**
 * Puts the node_modules of `folder` in place of the root's, unless another process was faster. If one does so between
 * our look and our rename, the rename fails, and we look again.
 *
 * @param {string} root
 * @param {boolean} dev
 * @param {string} folder
 */
function replaceModules(root, dev, folder) {
  const current = join(root, 'node_modules');
  for (let attempt = 1; !isInstalled(root, dev); attempt += 1) {
    try {
      if (existsSync(current)) renameSync(current, join(folder, `old-${attempt}`));
      return renameSync(join(folder, 'node_modules'), current);
    } catch (error) {
      if (attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/**
 * Gives `work` an empty folder inside .toolchain, on the same disk as the checkout, and removes it afterwards; those of
 * processes that were killed too. A file that cannot be written becomes a SetUpError of one line.
 *
 * @template T
 * @param {string} root
 * @param {string} purpose
 * @param {(folder: string, signal: AbortSignal) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function inScratchFolder(root, purpose, work) {
  const toolchain = join(root, '.toolchain');
  const folder = join(toolchain, `${purpose}-${process.pid}`);
  try {
    mkdirSync(toolchain, { recursive: true });
    removeLeftovers(toolchain);
    mkdirSync(folder, { recursive: true });
    return await underSignals((signal) =>
      // Removed before the signal ends this process.
      work(folder, signal).finally(() => rmSync(folder, { recursive: true, force: true })),
    );
  } catch (error) {
    const { code, path } = /** @type {NodeJS.ErrnoException} */ (error);
    if (path === undefined) throw error;
    throw new SetUpError(`could not set this checkout up: ${code} at ${path}`);
  }
}

/** @param {string} toolchain */
function removeLeftovers(toolchain) {
  for (const name of readdirSync(toolchain)) {
    const pid = /^[a-z]+-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(toolchain, name), { recursive: true, force: true });
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

/** @param {string} root */
function hasDev(root) {
  return existsSync(join(root, 'node_modules', DEV_DEPENDENCY));
}

/** @param {string} path */
function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
