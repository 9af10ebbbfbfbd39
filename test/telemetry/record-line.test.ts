import { describe, expect, it } from 'vitest';
import { formatHead, formatRow } from '../../src/telemetry/record-line.ts';
import { layoutFor } from '../../src/telemetry/line-layout.ts';
import { displayWidth } from '../../src/lib/display-width.ts';
import type { RecordRow } from '../../src/domain/ledger-columns.ts';
import { ERROR_KINDS } from '../../src/lib/errors.ts';
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
  formatRow(aRow(fields), { paint, layout: layoutFor(width) });

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
      new Date(NOW_MS - 61_000).toISOString(),
      'alice',
      'Converse',
      SONNET,
      '200',
      'us-east-1',
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
      end: '429  us-east-1  -  3.0ms  0B>0B  -  ERR_TOKEN_RATE',
    },
    {
      name: 'what had a fault',
      fields: { fault: 'gap#2' },
      end: '200  us-east-1  -  -  0B>0B  $0.000001  fault gap#2',
    },
    {
      name: 'what was refused by a fault',
      fields: { pricing: 'free', costNanoUsd: 0, status: 429, errorCode: 'ThrottlingException', fault: 'throttle#1' },
      end: '-  ThrottlingException (fault throttle#1)',
    } as const,
    { name: 'what got no response', fields: { status: undefined }, end: '---  us-east-1  -  -  0B>0B  $0.000001' },
  ])('shows of a record $name', ({ fields, end }) => {
    expect(lineOf(fields).replaceAll(/ {2,}/g, '  ').endsWith(`  ${end}`)).toBe(true);
  });

  const WIDTHS = [80, 81, 99, 100, 117, 118, 120, 149, 150, 160, 200, 300];
  const names = {
    operation: 'InvokeModelWithResponseStream',
    keyLabel: '東京の検索チーム本番',
    model: SONNET,
  } as const;
  const free = { pricing: 'free', costNanoUsd: 0 } as const;
  const rows: readonly Partial<RecordRow>[] = [
    {},
    { ...names, usage: { inputTokens: 999_499_999, outputTokens: 99_949 }, totalMs: 59_000_000, firstByteMs: 999_940 },
    { ...names, fault: 'first-byte#12' },
    { ...names, costNanoUsd: 123, partial: true, requestBytes: 999_499, responseBytes: 99_949_000 },
    {
      ...names,
      costNanoUsd: 123,
      partial: true,
      errorCode: 'ERR_UPSTREAM_UNREACHABLE',
      errorMessage: 'It left. '.repeat(60),
    },
    {
      ...free,
      status: 403,
      errorCode: 'AccessDeniedException',
      errorMessage: 'You may not. '.repeat(40),
      requests: 41_994,
    },
    {
      ...free,
      status: 404,
      operation: undefined,
      model: undefined,
      method: 'POST',
      path: `/bedrock/${'x'.repeat(600)}`,
    },
    { keyLabel: '🚀'.repeat(40), model: '東'.repeat(80), region: 'us-gov-west-1-and-more' },
    { status: undefined, pricing: 'unpriced', costNanoUsd: undefined },
  ];

  it.each([1, 20, 60, ...WIDTHS])('is never wider than a terminal of %i columns', (width) => {
    for (const fields of rows) expect(displayWidth(lineOf(fields, width))).toBeLessThanOrEqual(width);
    expect(displayWidth(formatHead({ paint, layout: layoutFor(width) }))).toBeLessThanOrEqual(width);
  });

  it.each(WIDTHS)('has its columns in the same places on every line, and below their titles: %i', (width) => {
    const head = formatHead({ paint, layout: layoutFor(width) });
    const statusAt = head.indexOf(' ST ');
    for (const fields of rows) {
      const line = lineOf(fields, width);
      const shown = fields.status === undefined && 'status' in fields ? '---' : String(fields.status ?? 200);
      expect(line.slice(line.indexOf(` ${shown} `) + 1)).toMatch(/^(\d{3}|---) /);
      expect(displayWidth(line.slice(0, line.indexOf(` ${shown} `)))).toBe(statusAt);
    }
  });

  it.each(WIDTHS)('names every error of the proxy in full: %i', (width) => {
    const longest = Object.keys(ERROR_KINDS).reduce((left, right) => (left.length > right.length ? left : right));
    for (const errorCode of [longest, 'ERR_UNKNOWN_OPERATION']) {
      expect(lineOf({ ...names, ...free, status: 502, errorCode, errorMessage: 'Why.' }, width)).toContain(errorCode);
    }
  });

  it.each([
    [80, / 403 AccessDenied {2}not autho…$/],
    [120, / 403 AccessDenied {2}not authorized to perform: be…$/],
    [200, / 403 .* AccessDenied {2}not authorized to perform: bedrock:Invo…$/],
    [undefined, / {2}AccessDeniedException {2}not authorized to perform: bedrock:InvokeModel on resource: arn:x$/],
  ] as const)("has type and message of AWS's errors: %s columns", (width, shown) => {
    const errorMessage =
      'User: arn:aws:iam::123456789012:user/jane is not authorized to perform: bedrock:InvokeModel on resource: arn:x';
    expect(lineOf({ ...free, status: 403, errorCode: 'AccessDeniedException', errorMessage }, width)).toMatch(shown);
  });

  it('gives a path the room of operation and model', () => {
    const unknown = {
      ...free,
      status: 404,
      operation: undefined,
      model: undefined,
      errorCode: 'ERR_UNKNOWN_PATH',
    } as const;
    const line = lineOf({ ...unknown, method: 'POST', path: '/bedrock/v1/messages' }, 80);
    expect(line).toContain(' POST /bedrock/v1/messages ');
    expect(line).toContain(' 404 ERR_UNKNOWN_PATH');
  });

  it('cuts no cost: one that has no room beside the error is left out', () => {
    const gone = { status: 200, partial: true, costNanoUsd: 123, errorCode: 'ERR_UPSTREAM_RESET' } as const;
    expect(lineOf(gone, 80)).toMatch(/ 200 ERR_UPSTREAM_RESET$/);
    expect(lineOf(gone, 100)).toMatch(/ 200 ≥\$0\.000000123 ERR_UPSTREAM_RESET$/);
    expect(lineOf(gone, 200)).toMatch(/ ≥\$0\.000000123 {2}ERR_UPSTREAM_RESET$/);
  });

  it('uses a wide terminal: nothing of these names is cut', () => {
    const line = lineOf({ ...names, costNanoUsd: 24_020 }, 200);
    for (const name of Object.values(names)) expect(line).toContain(name);
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
      formatRow(aRow(fields), { paint: colours, layout: layoutFor(undefined) });
    expect(painted({ status: 200 })).toContain('GOOD');
    expect(painted({ status: 404 })).toContain('WARN');
    expect(painted({ status: 503 })).toContain('BAD');
    expect(painted({ status: undefined })).toContain('BAD');
    expect(painted({ status: 200, errorCode: 'ERR_CLIENT_GONE' })).not.toContain('GOOD');
    expect(painted({ status: 200, errorCode: 'ModelStreamErrorException' })).toContain('BAD');
  });
});
