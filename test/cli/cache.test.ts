import { describe, expect, it } from 'vitest';
import { cacheDigestToJson, formatCacheDigest } from '../../src/cli/cache/format.ts';
import { CacheSums } from '../../src/cli/cache/sums.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';

const MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const USAGE = { inputTokens: 100, outputTokens: 5 };
const ROWS = [
  aLedgerRow({
    id: 'a1',
    keyLabel: 'alice',
    model: MODEL,
    usage: { ...USAGE, cacheWriteTokens: 2000 },
    cacheVerdict: 'first',
  }),
  aLedgerRow({
    id: 'a2',
    keyLabel: 'alice',
    model: MODEL,
    usage: { ...USAGE, cacheWriteTokens: 2000 },
    cacheVerdict: 'changed',
    cacheLostNanoUsd: 6_900_000,
  }),
  aLedgerRow({
    id: 'a3',
    keyLabel: 'alice',
    model: MODEL,
    usage: { ...USAGE, cacheWriteTokens: 3000 },
    cacheVerdict: 'changed',
    cacheLostNanoUsd: 10_350_000,
  }),
  aLedgerRow({
    id: 'b1',
    keyLabel: 'bob',
    model: MODEL,
    usage: { ...USAGE, cacheReadTokens: 900 },
    cacheVerdict: 'hit',
  }),
  aLedgerRow({ id: 'c1', keyLabel: 'bob', model: undefined, usage: undefined }),
];

function sumsOf(rows = ROWS): CacheSums {
  const sums = new CacheSums(['key', 'model']);
  for (const row of rows) sums.add(row);
  return sums;
}

describe('cache', () => {
  it('shows hits, what was written for nothing, what was lost and why', () => {
    expect(formatCacheDigest({ by: ['key', 'model'], sums: sumsOf() }, undefined).split('\n')).toEqual([
      'KEY    MODEL                           REQUESTS  INPUT  HIT  READ  WRITTEN  UNREAD     LOST',
      'alice  us.anthropic.claude-sonnet-4-5         3  7.30k   0%     0    7.00k   7.00k  $0.0173',
      'bob    us.anthropic.claude-sonnet-4-5         1  1.00k  90%   900        0       0       $0',
      'total                                         4  8.30k  11%   900    7.00k   6.10k  $0.0173',
      '',
      'CAUSE    REQUESTS     LOST  FOR EXAMPLE',
      'changed         2  $0.0173  a3',
    ]);
  });

  it('is exact for programs, and tells what is not known', () => {
    const sums = sumsOf([aLedgerRow({ keyLabel: 'alice', usage: USAGE })]);
    expect(cacheDigestToJson({ by: ['key'], sums })).toMatchObject({ total: { judged: 0, lost_usd: null } });
    expect(cacheDigestToJson({ by: ['key', 'model'], sums: sumsOf() })).toMatchObject({
      causes: [{ verdict: 'changed', requests: 2, lost_usd: '0.01725', example: 'a3' }],
      total: { requests: 4, judged: 4, hit_share: 0.1084, unread_tokens: 6100, lost_usd: '0.01725' },
    });
  });
});
