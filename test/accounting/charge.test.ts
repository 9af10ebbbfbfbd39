/** What a budget is charged, by what is known of a response in the end. */
import { describe, expect, it } from 'vitest';
import type { Admission } from '../../src/admission/admit.ts';
import type { ModelPrice } from '../../src/pricing/cost.ts';
import type { RequestRecord } from '../../src/domain/request-record.ts';
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
  /** From its sending to its end. */
  readonly seconds?: number;
  readonly reserved?: number;
  readonly admission?: Partial<Admission>;
  readonly record?: Partial<RequestRecord>;
  readonly reading?: Partial<Reading>;
}

function charge({ usage, partial = true, outputBytes = 0, prices = [PRICE], code, ...given }: Given): number {
  const error = code && new ProxyError(code, 'm');
  const { upstreamErrorType, seconds = 0, reserved = RESERVED } = given;
  const times = { sentMs: 5, totalMs: 5 + seconds * 1_000 };
  const record = { ...aFinishedRecord(), usage, partial, error, upstreamErrorType, ...times, ...given.record };
  const reading = { outputBytes, usage, ...given.reading } as Reading;
  const none = { pieces: 0, units: {}, hasGuardrail: false };
  const estimate = { inputTokens: 1_000, outputTokens: 5_000, copies: 1, ...none };
  const admission = { estimate, reservedNanoUsd: reserved, namesGuardrail: false, ...given.admission } as Admission;
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

const GUARDED: ModelPrice = { ...PRICE, guardrailUnits: { contentPolicyUnits: 150_000_000, wordPolicyUnits: 0 } };
const USED = { inputTokens: 10, outputTokens: 100 };

it.each<Given & { name: string; expected: number }>([
  {
    name: 'the tokens alone, if the units of its guardrail have no price',
    usage: { ...USED, guardrailUnits: { topicPolicyUnits: 3 } },
    partial: false,
    outputBytes: 3_000,
    expected: 1_530,
  },
  {
    name: 'what has a price of what is sold by the piece',
    usage: { ...USED, images: 2, units: { webSearches: 3, searchQueries: 1 } },
    prices: [{ ...PRICE, units: { webSearches: 10_000_000 } }],
    partial: false,
    expected: 1_530 + 30_000,
  },
  {
    // 1,000 tokens of input are four units of text, 100 of output one.
    name: 'all that the policies of a guardrail may take of which nothing was told',
    usage: USED,
    prices: [GUARDED],
    admission: { namesGuardrail: true },
    partial: false,
    expected: 1_530 + 5 * 150_000,
  },
  {
    name: 'the units of a guardrail that were told',
    usage: { ...USED, guardrailUnits: { contentPolicyUnits: 1 } },
    prices: [GUARDED],
    admission: { namesGuardrail: true },
    partial: false,
    expected: 1_530 + 150_000,
  },
  {
    name: 'no less than the time allows, for what AWS broke off before anything of it was seen',
    ...BROKEN,
    seconds: 5,
    expected: 1_000 * 3 + 1_000 * 15,
  },
  { name: 'all that was reserved, where the time allows more', ...BROKEN, seconds: 3_600, expected: RESERVED },
])('charges of parts $name', ({ expected, ...given }) => {
  expect(charge(given)).toBe(expected);
});

describe('a chat that streams without its usage', () => {
  const route = { service: 'bedrock-runtime', operation: 'ChatCompletions', region: 'us-east-1', modelId: undefined };
  const chat: Given = {
    record: { route, isStreamed: true, hasEnded: true } as Partial<RequestRecord>,
    outputBytes: 300,
    seconds: 1,
  };

  it.each<{ name: string; given: Given; expected: number }>([
    { name: 'a token for each byte that came', given: {}, expected: 3_000 + 300 * 15 },
    { name: 'what the time allows, if that is more', given: { seconds: 3 }, expected: 3_000 + 600 * 15 },
    { name: 'at most what was reserved', given: { outputBytes: 30_000 }, expected: RESERVED },
    { name: 'all, if nothing of it was seen', given: { outputBytes: 0 }, expected: RESERVED },
    {
      name: 'all, if it has no end',
      given: { record: { route, isStreamed: true } as Partial<RequestRecord> },
      expected: RESERVED,
    },
    {
      name: 'all, if it is no stream',
      given: { record: { route, hasEnded: true } as Partial<RequestRecord> },
      expected: RESERVED,
    },
  ])('is charged $name', ({ given, expected }) => {
    expect(charge({ ...chat, ...given })).toBe(expected);
  });
});
