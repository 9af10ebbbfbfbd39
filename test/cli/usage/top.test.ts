import { describe, expect, it } from 'vitest';
import { formatTop, parseGauges, type TopReading, topToJson } from '../../../src/cli/usage/top.ts';
import type { UsageTotals } from '../../../src/domain/ledger.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { openCli } from '../../helpers/cli.ts';
import { findClosedPort } from '../../helpers/ports.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';

const TOTALS: UsageTotals = {
  requests: 4,
  errors: 1,
  unpriced: 0,
  partial: 0,
  inputTokens: 1_000,
  outputTokens: 200,
  cacheReadTokens: 30,
  cacheWriteTokens: undefined,
  costNanoUsd: 1_500_000_000,
  estimatedNanoUsd: 0,
};
const READING: TopReading = {
  nowMs: Date.UTC(2026, 6, 1, 12, 0, 7),
  url: 'http://localhost:4000',
  proxy: { inFlight: 3, streams: 2, startedAtMs: Date.UTC(2026, 6, 1, 9) },
  rows: [
    { keyId: 'vk_a', label: 'alice', minute: TOTALS, today: TOTALS },
    { keyId: undefined, label: 'anonymous\u001B[2J', minute: undefined, today: { ...TOTALS, unpriced: 1 } },
  ],
  minute: TOTALS,
  today: TOTALS,
};

describe('parseGauges', () => {
  it('adds up several processes, and takes the start of the first', () => {
    const text = [
      '# TYPE bedrock_proxy_requests_in_flight gauge',
      'bedrock_proxy_requests_in_flight 3',
      'bedrock_proxy_streams_in_flight 2',
      'process_start_time_seconds{worker="1"} 1700000001',
      'process_start_time_seconds{worker="primary"} 1700000000',
    ].join('\n');
    expect(parseGauges(text)).toEqual({ inFlight: 3, streams: 2, startedAtMs: 1_700_000_000_000 });
    expect(parseGauges('nonsense')).toEqual({ inFlight: 0, streams: 0, startedAtMs: undefined });
  });
});

describe('the screen of top', () => {
  it('shows what is in flight, the last minute and today, by key', () => {
    expect(formatTop(READING, 80).split('\n')).toEqual([
      '12:00:07Z  http://localhost:4000, since 2026-07-01 09:00Z',
      'in flight: 3, 2 streamed',
      '',
      'KEY            REQUESTS/MIN  TOKENS/MIN  ERRORS/MIN      TODAY',
      'alice                     4       1.23k           1      $1.50',
      'anonymous?[2J             0           0           0  $1.50 + ?',
      'all                       4       1.23k           1      $1.50',
    ]);
  });

  it('says that it does not know what is in flight if no proxy of this database answers', () => {
    const shown = formatTop({ ...READING, proxy: undefined }, 80);
    expect(shown).toContain(
      'http://localhost:4000: no proxy of this database answers there; --port names another\nin flight: ?\n',
    );
    expect(topToJson({ ...READING, proxy: undefined })).toMatchObject({ running: false, in_flight: null, since: null });
  });
});

describe('top', () => {
  it('prints once without a terminal, from the ledger alone if no proxy runs', async () => {
    const cli = await openCli();
    const store = await openSqliteStore((await cli.run(['key', 'generate', '--quiet'])) && cli.databasePath);
    const nowMs = Date.now();
    await store.settle(aLedgerRow({ id: 'a', startedAtMs: nowMs - 1_000, keyLabel: 'alice' }));
    await store.settle(aLedgerRow({ id: 'b', startedAtMs: nowMs - 120_000, keyLabel: 'alice' }));
    await store.close();
    const port = String(await findClosedPort());
    const { stdout, stderr, code } = await cli.run(['top', '--port', port]);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout).toMatch(/^alice +1 /m);
    const json = JSON.parse((await cli.run(['top', '--port', port, '--json'])).stdout) as object;
    expect(json).toMatchObject({ running: false, in_flight: null, requests_per_minute: 1 });
  });

  it('makes no database', async () => {
    const { stdout, code } = await (await openCli()).run(['top', '--port', String(await findClosedPort())]);
    expect([code, /^all +0 /m.test(stdout)]).toEqual([0, true]);
  });

  it('has usage --watch print once without a terminal, too', async () => {
    const { stdout, code } = await (await openCli()).run(['usage', '--watch']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('There are no requests in the ledger')]);
  });
});
