/** The chores against a store that notes what it is asked. Time is vitest's. */
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
}

let store: NotingStore;
let stop: () => void;

function start(retentionMs?: number): void {
  stop = startLedgerMaintenance({ store, nowMs: () => Date.now(), retentionMs });
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

  it('deletes old rows in small steps, and looks again in an hour', async () => {
    store.prunable = 240;
    start(600_000);
    const prunes = () => store.calls.filter((call) => call.startsWith('prune'));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(prunes()).toEqual(['prune 400000 100', 'prune 400100 100', 'prune 400200 100', 'prune 400300 100']);
    await vi.advanceTimersByTimeAsync(3_599_000);
    expect(prunes()).toHaveLength(4);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(prunes()).toHaveLength(5);
  });

  it('deletes no rows if everything is kept', async () => {
    store.prunable = 240;
    start();
    await vi.advanceTimersByTimeAsync(7_200_000);
    expect(store.prunable).toBe(240);
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
