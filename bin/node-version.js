// Which Node bedrock-proxy runs on, and the one line for a Node that is too old. Used by the launcher and by scripts/.
// It must parse on Node 14 and import nothing.

/** The lowest Node that works (undici 8's floor): major and minor. The same as "engines" in package.json. */
export const NODE_FLOOR = Object.freeze([22, 19]);

/** The lowest major whose Node and npm can fetch a newer Node for a checkout. */
const SET_UP_FLOOR = 18;

/**
 * The line, without a line break, that tells the user of too old a Node which one to install, or undefined where the
 * Node will do. `version` as in process.version: "v20.20.2".
 *
 * @param {string} version
 * @returns {string | undefined}
 */
export function lineForOldNode(version) {
  if (isAtLeast(version, NODE_FLOOR)) return undefined;
  const floor = NODE_FLOOR.join('.');
  return 'needs Node.js ' + floor + ' or newer, and this is ' + version + ': install Node 24 from https://nodejs.org';
}

/**
 * Whether a checkout can help itself under this Node, that is: run scripts/ with it.
 *
 * @param {string} version
 */
export function canSetItselfUp(version) {
  return isAtLeast(version, [SET_UP_FLOOR, 0]);
}

/**
 * @param {string} version
 * @param {readonly number[]} floor
 */
function isAtLeast(version, floor) {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  const [floorMajor = 0, floorMinor = 0] = floor;
  return major > floorMajor || (major === floorMajor && minor >= floorMinor);
}
