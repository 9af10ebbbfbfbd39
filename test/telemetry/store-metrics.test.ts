import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { listStoreFamilies, type StoreReadings } from '../../src/telemetry/store-metrics.ts';

const readings = (awayForMs: number | undefined): StoreReadings => ({
  readHealth: () => ({
    awayForMs,
    areKeysUsable: true,
    spilledRows: 7,
    refusedRows: 2,
    connections: { open: 10, idle: 4, waiting: 3 },
  }),
  readLedger: () => ({ waitingRows: 5, lostRows: 2, spilledRows: 7 }),
});

describe('the metrics of a database that is shared', () => {
  it.each([
    { name: 'responds', awayForMs: undefined, isUp: 1 },
    { name: 'is away', awayForMs: 100, isUp: 0 },
  ])('tell that it $name, of its connections, and of rows that wait', ({ awayForMs, isUp }) => {
    const families = listStoreFamilies('p_', readings(awayForMs));
    expect(families.map(({ name, samples }) => [name, [...samples()].map(([, , value]) => value)])).toEqual([
      ['p_store_up', [isUp]],
      ['p_store_connections', [6, 4, 3]],
      ['p_ledger_waiting_rows', [5]],
      ['p_ledger_spilled_rows', [7]],
      ['p_ledger_lost_rows_total', [2]],
    ]);
  });

  it('are none of a file', () => {
    const metrics = createMetrics();
    expect(metrics.render().body).not.toContain('store_up');
    metrics.watchStore(readings(undefined));
    expect(metrics.render().body).toContain('bedrock_proxy_store_connections{state="waited_for"} 3');
  });
});
