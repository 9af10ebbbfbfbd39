// Makes a checkout able to run its source: the right Node, and node_modules. The launcher and every npm script begin
// here. With everything in place it costs two file look-ups; the work is imported when there is some. stdout is not
// ours: progress goes to stderr.
import { fileURLToPath } from 'node:url';
import { lineForOldNode } from '../bin/node-version.js';
import { install, isInstalled } from './install.mjs';

/** @typedef {{ root: URL, script: URL, args: readonly string[], nodeMajor?: number | undefined }} SetUpOptions */

/**
 * Sets the checkout `root` up. Returns true when the caller may go on in this process; false when `script` with `args`
 * has already run to its end under another Node (too old a one here, or `nodeMajor` asks for a pinned one), and the
 * caller has nothing left to do. Throws a SetUpError whose message is one line for the user.
 *
 * @param {SetUpOptions} options
 * @returns {Promise<boolean>}
 */
export async function setUp({ root, script, args, nodeMajor }) {
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
  if (!isInstalled(folder)) await install(folder);
  return true;
}
