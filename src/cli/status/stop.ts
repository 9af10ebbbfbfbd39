/**
 * `stop`: signals the proxies that have proved what they are, and waits until they have ended. A number that a file
 * names is signalled by nobody.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT_FAILED, printJson, printTalk } from '../../app/print.ts';
import type { ServerStatus } from '../../auth/server-status.ts';
import { findCode } from '../../lib/errno.ts';
import { describeNone, findChosen } from './status.ts';

const LOOK_EVERY_MS = 50;

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
  while (signalled.some(({ pid }) => isAlive(pid))) await delay(LOOK_EVERY_MS);
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
    return true;
  } catch {
    return false;
  }
}
