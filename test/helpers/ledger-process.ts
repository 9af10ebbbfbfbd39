/** The process of `kill-ledger.ts`, as a test starts and reads it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const SCRIPT = fileURLToPath(new URL('kill-ledger.ts', import.meta.url));

/** A process that reserves and settles; it ends with the test. */
export interface LedgerProcess {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
  /** Resolves when it has said so many lines, or ended. */
  readonly said: (count: number) => Promise<void>;
  readonly ended: Promise<unknown>;
  /** Lets it begin, once it has its store open. */
  readonly go: () => Promise<void>;
}

/** Starts `kill-ledger.ts` on the database at `path`, a file or a URL. */
export function startLedgerProcess(path: string, name: string, limit: number): LedgerProcess {
  const args = ['--disable-warning=ExperimentalWarning', SCRIPT, path, name, String(limit)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout as Readable });
  let tell: (() => void) | undefined;
  reader.on('line', (line) => {
    lines.push(line);
    tell?.();
  });
  const ended = Promise.all([once(child, 'close'), once(reader, 'close')]);
  const said = (count: number): Promise<void> =>
    new Promise((resolve) => {
      tell = () => {
        if (lines.length >= count) resolve();
      };
      void ended.then(() => resolve());
      tell();
    });
  const go = async (): Promise<void> => {
    await said(1);
    child.stdin?.end();
  };
  return { child, lines, said, ended, go };
}

/** The names that lines say behind a verb. */
export const namesAfter = (verb: string, lines: readonly string[]): string[] =>
  lines.filter((line) => line.startsWith(`${verb} `)).map((line) => line.slice(verb.length + 1));
