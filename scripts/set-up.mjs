// Makes a checkout able to run, from whatever state it is in: the right Node, node_modules, dist. The launcher and every
// npm script begin here. With everything in place it costs a few file look-ups; the work itself is in make-ready.mjs and
// toolchain.mjs, imported when needed. stdout is not ours: progress goes to stderr.
import { fileURLToPath } from 'node:url';
import { NODE_FLOOR, lineForOldNode } from '../bin/node-version.js';
import { isBuilt, isInstalled } from './freshness.mjs';

/**
 * @typedef {'install' | 'build'} Need
 * @typedef {{ root: URL, script: URL, args: readonly string[], needs: Need, nodeMajor?: number | undefined }} SetUpOptions
 */

/**
 * Sets the checkout `root` up as far as the caller needs. Answers true when the caller may go on in this process; false
 * when `script` with `args` has already run to its end under another Node (too old a one here, or `nodeMajor` asks for a
 * pinned one), and the caller has nothing left to do. Throws a SetUpError whose message is one line for the user.
 *
 * @param {SetUpOptions} options
 * @returns {Promise<boolean>}
 */
export async function setUp({ root, script, args, needs, nodeMajor }) {
  const folder = fileURLToPath(root);
  if (nodeMajor !== undefined || lineForOldNode(process.version) !== undefined) {
    const { findPinnedNode } = await import('./toolchain.mjs');
    const node = findPinnedNode(nodeMajor);
    if (process.version !== `v${node.version}`) {
      const { handOver } = await import('./children.mjs');
      const path = await provideNode(folder, node);
      await handOver(path, [...process.execArgv, fileURLToPath(script), ...args]);
      return false;
    }
  }
  if (!isInstalled(folder) || (needs === 'build' && !isBuilt(folder))) {
    const { makeReady } = await import('./make-ready.mjs');
    await makeReady(folder, needs);
  }
  return true;
}

/**
 * @param {string} root
 * @param {import('./toolchain.mjs').PinnedNode} node
 */
async function provideNode(root, node) {
  const { fetchNode, findFetchedNode } = await import('./toolchain.mjs');
  const { holdCheckout } = await import('./make-ready.mjs');
  const isTooOld = lineForOldNode(process.version) !== undefined;
  const why = isTooOld
    ? `needs Node ${NODE_FLOOR.join('.')} or newer, and this is ${process.version}`
    : 'another Node was asked for';
  return (
    findFetchedNode(root, node) ??
    (await holdCheckout(root, async (signal) => findFetchedNode(root, node) ?? fetchNode({ root, node, why, signal })))
  );
}
