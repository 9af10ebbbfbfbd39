/** What a budget is charged, by what is known of a response in the end. */
import { expect, it } from 'vitest';
import type { Admission } from '../../src/admission/admit.ts';
import type { ModelPrice } from '../../src/pricing/cost.ts';
import type { Reading } from '../../src/metering/tap.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { findCharge } from '../../src/accounting/charge.ts';
import { type ErrorCode, ProxyError } from '../../src/lib/errors.ts';
import { aFinishedRecord } from '../helpers/finished-record.ts';

/** 3 and 15 nano-dollars a token. */
const PRICE: ModelPrice = { input: 3_000, output: 15_000, cacheRead: 300 };
const DEARER: ModelPrice = { input: 6_000, output: 30_000, cacheRead: 600 };
const RESERVED = 100_000;

const BROKEN = { code: 'ERR_UPSTREAM_RESET' } as const;

interface Given {
  readonly usage?: Usage;
  readonly partial?: boolean;
  readonly outputBytes?: number;
  readonly prices?: readonly ModelPrice[];
  readonly upstreamErrorType?: string;
  readonly code?: ErrorCode;
}

function charge({ usage, partial = true, outputBytes = 0, prices = [PRICE], code, upstreamErrorType }: Given): number {
  const error = code && new ProxyError(code, 'm');
  const record = { ...aFinishedRecord(), usage, partial, error, upstreamErrorType };
  const reading = { outputBytes, usage } as Reading;
  const estimate = { inputTokens: 1_000, outputTokens: 5_000, copies: 1 };
  const admission = { estimate, reservedNanoUsd: RESERVED } as Admission;
  return findCharge(record, reading, admission, prices);
}

it.each<Given & { name: string; expected: number }>([
  { name: 'all that is known', usage: { inputTokens: 10, outputTokens: 10 }, partial: false, expected: 180 },
  {
    name: 'the most expensive of several models',
    usage: { inputTokens: 10, outputTokens: 10 },
    partial: false,
    prices: [PRICE, DEARER],
    expected: 360,
  },
  {
    name: 'more than was reserved, where that was reported',
    usage: { inputTokens: 10, outputTokens: 10_000, guardrailUnits: { topicPolicyUnits: 1 } },
    partial: false,
    expected: 150_030,
  },
  { name: 'what was seen of a stream that AWS broke off', ...BROKEN, outputBytes: 300, expected: 1_000 * 3 + 100 * 15 },
  {
    name: 'what was seen of a stream that ended with an exception',
    upstreamErrorType: 'ModelStreamErrorException',
    outputBytes: 300,
    expected: 1_000 * 3 + 100 * 15,
  },
  {
    name: 'what AWS reported before it failed, however much was seen',
    upstreamErrorType: 'server_error',
    usage: { inputTokens: 10, outputTokens: 100 },
    outputBytes: 30,
    expected: 10 * 3 + 100 * 15,
  },
  { name: 'no more than was reserved for what was only seen', ...BROKEN, outputBytes: 3_000_000, expected: RESERVED },
  {
    name: 'caches at their own price',
    ...BROKEN,
    usage: { inputTokens: 10, cacheReadTokens: 1_000 },
    expected: 30 + 300,
  },
  { name: 'all, where the usage never came', outputBytes: 300, expected: RESERVED },
  { name: 'all, where the client left', code: 'ERR_CLIENT_GONE', outputBytes: 300, expected: RESERVED },
  {
    name: 'all, where the client left after a part of the usage',
    code: 'ERR_CLIENT_GONE',
    usage: { inputTokens: 10, outputTokens: 1 },
    outputBytes: 300,
    expected: RESERVED,
  },
  {
    name: 'what was reported, where that is more than all',
    usage: { inputTokens: 10, outputTokens: 10_000 },
    expected: 150_030,
  },
  { name: 'all, where nobody knows the price', usage: { inputTokens: 1 }, prices: [], expected: RESERVED },
  {
    name: 'all, where one of the models has no such price',
    usage: { inputTokens: 1 },
    prices: [{}],
    expected: RESERVED,
  },
])('charges $name', ({ expected, ...given }) => {
  expect(charge(given)).toBe(expected);
});
