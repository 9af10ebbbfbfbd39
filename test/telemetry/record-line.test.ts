import { describe, expect, it } from 'vitest';
import { formatRow } from '../../src/telemetry/record-line.ts';
import type { RecordRow } from '../../src/domain/ledger-columns.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';

const keep = (text: string): string => text;
const paint = { dim: keep, good: keep, warn: keep, bad: keep, strong: keep };
const NOW_MS = new Date(2026, 6, 1, 12, 0, 0).getTime();
const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';

const aRow = (fields: Partial<RecordRow> = {}): RecordRow => ({
  ...aLedgerRow({ startedAtMs: NOW_MS - 61_000 }),
  ...fields,
});
const lineOf = (fields: Partial<RecordRow>, width?: number): string =>
  formatRow(aRow(fields), { paint, width, nowMs: NOW_MS });
/** The column of the status. */
const statusAt = (fields: Partial<RecordRow>): number =>
  lineOf({ model: SONNET, ...fields }, 100).search(/ [24]0[03] /);

describe('a line for people', () => {
  it.each([
    [{ usage: { images: 2 }, requestBytes: 321, responseBytes: 45_678 }, ' 321B>45.7kB '],
    [{ usage: undefined, requestBytes: 999, responseBytes: 12_345_678 }, ' 999B>12.3MB '],
  ])('shows bytes if nobody counted tokens: %j', (fields, shown) => {
    expect(lineOf(fields)).toContain(shown);
  });

  it.each([
    [{ outputTokens: 50 }, ' ->50 '],
    [{ cacheReadTokens: 200 }, ' 200>- '],
    [{ inputTokens: 0, outputTokens: 0 }, ' 0>0 '],
  ])('shows tokens that nobody reported as unknown, never as 0: %j', (usage, shown) => {
    expect(lineOf({ model: SONNET, usage })).toContain(shown);
  });

  it('shows how many requests a line stands for', () => {
    const refused = { pricing: 'free', costNanoUsd: 0, status: 429, errorCode: 'ERR_REQUEST_RATE' } as const;
    expect(lineOf({ ...refused, requests: 41_994 })).toContain('ERR_REQUEST_RATE x41994');
    expect(lineOf({ ...refused, requests: 1 })).not.toContain(' x1');
  });

  it('shows a record in columns', () => {
    const usage = { inputTokens: 1_000, outputTokens: 50, cacheReadTokens: 200, cacheWriteTokens: 34 };
    const line = lineOf({
      keyLabel: 'alice',
      model: SONNET,
      usage,
      firstByteMs: 321.4,
      totalMs: 12_345,
      costNanoUsd: 1_234_567,
    });
    expect(line.split(/ {2,}/)).toEqual([
      '11:58:59',
      'alice',
      'Converse',
      SONNET,
      'us-east-1',
      '200',
      '321ms',
      '12.3s',
      '1.23k>50',
      '$0.00123',
    ]);
  });

  it.each([
    {
      name: 'what nobody knows',
      fields: { pricing: 'unpriced', costNanoUsd: undefined } as const,
      end: '0B>0B  unpriced',
    },
    { name: 'what costs nothing', fields: { pricing: 'free', costNanoUsd: 0 } as const, end: '0B>0B  -' },
    {
      name: 'what broke off',
      fields: { partial: true, errorCode: 'ERR_CLIENT_GONE' },
      end: '≥$0.000001  ERR_CLIENT_GONE',
    },
    {
      name: 'what was not reported',
      fields: { partial: true, pricing: 'unpriced', costNanoUsd: undefined } as const,
      end: 'unpriced',
    },
    {
      name: 'what failed and cost nothing',
      fields: { pricing: 'free', costNanoUsd: 0, status: 429, errorCode: 'ERR_TOKEN_RATE', totalMs: 3 } as const,
      end: '429  -  3.0ms  ERR_TOKEN_RATE',
    },
    { name: 'what got no response', fields: { status: undefined }, end: '---  -  -  0B>0B  $0.000001' },
  ])('shows of a record $name', ({ fields, end }) => {
    expect(lineOf(fields).replaceAll(/ {2,}/g, '  ').endsWith(`  ${end}`)).toBe(true);
  });

  it.each([80, 100, 120, 160])('fits a record into a terminal of %i columns', (width) => {
    const usage = { inputTokens: 123_456, outputTokens: 99_999 };
    const names = { operation: 'InvokeModelWithResponseStream', keyLabel: 'team-search-production', model: SONNET };
    const line = lineOf({ ...names, usage, totalMs: 1_234, firstByteMs: 100, costNanoUsd: 24_020 }, width);
    expect(line.length).toBeLessThanOrEqual(width);
    expect(line).toMatch(/claude-sonn/);
    expect(line).toMatch(/\$0\.000024$/);
  });

  it.each([80, 100, 120, 160])('fits a refusal into a terminal of %i columns', (width) => {
    const refused = { pricing: 'free', costNanoUsd: 0, status: 403, totalMs: 3, model: SONNET } as const;
    const line = lineOf({ ...refused, errorCode: 'ERR_REAL_AWS_CREDENTIALS' }, width);
    expect(line.length).toBeLessThanOrEqual(width);
    expect(line).toMatch(/claude-so.* 403 .*ERR_REAL_AWS_CREDENTIALS$/);
  });

  it('keeps columns in line if names have room', () => {
    const refused = { pricing: 'free', costNanoUsd: 0, status: 403, errorCode: 'ERR_MODEL_NOT_ALLOWED' } as const;
    expect(
      new Set([statusAt({}), statusAt(refused), statusAt({ costNanoUsd: 5 }), statusAt({ partial: true })]).size,
    ).toBe(1);
  });

  it('shows the day of a record of another day', () => {
    expect(lineOf({ startedAtMs: new Date(2026, 5, 30, 23, 5).getTime() })).toMatch(/^06-30 23:05 {2}a /);
  });

  it('lets nobody move the cursor or forge a line of a record', () => {
    const nasty = 'a\n\u001b[31m\u202eb';
    const line = lineOf({ keyLabel: nasty, model: nasty, operation: nasty, errorCode: nasty });
    expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    expect(line).toContain('a??[31m?b');
  });

  it('paints a record by its outcome', () => {
    const colours = { ...paint, good: () => 'GOOD', warn: () => 'WARN', bad: () => 'BAD' };
    const painted = (fields: Partial<RecordRow>): string =>
      formatRow(aRow(fields), { paint: colours, width: undefined, nowMs: NOW_MS });
    expect(painted({ status: 200 })).toContain('GOOD');
    expect(painted({ status: 404 })).toContain('WARN');
    expect(painted({ status: 503 })).toContain('BAD');
    expect(painted({ status: undefined })).toContain('BAD');
    expect(painted({ status: 200, errorCode: 'ERR_CLIENT_GONE' })).not.toContain('GOOD');
    expect(painted({ status: 200, errorCode: 'ModelStreamErrorException' })).toContain('BAD');
  });
});
