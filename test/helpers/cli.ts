/**
 * The command line straight from src/ (no build), in this process or in one of its own: exit code, stdout and stderr
 * apart. Its environment holds nothing but what a test says, and a home of its own, so that no key, profile or database
 * of the machine is touched.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { run } from '../../src/cli/main.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).href;
const SCRIPT = `const { run } = await import(${JSON.stringify(MAIN)}); await run(process.argv);`;

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  /**
   * Resolves with the match as soon as everything on that stream so far matches; rejects where the process ends before.
   */
  waitFor(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray>;
}

export interface Cli {
  /** Its home; removed after the test. */
  readonly home: string;
  /** Where keys are without --db. */
  readonly databasePath: string;
  /** In this process, which is quick; one at a time. Not for `start`, nor for what reads standard input. */
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<CliResult>;
  /** In a process of its own. Does not wait for its end; killed after the test. */
  spawn(args: readonly string[], options?: CliOptions): RunningCli;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** A command line with an empty home, for one test. */
export async function openCli(): Promise<Cli> {
  const home = await makeTemporaryFolder();
  return {
    home,
    databasePath: join(home, 'data', 'bedrock-proxy', 'keys.db'),
    run: (args, env = {}) => runHere(args, { ...basicEnvironment(home), ...env }),
    spawn: (args, options = {}) => launch(home, args, options),
  };
}

function basicEnvironment(home: string): Record<string, string> {
  const path = process.env['PATH'] ?? '';
  return { PATH: path, HOME: home, XDG_DATA_HOME: join(home, 'data'), AWS_EC2_METADATA_DISABLED: 'true' };
}

async function runHere(args: readonly string[], env: Readonly<Record<string, string>>): Promise<CliResult> {
  const output = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      output[name] += String(text);
      return true;
    }),
  );
  const outer = process.env;
  process.env = { ...env };
  try {
    process.exitCode = 0;
    await run(['node', 'bedrock-proxy', ...args]);
    return { code: Number(process.exitCode), ...output };
  } finally {
    process.env = outer;
    process.exitCode = 0;
    for (const spy of spies) spy.mockRestore();
  }
}

function launch(home: string, args: readonly string[], { env = {}, stdin = '' }: CliOptions): RunningCli {
  const nodeArgs = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', SCRIPT];
  const child = spawn(process.execPath, [...nodeArgs, '--', 'bedrock-proxy', ...args], {
    cwd: home,
    env: { ...basicEnvironment(home), ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  const listeners = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      for (const listener of listeners) listener();
    });
  }
  child.stdin.on('error', () => {}).end(stdin);
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }));
  const waitFor = (stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(output[stream]);
        if (match !== null) resolve(match);
      };
      listeners.add(look);
      look();
      void ended.then(({ code }) => reject(new Error(`ended with ${code}: ${JSON.stringify(output)}`)));
    });
  return { child, ended, waitFor };
}
