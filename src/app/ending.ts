/**
 * How a server hears that it is to end: by a signal, or by the end of the `exec` that started it.
 */
import { SUPERVISED_VARIABLE } from './parent-channel.ts';

/** Those that end a server. */
export const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * `exec` started this process: it is told the port, and its end, of whatever kind, closes the channel and is ours too.
 */
function isSupervised(): boolean {
  return process.env[SUPERVISED_VARIABLE] !== undefined && process.send !== undefined;
}

/** Tells `exec`, if it started this process. */
export function tellListening(port: number): void {
  if (isSupervised()) process.send?.({ listening: port }, undefined, undefined, () => {});
}

/** Resolves with the first signal, or with the end of `exec`. */
export async function untilToldToEnd(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ENDING_SIGNALS) process.once(signal, () => resolve());
    if (!isSupervised()) return;
    process.once('disconnect', resolve);
    if (!process.connected) resolve();
  });
}

/** Calls `end` with the exit code for each further signal. */
export function onSecondSignal(end: (exitCode: number) => void): void {
  for (const signal of ENDING_SIGNALS) process.on(signal, () => end(signal === 'SIGINT' ? 130 : 143));
}

/** What is said when the first signal comes, if requests are running. */
export function describeEnding(graceMs: number, running?: number): string {
  const who = running === 1 ? '1 running request has' : `${running ?? ''} running requests have`.trimStart();
  return `Ending; ${who} ${graceMs / 1000} s. Once more to end at once.`;
}
