import { describe, expect, it, vi } from 'vitest';
import { BudgetWatch, type BudgetAlert } from '../../src/app/budget-watch.ts';
import type { KeySpend } from '../../src/domain/budget.ts';
import { openRecord, type RequestRecord } from '../../src/domain/request-record.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { ProxyError } from '../../src/lib/errors.ts';

const HEAD = { method: 'POST', httpVersion: '1.1', path: '/', userAgentHeader: undefined, traceparent: undefined };

/** A watch over one key with a budget of 100 nano-dollars, and what the store says of it. */
function openWatch() {
  const alerts: BudgetAlert[] = [];
  const state = { spent: 0, resetsAtMs: 1 as number | undefined, limit: 100, waiting: 0, isBusy: false };
  const watch = new BudgetWatch({
    store: {
      findSpend: async () => {
        if (state.isBusy) throw new ProxyError('ERR_STORE_UNAVAILABLE', 'busy');
        const { spent: windowNanoUsd, resetsAtMs } = state;
        const spend: KeySpend = { totalNanoUsd: 0, windowNanoUsd, reservedNanoUsd: 0, resetsAtMs };
        return new Map([['vk_a', spend]]);
      },
    },
    nowMs: () => 0,
    countWaiting: () => state.waiting,
    onAlert: (alert) => alerts.push(alert),
  });
  const recordOf = (changes: Partial<RequestRecord>): RequestRecord => {
    const budget = { limitNanoUsd: state.limit, windowMs: undefined, anchorMs: 0 };
    const policy = { ...EMPTY_POLICY, budget };
    return {
      ...openRecord('r', 0, HEAD),
      principal: { kind: 'key', keyId: 'vk_a', label: 'alice', policy, tags: {} },
      ...changes,
    };
  };
  return {
    state,
    told: () => alerts.splice(0).map(({ threshold, spentNanoUsd }) => [threshold, spentNanoUsd]),
    /** One request, after which the key has spent so much; what the store would say of it half a second later. */
    spend: async (spent: number, changes: Partial<RequestRecord> = { chargedNanoUsd: 1 }) => {
      if (changes.error === undefined) watch.admitted(recordOf({}));
      await vi.advanceTimersByTimeAsync(0);
      state.spent = spent;
      watch.ended(recordOf(changes));
      await vi.advanceTimersByTimeAsync(1_000);
    },
    close: () => watch.close(),
    end: (changes: Partial<RequestRecord>) => watch.ended(recordOf(changes)),
  };
}

const refused = { error: new ProxyError('ERR_BUDGET_EXCEEDED', 'no') };

describe('BudgetWatch', () => {
  vi.useFakeTimers();

  it('tells each threshold once', async () => {
    const { spend, told } = openWatch();
    for (const spent of [79, 80, 85, 99, 100, 100]) await spend(spent);
    expect(told()).toEqual([
      [80, 80],
      [100, 100],
    ]);
  });

  it('tells both thresholds of one dear request', async () => {
    const { spend, told } = openWatch();
    await spend(100);
    expect(told().map(([threshold]) => threshold)).toEqual([80, 100]);
  });

  it('tells nothing of what was spent before it looked: a start tells nothing twice', async () => {
    const { spend, told, state } = openWatch();
    state.spent = 85;
    await spend(90);
    expect(told()).toEqual([]);
    await spend(100);
    expect(told()).toEqual([[100, 100]]);
  });

  it('tells again in a new window, and after a larger budget', async () => {
    const { spend, told, state } = openWatch();
    await spend(80);
    state.resetsAtMs = 2;
    await spend(81);
    state.limit = 200;
    await spend(82);
    await spend(161);
    expect(told()).toEqual([
      [80, 80],
      [80, 81],
      [80, 161],
    ]);
  });

  it('counts a budget as used up if its rest was too little for a request, but not far from its end', async () => {
    const { spend, told } = openWatch();
    await spend(50);
    await spend(50, refused);
    expect(told()).toEqual([]);
    await spend(97);
    await spend(97, refused);
    await spend(97, refused);
    expect(told()).toEqual([
      [80, 97],
      [100, 97],
    ]);
  });

  it('waits for rows that are not written yet, and for a store that is busy', async () => {
    const { spend, told, state, end } = openWatch();
    await spend(10);
    state.waiting = 1;
    await spend(80);
    expect(told()).toEqual([]);
    state.waiting = 0;
    state.isBusy = true;
    await vi.advanceTimersByTimeAsync(1_000);
    state.isBusy = false;
    end({ chargedNanoUsd: 1 });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told()).toEqual([[80, 80]]);
  });

  it('looks once more at its end', async () => {
    const { spend, told, state, end, close } = openWatch();
    await spend(10);
    state.spent = 80;
    end({ chargedNanoUsd: 1 });
    await close();
    expect(told()).toEqual([[80, 80]]);
  });
});
