// Tells whether a checkout is ready to run: node_modules as package-lock.json wants it, dist built from the present src.
// The launcher asks on every start, so it only looks at names, sizes and times: no hashes, no child processes.
import { copyFileSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Inside dist: the list of sources that it was built from. Not published (see "files" in package.json). */
const BUILD_STAMP = '.built-from';
/** Inside node_modules: the package-lock.json that was installed. */
const INSTALL_STAMP = '.package-lock.installed.json';

/**
 * Whether node_modules holds what package-lock.json asks for. npm writes node_modules/.package-lock.json last, so it is
 * missing after an interrupted install, and older than the lock after a `git pull` that changed the lock.
 *
 * @param {string} root
 */
export function isInstalled(root) {
  const lock = join(root, 'package-lock.json');
  const installed = modifiedMs(join(root, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return false;
  if (installed >= (modifiedMs(lock) ?? 0)) return true;
  // A newer lock with the same text: git wrote it again when it went to another branch and back.
  return readText(lock) === readText(join(root, 'node_modules', INSTALL_STAMP));
}

/**
 * Notes that node_modules was installed from the present package-lock.json.
 *
 * @param {string} root
 */
export function stampInstall(root) {
  copyFileSync(join(root, 'package-lock.json'), join(root, 'node_modules', INSTALL_STAMP));
}

/**
 * Whether dist was built from src and tsconfig.json as they are now, removed files included.
 *
 * @param {string} root
 */
export function isBuilt(root) {
  return readText(join(root, 'dist', BUILD_STAMP)) === listSources(root);
}

/**
 * Notes inside a build's output what it was built from. `sources` must be listed before the build, so that an edit made
 * while it runs is built the next time.
 *
 * @param {string} output
 * @param {string} sources
 */
export function stampBuild(output, sources) {
  writeFileSync(join(output, BUILD_STAMP), sources);
}

/**
 * Every file of src and tsconfig.json with its size and the time of its last change, one a line.
 *
 * @param {string} root
 */
export function listSources(root) {
  const lines = [describe(root, 'tsconfig.json')];
  const folders = ['src'];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) folders.push(path);
      else lines.push(describe(root, path));
    }
  }
  return `${lines.toSorted().join('\n')}\n`;
}

/**
 * @param {string} root
 * @param {string} path
 */
function describe(root, path) {
  const stats = statSync(join(root, path), { throwIfNoEntry: false });
  return `${path} ${stats?.size} ${stats?.mtimeMs}`;
}

/** @param {string} path */
function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

/** @param {string} path */
function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
