/**
 * `npm run fuzz`: every parser that meets bytes from outside, and then the listener of a whole proxy, for some minutes.
 * Ends with 1 if something was found, and keeps the input as a seed: `npm test` holds it from then on.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { FuzzReport } from './engine.ts';
import { fuzzListener, type ListenerReport } from './listener.ts';
import { FUZZ_TARGETS, SEED_FOLDER } from './seeds.ts';
import { type FuzzWork, SHARED_HEAD_BYTES } from './shared.ts';

const HELP = `Usage: npm run fuzz -- [options]
  --minutes <n>    for how long, all targets together (default 1)
  --runs <n>       instead: so many runs of each parser
  --target <name>  only this one; may be repeated: ${[...FUZZ_TARGETS.map(({ name }) => name), 'listener'].join(', ')}
  --seed <n>       another sequence of inputs (default: the time)`;

/** An input that takes longer never ends. */
const HANG_MS = 20_000;
const SHARED_INPUT_BYTES = 64 * 1024;
/** Of the time, for the listener. */
const LISTENER_SHARE = 0.25;

interface Options {
  readonly minutes: number;
  readonly runs: number | undefined;
  readonly names: readonly string[];
  readonly seed: number;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h' },
      minutes: { type: 'string', default: '1' },
      runs: { type: 'string' },
      target: { type: 'string', multiple: true },
      seed: { type: 'string' },
    },
  });
  const known = [...FUZZ_TARGETS.map(({ name }) => name), 'listener'];
  const names = values.target ?? known;
  const unknown = names.find((name) => !known.includes(name));
  const minutes = Number(values.minutes);
  if (values.help === true || unknown !== undefined || !(minutes > 0)) return undefined;
  const runs = values.runs === undefined ? undefined : Number(values.runs);
  return { minutes, runs, names, seed: values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed) };
}

/** Runs one target in a thread, and ends that if an input never does. */
function runTarget(work: Omit<FuzzWork, 'shared'>): Promise<FuzzReport> {
  const shared = new SharedArrayBuffer(SHARED_HEAD_BYTES + SHARED_INPUT_BYTES);
  const counts = new Int32Array(shared, 0, 2);
  const startedAt = performance.now();
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: { ...work, shared } });
  return new Promise((resolve, reject) => {
    let last = -1;
    const watch = setInterval(() => {
      const [runs = 0, length = 0] = counts;
      if (runs !== last || runs === 0) return void (last = runs);
      clearInterval(watch);
      void worker.terminate();
      const input = Buffer.from(new Uint8Array(shared, SHARED_HEAD_BYTES, length).slice());
      const finding = { input, message: `did not end within ${HANG_MS / 1000} s` };
      resolve({ runs, milliseconds: performance.now() - startedAt, codeReached: 0, corpus: 0, finding });
    }, HANG_MS);
    worker.once('message', (report: FuzzReport) => {
      clearInterval(watch);
      resolve(report);
    });
    worker.once('error', (error) => {
      clearInterval(watch);
      reject(error);
    });
  });
}

/** Where a finding is kept from now on. */
function keepFinding(name: string, input: Uint8Array): string {
  const folder = join(SEED_FOLDER, name);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, createHash('sha256').update(input).digest('hex').slice(0, 16));
  writeFileSync(file, input);
  return relative(process.cwd(), file);
}

async function fuzzParsers({ runs, names, seed, minutes }: Options): Promise<{ runs: number; found: number }> {
  const targets = FUZZ_TARGETS.filter(({ name }) => names.includes(name));
  const share = names.includes('listener') ? 1 - LISTENER_SHARE : 1;
  const lanes = Math.min(availableParallelism(), targets.length);
  const budgetMs = (minutes * 60_000 * share * lanes) / targets.length;
  const limits = { milliseconds: runs === undefined ? budgetMs : Number.POSITIVE_INFINITY, runs };
  const queue = targets.entries();
  let found = 0;
  let total = 0;
  const runLane = async (): Promise<void> => {
    for (const [at, { name }] of queue) {
      const report = await runTarget({ name, seed: seed + at, limits });
      const seconds = report.milliseconds / 1000;
      const rate = Math.round(report.runs / seconds);
      total += report.runs;
      console.log(
        `${name.padEnd(18)}${String(report.runs).padStart(10)} runs${String(rate).padStart(9)}/s` +
          `${String(report.codeReached).padStart(7)} of code${String(report.corpus).padStart(6)} inputs kept`,
      );
      if (report.finding === undefined) continue;
      found += 1;
      const { input, message } = report.finding;
      console.log(`FOUND by ${name}, kept as ${keepFinding(name, input)}\n${message}\n`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, runLane));
  return { runs: total, found };
}

function showListener({ protocol, connections, bytes, statuses, faults }: ListenerReport): void {
  const told = Object.entries(statuses).map(([status, count]) => `${status}: ${count}`);
  console.log(`${`listener ${protocol}`.padEnd(18)}${String(connections).padStart(10)} connections, ${bytes} bytes`);
  console.log(`${' '.repeat(18)}${told.join(', ')}`);
  for (const fault of faults) console.log(`FOUND by listener ${protocol}: ${fault}`);
}

async function main(options: Options): Promise<number> {
  console.log(`seed ${options.seed}`);
  let { runs, found } = await fuzzParsers(options);
  if (options.names.includes('listener')) {
    const share = options.names.length === 1 ? 1 : LISTENER_SHARE;
    const milliseconds = options.runs === undefined ? options.minutes * 60_000 * share : 10_000;
    for (const report of await fuzzListener({ milliseconds, seed: options.seed })) {
      showListener(report);
      runs += report.connections;
      found += report.faults.length;
    }
  }
  console.log(`${runs} runs, ${found === 0 ? 'nothing found' : `${found} found`}`);
  return found === 0 ? 0 : 1;
}

const options = readOptions();
if (options === undefined) console.error(HELP);
process.exitCode = options === undefined ? 2 : await main(options);
