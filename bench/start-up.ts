/**
 * Start-up as a user sees it: until `--version` has printed, until the port responds, and until the command that `exec`
 * starts has printed its first line. Beside them the time of a Node that does nothing, which no program can beat.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Installation } from './parties.ts';
import { findFreePort, stopChild, untilPortResponds } from './processes.ts';
import { type Spread, spreadOf } from './statistics.ts';

export interface StartUpReport {
  readonly emptyNodeMs: Spread;
  readonly versionMs: Spread;
  readonly portOpenMs: Spread;
  readonly execMs: Spread;
}

/** A command that takes no time of its own. */
const ECHO = process.platform === 'win32' ? ['cmd', '/c', 'echo', 'ready'] : ['echo', 'ready'];

/** In turns, `rounds` times. */
export async function runStartUp(installation: Installation, rounds: number): Promise<StartUpReport> {
  const { launcher } = installation;
  const measures: Readonly<Record<keyof StartUpReport, () => Promise<number>>> = {
    emptyNodeMs: () => timeToEnd(['-e', '0'], installation),
    versionMs: () => timeToEnd([launcher, '--version'], installation),
    portOpenMs: () => timeToPort(installation),
    execMs: () => timeToLine([launcher, 'exec', '--', ...ECHO], installation),
  };
  const names = Object.keys(measures) as (keyof StartUpReport)[];
  const samples = new Map(names.map((name) => [name, [] as number[]]));
  // The first of each compiles what the others find compiled.
  for (const name of names) await measures[name]();
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) samples.get(name)?.push(await measures[name]());
  }
  const spread = (name: keyof StartUpReport): Spread => spreadOf(samples.get(name) ?? []);
  return {
    emptyNodeMs: spread('emptyNodeMs'),
    versionMs: spread('versionMs'),
    portOpenMs: spread('portOpenMs'),
    execMs: spread('execMs'),
  };
}

async function timeToEnd(args: readonly string[], { environment }: Installation): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { env: environment, stdio: 'ignore' });
  await once(child, 'exit');
  return performance.now() - startedAt;
}

async function timeToPort({ launcher, environment }: Installation): Promise<number> {
  const port = await findFreePort();
  const args = [launcher, 'start', '--quiet', '--port', String(port), '--endpoint-url', 'http://127.0.0.1:9'];
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { env: environment, stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    await untilPortResponds(port, child);
    return performance.now() - startedAt;
  } finally {
    await stopChild(child);
  }
}

/** Until the first line of what a program prints; then it may end. */
async function timeToLine(args: readonly string[], { environment }: Installation): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { env: environment, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'close');
  const isLine = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)]);
  const elapsedMs = performance.now() - startedAt;
  await ended;
  if (!isLine || child.exitCode !== 0) throw new Error(`${args.join(' ')} ended with exit code ${child.exitCode}`);
  return elapsedMs;
}
