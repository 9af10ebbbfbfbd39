/**
 * `npm run bench -- --profile`: bedrock-proxy alone under one load case, with every thread profiled from the first
 * request that counts to the last. The profiles stay in a folder of temporary files; a profiler takes time itself, so
 * that shares hold and speeds do not.
 */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CASES, openEntrant, SIXTEEN_CONNECTIONS } from './cases.ts';
import { runLoad } from './load.ts';
import type { Options } from './options.ts';
import type { Parties } from './parties.ts';
import { type CpuProfile, readShares, type Shares } from './profile-shares.ts';
import { measureSlot } from './rounds.ts';
import { section, short } from './table.ts';

/** Where the time of one case went. */
export interface ProfileReport {
  readonly case: string;
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Of the whole process: every thread, garbage collection and compilation beside the threads too. */
  readonly cpuMicrosPerRequest: number;
  readonly threads: readonly ThreadShares[];
}

/** Of one thread. */
export interface ThreadShares extends Shares {
  readonly thread: string;
  /** The profile, for Chrome's developer tools, speedscope or an editor. */
  readonly path: string;
}

const TOP_FUNCTIONS = 25;
/** Groups below this share are added up. */
const SMALL_SHARE = 0.005;
const ROOT = new URL('../', import.meta.url).href;

/** The first case whose name holds the filter, or 16 connections. */
export async function profileCase(
  parties: Parties,
  { caseFilter, effort, profileMs }: Options,
  say: (line: string) => void,
): Promise<ProfileReport> {
  const benchCase = caseFilter === '' ? SIXTEEN_CONNECTIONS : CASES.find(({ name }) => name.includes(caseFilter));
  if (benchCase === undefined) throw new Error(`no case has a name with "${caseFilter}"`);
  say(`profile of ${benchCase.name}`);
  const entrant = openEntrant(parties.proxied, parties.key, benchCase);
  // Longer than for a measurement: what is compiled only now would be in the profile.
  await runLoad(entrant.lanes, entrant.call, effort.warmUpMs * 3);
  const folder = await mkdtemp(join(tmpdir(), 'bedrock-proxy-profile-'));
  await parties.profiling.start();
  const { totalMs, elapsedMs, cpuMicros } = await measureSlot(entrant, profileMs);
  const profiles = await parties.profiling.stop(folder);
  await Promise.all(entrant.lanes.map((lane) => lane.close()));
  const threads = await Promise.all(
    profiles.map(async ({ thread, path }) => {
      const profile = JSON.parse(await readFile(path, 'utf8')) as CpuProfile;
      return { thread, path, ...readShares(profile, ROOT) };
    }),
  );
  return {
    case: benchCase.name,
    requests: totalMs.length,
    requestsPerSecond: Math.round((totalMs.length * 1000) / elapsedMs),
    cpuMicrosPerRequest: cpuMicros / totalMs.length,
    threads,
  };
}

/** As text for people. */
export function formatProfile(report: ProfileReport): string {
  const { requests, threads } = report;
  const busy = threads.filter(({ busyMicros }) => busyMicros > 0);
  return [
    `${report.case}: ${requests} requests, ${report.requestsPerSecond} a second under the profiler.`,
    `Processor time of the process, all its threads: ${short(report.cpuMicrosPerRequest)} µs per request.`,
    'By the clock, whenever a thread was not idle (so with waits for the disk, or for a processor):',
    ...busy.map(({ thread, busyMicros }) => `  thread "${thread}": ${short(busyMicros / requests)} µs per request`),
    '',
    ...busy.flatMap((thread) => formatThread(thread, requests)),
    ...threads.map(({ path }) => `profile: ${path}`),
  ].join('\n');
}

function formatThread({ thread, busyMicros, groups, functions }: ThreadShares, requests: number): string[] {
  const cells = (micros: number): string[] => [
    short(micros / requests),
    `${((micros * 100) / busyMicros).toFixed(1)} %`,
  ];
  const isSmall = (micros: number): boolean => micros < busyMicros * SMALL_SHARE;
  const [shown, small] = [true, false].map((isShown) =>
    groups.filter((group) => isShown !== (isSmall(group.ownMicros) && isSmall(group.ownedMicros))),
  );
  const rows = (shown ?? []).map((group) => [
    group.name,
    ...cells(group.ownMicros),
    ...(group.name.startsWith('src') || group.ownedMicros > 0 ? cells(group.ownedMicros) : ['', '']),
  ]);
  const sum = (small ?? []).reduce((total, { ownMicros }) => total + ownMicros, 0);
  return [
    ...section(`Thread "${thread}": by folder, package and part of Node`, [
      ['where', 'own µs/request', 'own', 'µs/request, with what it calls outside of src', 'share'],
      ...rows,
      ['smaller ones', ...cells(sum), '', ''],
    ]),
    ...section(`Thread "${thread}": the ${TOP_FUNCTIONS} functions with most time of their own`, [
      ['function', 'µs/request', 'share'],
      ...functions.slice(0, TOP_FUNCTIONS).map(({ name, ownMicros }) => [name, ...cells(ownMicros)]),
    ]),
  ];
}
