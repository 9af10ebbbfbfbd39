// Makes a checkout able to run its source: the right Node, and node_modules. The launcher and every npm script begin
// here. With everything in place it costs a few file look-ups. stdout is not ours: progress goes to stderr.
import { fileURLToPath } from 'node:url';
import { lineForOldNode } from '../bin/node-version.js';
import { install, isInstalled } from './install.mjs';

/**
 * @typedef {{ root: URL, script: URL, args: readonly string[], dev: boolean, nodeMajor?: number | undefined }} Options
 */

/**
 * Sets the checkout `root` up, with devDependencies if `dev` is set. Returns true when the caller may go on in this
 * process; false when `script` with `args` has already run to its end under another Node (too old a one here, or
 * `nodeMajor` asks for a pinned one), and the caller has nothing left to do. Throws a SetUpError whose message is one
 * line for the user.
 *
 * @param {Options} options
 * @returns {Promise<boolean>}
 */
export async function setUp({ root, script, args, dev, nodeMajor }) {
  const folder = fileURLToPath(root);
  if (nodeMajor !== undefined || lineForOldNode(process.version) !== undefined) {
    const { provideNode } = await import('./toolchain.mjs');
    const path = await provideNode(folder, nodeMajor);
    if (path !== undefined) {
      const { handOver } = await import('./children.mjs');
      await handOver(path, [...process.execArgv, fileURLToPath(script), ...args]);
      return false;
    }
  }
  if (!isInstalled(folder, dev)) await install(folder, dev);
  return true;
}
