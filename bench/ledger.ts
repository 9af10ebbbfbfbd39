/**
 * How long keys, admission and ledger take of a request, and how long reports take, in a large database: the look-up of
 * the key, all of admission with a real body and real prices, the settlement. A process of its own that prints one JSON
 * line; its arguments are the numbers of keys, rows and requests. One thing after another, no sockets, everything warm.
 * The slowest times wait for the machine's disk.
 */
import { MACHINE_TICKS } from '../src/lib/clock.ts';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AdmissionDependencies, admit } from '../src/admission/admit.ts';
import { createRateLimits } from '../src/admission/rates.ts';
import type { RequestRecord } from '../src/domain/request-record.ts';
import type { Principal } from '../src/domain/principal.ts';
import { loadPrices } from '../src/pricing/price-book.ts';
import { rowIfLost, rowOf } from '../src/domain/ledger-row.ts';
import { openSqliteStore } from '../src/store/sqlite/store.ts';
import type { Store } from '../src/domain/store.ts';
import { type LiveReport, measureLiveReports, measureReports, nameOfReport } from './ledger-reports.ts';
import { BODY, finishRecord, HEADERS, openKeyRecord, ROUTE } from './ledger-requests.ts';
import { fillDatabase, NOW_MS, pick } from './ledger-rows.ts';
import { type LedgerTiming, timed, timingOf } from './ledger-timing.ts';

/** What this process prints. */
export interface LedgerReport {
  readonly keys: number;
  readonly rows: number;
  readonly fileBytes: number;
  readonly timings: readonly LedgerTiming[];
  readonly live: readonly LiveReport[];
  /** Of those timings that have an aim. */
  readonly names: { readonly admissionWithLimits: string; readonly usageByKey: string };
}

const ADMISSION_WITH_LIMITS = 'admission, key included: all limits, money reserved';

const [KEYS = 0, ROWS = 0, REQUESTS = 0] = process.argv.slice(2).map(Number);
/** Keys that are in use at the same time: the others come from the file. */
const BUSY_KEYS = 1_000;
/** Requests before the first that counts: a server that runs has compiled its code. */
const WARM_UP = 5_000;

async function measure(): Promise<LedgerReport> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-ledger-'));
  try {
    const path = join(folder, 'keys.db');
    const hashes = fillDatabase(path, { keys: KEYS, rows: ROWS });
    const fileBytes = (await stat(path)).size;
    // As a server has it, but for the thread that writes: settlements are measured, too.
    const server = await openSqliteStore(path, { threads: true, writesBeforeWriter: Number.POSITIVE_INFINITY });
    const requests = await measureRequests(server, hashes);
    await server.close();
    const store = await openSqliteStore(path);
    await sumUpInAdvance(store);
    const reports = await measureReports(store);
    const live = await measureLiveReports(path, hashes, 'all keys');
    const pruning = await measurePruning(store);
    await store.close();
    const onePath = join(folder, 'one-key.db');
    const oneHash = fillDatabase(onePath, { keys: 1, rows: ROWS });
    const one = await openSqliteStore(onePath);
    await sumUpInAdvance(one);
    await one.close();
    live.push(...(await measureLiveReports(onePath, oneHash, 'all rows of one key')));
    const names = { admissionWithLimits: ADMISSION_WITH_LIMITS, usageByKey: nameOfReport('key') };
    return { keys: KEYS, rows: ROWS, fileBytes, timings: [...requests, ...reports, pruning], live, names };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** As a server does from time to time. */
async function sumUpInAdvance(store: Store): Promise<void> {
  while ((await store.prepareReports(10_000)) > 0);
}

async function measureRequests(store: Store, hashes: readonly string[]): Promise<LedgerTiming[]> {
  const busy = hashes.slice(0, BUSY_KEYS);
  const times = { fromFile: [] as number[], lookUp: [] as number[], limited: [] as number[], free: [] as number[] };
  const settlements: number[] = [];
  for (const hash of busy) times.fromFile.push((await timed(() => store.findKeyBySha256(hash))).micros);
  const dependencies: AdmissionDependencies = {
    store,
    prices: await loadPrices({ priceFile: undefined, refreshedFile: undefined, warn: () => {} }),
    assumedOutputTokens: undefined,
    rates: createRateLimits({ tickMs: MACHINE_TICKS }),
    nowMs: Date.now,
    findProfilesFor: () => async () => undefined,
    maxUnpackedBytes: 128_000_000,
  };
  for (let index = -WARM_UP; index < REQUESTS; index += 1) {
    const hash = pick(busy);
    const { micros: lookUp, result: key } = await timed(() => store.findKeyBySha256(hash));
    if (key === undefined) throw new Error('the key is gone');
    const { record, principal } = openKeyRecord(key);
    const { micros, result: admission } = await timed(() => admitOnce(record, principal, dependencies));
    const isLimited = key.policy.budget !== undefined;
    if (isLimited !== admission.reservedNanoUsd > 0) throw new Error('the budget does not count');
    finishRecord(record, admission.reservedNanoUsd / 2);
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
    timingOf('key, read before; asked for changes every 5 ms', 'µs', times.lookUp),
    timingOf('admission, key included: no limits', 'µs', times.free),
    timingOf(ADMISSION_WITH_LIMITS, 'µs', times.limited),
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

async function measurePruning(store: Store): Promise<LedgerTiming> {
  const times: number[] = [];
  for (let step = 0; step < 50; step += 1) {
    const { micros, result } = await timed(() => store.pruneLedger(NOW_MS, 500));
    if (result !== 500) throw new Error(`${result} rows were pruned`);
    times.push(micros / 1000);
  }
  return timingOf('pruning of 500 rows', 'ms', times);
}

console.log(JSON.stringify(await measure()));
