/**
 * How long reports over a large ledger take: as a command asks, and as a running server does, whose event loop goes on
 * with requests meanwhile.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerFilter, UsageGrouping } from '../src/domain/ledger.ts';
import { rowOf } from '../src/domain/ledger-row.ts';
import type { Store } from '../src/domain/store.ts';
import { openSqliteStore } from '../src/store/sqlite/store.ts';
import { finishRecord, openKeyRecord } from './ledger-requests.ts';
import { DAY_MS, NOW_MS, pick } from './ledger-rows.ts';
import { type LedgerTiming, timed, timingOf } from './ledger-timing.ts';
import { type Spread, spreadOf } from './statistics.ts';

/** A report of a running server. */
export interface LiveReport {
  /** What was asked; undefined: nothing, for comparison. */
  readonly by: UsageGrouping | undefined;
  readonly ledger: string;
  readonly ms: Spread;
  /** The longest that the event loop was kept from its work in each round. */
  readonly longestStallMs: Spread;
  /** Settled meanwhile. */
  readonly rowsPerSecond: number;
}

const LIVE_CASES: readonly { readonly by: UsageGrouping | undefined; readonly traffic: boolean }[] = [
  { by: undefined, traffic: true },
  { by: 'key', traffic: true },
  { by: 'day', traffic: true },
  { by: 'session', traffic: true },
  { by: 'key', traffic: false },
  { by: 'day', traffic: false },
];
const BUSY_KEYS = 1_000;
const ROUNDS = 3;
const LIVE_ROUNDS = 5;
/** The resolution of the event loop's delay: a delay is told with it. */
const RESOLUTION_MS = 1;
/** Of the kind that `GET /global/spend/keys` asks for. */
const LIVE_GROUPS = 100;
/** So long is watched where nothing is asked. */
const COMPARED_MS = 1_000;

/** One after the other, in a process that does nothing else. */
export async function measureReports(store: Store): Promise<LedgerTiming[]> {
  const groupings: readonly UsageGrouping[] = ['key', 'model', 'day', 'operation', 'region', 'tag', 'session'];
  const week = { name: 'usage --by key --since 7d', by: 'key', filter: { sinceMs: NOW_MS - 7 * DAY_MS } } as const;
  const cases: { readonly name: string; readonly by: UsageGrouping; readonly filter: LedgerFilter }[] = [
    ...groupings.map((by) => ({ name: nameOfReport(by), by, filter: {} })),
    week,
  ];
  const timings: LedgerTiming[] = [];
  for (const { name, by, filter } of cases) {
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const { micros, result } = await timed(() => store.sumUsage({ filter, by: [by] }));
      if (result.total.requests === 0) throw new Error('nothing was summed');
      times.push(micros / 1000);
    }
    timings.push(timingOf(name, 'ms', times));
  }
  return timings;
}

/** As the table names a report over all rows. */
export function nameOfReport(by: UsageGrouping): string {
  return `usage --by ${by} --since all`;
}

/** Asked as a server does, while rows are settled one after the other. */
export async function measureLiveReports(
  path: string,
  hashes: readonly string[],
  ledger: string,
): Promise<LiveReport[]> {
  const store = await openSqliteStore(path, { threads: true });
  const reports: LiveReport[] = [];
  for (const { by, traffic } of LIVE_CASES) {
    const work = async (): Promise<void> => {
      if (by === undefined) await delay(COMPARED_MS);
      else await store.sumUsage({ filter: {}, by: [by], limit: LIVE_GROUPS });
    };
    // The first one starts the thread.
    await work();
    const rounds = [];
    for (let round = 0; round < LIVE_ROUNDS; round += 1) {
      rounds.push(await watchWork(store, traffic ? hashes.slice(0, BUSY_KEYS) : [], work));
    }
    const [ms, rows] = [rounds.map((round) => round.ms), rounds.map((round) => round.rows)];
    reports.push({
      by,
      ledger,
      ms: spreadOf(ms),
      longestStallMs: spreadOf(rounds.map((round) => round.stallMs)),
      rowsPerSecond: Math.round((sum(rows) * 1000) / sum(ms)),
    });
  }
  await store.close();
  return reports;
}

async function watchWork(
  store: Store,
  hashes: readonly string[],
  work: () => Promise<void>,
): Promise<{ readonly ms: number; readonly stallMs: number; readonly rows: number }> {
  const traffic = settleRows(store, hashes);
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  loop.enable();
  const { micros } = await timed(work);
  loop.disable();
  return { ms: micros / 1000, stallMs: Math.max(0, loop.max / 1e6 - RESOLUTION_MS), rows: await traffic.stop() };
}

/** One row a millisecond at most, until it is stopped; none if there are no keys. */
function settleRows(store: Store, hashes: readonly string[]): { stop(): Promise<number> } {
  const over = new AbortController();
  const settleAll = async (): Promise<number> => {
    let rows = 0;
    for (; !over.signal.aborted && hashes.length > 0; rows += 1) {
      const key = await store.findKeyBySha256(pick(hashes));
      if (key === undefined) throw new Error('the key is gone');
      const { record, principal } = openKeyRecord(key);
      finishRecord(record, 7_500_000);
      await store.settle(rowOf(record, principal));
      await delay(1);
    }
    return rows;
  };
  const settled = settleAll();
  return {
    stop: () => {
      over.abort();
      return settled;
    },
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((left, right) => left + right, 0);
}
