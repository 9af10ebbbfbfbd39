/**
 * `npm run bench -- --peers`: other gateways beside bedrock-proxy, in turns within one run, with the same upstream and
 * the same load. A peer that cannot run here is named with the reason.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Case, ONE_CONNECTION, openEntrant, SIXTEEN_CONNECTIONS } from './cases.ts';
import { type Call, openHttp1Lanes, runLoad } from './load.ts';
import type { Installation, Parties } from './parties.ts';
import { type PeerContext, PEERS, type PeerProgram, type PeerWork } from './peer-programs.ts';
import { findFreePort, stopChild, untilPortResponds } from './processes.ts';
import { type Effort, type Entrant, MEDIAN, type Metric, P99, runRounds, THROUGHPUT } from './rounds.ts';
import { divide, type Spread, spreadOf, spreadOfPairs } from './statistics.ts';
import { section, spread } from './table.ts';

/** What a run with peers gives. */
export interface PeersReport {
  readonly node: string;
  readonly rounds: number;
  readonly entrants: readonly PeerReport[];
  readonly missing: readonly { readonly name: string; readonly reason: string }[];
}

/** One entrant; `ours` is bedrock-proxy. */
export interface PeerReport {
  readonly name: string;
  readonly work: PeerWork;
  readonly medianMs: Spread;
  readonly medianToOurs: Spread;
  readonly p99Ms: Spread;
  readonly requestsPerSecond: Spread;
  readonly oursToRequestsPerSecond: Spread;
}

interface RunningPeer {
  /** With the version. */
  readonly name: string;
  readonly child: ChildProcess;
  readonly program: PeerProgram;
  readonly context: PeerContext;
}

const START_TIMEOUT_MS = 120_000;
const NOTHING: PeerWork = { request: 'Converse', keys: 'none', ledger: 'none' };
/** Beside the peers. */
const OWN_WORK: Readonly<Record<string, PeerWork>> = {
  direct: NOTHING,
  bare: { ...NOTHING, request: 'Converse, relayed unsigned' },
  proxied: { request: 'Converse', keys: 'virtual keys', ledger: 'one row a request, metrics' },
};

type Slots = ReadonlyMap<Case, Awaited<ReturnType<typeof runRounds>>>;

/** Installs and starts what can be, checks that each really responds through to the upstream, and measures. */
export async function comparePeers(
  parties: Parties,
  installation: Installation,
  effort: Effort,
  say: (line: string) => void,
): Promise<PeersReport> {
  const peers: RunningPeer[] = [];
  const missing: { name: string; reason: string }[] = [];
  try {
    for (const program of PEERS) {
      say(`${program.name}: install, start, warm up`);
      await startPeer(program, installation, parties.direct.origin).then(
        (peer) => peers.push(peer),
        (error: unknown) => missing.push({ name: program.name, reason: reasonOf(error) }),
      );
    }
    const slots = await measurePeers(parties, peers, effort, say);
    const entrants = [
      ...Object.entries(OWN_WORK).map(([name, work]) => describePeer(name, work, slots)),
      ...peers.map(({ name, program }) => describePeer(name, program.work, slots)),
    ];
    return { node: process.version, rounds: effort.rounds, entrants, missing };
  } finally {
    await Promise.all(peers.map(({ child }) => stopChild(child)));
  }
}

async function measurePeers(
  parties: Parties,
  peers: readonly RunningPeer[],
  effort: Effort,
  say: (line: string) => void,
): Promise<Slots> {
  const slots = new Map<Case, Awaited<ReturnType<typeof runRounds>>>();
  for (const benchCase of [ONE_CONNECTION, SIXTEEN_CONNECTIONS]) {
    say(benchCase.name);
    const own = [parties.direct, parties.bare, parties.proxied];
    const entrants = [
      ...own.map((party) => openEntrant(party, parties.key, benchCase)),
      ...peers.map((peer) => openPeer(peer, benchCase)),
    ];
    slots.set(benchCase, await runRounds(entrants, effort));
  }
  return slots;
}

function describePeer(name: string, work: PeerWork, slots: Slots): PeerReport {
  const read = (benchCase: Case, entrant: string, metric: Metric): number[] =>
    (slots.get(benchCase)?.get(entrant) ?? []).map(metric.read);
  const medians = read(ONE_CONNECTION, name, MEDIAN);
  const rates = read(SIXTEEN_CONNECTIONS, name, THROUGHPUT);
  return {
    name,
    work,
    medianMs: spreadOf(medians),
    medianToOurs: spreadOfPairs(medians, read(ONE_CONNECTION, 'proxied', MEDIAN), divide),
    p99Ms: spreadOf(read(ONE_CONNECTION, name, P99)),
    requestsPerSecond: spreadOf(rates),
    oursToRequestsPerSecond: spreadOfPairs(read(SIXTEEN_CONNECTIONS, 'proxied', THROUGHPUT), rates, divide),
  };
}

async function startPeer(
  program: PeerProgram,
  installation: Installation,
  upstreamOrigin: string,
): Promise<RunningPeer> {
  const installed = await program.install();
  const context: PeerContext = { installed, installation, upstreamOrigin, port: await findFreePort() };
  const { file, args, environment } = await program.command(context);
  const log = openSync(join(installation.folder, `${program.name}.log`), 'w');
  // In the folder of the run: whatever it leaves there goes with it.
  const child = spawn(file, args, { cwd: installation.folder, env: environment, stdio: ['ignore', log, log] });
  const peer = { name: `${program.name} ${installed.version}`, child, program, context };
  try {
    await startsInTime(context.port, child);
    await checkPeer(peer);
  } catch (error) {
    await stopChild(child);
    throw error;
  }
  return peer;
}

async function startsInTime(port: number, child: ChildProcess): Promise<void> {
  const timer = new AbortController();
  const late = delay(START_TIMEOUT_MS, undefined, { signal: timer.signal, ref: false }).then(() => {
    child.kill('SIGKILL');
    throw new Error(`it does not listen after ${START_TIMEOUT_MS / 1000} s`);
  });
  late.catch(() => {});
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  try {
    await Promise.race([untilPortResponds(port, child), late, failed]);
  } finally {
    timer.abort();
  }
}

/** A bench of errors would be fast: what comes back must be the upstream's, signed, and only with a key. */
async function checkPeer({ program, context }: Pick<RunningPeer, 'program' | 'context'>): Promise<void> {
  const origin = originOf(context);
  const call = program.call(context, SIXTEEN_CONNECTIONS);
  const send = ({ path, headers, body }: Call): Promise<Response> =>
    fetch(origin + path, { method: 'POST', headers, body: new Uint8Array(body) });
  const response = await send(call);
  const text = await response.text();
  const isSigned = response.headers.get('x-bench-signed') === 'true';
  if (response.status !== 200 || !isSigned || !text.includes('The capital of France is Paris.')) {
    throw new Error(`it responds ${response.status}, ${isSigned ? 'signed' : 'unsigned'}: ${text.slice(0, 200)}`);
  }
  if (program.refusesWithoutKey) {
    const { authorization: _, ...headers } = call.headers;
    const { status } = await send({ ...call, headers });
    if (status < 400) throw new Error(`it responds ${status} without its key`);
  }
  const lanes = openHttp1Lanes({ origin }, SIXTEEN_CONNECTIONS.lanes);
  await runLoad(lanes, call, program.warmUpMs);
  await Promise.all(lanes.map((lane) => lane.close()));
}

function openPeer({ name, program, context }: RunningPeer, benchCase: Case): Entrant {
  const lanes = openHttp1Lanes({ origin: originOf(context) }, benchCase.lanes);
  return { name, lanes, call: program.call(context, benchCase), usage: undefined };
}

function originOf({ port }: PeerContext): string {
  return `http://127.0.0.1:${port}`;
}

/** One line: what a program wrote last on stderr if it failed, or the message. */
function reasonOf(error: unknown): string {
  const { stderr, message } = error as { readonly stderr?: unknown; readonly message?: unknown };
  const lines = (typeof stderr === 'string' ? stderr : '').split('\n').filter((line) => line.trim() !== '');
  return (lines.at(-1) ?? String(message ?? error)).slice(0, 300);
}

/** As text for people. */
export function formatPeers({ node, rounds, entrants, missing }: PeersReport): string {
  const numbers = entrants.map((line) => [
    line.name,
    spread(line.medianMs),
    spread(line.medianToOurs),
    spread(line.p99Ms),
    spread(line.requestsPerSecond),
    spread(line.oursToRequestsPerSecond),
  ]);
  return [
    `Node ${node}; ${rounds} rounds, all in turns: median (lowest to highest), ratios made within a round.`,
    '"proxied" is bedrock-proxy. Each peer runs as one process, warm, and does less than it for a request: see below.',
    '',
    ...section('Small Converse, the same upstream', [
      ['', '1 connection, median, ms', 'it to proxied', 'p99, ms', '16 connections, requests/s', 'proxied to it'],
      ...numbers,
    ]),
    ...section('What each does', [
      ['', 'request', 'keys', 'ledger'],
      ...entrants.map(({ name, work }) => [name, work.request, work.keys, work.ledger]),
    ]),
    ...missing.map(({ name, reason }) => `${name} could not take part: ${reason}`),
  ].join('\n');
}
