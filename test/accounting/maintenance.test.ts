/** The chores against a store that notes what it is asked. Time is vitest's. */
import { monotonicClock } from '../../src/lib/clock.ts';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import { startLedgerMaintenance } from '../../src/accounting/maintenance.ts';

const GONE = new ProxyError('ERR_STORE_UNAVAILABLE', 'The store is gone.');

class NotingStore {
  readonly calls: string[] = [];
  /** Rows that are old enough. */
  prunable = 0;

  renewLeases = async (nowMs: number): Promise<void> => void this.calls.push(`keep ${nowMs}`);
  settleLost = async (nowMs: number): Promise<number> => this.calls.push(`settle lost ${nowMs}`);
  pruneLedger = async (beforeMs: number, maxRows: number): Promise<number> => {
    this.calls.push(`prune ${beforeMs} ${maxRows}`);
    const deleted = Math.min(this.prunable, maxRows);
    this.prunable -= deleted;
    return deleted;
  };
  /** Rows that are not summed up yet. */
  unsummed = 0;
  prepareReports = async (maxRows: number): Promise<number> => {
    const summed = Math.min(this.unsummed, maxRows);
    this.unsummed -= summed;
    return summed;
  };
}

let store: NotingStore;
let stop: () => void;

function start(retentionMs?: number): void {
  stop = startLedgerMaintenance({
    store,
    nowMs: () => Date.now(),
    tickMs: monotonicClock(() => Date.now()),
    retentionMs,
  });
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  store = new NotingStore();
});

afterEach(() => {
  stop();
  vi.useRealTimers();
});

describe('the chores of the ledger', () => {
  it('keeps reservations alive and settles lost ones, at once and every ten seconds', async () => {
    start();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(store.calls).toEqual([
      'keep 1000000',
      'settle lost 1000000',
      'keep 1010000',
      'settle lost 1010000',
      'keep 1020000',
      'settle lost 1020000',
    ]);
  });

  it('deletes old rows in steps that grow as long as they are quick, and looks again in an hour', async () => {
    store.prunable = 240;
    start(600_000);
    const prunes = () => store.calls.filter((call) => call.startsWith('prune'));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(prunes()).toEqual(['prune 400000 100', 'prune 400040 200', 'prune 400080 100']);
    await vi.advanceTimersByTimeAsync(3_599_000);
    expect(prunes()).toHaveLength(3);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(prunes()).toHaveLength(4);
  });

  it('has deleted a hundred thousand old rows in seconds', async () => {
    store.prunable = 100_000;
    start(600_000);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(store.prunable).toBe(0);
    const sizes = store.calls.filter((call) => call.startsWith('prune')).map((call) => Number(call.split(' ')[2]));
    expect(Math.max(...sizes)).toBe(1_000);
  });

  it('deletes in smaller steps if they take long', async () => {
    const prune = store.pruneLedger;
    store.pruneLedger = async (beforeMs, maxRows) => {
      await new Promise((resolve) => setTimeout(resolve, maxRows / 20));
      return prune(beforeMs, maxRows);
    };
    store.prunable = 10_000;
    start(600_000);
    await vi.advanceTimersByTimeAsync(5_000);
    const sizes = store.calls.filter((call) => call.startsWith('prune')).map((call) => Number(call.split(' ')[2]));
    expect(sizes.slice(0, 5)).toEqual([100, 200, 100, 200, 100]);
  });

  it('deletes no rows if everything is kept', async () => {
    store.prunable = 240;
    start();
    await vi.advanceTimersByTimeAsync(7_200_000);
    expect(store.prunable).toBe(240);
  });

  it('sums rows up for reports in steps, and looks again after ten seconds', async () => {
    store.unsummed = 1_600;
    start();
    await vi.advanceTimersByTimeAsync(50);
    expect(store.unsummed).toBe(600);
    await vi.advanceTimersByTimeAsync(150);
    expect(store.unsummed).toBe(0);
    store.unsummed = 10;
    await vi.advanceTimersByTimeAsync(9_000);
    expect(store.unsummed).toBe(10);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(store.unsummed).toBe(0);
  });

  it('goes on with maintenance after a failure', async () => {
    start();
    store.renewLeases = async () => {
      throw GONE;
    };
    await vi.advanceTimersByTimeAsync(10_000);
    expect(store.calls).toHaveLength(2);
    store.renewLeases = async () => void store.calls.push('kept');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(store.calls).toContain('kept');
  });

  it('ends maintenance when it is stopped', async () => {
    start(1);
    await vi.advanceTimersByTimeAsync(0);
    stop();
    expect(vi.getTimerCount()).toBe(0);
    const before = store.calls.length;
    await vi.advanceTimersByTimeAsync(7_200_000);
    expect(store.calls).toHaveLength(before);
  });
});
