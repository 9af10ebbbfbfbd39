/**
 * `stop`: signals the proxies that have proved what they are, and waits until they have ended. A number that a file
 * names is signalled by nobody.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT_FAILED, printJson, printTalk } from '../../app/print.ts';
import type { ServerStatus } from '../../auth/server-status.ts';
import { MACHINE_TICKS } from '../../lib/clock.ts';
import { findCode } from '../../lib/errno.ts';
import { describeNone, findChosen } from './status.ts';

const LOOK_EVERY_MS = 50;
const SLOW_AFTER_MS = 3_000;

interface StopInput {
  readonly port: string | undefined;
  readonly json?: boolean;
}

/** Ends them. Sets the exit code to 1 if the one of a port does not run, or one may not be signalled. */
export async function stopProxies(input: StopInput): Promise<void> {
  const found = await findChosen(input);
  for (const { file, status } of found) {
    if (status !== undefined) continue;
    process.exitCode = EXIT_FAILED;
    printTalk(`warning: What runs on port ${file.port} does not prove to be a proxy, and is left alone.`);
  }
  const running = found.flatMap(({ status }) => status ?? []);
  if (running.length === 0) {
    if (input.port !== undefined) process.exitCode = EXIT_FAILED;
    printTalk(describeNone(input));
  }
  let signalled: readonly ServerStatus[] = [];
  const hurry = (): void => signalled.forEach((status) => void signal(status));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, hurry);
  signalled = running.filter(signal);
  for (const { url, pid, inFlight } of signalled) {
    const count = inFlight === 1 ? '1 request that is' : `${inFlight} requests that are`;
    const open = inFlight === 0 ? '' : ` after ${count} under way; Ctrl-C ends it at once`;
    printTalk(`The proxy at ${url} (process ${pid}) ends${open}.`);
  }
  await waitForEnd(signalled);
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, hurry);
  if (signalled.length > 0) printTalk('Stopped.');
  if (input.json !== true) return;
  printJson(
    found.map(({ file, status }) => {
      const stopped = signalled.some(({ pid }) => pid === status?.pid);
      return { port: file.port, pid: file.pid, url: status?.url ?? null, stopped };
    }),
  );
}

/** Says a word of those that take long: one that hangs never ends, and who waits has to know what to do. */
async function waitForEnd(signalled: readonly ServerStatus[]): Promise<void> {
  const slowFromMs = MACHINE_TICKS() + SLOW_AFTER_MS;
  let isTold = false;
  for (;;) {
    const alive = signalled.filter(({ pid }) => isAlive(pid));
    if (alive.length === 0) return;
    if (!isTold && MACHINE_TICKS() > slowFromMs) {
      isTold = true;
      for (const { url, pid } of alive)
        printTalk(
          `The proxy at ${url} has not ended yet: it has the time of its --shutdown-delay, its requests that of ` +
            `--shutdown-grace. If it hangs, \`kill -9 ${pid}\` ends it.`,
        );
    }
    await delay(LOOK_EVERY_MS);
  }
}

/** False if that is not allowed. One that has ended meanwhile is what was wanted. */
function signal({ pid, url }: ServerStatus): boolean {
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if (findCode(error) === 'ESRCH') return true;
    process.exitCode = EXIT_FAILED;
    printTalk(`warning: The proxy at ${url} (process ${pid}) may not be signalled by this user.`);
    return false;
  }
  return true;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch {
    return false;
  }
}

/** It has ended, and whoever started it does not look: the first process of many containers never does. */
function isZombie(pid: number): boolean {
  try {
    // The name, in brackets, may have brackets itself; the state comes behind it (proc_pid_stat(5)).
    return /^.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
