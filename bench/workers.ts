/**
 * `start --workers` beside one process: the same load on both, in turns, with a key that has no limits and with one
 * that has, for which each request costs a message to the primary and back.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeCall } from './cases.ts';
import { openHttp1Lanes } from './load.ts';
import type { Installation } from './parties.ts';
import { findFreePort, isReady, startProbed, stopChild, untilPortResponds } from './processes.ts';
import { type Effort, type Entrant, runRounds, THROUGHPUT } from './rounds.ts';
import { divide, type Spread, spreadOf, spreadOfPairs } from './statistics.ts';

/** Requests per second of one process and of several workers. */
export interface WorkersReport {
  readonly workers: number;
  readonly connections: number;
  /** Whether each of the processes that work at once can have a processor. If not, the figures say nothing. */
  readonly hasSpare: boolean;
  readonly lines: readonly WorkersLine[];
}

interface WorkersLine {
  readonly key: string;
  readonly alone: Spread;
  readonly together: Spread;
  readonly togetherToAlone: Spread;
}

const CONNECTIONS = 32;
/** Besides the workers: the upstream, the load generator, and the primary, which hands connections out. */
const OTHER_PROCESSES = 3;
const CALL = { model: 'small', operation: 'converse', bodyBytes: 300 } as const;
const KEYS = [
  { name: 'without limits', flags: [] },
  { name: 'with --rpm', flags: ['--rpm', '100000000'] },
] as const;

/** Measures both; `processors` are those of the machine. */
export async function runWorkers(
  { launcher, folder, environment }: Installation,
  effort: Effort,
  { workers, processors }: { readonly workers: number; readonly processors: number },
): Promise<WorkersReport> {
  const own = { ...environment, BEDROCK_PROXY_DB: join(folder, 'workers.db') };
  const children: ChildProcess[] = [];
  const run = (script: string, args: string[]): ChildProcess => {
    const child = startProbed({ script, args, environment: own });
    children.push(child);
    return child;
  };
  try {
    const upstream = await isReady(run(fileURLToPath(new URL('./upstream.ts', import.meta.url)), []));
    const origins = new Map<string, string>();
    for (const [name, count] of [
      ['alone', 1],
      ['together', workers],
    ] as const) {
      const port = await findFreePort();
      const args = ['--endpoint-url', `http://127.0.0.1:${upstream.port}`, '--workers', String(count)];
      await untilPortResponds(port, run(launcher, ['start', '--quiet', '--port', String(port), ...args]));
      origins.set(name, `http://127.0.0.1:${port}`);
      if (count > 1) await untilAllServe(port, count);
    }
    const lines: WorkersLine[] = [];
    for (const { name, flags } of KEYS) {
      const made = await promisify(execFile)(process.execPath, [launcher, 'key', 'generate', '--quiet', ...flags], {
        env: own,
      });
      lines.push(await compareWorkers(name, made.stdout.trim(), origins, effort));
    }
    const hasSpare = processors >= workers + OTHER_PROCESSES;
    return { workers, connections: CONNECTIONS, hasSpare, lines };
  } finally {
    await Promise.all(children.toReversed().map(stopChild));
  }
}

async function compareWorkers(
  name: string,
  key: string,
  origins: ReadonlyMap<string, string>,
  effort: Effort,
): Promise<WorkersLine> {
  const call = makeCall({ mountPath: '/bedrock' }, key, CALL);
  const entrants = [...origins].map(([party, origin]): Entrant => ({
    name: party,
    lanes: openHttp1Lanes({ origin }, CONNECTIONS),
    call,
    usage: undefined,
  }));
  const slots = await runRounds(entrants, effort);
  const [alone, together] = ['alone', 'together'].map((party) => slots.get(party)?.map(THROUGHPUT.read) ?? []);
  return {
    key: name,
    alone: spreadOf(alone ?? []),
    together: spreadOf(together ?? []),
    togetherToAlone: spreadOfPairs(together ?? [], alone ?? [], divide),
  };
}

async function untilAllServe(port: number, count: number): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: 'close' } });
    if ((await response.text()).includes(`\nbedrock_proxy_workers ${count}\n`)) return;
    await delay(20);
  }
}
