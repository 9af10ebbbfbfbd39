/**
 * Runs the user's command for `exec` as a shell would: same terminal, signals passed on, exit code handed back. No
 * shell is involved but where Windows needs one for a batch file.
 */
import { findCode } from '../../lib/errno.ts';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { type Invocation, toWindowsInvocation } from './windows.ts';
import { printTalk } from '../../app/print.ts';

/** As in shells (POSIX, Shell Command Language, 2.8.2): found but not to be run, not found, and 128 + the signal. */
const EXIT_CANNOT_RUN = 126;
const EXIT_NOT_FOUND = 127;
const EXIT_SIGNALLED = 128;

const SIGNALS: readonly NodeJS.Signals[] =
  process.platform === 'win32'
    ? ['SIGINT', 'SIGBREAK', 'SIGTERM']
    : ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'];
/** A terminal sends these to the command itself, as it is in the same process group: once is enough. */
const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGBREAK', 'SIGWINCH']);
/** Before there is a command, these end `exec`. */
const ENDING: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGBREAK']);

/** Keeps signals from ending this process, which has a key to revoke. */
export interface SignalRelay {
  /** The exit code that a signal asked for before there was a command to pass it to. */
  readonly endedEarly: number | undefined;
  passTo(child: ChildProcess | undefined): void;
  stop(): void;
}

/** Passes signals of this process on to the command, until it is stopped. */
export function relaySignals(): SignalRelay {
  let child: ChildProcess | undefined;
  let endedEarly: number | undefined;
  const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (child === undefined) {
      if (ENDING.has(signal)) endedEarly ??= exitCodeOfSignal(signal);
    } else if (!(hasTerminal && FROM_TERMINAL.has(signal))) {
      child.kill(signal);
    }
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    get endedEarly() {
      return endedEarly;
    },
    passTo: (command) => {
      child = command;
    },
    stop: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}

/**
 * Resolves with the exit code for us when the command has ended; where it cannot run, says so and resolves with 126 or
 * 127.
 */
export async function runCommand(
  commandLine: readonly string[],
  environment: NodeJS.ProcessEnv,
  signals: SignalRelay,
): Promise<number> {
  const [command = '', ...args] = commandLine;
  const plain: Invocation = { file: command, args, isVerbatim: false };
  const {
    file,
    args: passed,
    isVerbatim,
  } = process.platform === 'win32' ? toWindowsInvocation(plain, environment, existsSync) : plain;
  try {
    return await new Promise<number>((resolve, reject) => {
      const child = spawn(file, passed, { stdio: 'inherit', env: environment, windowsVerbatimArguments: isVerbatim });
      signals.passTo(child);
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : exitCodeOfSignal(signal)));
    });
  } catch (error) {
    return tellCannotRun(command, error);
  } finally {
    signals.passTo(undefined);
  }
}

function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return EXIT_SIGNALLED + (constants.signals[signal] ?? 0);
}

function tellCannotRun(command: string, error: unknown): number {
  const code = findCode(error) ?? 'unknown';
  const isMissing = code === 'ENOENT' && !(/[\\/]/.test(command) && existsSync(command));
  const why = isMissing ? 'command not found' : code === 'ENOENT' ? 'its interpreter is missing' : describe(code);
  printTalk(`bedrock-proxy exec: ${command}: ${why}`);
  return isMissing ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

function describe(code: string): string {
  return code === 'EACCES' ? 'permission denied' : `cannot be run (${code})`;
}
