/**
 * Commands on a terminal of their own, with somebody who types. Needs a Python with `pty`; skipped by name without one.
 */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { findPython } from './python.ts';

const SCRIPT = fileURLToPath(new URL('terminal.py', import.meta.url));
const PYTHON = process.platform === 'win32' ? undefined : findPython('pty');

/** Whether there are terminals for tests here. */
export const HAS_TERMINAL = PYTHON !== undefined;

/** One thing that somebody does; several in one step come in this order. `until`: words that were not there before. */
export interface TerminalStep {
  readonly until?: string;
  /** Seconds in which nothing is typed. */
  readonly pause?: number;
  readonly send?: string;
  readonly size?: readonly [columns: number, rows: number];
}

/** What was on the terminal, escape sequences included, and the exit code of the command (negative: a signal). */
export interface TerminalResult {
  readonly shown: string;
  readonly code: number | null;
}

/** Where a command runs. */
export interface TerminalOptions {
  readonly environment: Readonly<Record<string, string>>;
  readonly folder?: string | undefined;
  readonly columns?: number;
  readonly rows?: number;
}

/** Throws if the words of a step never came. */
export async function runOnTerminal(
  command: readonly string[],
  steps: readonly TerminalStep[],
  { environment, folder, columns = 100, rows = 30 }: TerminalOptions,
): Promise<TerminalResult> {
  const args = [SCRIPT, String(columns), String(rows), JSON.stringify(steps), ...command];
  const child = spawn(PYTHON ?? '', args, {
    cwd: folder,
    env: { TERM: 'xterm-256color', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [shown, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  if (stderr !== '') throw new Error(stderr);
  return { shown, code: code as number | null };
}
