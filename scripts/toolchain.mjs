// The Node that a checkout fetches where the machine's own is too old, or where a test run asks for another one: an npm
// package of the node binary, pinned in node-packages.mjs and unpacked into the checkout's ignored .toolchain/.
// It does not decide whether one is needed. A published package does not have this file.
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_FLOOR, lineForOldNode } from '../bin/node-version.js';
import { SetUpError, cleanEnvironment, runQuietly } from './children.mjs';
import { inScratchFolder } from './install.mjs';
import { NODE_HASHES, NODE_PACKAGES } from './node-packages.mjs';
import { runNpmCi } from './npm.mjs';

/** @typedef {{ name: string, version: string, integrity: string }} PinnedNode */

/**
 * The path of the pinned Node of a major version, or of the usual one, fetched if it is not there yet; undefined if
 * this process runs under it. Says on stderr what it fetches and why. Throws a SetUpError of one line if it cannot be
 * had.
 *
 * @param {string} root
 * @param {number | undefined} major
 * @returns {Promise<string | undefined>}
 */
export async function provideNode(root, major) {
  const node = findPinnedNode(major);
  if (process.version === `v${node.version}`) return undefined;
  const path = binaryIn(homeOf(root, node), node);
  if (!existsSync(path)) await fetchNode(root, node);
  return path;
}

/**
 * @param {number | undefined} major
 * @returns {PinnedNode}
 */
function findPinnedNode(major) {
  const { name = '', usual = 0 } = NODE_PACKAGES[`${process.platform}-${process.arch}`] ?? {};
  const start = `${name}@${major ?? usual}.`;
  const [spec, integrity] = Object.entries(NODE_HASHES).find(([other]) => other.startsWith(start)) ?? [];
  if (spec === undefined || integrity === undefined || isMusl())
    throw new SetUpError(lineWithoutFetching('none is published'));
  return { name, version: spec.slice(name.length + 1), integrity };
}

/**
 * @param {string} root
 * @param {PinnedNode} node
 */
async function fetchNode(root, node) {
  const { name, version, integrity } = node;
  const isTooOld = lineForOldNode(process.version) !== undefined;
  const why = isTooOld
    ? `needs Node ${NODE_FLOOR.join('.')} or newer, and this is ${process.version}`
    : 'another Node was asked for';
  process.stderr.write(
    `bedrock-proxy: ${why}: fetching Node ${version} into .toolchain (npm package ${name}, some 45 MB)\n`,
  );
  await inScratchFolder(root, 'fetch', async (folder, signal) => {
    // With a lock file of its own, npm compares what comes with the pinned hash.
    const project = { name: 'toolchain', private: true, dependencies: { [name]: version } };
    const packages = { '': project, [`node_modules/${name}`]: { version, integrity } };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(project));
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, requires: true, packages }));
    const fault =
      (await runNpmCi({ root, cwd: folder, signal })) ?? (await tryOut(binaryIn(folder, node), version, signal));
    if (fault !== undefined) throw new SetUpError(lineWithoutFetching(`fetching Node ${version} failed: ${fault}`));
    mkdirSync(homeOf(root, node), { recursive: true });
    try {
      renameSync(join(folder, 'node_modules'), join(homeOf(root, node), 'node_modules'));
    } catch (error) {
      // What another process has put there meanwhile is the same, and may be running: it stays.
      if (!existsSync(binaryIn(homeOf(root, node), node))) throw error;
    }
  });
}

/**
 * Which Node to install by hand, and why none could be fetched.
 *
 * @param {string} reason
 */
function lineWithoutFetching(reason) {
  const line = lineForOldNode(process.version) ?? 'cannot fetch that Node for this machine';
  return `${line} (${reason})`;
}

/** The fetched Linux binaries are built against glibc and do not start on Alpine. */
function isMusl() {
  if (process.platform !== 'linux') return false;
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
  return report.header.glibcVersionRuntime === undefined;
}

/**
 * @param {string} root
 * @param {PinnedNode} node
 */
function homeOf(root, { name, version }) {
  return join(root, '.toolchain', `${name}-${version}`);
}

/**
 * @param {string} folder
 * @param {PinnedNode} node
 */
function binaryIn(folder, { name }) {
  return join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

/**
 * Too old a C library, or a file system mounted without permission to execute, shows here and not in the middle of a
 * run.
 *
 * @param {string} path
 * @param {string} version
 * @param {AbortSignal} signal
 */
async function tryOut(path, version, signal) {
  const env = cleanEnvironment(process.env, process.execPath);
  const { code, output } = await runQuietly({ command: path, args: ['--version'], cwd: '.', env, signal });
  return code === 0 && output.trim() === `v${version}` ? undefined : 'it does not run on this system';
}
