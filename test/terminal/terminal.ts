/**
 * The program in a pseudo-terminal of so many columns, and what stands on its screen, as text. Python's `pty` opens the
 * terminal: Node has none.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { displayWidth } from '../../src/lib/display-width.ts';
import { findPython } from '../helpers/python.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/bedrock-proxy.js', import.meta.url));
const SCRIPT = fileURLToPath(new URL('pseudo-terminal.py', import.meta.url));

/** A Python that opens pseudo-terminals; undefined on Windows, and where there is none. */
export const PTY_PYTHON = process.platform === 'win32' ? undefined : findPython('pty, fcntl, termios');

export interface Terminal {
  /** Everything that was shown since the start, in lines. */
  lines(): string[];
  /** Resolves when what was shown matches. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>;
  resize(columns: number, rows: number): void;
  type(text: string): void;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
}

export interface TerminalOptions {
  readonly columns: number;
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts the program in a terminal of 24 rows. Killed after the test. */
export function openTerminal(args: readonly string[], { columns, home, env = {} }: TerminalOptions): Terminal {
  const python = PTY_PYTHON ?? expect.unreachable('needs Python');
  const child = spawn(python, [SCRIPT, String(columns), '24', process.execPath, LAUNCHER, ...args], {
    cwd: home,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      XDG_DATA_HOME: `${home}/data`,
      AWS_EC2_METADATA_DISABLED: 'true',
      NO_COLOR: '1',
      TERM: 'xterm-256color',
      TZ: 'UTC',
      ...env,
    },
  });
  let shown = '';
  const listeners = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text.replaceAll('\r\n', '\n');
    for (const listener of listeners) listener();
  });
  child.stdin.on('error', () => {});
  const ended = once(child, 'close').then(([code]) => code as number | null);
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const waitFor = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(shown);
        if (match !== null) resolve(match);
      };
      listeners.add(look);
      look();
      void ended.then((code) => reject(new Error(`ended with ${code}: ${shown}`)));
    });
  return {
    lines: () => shown.trimEnd().split('\n'),
    waitFor,
    resize: (to, rows) => void child.stdin.write(`size ${to} ${rows}\n`),
    type: (text) => void child.stdin.write(`type ${JSON.stringify(text)}\n`),
    ended,
  };
}

/** The lines that a terminal of so many columns would wrap. */
export function findWrapped(lines: readonly string[], columns: number): string[] {
  return lines.filter((line) => displayWidth(line) > columns);
}
