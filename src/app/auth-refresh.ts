/**
 * Runs the command of `--aws-auth-refresh`: one at a time, for a limited time, and not again and again. Its words go to
 * the terminal of the proxy. Nothing of a request reaches it, and nothing of it a client.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { withoutSecrets } from '../config/config.ts';
import type { MonotonicClock } from '../lib/clock.ts';
import { within } from '../lib/deadline.ts';
import type { AuthRefresh } from '../upstream/aws/auth-refresh.ts';
import { printTalk } from './print.ts';

/** As long as Claude Code gives its `awsAuthRefresh`: somebody has to look at a browser. */
const TIMEOUT_MS = 3 * 60_000;
/** After its end the command is left alone so long: a browser window for each request would be worse than errors. */
const PAUSE_MS = 60_000;
/** What it has to end after it was told to. */
const KILL_AFTER_MS = 2_000;

/** How the command is run. */
export interface RefreshCommand {
  /** As the shell takes it. */
  readonly command: string;
  readonly tickMs: MonotonicClock;
  readonly timeoutMs?: number;
  readonly pauseMs?: number;
}

/** Runs nothing before it is asked. */
export function createAuthRefresh({
  command,
  tickMs,
  timeoutMs = TIMEOUT_MS,
  pauseMs = PAUSE_MS,
}: RefreshCommand): AuthRefresh {
  let running: Promise<string | undefined> | undefined;
  let last: { readonly endedAtTick: number; readonly words: string } | undefined;
  const run = async (): Promise<string | undefined> => {
    const startedAtTick = tickMs();
    printTalk(
      `AWS credentials have expired or are missing: running \`${command}\`, for ${timeoutMs / 1000} s at most.`,
    );
    const failure = await runCommand(command, timeoutMs);
    const words = failure ?? 'ended with exit code 0';
    const seconds = Math.round((tickMs() - startedAtTick) / 1000);
    printTalk(
      `${failure === undefined ? '' : 'warning: '}The command of --aws-auth-refresh ${words} after ${seconds} s.`,
    );
    last = { endedAtTick: tickMs(), words };
    return failure === undefined ? undefined : describeFailure(words, pauseMs);
  };
  return async () => {
    if (running !== undefined) return running;
    const waitMs = last === undefined ? 0 : last.endedAtTick + pauseMs - tickMs();
    if (last !== undefined && waitMs > 0) return describeFailure(last.words, waitMs);
    running = run().finally(() => (running = undefined));
    return running;
  };
}

function describeFailure(words: string, waitMs: number): string {
  return (
    `On the machine that runs the proxy, the command of --aws-auth-refresh ${words}. ` +
    `A request after ${Math.ceil(waitMs / 1000)} s runs it again.`
  );
}

/** Undefined if it ended with 0, else what it did. */
async function runCommand(command: string, timeoutMs: number): Promise<string | undefined> {
  const env = withoutSecrets(process.env);
  const isWindows = process.platform === 'win32';
  // A group of its own, so that whatever the shell starts ends with it. What it says is no data of ours: all to stderr.
  const child = spawn(command, { shell: true, stdio: ['ignore', 2, 2], env, detached: !isWindows, windowsHide: true });
  const kill = (signal: NodeJS.Signals): void => endGroup(child, signal, isWindows);
  const killAtOnce = (): void => kill('SIGKILL');
  process.once('exit', killAtOnce);
  try {
    const ended = once(child, 'exit') as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
    const inTime = await within(timeoutMs, ended);
    if (inTime === undefined) {
      kill('SIGTERM');
      await within(KILL_AFTER_MS, ended);
      kill('SIGKILL');
      return `was ended because it took longer than ${timeoutMs / 1000} s`;
    }
    const [code, signal] = inTime;
    if (code === 0) return undefined;
    return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
  } catch {
    return 'could not be started';
  } finally {
    process.off('exit', killAtOnce);
  }
}

function endGroup(child: ChildProcess, signal: NodeJS.Signals, isWindows: boolean): void {
  try {
    if (isWindows || child.pid === undefined) child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}
