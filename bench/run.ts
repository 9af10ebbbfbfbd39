/**
 * `npm run bench`: what the proxy adds, measured against the same upstream without it ("direct") and against the least
 * a proxy on the same libraries can do ("bare": no authentication, no signing), in turns within one run.
 *
 * What the numbers are not. They are not latencies of Bedrock: the upstream is a process on this machine that responds
 * at once, without TLS, so a ratio here is far from a user's, who waits for a model. They are not capacities: upstream,
 * proxies and load generator share this machine's processors, and at 16 connections on two of them the parties queue
 * for each other, which does not affect them evenly. Absolute numbers hold for the machine and minute of the run;
 * compare ratios, with their spread.
 */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readAims } from './aims.ts';
import { type CaseReport, makeCall, runCases } from './cases.ts';
import type { StageReport } from './in-process.ts';
import { runInspected } from './inspected.ts';
import type { LedgerReport } from './ledger.ts';
import { HELP, type Options, type Part, readOptions } from './options.ts';
import { type Installation, makeInstallation, type Parties, startParties } from './parties.ts';
import { comparePeers, formatPeers, type PeersReport } from './peers.ts';
import { runPostgres } from './postgres.ts';
import { formatProfile, profileCase, type ProfileReport } from './profile.ts';
import { formatReport } from './report.ts';
import type { RunReport } from './run-report.ts';
import { runStartUp } from './start-up.ts';
import { type BusyStreamsReport, compareBusyStreams, type IdleStreamsReport, runIdleStreams } from './streams.ts';
import { runWorkers } from './workers.ts';

async function measure(options: Options, installation: Installation): Promise<RunReport> {
  const startedAt = performance.now();
  const includes = (part: Part): boolean => options.parts.includes(part);
  if (includes('start-up')) say('start-up');
  const startUp = includes('start-up') ? await runStartUp(installation, options.startUpRounds) : undefined;
  if (includes('stages')) say('single stages');
  const stages = includes('stages') ? await runStages(options.stagePassMs) : [];
  if (includes('ledger')) say('ledger');
  const ledger = includes('ledger') ? await runLedger(options.ledger) : undefined;
  const cases = includes('cases') ? await measureCases(options, installation) : [];
  const idleStreams = includes('streams') ? await measureIdleStreams(options, installation) : undefined;
  const busyStreams = includes('streams') ? await measureBusyStreams(options, installation) : [];
  const processors = availableParallelism();
  if (includes('workers')) say('workers');
  const workers = includes('workers')
    ? await runWorkers(installation, options.effort, { workers: options.workers, processors })
    : undefined;
  if (includes('inspect')) say('with --inspect');
  const inspected = includes('inspect') ? await runInspected(installation, options.effort) : undefined;
  if (includes('postgres')) say('with PostgreSQL');
  const postgres = includes('postgres') ? await runPostgres(installation, options.effort, processors) : undefined;
  if (includes('postgres') && postgres === undefined) say('this machine has no PostgreSQL: that part is left out');
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processors,
    rounds: options.effort.rounds,
    seconds: Math.round((performance.now() - startedAt) / 1000),
    cases,
    busyStreams,
    idleStreams,
    startUp,
    stages,
    ledger,
    workers,
    inspected,
    postgres,
  };
}

async function measureCases({ effort, caseFilter }: Options, installation: Installation): Promise<CaseReport[]> {
  return await withParties(installation, (parties) => runCases(parties, effort, caseFilter, say));
}

async function measureIdleStreams({ idleStreams }: Options, installation: Installation): Promise<IdleStreamsReport> {
  say('idle streams');
  return await runIdleStreams((work) => withParties(installation, work), idleStreams);
}

async function measureBusyStreams({ streams }: Options, installation: Installation): Promise<BusyStreamsReport[]> {
  say('streams');
  return await withParties(installation, (parties) => compareBusyStreams(parties, streams));
}

/** Starts the parties, and ends them whatever comes. */
async function withParties<T>(installation: Installation, work: (parties: Parties) => Promise<T>): Promise<T> {
  const parties = await startParties(installation);
  try {
    await checkParties(parties);
    return await work(parties);
  } finally {
    await parties[Symbol.asyncDispose]();
  }
}

/** A bench of errors would be fast: each party must give the upstream's response, and only ours may have signed. */
async function checkParties({ direct, bare, proxied, key }: Parties): Promise<void> {
  for (const party of [direct, bare, proxied]) {
    const call = makeCall(party, key, { model: 'small', operation: 'converse', bodyBytes: 300 });
    const response = await fetch(party.origin + call.path, { method: 'POST', headers: call.headers, body: '{}' });
    const isSigned = response.headers.get('x-bench-signed');
    await response.arrayBuffer();
    if (response.status === 200 && isSigned === String(party.name === 'proxied')) continue;
    throw new Error(`${party.name} responds ${response.status}, signed: ${isSigned}`);
  }
}

async function runStages(passMs: number): Promise<StageReport[]> {
  return (await runAlone('./in-process.ts', [passMs])) as StageReport[];
}

async function runLedger({ keys, rows, requests }: Options['ledger']): Promise<LedgerReport> {
  return (await runAlone('./ledger.ts', [keys, rows, requests])) as LedgerReport;
}

/** A part that is a process of its own; what it prints. */
async function runAlone(name: string, args: readonly number[]): Promise<unknown> {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    script,
    ...args.map(String),
  ]);
  return JSON.parse(stdout) as unknown;
}

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

/** What the run prints. */
async function perform(options: Options, installation: Installation): Promise<string> {
  const print = <Report>(report: Report, format: (report: Report) => string): string =>
    options.json ? JSON.stringify(report, undefined, 2) : format(report);
  if (options.task === 'peers') {
    const compare = (parties: Parties): Promise<PeersReport> =>
      comparePeers(parties, installation, options.effort, say);
    return print(await withParties(installation, compare), formatPeers);
  }
  if (options.task === 'profile') {
    const profile = (parties: Parties): Promise<ProfileReport> => profileCase(parties, options, say);
    return print(await withParties(installation, profile), formatProfile);
  }
  const report = await measure(options, installation);
  return print({ ...report, aims: readAims(report) }, formatReport);
}

const options = readOptions(process.argv.slice(2));
if (options === undefined) {
  console.log(HELP);
} else {
  const installation = await makeInstallation();
  const text = await perform(options, installation).finally(() =>
    rm(installation.folder, { recursive: true, force: true }),
  );
  console.log(text);
}
