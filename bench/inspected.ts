/**
 * `start --inspect` beside the same without it: what keeping every exchange costs, in turns within one run.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ONE_CONNECTION, openEntrant, SIXTEEN_CONNECTIONS } from './cases.ts';
import type { Installation, Party } from './parties.ts';
import { findFreePort, isReady, startProbed, stopChild, untilPortResponds, usageOf } from './processes.ts';
import { type Effort, MEDIAN, runRounds, THROUGHPUT } from './rounds.ts';
import { divide, type Spread, spreadOf, spreadOfPairs } from './statistics.ts';

/** What `--inspect` costs the small request. */
export interface InspectedReport {
  /** Over one connection, in milliseconds. */
  readonly medianWithout: Spread;
  readonly medianWith: Spread;
  readonly addedMedian: Spread;
  /** Over 16 connections, in requests per second. */
  readonly throughputWithout: Spread;
  readonly throughputWith: Spread;
  readonly throughputRatio: Spread;
}

/** Measures both. */
export async function runInspected(
  { launcher, folder, environment }: Installation,
  effort: Effort,
): Promise<InspectedReport> {
  const own = { ...environment, BEDROCK_PROXY_DB: join(folder, 'inspected.db') };
  const children: ChildProcess[] = [];
  const run = (script: string, args: string[]): ChildProcess => {
    const child = startProbed({ script, args, environment: own });
    children.push(child);
    return child;
  };
  try {
    const upstream = await isReady(run(fileURLToPath(new URL('./upstream.ts', import.meta.url)), []));
    const start = async (flags: readonly string[]): Promise<Party> => {
      const port = await findFreePort();
      const args = ['start', '--quiet', '--port', String(port), '--endpoint-url', `http://127.0.0.1:${upstream.port}`];
      const child = run(launcher, [...args, ...flags]);
      await untilPortResponds(port, child);
      const origin = `http://127.0.0.1:${port}`;
      return { name: 'proxied', origin, http2Origin: undefined, mountPath: '/bedrock', usage: usageOf(child) };
    };
    const parties = [await start([]), await start(['--inspect'])];
    const key = await promisify(execFile)(process.execPath, [launcher, 'key', 'generate', '--quiet'], { env: own });
    return await compareInspected(parties, key.stdout.trim(), effort);
  } finally {
    await Promise.all(children.toReversed().map(stopChild));
  }
}

async function compareInspected(parties: readonly Party[], key: string, effort: Effort): Promise<InspectedReport> {
  const measure = async (benchCase: typeof ONE_CONNECTION, { read }: typeof MEDIAN): Promise<[number[], number[]]> => {
    const names = ['without', 'with'];
    const entrants = parties.map((party, at) => ({ ...openEntrant(party, key, benchCase), name: names[at] ?? '' }));
    const slots = await runRounds(entrants, effort);
    return [slots.get('without')?.map(read) ?? [], slots.get('with')?.map(read) ?? []];
  };
  const [medianWithout, medianWith] = await measure(ONE_CONNECTION, MEDIAN);
  const [throughputWithout, throughputWith] = await measure(SIXTEEN_CONNECTIONS, THROUGHPUT);
  return {
    medianWithout: spreadOf(medianWithout),
    medianWith: spreadOf(medianWith),
    addedMedian: spreadOfPairs(medianWith, medianWithout, (left, right) => left - right),
    throughputWithout: spreadOf(throughputWithout),
    throughputWith: spreadOf(throughputWith),
    throughputRatio: spreadOfPairs(throughputWith, throughputWithout, divide),
  };
}
