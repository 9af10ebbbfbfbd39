/**
 * What the ledger needs done while the server runs: renewing the leases of its reservations, settling those of
 * processes that died, deleting rows that are too old, and summing rows for reports, a few at a time. Never in the way
 * of a request, and never a reason to stay alive.
 */
import type { MonotonicClock, WallClock } from '../lib/clock.ts';
import type { Store } from '../domain/store.ts';

/** How often leases are renewed, and lost reservations looked for. */
const RESERVATIONS_MS = 10_000;
/**
 * Rows that one step deletes at first, and at most. A step takes as many as are gone in PRUNE_STEP_MS, in which no
 * other process can write, and is followed by a longer pause: 100,000 rows that are too old take seconds, not minutes.
 */
const PRUNE_ROWS = 100;
const MAX_PRUNE_ROWS = 1_000;
const PRUNE_STEP_MS = 8;
const PRUNE_PAUSE_MS = 40;
const PRUNE_INTERVAL_MS = 3_600_000;
/** One step of the same kind, of some 2 ms; a million rows that were there before take about a minute and a half. */
const REPORT_ROWS = 500;
const REPORT_PAUSE_MS = 40;
const REPORT_INTERVAL_MS = 10_000;

/** What the recurring work of a ledger needs. */
export interface LedgerMaintenance {
  readonly store: Pick<Store, 'renewLeases' | 'settleLost' | 'pruneLedger' | 'prepareReports'>;
  readonly nowMs: WallClock;
  readonly tickMs: MonotonicClock;
  /** Rows older than this are deleted; undefined keeps them all. */
  readonly retentionMs: number | undefined;
}

/**
 * Starts the tasks (`checkSize` is one of them) and returns a function that stops them. A task that fails is left for
 * its next turn: rows that cannot be written report already that the store is out of order.
 */
export function startLedgerMaintenance(
  { store, nowMs, tickMs, retentionMs }: LedgerMaintenance,
  checkSize: () => Promise<void> = async () => {},
): () => void {
  const stops = [
    repeat(async () => {
      await store.renewLeases(nowMs());
      await store.settleLost(nowMs());
      await checkSize();
      return RESERVATIONS_MS;
    }, RESERVATIONS_MS),
    repeat(async () => {
      const rows = await store.prepareReports(REPORT_ROWS);
      return rows > 0 ? REPORT_PAUSE_MS : REPORT_INTERVAL_MS;
    }, REPORT_INTERVAL_MS),
  ];
  if (retentionMs !== undefined) {
    let rows = PRUNE_ROWS;
    stops.push(
      repeat(async () => {
        const beforeTick = tickMs();
        const atMs = nowMs();
        const deleted = await store.pruneLedger(atMs - retentionMs, rows, atMs);
        const isQuick = tickMs() - beforeTick < PRUNE_STEP_MS;
        if (deleted < rows) rows = PRUNE_ROWS;
        else rows = isQuick ? Math.min(2 * rows, MAX_PRUNE_ROWS) : Math.max(PRUNE_ROWS, Math.floor(rows / 2));
        return deleted > 0 ? PRUNE_PAUSE_MS : PRUNE_INTERVAL_MS;
      }, PRUNE_INTERVAL_MS),
    );
  }
  return () => {
    for (const stop of stops) stop();
  };
}

/** Runs a task at once and again after as many milliseconds as it says, one turn at a time. */
function repeat(task: () => Promise<number>, afterFailureMs: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const turn = async (): Promise<void> => {
    const pauseMs = await task().catch(() => afterFailureMs);
    if (!isStopped) timer = setTimeout(() => void turn(), pauseMs).unref();
  };
  void turn();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
