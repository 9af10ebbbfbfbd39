/**
 * Start-up as a user sees it: until `--version` has printed, and until the port responds. Beside them the time of a
 * Node that does nothing, which no program can beat.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findFreePort, type Installation, stopChild, untilPortResponds } from './parties.ts';
import { type Spread, spreadOf } from './statistics.ts';

export interface StartUpReport {
  readonly emptyNodeMs: Spread;
  readonly versionMs: Spread;
  readonly portOpenMs: Spread;
}

/** In turns, `rounds` times. */
export async function runStartUp(installation: Installation, rounds: number): Promise<StartUpReport> {
  const samples: { emptyNodeMs: number[]; versionMs: number[]; portOpenMs: number[] } = {
    emptyNodeMs: [],
    versionMs: [],
    portOpenMs: [],
  };
  for (let round = 0; round < rounds; round += 1) {
    samples.emptyNodeMs.push(await timeToEnd(['-e', '0'], installation));
    samples.versionMs.push(await timeToEnd([installation.launcher, '--version'], installation));
    samples.portOpenMs.push(await timeToPort(installation));
  }
  return {
    emptyNodeMs: spreadOf(samples.emptyNodeMs),
    versionMs: spreadOf(samples.versionMs),
    portOpenMs: spreadOf(samples.portOpenMs),
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
