/**
 * How long keys, admission and ledger take of a request, and how long reports take, in a large database: the look-up of
 * the key, all of admission with a real body and real prices, the settlement. A process of its own that prints one JSON
 * line; its arguments are the numbers of keys, rows and requests. One thing after another, no sockets, everything warm.
 * The slowest times wait for the machine's disk.
 */
import { MACHINE_TICKS } from '../src/lib/clock.ts';
import { parseTarget } from '../src/http/target.ts';
import { type ClientRequest, describeHead, type HeaderPair } from '../src/http/message.ts';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type AdmissionDependencies, admit } from '../src/admission/admit.ts';
import { createRateLimits } from '../src/admission/rates.ts';
import { type RequestRecord, openRecord } from '../src/domain/request-record.ts';
import type { Principal } from '../src/domain/principal.ts';
import { loadPrices } from '../src/pricing/price-book.ts';
import { rowIfLost, rowOf } from '../src/domain/ledger-row.ts';
import { findRoute } from '../src/routing/route.ts';
import { openSqliteStore } from '../src/store/sqlite/store.ts';
import type { LedgerFilter, UsageGrouping } from '../src/domain/ledger.ts';
import type { Store } from '../src/domain/store.ts';
import type { VirtualKeyRow } from '../src/domain/key.ts';
import { DAY_MS, fillDatabase, NOW_MS, pick } from './ledger-rows.ts';
import { quantile } from './statistics.ts';

/** The times of one kind of work. */
export interface LedgerTiming {
  readonly name: string;
  readonly unit: 'µs' | 'ms';
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

export interface LedgerReport {
  readonly keys: number;
  readonly rows: number;
  readonly fileBytes: number;
  readonly timings: readonly LedgerTiming[];
  /** The longest time that reports kept everything else waiting. */
  readonly longestStallMs: number;
}

const [KEYS = 0, ROWS = 0, REQUESTS = 0] = process.argv.slice(2).map(Number);
/** Keys that are in use at the same time: the others come from the file. */
const BUSY_KEYS = 1_000;
/** Requests before the first that counts: a server that runs has compiled its code. */
const WARM_UP = 5_000;
const REPORT_ROUNDS = 3;

/** 4 kB, as a program sends that asks about a page of text. */
const BODY = Buffer.from(
  JSON.stringify({
    system: [{ text: 'Answer in one sentence.' }],
    messages: [{ role: 'user', content: [{ text: 'The quick brown fox jumps over the lazy dog. '.repeat(85) }] }],
    inferenceConfig: { maxTokens: 1_024, temperature: 0.2 },
  }),
);
const HEADERS: readonly HeaderPair[] = [
  ['Content-Type', 'application/json'],
  ['User-Agent', 'Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux lang/python#3.13.0'],
];
const TARGET = '/bedrock/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse';
const CLIENT_REQUEST: ClientRequest = {
  method: 'POST',
  target: parseTarget(TARGET),
  headers: HEADERS,
  authority: 'localhost:4000',
  httpVersion: '1.1',
  peerAddress: '127.0.0.1',
  openBody: () => Readable.from([]),
  signal: new AbortController().signal,
  cut: () => {},
  upgrade: undefined,
};
const ROUTE = findRoute({
  method: 'POST',
  target: parseTarget(TARGET),
  scope: undefined,
  headers: HEADERS,
  mountPath: '/bedrock',
  config: {
    defaultRegion: 'us-east-1',
    openaiUpstream: 'runtime',
    fips: false,
    dualstack: false,
    endpointUrls: new Map(),
  },
});

async function measure(): Promise<LedgerReport> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-ledger-'));
  try {
    const path = join(folder, 'keys.db');
    const hashes = fillDatabase(path, { keys: KEYS, rows: ROWS });
    const fileBytes = (await stat(path)).size;
    const store = await openSqliteStore(path);
    const requests = await measureRequests(store, hashes);
    const reports = await measureReports(store);
    const pruning = await measurePruning(store);
    await store.close();
    const timings = [...requests, ...reports.timings, pruning];
    return { keys: KEYS, rows: ROWS, fileBytes, timings, longestStallMs: reports.longestStallMs };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureRequests(store: Store, hashes: readonly string[]): Promise<LedgerTiming[]> {
  const busy = hashes.slice(0, BUSY_KEYS);
  const times = { fromFile: [] as number[], lookUp: [] as number[], limited: [] as number[], free: [] as number[] };
  const settlements: number[] = [];
  for (const hash of busy) times.fromFile.push((await timed(() => store.findKeyBySha256(hash))).micros);
  const dependencies: AdmissionDependencies = {
    store,
    prices: await loadPrices({ priceFile: undefined, refreshedFile: undefined, warn: () => {} }),
    rates: createRateLimits({ tickMs: MACHINE_TICKS }),
    nowMs: Date.now,
    findProfilesFor: () => async () => undefined,
    maxUnpackedBytes: 128_000_000,
  };
  for (let index = -WARM_UP; index < REQUESTS; index += 1) {
    const hash = pick(busy);
    const { micros: lookUp, result: key } = await timed(() => store.findKeyBySha256(hash));
    if (key === undefined) throw new Error('the key is gone');
    const { record, principal } = anRecord(key);
    const { micros, result: admission } = await timed(() => admitOnce(record, principal, dependencies));
    const isLimited = key.policy.budget !== undefined;
    if (isLimited !== admission.reservedNanoUsd > 0) throw new Error('the budget does not count');
    finish(record, admission.reservedNanoUsd / 2);
    const { micros: settlement } = await timed(() => store.settle(rowOf(record, principal)));
    admission.release();
    if (index % 20 === 0) await new Promise(setImmediate);
    if (index < 0) continue;
    times.lookUp.push(lookUp);
    (isLimited ? times.limited : times.free).push(lookUp + micros);
    settlements.push(settlement);
  }
  return [
    timingOf('key, read from the file', 'µs', times.fromFile),
    timingOf('key, read before; asked for changes', 'µs', times.lookUp),
    timingOf('admission, key included: no limits', 'µs', times.free),
    timingOf('admission, key included: all limits, money reserved', 'µs', times.limited),
    timingOf('settlement: row, charge, what was reserved', 'µs', settlements),
  ];
}

const NEVER = new AbortController().signal;

interface Admitted {
  readonly reservedNanoUsd: number;
  release(): void;
}

async function admitOnce(
  record: RequestRecord,
  principal: Principal,
  dependencies: AdmissionDependencies,
): Promise<Admitted> {
  const admission = await admit(
    {
      requestId: record.id,
      principal,
      route: ROUTE,
      headers: HEADERS,
      body: { chunks: [BODY], sizeBytes: BODY.length },
      ifLost: () => rowIfLost(record, principal),
      signal: NEVER,
      onLateReservation: () => {},
    },
    dependencies,
  );
  record.model = admission.model;
  return {
    reservedNanoUsd: admission.reservedNanoUsd ?? 0,
    release: () => admission.release({ tokens: 1_000 }),
  };
}

function anRecord({ id, alias, policy, tags }: VirtualKeyRow): { record: RequestRecord; principal: Principal } {
  const record = openRecord(randomUUID(), Date.now(), describeHead(CLIENT_REQUEST));
  const principal: Principal = { kind: 'key', keyId: id, label: alias ?? id, policy, tags };
  record.principal = principal;
  record.route = ROUTE;
  record.requestBytes = BODY.length;
  return { record, principal };
}

/** What a response has reported. */
function finish(record: RequestRecord, costNanoUsd: number): void {
  record.status = 200;
  record.upstreamRequestId = randomUUID();
  record.usage = { inputTokens: 800, outputTokens: 200 };
  record.pricing = 'priced';
  record.costNanoUsd = costNanoUsd;
  record.chargedNanoUsd = costNanoUsd;
  record.firstByteMs = 350;
  record.totalMs = 2_400;
  record.responseBytes = 3_000;
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly micros: number; readonly result: T }> {
  const startedAt = performance.now();
  const result = await work();
  return { micros: (performance.now() - startedAt) * 1000, result };
}

async function measureReports(
  store: Store,
): Promise<{ readonly timings: LedgerTiming[]; readonly longestStallMs: number }> {
  const groupings: readonly UsageGrouping[] = ['key', 'model', 'day', 'operation', 'region', 'tag'];
  const week = { name: 'usage --by key --since 7d', by: 'key', filter: { sinceMs: NOW_MS - 7 * DAY_MS } } as const;
  const cases: { readonly name: string; readonly by: UsageGrouping; readonly filter: LedgerFilter }[] = [
    ...groupings.map((by) => ({ name: `usage --by ${by} --since all`, by, filter: {} })),
    week,
  ];
  const watch = watchStalls();
  const timings: LedgerTiming[] = [];
  for (const { name, by, filter } of cases) {
    const times: number[] = [];
    for (let round = 0; round < REPORT_ROUNDS; round += 1) {
      const { micros, result } = await timed(() => store.sumUsage({ filter, by: [by] }));
      if (result.total.requests === 0) throw new Error('nothing was summed');
      times.push(micros / 1000);
    }
    timings.push(timingOf(name, 'ms', times));
  }
  return { timings, longestStallMs: watch.stop() };
}

/** The longest time between two turns of the event loop. */
function watchStalls(): { stop(): number } {
  let longestMs = 0;
  let lastTurnAt = performance.now();
  let isOver = false;
  const turn = (): void => {
    longestMs = Math.max(longestMs, performance.now() - lastTurnAt);
    lastTurnAt = performance.now();
    if (!isOver) setImmediate(turn);
  };
  turn();
  return {
    stop: () => {
      isOver = true;
      return longestMs;
    },
  };
}

async function measurePruning(store: Store): Promise<LedgerTiming> {
  const times: number[] = [];
  for (let step = 0; step < 50; step += 1) {
    const { micros, result } = await timed(() => store.pruneLedger(NOW_MS, 500));
    if (result !== 500) throw new Error(`${result} rows were pruned`);
    times.push(micros / 1000);
  }
  return timingOf('pruning of 500 rows', 'ms', times);
}

function timingOf(name: string, unit: LedgerTiming['unit'], times: readonly number[]): LedgerTiming {
  return { name, unit, median: quantile(times, 0.5), p99: quantile(times, 0.99), max: Math.max(...times) };
}

console.log(JSON.stringify(await measure()));
