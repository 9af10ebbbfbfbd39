/**
 * How a server hears that it is to end: by a signal, or by the end of the `exec` that started it.
 */
import { fstatSync } from 'node:fs';
import { isatty } from 'node:tty';
import { BACKGROUND_VARIABLE, SUPERVISED_VARIABLE } from './parent-channel.ts';
import { printTalk } from './print.ts';

/** Those that end a server. */
export const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Whether a terminal that is closed ends this process, as it does one whose lines it shows. Not under `nohup`: Node
 * sets the signals that it finds ignored back to their defaults, so that only the redirected output tells of it. GNU's
 * nohup redirects the input too, that of macOS does not.
 */
function endsWithTerminal(): boolean {
  if (isatty(1) || isatty(2)) return true;
  return isatty(0) && !(isFileOrDevice(1) && isFileOrDevice(2));
}

function isFileOrDevice(descriptor: number): boolean {
  try {
    const stats = fstatSync(descriptor);
    return stats.isFile() || stats.isCharacterDevice();
  } catch {
    return true;
  }
}

/** Of the ending signals those that end this process; the hang-up of a terminal that is not ours changes nothing. */
function listEndingSignals(): readonly NodeJS.Signals[] {
  if (endsWithTerminal()) return ENDING_SIGNALS;
  let isTold = false;
  // For good: between two listeners, a second hang-up (of a launcher that passes its own on) would end this process.
  process.on('SIGHUP', () => {
    if (isTold) return;
    isTold = true;
    // The npx that started us has no such patience, and need not take us with it (see bin/parent-watch.js).
    delete process.env['npm_lifecycle_event'];
    printTalk('The terminal was closed; the proxy goes on.');
  });
  return ENDING_SIGNALS.filter((signal) => signal !== 'SIGHUP');
}

/**
 * `exec` started this process: it is told the port, and its end, of whatever kind, closes the channel and is ours too.
 */
function isSupervised(): boolean {
  return process.env[SUPERVISED_VARIABLE] !== undefined && process.send !== undefined;
}

/** Tells who started this process and waits: `exec`, or `start --background`, which leaves then. */
export function tellListening(port: number, url: string): void {
  const message = { listening: port, url };
  if (isSupervised()) process.send?.(message, undefined, undefined, () => {});
  else if (process.env[BACKGROUND_VARIABLE] !== undefined && process.connected) {
    process.send?.(message, undefined, undefined, () => process.disconnect());
  }
}

/** Resolves with the first signal, or with the end of `exec`. */
export async function untilToldToEnd(): Promise<void> {
  await new Promise<void>((resolve) => {
    // For good, as above: until somebody listens for a second one, it must not end this process by itself.
    for (const signal of listEndingSignals()) process.on(signal, () => resolve());
    if (!isSupervised()) return;
    process.once('disconnect', resolve);
    if (!process.connected) resolve();
  });
}

/** Calls `end` with the exit code for each further signal. */
export function onSecondSignal(end: (exitCode: number) => void): void {
  for (const signal of ENDING_SIGNALS) {
    if (signal !== 'SIGHUP' || endsWithTerminal()) process.on(signal, () => end(signal === 'SIGINT' ? 130 : 143));
  }
}

/** What is said when the first signal comes, if load balancers get time to notice. */
export function describeDelay(delayMs: number): string {
  return `Ending: not ready any more; requests are taken for another ${delayMs / 1000} s. Once more to end at once.`;
}

/** What is said when requests are running, and none is taken any more. */
export function describeEnding(graceMs: number, running?: number): string {
  const who = running === 1 ? '1 running request has' : `${running ?? ''} running requests have`.trimStart();
  return `Ending; ${who} ${graceMs / 1000} s. Once more to end at once.`;
}
