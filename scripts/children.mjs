// Child processes of the set-up: npm, whose output stays off our stdout, and the process that takes over from us, which
// gets our terminal, our signals and our exit code. It does not know what is installed.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, dirname } from 'node:path';

/** What a user does to end us. SIGKILL cannot be passed on; SIGQUIT does not exist on Windows. */
const ENDING_SIGNALS = /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
/** A child that was told to end gets so long before it is killed. */
const GRACE_MS = 3_000;
/** npm's own settings that say how to reach the registry; the others describe the outer npm's run, not ours. */
const CONNECTION_SETTING =
  /^npm_config_(registry|cache|cafile|ca|cert|key|proxy|https_proxy|noproxy|strict_ssl|userconfig|globalconfig|offline|prefer_offline|fetch_\w+|local_address|@.*|\/\/.*)$/i;

/** A fault of the set-up that one line explains. Launcher and tasks print the message, without a stack. */
export class SetUpError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'SetUpError';
  }
}

/**
 * The environment for a nested npm: without the npm_* variables that an outer `npx` or `npm run` left (they would make
 * a nested `npm ci` install somewhere else, or something else), and with this Node first on the PATH.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {string} nodePath the Node that the child's own children shall use
 * @returns {NodeJS.ProcessEnv}
 */
export function cleanEnvironment(env, nodePath) {
  const kept = Object.entries(env).filter(
    ([name]) =>
      (!/^npm_/i.test(name) || CONNECTION_SETTING.test(name)) && !/^(path|node_options|node_env)$/i.test(name),
  );
  const path = Object.entries(env).find(([name]) => name.toLowerCase() === 'path')?.[1] ?? '';
  return { ...Object.fromEntries(kept), PATH: [dirname(nodePath), path].join(delimiter) };
}

/**
 * Runs a child to its end and keeps what it prints. It has no stdin. When `signal` is aborted the child is told to end,
 * killed if it does not, and the promise rejects with the abort's reason after it is gone.
 *
 * @typedef {{ command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv, signal: AbortSignal }} Command
 * @param {Command & { shell?: boolean }} options
 * @returns {Promise<{ code: number, output: string }>} 127 where the command does not exist
 */
export function runQuietly({ command, args, cwd, env, signal, shell = false }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, shell, stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
    let output = '';
    const collect = (/** @type {Buffer} */ bytes) => void (output += bytes.toString());
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);

    /** @type {NodeJS.Timeout | undefined} */
    let killer;
    const end = () => {
      child.kill('SIGTERM');
      killer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });

    const settle = (/** @type {number} */ code) => {
      clearTimeout(killer);
      signal.removeEventListener('abort', end);
      if (signal.aborted) reject(signal.reason);
      else resolve({ code, output });
    };
    child.on('error', (error) => {
      output += error.message;
      settle(127);
    });
    child.on('close', (code) => settle(code ?? 1));
  });
}

/**
 * Runs a piece of the set-up that SIGINT, SIGTERM and SIGHUP end in good order: the signal given to `work` is aborted,
 * and when `work` has cleaned up, this process ends by the same signal.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function underSignals(work) {
  const controller = new AbortController();
  /** @type {NodeJS.Signals | undefined} */
  let received;
  const stop = (/** @type {NodeJS.Signals} */ name) => {
    received ??= name;
    controller.abort(new SetUpError(`stopped by ${name}`));
  };
  for (const name of ENDING_SIGNALS) process.on(name, stop);
  try {
    return await work(controller.signal);
  } finally {
    for (const name of ENDING_SIGNALS) process.off(name, stop);
    if (received !== undefined) dieBy(received);
  }
}

/**
 * Hands this process's work to another one: it gets our stdin, stdout, stderr and signals, and we end as it ends, with
 * its exit code or by the signal that ended it.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {boolean} shell
 * @returns {Promise<void>}
 */
export async function handOver(command, args, shell = false) {
  const child = spawn(command, args, { stdio: 'inherit', shell });
  const forward = (/** @type {NodeJS.Signals} */ name) => {
    // Ctrl-C reaches every process of a terminal's foreground group, and a second one may mean "at once".
    if (name === 'SIGINT' && (process.platform === 'win32' || process.stdin.isTTY)) return;
    // The hang-up ends npm, and it is the child's affair whether it ends the child: see bin/parent-watch.js.
    if (name === 'SIGHUP') delete process.env.npm_lifecycle_event;
    child.kill(name);
  };
  const names = /** @type {NodeJS.Signals[]} */ ([...ENDING_SIGNALS, 'SIGQUIT', 'SIGUSR2']);
  const usable = process.platform === 'win32' ? ENDING_SIGNALS : names;
  for (const name of usable) process.on(name, forward);
  const { code, signal } = await new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new SetUpError(`could not start ${command}: ${error.message}`)));
    child.on('exit', (exitCode, exitSignal) => resolve({ code: exitCode, signal: exitSignal }));
  });
  for (const name of usable) process.off(name, forward);
  if (signal !== null) dieBy(signal);
  process.exitCode = code ?? 1;
}

/**
 * Ends this process as a signal would have: a shell or a supervisor tells that from an exit code.
 *
 * @param {NodeJS.Signals} name
 */
function dieBy(name) {
  process.exitCode = 128 + constants.signals[name];
  try {
    process.kill(process.pid, name);
  } catch {
    process.exit();
  }
}
