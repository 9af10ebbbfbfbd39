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
import { parseArgs, promisify } from 'node:util';
import { type CaseReport, type Effort, makeCall, runCases } from './cases.ts';
import type { StageReport } from './in-process.ts';
import type { LedgerReport } from './ledger.ts';
import { type Installation, makeInstallation, type Parties, startParties } from './parties.ts';
import { formatReport, type RunReport } from './report.ts';
import { runStartUp } from './start-up.ts';
import { runStreams } from './streams.ts';

const PARTS = ['cases', 'streams', 'start-up', 'stages', 'ledger'] as const;
type Part = (typeof PARTS)[number];

const HELP = `Usage: npm run bench -- [options]
  --quick                fewer and shorter rounds: under a minute instead of under 4
  --json                 print one JSON object instead of tables
  --only <part>          ${PARTS.join(', ')}; may be repeated
  --case <text>          only the load cases whose name holds this text
  --rounds <number>      rounds of every load case
  --stream-seconds <n>   how long the 200 streams of the proxy run
  --cpu-prof <folder>    write a processor profile of the proxy there`;

interface Options {
  readonly json: boolean;
  readonly parts: readonly Part[];
  readonly caseFilter: string;
  readonly effort: Effort;
  readonly streams: { readonly seconds: number; readonly comparedSeconds: number; readonly idle: number };
  readonly startUpRounds: number;
  readonly stagePassMs: number;
  readonly ledger: { readonly keys: number; readonly rows: number; readonly requests: number };
  readonly profileFolder: string | undefined;
}

function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      case: { type: 'string', default: '' },
      rounds: { type: 'string' },
      'stream-seconds': { type: 'string' },
      'cpu-prof': { type: 'string' },
    },
  });
  if (values.help === true) return undefined;
  const { quick, only } = values;
  return {
    json: values.json,
    parts: only === undefined ? PARTS : PARTS.filter((part) => only.includes(part)),
    caseFilter: values.case,
    effort: {
      rounds: Number(values.rounds ?? (quick ? 3 : 7)),
      slotMs: quick ? 200 : 700,
      warmUpMs: quick ? 300 : 1_000,
    },
    streams: {
      seconds: Number(values['stream-seconds'] ?? (quick ? 4 : 20)),
      comparedSeconds: quick ? 2 : 5,
      idle: quick ? 300 : 1_000,
    },
    startUpRounds: quick ? 3 : 7,
    stagePassMs: quick ? 50 : 200,
    ledger: quick
      ? { keys: 10_000, rows: 100_000, requests: 4_000 }
      : { keys: 100_000, rows: 1_000_000, requests: 20_000 },
    profileFolder: values['cpu-prof'],
  };
}

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
  const streams = includes('streams') ? await measureStreams(options, installation) : { busy: [], idle: [] };
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processors: availableParallelism(),
    rounds: options.effort.rounds,
    seconds: Math.round((performance.now() - startedAt) / 1000),
    cases,
    busyStreams: streams.busy,
    idleStreams: streams.idle,
    startUp,
    stages,
    ledger,
  };
}

async function measureCases(
  { effort, caseFilter, profileFolder }: Options,
  installation: Installation,
): Promise<CaseReport[]> {
  await using parties = await startParties(installation, profileFolder);
  await checkParties(parties);
  return await runCases(parties, effort, caseFilter, say);
}

/** In fresh processes: memory that a load has freed before would hide what streams take. */
async function measureStreams(
  { streams, profileFolder }: Options,
  installation: Installation,
): ReturnType<typeof runStreams> {
  await using parties = await startParties(installation, profileFolder);
  await checkParties(parties);
  say('streams');
  return await runStreams(parties, streams);
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

const options = readOptions(process.argv.slice(2));
if (options === undefined) {
  console.log(HELP);
} else {
  const installation = await makeInstallation();
  const report = await measure(options, installation).finally(() =>
    rm(installation.folder, { recursive: true, force: true }),
  );
  console.log(options.json ? JSON.stringify(report, undefined, 2) : formatReport(report));
}
