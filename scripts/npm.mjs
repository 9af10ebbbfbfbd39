// Runs `npm ci` for the set-up: finds npm, keeps the outer npm's variables away from it, and turns its failure into a
// few words. It never installs anything that a lock file does not pin, and never runs install scripts.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { cleanEnvironment, runQuietly } from './children.mjs';

const FLAGS = ['ci', '--include=optional', '--ignore-scripts', '--no-audit', '--no-fund', '--no-progress'];
/**
 * Off line, npm would try for over a minute before it says so.
 *
 * @type {NodeJS.ProcessEnv}
 */
const RETRIES = { npm_config_fetch_retry_mintimeout: '2000', npm_config_fetch_retry_maxtimeout: '10000' };
/** The codes that npm gives when it could not reach the registry. */
const NETWORK_CODES =
  /^(ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ECONN\w+|\w*TIMEDOUT|\w*TIMEOUT|ENOTCACHED|FETCH_ERROR)$/;
/** Something else had its hands in the folder: an npm that outlived a killed launcher, or a virus scanner. */
const COLLISION_CODES = /^(ENOTEMPTY|EEXIST|EBUSY|EPERM)$/;

/**
 * `npm ci` in `cwd`, quietly: what npm says goes to .toolchain/npm.log. Without devDependencies, unless `dev` is set.
 * Returns undefined, or in a few words what failed and what to do about it.
 *
 * @param {{ root: string, cwd: string, signal: AbortSignal, dev?: boolean }} options
 * @returns {Promise<string | undefined>}
 */
export async function runNpmCi({ root, cwd, signal, dev = false }) {
  const npm = findNpm(process.env, process.execPath);
  const env = { ...RETRIES, ...cleanEnvironment(process.env, process.execPath) };
  env['npm_config_globalconfig'] ??= await findGlobalConfig(cwd, signal);
  const start = () =>
    runQuietly({ ...npm, args: [...npm.args, ...FLAGS, dev ? '--include=dev' : '--omit=dev'], cwd, env, signal });
  let { code, output } = await start();
  if (COLLISION_CODES.test(findCode(output))) ({ code, output } = await start());
  mkdirSync(join(root, '.toolchain'), { recursive: true });
  writeFileSync(join(root, '.toolchain', 'npm.log'), output);
  if (code === 0) return undefined;
  if (code === 127) return 'npm was not found; install Node together with npm';
  const cause = findCode(output) || `exit code ${code}`;
  return NETWORK_CODES.test(cause)
    ? `npm could not reach the package registry, ${cause}; connect this machine once and start again`
    : `npm ci ended with ${cause}; what it said is in .toolchain/npm.log`;
}

/** @param {string} output what npm printed */
function findCode(output) {
  return /^npm (?:error|ERR!) code (\S+)/m.exec(output)?.[1] ?? '';
}

/**
 * The machine's own npmrc, with the certificates and proxies of its network. npm looks for it beside the Node that it
 * runs under, so under a fetched Node it would not find it.
 *
 * @param {string} cwd
 * @param {AbortSignal} signal
 */
async function findGlobalConfig(cwd, signal) {
  const own = { command: 'npm', args: ['config', 'get', 'globalconfig'], shell: process.platform === 'win32' };
  const { output } = await runQuietly({ ...own, cwd, env: process.env, signal });
  const path = output.trim().split('\n').at(-1) ?? '';
  return isAbsolute(path) ? path : undefined;
}

/**
 * How to start npm: the running npm's own cli.js, or the one beside this Node, or `npm` on the PATH.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {string} nodePath the Node that npm shall run with
 * @returns {{ command: string, args: string[], shell: boolean }}
 */
export function findNpm(env, nodePath) {
  const running = env['npm_execpath'] ?? '';
  const candidates = [
    /\bnp[mx]-cli\.js$/.test(running) ? join(dirname(running), 'npm-cli.js') : '',
    join(dirname(nodePath), 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(dirname(nodePath), '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
  ];
  const cli = candidates.find((path) => path !== '' && existsSync(path));
  if (cli !== undefined) return { command: nodePath, args: [cli], shell: false };
  // npm.cmd starts only through a shell; our arguments are fixed words, so there is nothing to quote.
  return { command: 'npm', args: [], shell: process.platform === 'win32' };
}
