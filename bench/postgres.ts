/**
 * Keys, budgets and the ledger in PostgreSQL: what a request costs beside the same proxy with its own file, and what
 * several proxies serve together. The server is one of this machine, reached over loopback, and waits for its disk as
 * servers do.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { POSTGRES, removePostgres, startPostgres } from '../test/helpers/postgres.ts';
import { makeCall } from './cases.ts';
import { openHttp1Lanes } from './load.ts';
import type { Installation } from './parties.ts';
import { findFreePort, isReady, startProbed, stopChild, untilPortResponds } from './processes.ts';
import { type Effort, type Entrant, MEDIAN, runRounds, THROUGHPUT } from './rounds.ts';
import { divide, type Spread, spreadOf, spreadOfPairs } from './statistics.ts';

/** A proxy on PostgreSQL beside one on SQLite, then more proxies on it. */
export interface PostgresReport {
  readonly connections: number;
  /** Proxies that can each have a processor, beside what drives them. With more, the figures say little. */
  readonly spareProxies: number;
  readonly admissions: readonly AdmissionLine[];
  readonly throughputs: readonly ThroughputLine[];
}

/** Medians over one connection, in milliseconds. */
interface AdmissionLine {
  readonly key: string;
  readonly sqlite: Spread;
  readonly postgres: Spread;
  readonly added: Spread;
}

/** Requests per second. */
interface ThroughputLine {
  readonly key: string;
  readonly proxies: number;
  readonly throughput: Spread;
  readonly toOne: Spread;
}

const PROXIES = [1, 2, 4];
const CONNECTIONS = 32;
/** Beside the proxies: the upstream, the load generator and the database. */
const OTHER_PROCESSES = 3;
const CALL = { model: 'small', operation: 'converse', bodyBytes: 300 } as const;
/** A key with a budget may use only what has a price. */
const PRICES = { models: { 'bench.*': { input_mtok: 0.06, output_mtok: 0.24, max_output_tokens: 5_000 } } };
const KEYS = [
  { name: 'without limits', flags: [] },
  { name: 'with --budget', flags: ['--budget', '100000'] },
] as const;

/** Undefined if this machine has no PostgreSQL. */
export async function runPostgres(
  { launcher, folder, environment }: Installation,
  effort: Effort,
  processors: number,
): Promise<PostgresReport | undefined> {
  if (POSTGRES === undefined) return undefined;
  const server = await startPostgres({ durable: true });
  const children: ChildProcess[] = [];
  const run = (script: string, args: string[], env: NodeJS.ProcessEnv): ChildProcess => {
    const child = startProbed({ script, args, environment: env });
    children.push(child);
    return child;
  };
  try {
    const upstream = await isReady(run(fileURLToPath(new URL('./upstream.ts', import.meta.url)), [], environment));
    const prices = join(folder, 'bench-prices.json');
    await writeFile(prices, JSON.stringify(PRICES));
    const sqlite = { ...environment, BEDROCK_PROXY_DB: join(folder, 'beside-postgres.db') };
    const postgres = {
      ...environment,
      BEDROCK_PROXY_DB: await server.createDatabase({ migrated: true }),
      BEDROCK_PROXY_SALT_KEY: 'a-salt-of-the-bench',
    };
    const start = async (env: NodeJS.ProcessEnv): Promise<string> => {
      const port = await findFreePort();
      const endpoint = `http://127.0.0.1:${upstream.port}`;
      const args = ['start', '--quiet', '--port', String(port), '--endpoint-url', endpoint, '--prices', prices];
      await untilPortResponds(port, run(launcher, args, env));
      return `http://127.0.0.1:${port}`;
    };
    const makeKey = async (env: NodeJS.ProcessEnv, flags: readonly string[]): Promise<string> => {
      const args = [launcher, 'key', 'generate', '--quiet', ...flags];
      return (await promisify(execFile)(process.execPath, args, { env })).stdout.trim();
    };
    const alone = await start(sqlite);
    const origins: string[] = [];
    for (let index = 0; index < Math.max(...PROXIES); index += 1) origins.push(await start(postgres));
    const admissions: AdmissionLine[] = [];
    const throughputs: ThroughputLine[] = [];
    for (const { name, flags } of KEYS) {
      const keys = { sqlite: await makeKey(sqlite, flags), postgres: await makeKey(postgres, flags) };
      admissions.push(await compareAdmission(name, { alone, shared: origins[0] ?? '' }, keys, effort));
      throughputs.push(...(await compareProxies(name, origins, keys.postgres, effort)));
    }
    const spareProxies = Math.max(processors - OTHER_PROCESSES, 0);
    return { connections: CONNECTIONS, spareProxies, admissions, throughputs };
  } finally {
    await Promise.all(children.toReversed().map(stopChild));
    await removePostgres(server);
  }
}

async function compareAdmission(
  name: string,
  origins: { readonly alone: string; readonly shared: string },
  keys: { readonly sqlite: string; readonly postgres: string },
  effort: Effort,
): Promise<AdmissionLine> {
  const entrants = [
    openEntrantOf('sqlite', [origins.alone], { key: keys.sqlite, connections: 1 }),
    openEntrantOf('postgres', [origins.shared], { key: keys.postgres, connections: 1 }),
  ];
  const slots = await runRounds(entrants, effort);
  const [sqlite, postgres] = ['sqlite', 'postgres'].map((party) => slots.get(party)?.map(MEDIAN.read) ?? []);
  return {
    key: name,
    sqlite: spreadOf(sqlite ?? []),
    postgres: spreadOf(postgres ?? []),
    added: spreadOfPairs(postgres ?? [], sqlite ?? [], (left, right) => left - right),
  };
}

async function compareProxies(
  name: string,
  origins: readonly string[],
  key: string,
  effort: Effort,
): Promise<ThroughputLine[]> {
  const entrants = PROXIES.map((count) =>
    openEntrantOf(String(count), origins.slice(0, count), { key, connections: CONNECTIONS }),
  );
  const slots = await runRounds(entrants, effort);
  const read = (count: number): number[] => slots.get(String(count))?.map(THROUGHPUT.read) ?? [];
  return PROXIES.map((count) => ({
    key: name,
    proxies: count,
    throughput: spreadOf(read(count)),
    toOne: spreadOfPairs(read(count), read(1), divide),
  }));
}

/** Its connections shared evenly among the proxies. */
function openEntrantOf(
  name: string,
  origins: readonly string[],
  { key, connections }: { readonly key: string; readonly connections: number },
): Entrant {
  return {
    name,
    lanes: origins.flatMap((origin) => openHttp1Lanes({ origin }, connections / origins.length)),
    call: makeCall({ mountPath: '/bedrock' }, key, CALL),
    usage: undefined,
  };
}
