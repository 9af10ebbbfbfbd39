/**
 * `npm run soak`: a proxy in a process of its own under mixed traffic, killed now and then and started anew on the same
 * database. At the end nothing may be left: no request in flight, nothing reserved, not a nano-dollar that the ledger
 * does not have, no memory that grows with the requests. Ends with 1 if something is wrong.
 */
import Database from 'better-sqlite3';
import { parseArgs } from 'node:util';
import { RESERVATION_LEASE_MS } from '../../src/domain/budget.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { type Keep, withClosing } from '../helpers/closing.ts';
import { startFakeWebSocketServer } from '../helpers/fake-websocket.ts';
import { AWS_VARIABLES, launchServer, openWorkplace, type RunningServer } from '../helpers/program.ts';
import { createRandom } from '../helpers/random.ts';
import { IS_SERVED } from '../helpers/websocket-testbed.ts';
import { soakCluster } from './cluster.ts';
import { startTraffic, type Traffic } from './traffic.ts';
import { startSoakUpstream } from './upstream.ts';

const HELP = `Usage: npm run soak -- [options]
  --minutes <n>  for how long (default 1)
  --seed <n>     another sequence of events (default: the time)
  --proxies <n>  so many proxies that share a PostgreSQL, which is restarted now and then`;

const MASTER_KEY = 'sk-soak-master-key-0123456789';
/** Of the time, for the part in which the proxy is killed; the rest measures its memory. */
const KILLED_SHARE = 0.5;
/** Of the rest, for what a process allocates once. */
const WARM_UP_SHARE = 0.4;
const MAX_KILL_PAUSE_MS = 12_000;
/** What may stay of each request after a collection, besides what a process allocates once. */
const MAX_GROWTH_BYTES = 64;
const MAX_NOISE_BYTES = 5_000_000;
const FLIGHT_PATIENCE_MS = 15_000;

interface Soak {
  readonly minutes: number;
  readonly random: () => number;
}

async function soak({ minutes, random }: Soak, keep: Keep): Promise<string[]> {
  const faults: string[] = [];
  const upstream = keep(await startSoakUpstream(random));
  const sockets = keep(await startFakeWebSocketServer());
  const place = keep(await openWorkplace());
  const environment = {
    ...place.environment,
    ...AWS_VARIABLES,
    BEDROCK_PROXY_MASTER_KEY: MASTER_KEY,
    NODE_OPTIONS: `--import ${new URL('measure.mjs', import.meta.url).href}`,
  };
  const endpoints = [`http://127.0.0.1:${upstream.port}`, `bedrock-agentcore=http://127.0.0.1:${sockets.port}`];
  const flags = endpoints.flatMap((endpoint) => ['--endpoint-url', endpoint]);
  const start = (port = 0): Promise<RunningServer> => launchServer([...flags, '--port', String(port)], environment);
  let server = await start();
  const { port } = server;
  const traffic = startTraffic({ port, masterKey: MASTER_KEY, random, hasWebSockets: IS_SERVED });
  const milliseconds = minutes * 60_000;
  let kills = 0;
  for (const until = performance.now() + milliseconds * KILLED_SHARE; performance.now() < until;) {
    await pauseFor(Math.min(until - performance.now(), 1_000 + random() * MAX_KILL_PAUSE_MS));
    server.child.kill('SIGKILL');
    faults.push(...faultsIn(await server.ended));
    kills += 1;
    server = await start(port);
  }
  faults.push(...(await measureGrowth(server, traffic, milliseconds * (1 - KILLED_SHARE))));
  await traffic.pause();
  faults.push(...(await checkFlight(port)));
  server.child.kill('SIGTERM');
  const { code, ...talk } = await server.ended;
  if (code !== 0) faults.push(`the proxy ended with ${code}: ${talk.stderr.slice(-1000)}`);
  await traffic.stop();
  faults.push(...faultsIn(talk), ...upstream.faults, ...sockets.failures);
  faults.push(...(await checkDatabase(place.databasePath)));
  for (const outcome of ['TIMEOUT', 'WEBSOCKET WRONG']) {
    if (traffic.counts[outcome] !== undefined) faults.push(`${traffic.counts[outcome]} x ${outcome}`);
  }
  if ((traffic.counts['200'] ?? 0) === 0) faults.push('nothing was answered');
  console.log(`${kills} kills; answers: ${showCounts(traffic.counts)}`);
  console.log(`upstream: ${upstream.requests} requests`);
  return faults;
}

function faultsIn({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): string[] {
  const lines = [...stdout.split('\n'), ...stderr.split('\n')];
  return lines.filter((line) => /ERR_INTERNAL|ERR_STORE_UNAVAILABLE|out of memory/.test(line)).slice(0, 5);
}

/** Traffic on one process without a kill; what stays of each request. */
async function measureGrowth(server: RunningServer, traffic: Traffic, milliseconds: number): Promise<string[]> {
  await pauseFor(milliseconds * WARM_UP_SHARE);
  await traffic.pause();
  const before = await readMemory(server);
  const requestsBefore = total(traffic.counts);
  traffic.resume();
  await pauseFor(milliseconds * (1 - WARM_UP_SHARE));
  await traffic.pause();
  const grown = (await readMemory(server)) - before;
  const requests = total(traffic.counts) - requestsBefore;
  traffic.resume();
  console.log(`memory after collection: ${before} bytes, then ${grown} more after ${requests} requests`);
  const allowed = MAX_NOISE_BYTES + requests * MAX_GROWTH_BYTES;
  return grown > allowed ? [`memory grew by ${grown} bytes in ${requests} requests; ${allowed} are allowed`] : [];
}

async function readMemory({ child, untilStderr }: RunningServer): Promise<number> {
  // Connections that are kept alive end in the meantime.
  await pauseFor(6_000);
  const before = findTold(await untilStderr('')).length;
  child.kill('SIGUSR2');
  for (;;) {
    await pauseFor(100);
    const [, heap, external] = findTold(await untilStderr(''))[before]?.split(' ') ?? [];
    if (heap !== undefined) return Number(heap) + Number(external);
  }
}

function findTold(text: string): string[] {
  return text.match(/^memory \d+ \d+$/gm) ?? [];
}

async function checkFlight(port: number): Promise<string[]> {
  let inFlight: string[] = [];
  for (const until = performance.now() + FLIGHT_PATIENCE_MS; performance.now() < until; await pauseFor(200)) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    inFlight = text.match(/^bedrock_proxy_(?:requests|streams)_in_flight (?!0$).*$/gm) ?? [];
    if (!text.includes('bedrock_proxy_requests_in_flight')) return ['/metrics does not say what is in flight'];
    if (inFlight.length === 0) return [];
  }
  return inFlight;
}

/** What killed processes had reserved is settled once their leases are over; then all must add up. */
async function checkDatabase(path: string): Promise<string[]> {
  const store = await openSqliteStore(path);
  await store.settleLost(Date.now() + RESERVATION_LEASE_MS + 1);
  await store.close();
  const database = new Database(path);
  try {
    const faults: string[] = [];
    const integrity = database.pragma('integrity_check', { simple: true });
    if (integrity !== 'ok') faults.push(`integrity: ${String(integrity)}`);
    const one = (sql: string): number => database.prepare<[], number>(sql).pluck().get() ?? Number.NaN;
    const reserved = one('SELECT (SELECT COUNT(*) FROM reservations) + COALESCE(SUM(reserved_nano), 0) FROM key_spend');
    if (reserved !== 0) faults.push(`still reserved: ${reserved}`);
    const rows = one('SELECT COUNT(*) FROM ledger');
    const charged = one('SELECT COALESCE(SUM(charged_nano), 0) FROM ledger');
    const wrong = database.prepare(ACCOUNTS).all();
    if (wrong.length > 0) faults.push(`spend is not what the ledger has: ${JSON.stringify(wrong.slice(0, 5))}`);
    if (!(charged > 0)) faults.push('nothing was charged');
    console.log(`ledger: ${rows} rows, ${charged} nano-dollars, budgets of ${one(COUNT_ACCOUNTS)} keys`);
    return faults;
  } finally {
    database.close();
  }
}

const COUNT_ACCOUNTS = 'SELECT COUNT(*) FROM key_spend WHERE total_nano > 0';
const ACCOUNTS = `
  WITH spent AS (
    SELECT COALESCE(virtual_keys.account_id, ledger.key_id) AS account_id, SUM(charged_nano) AS charged
    FROM ledger LEFT JOIN virtual_keys ON virtual_keys.id = ledger.key_id
    WHERE ledger.key_id <> '' GROUP BY 1)
  SELECT account_id, total_nano, charged FROM key_spend FULL JOIN spent USING (account_id)
  WHERE COALESCE(total_nano, 0) <> COALESCE(charged, 0)`;

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function showCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .toSorted(([, one], [, other]) => other - one)
    .slice(0, 20)
    .map(([outcome, count]) => `${outcome}: ${count}`)
    .join(', ');
}

function pauseFor(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    proxies: { type: 'string', default: '0' },
  },
});
const minutes = Number(values.minutes);
const proxies = Number(values.proxies);
if (values.help === true || !(minutes > 0)) {
  console.error(HELP);
  process.exitCode = 2;
} else {
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
  console.log(`seed ${seed}, ${minutes} min`);
  const random = createRandom(seed);
  const faults = await withClosing(async (keep) =>
    proxies > 0 ? await soakCluster({ proxies, minutes, random }, keep) : await soak({ minutes, random }, keep),
  );
  for (const fault of faults) console.log(`WRONG: ${fault}`);
  console.log(faults.length === 0 ? 'nothing is wrong' : `${faults.length} wrong`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
