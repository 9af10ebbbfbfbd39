/** What a budget is charged, by what is known of a response in the end. */
import { expect, it } from 'vitest';
import type { Admission } from '../../src/admission/admit.ts';
import type { ModelPrice } from '../../src/pricing/cost.ts';
import type { Reading } from '../../src/metering/tap.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { findCharge } from '../../src/accounting/charge.ts';
import { aFinishedRecord } from '../helpers/finished-record.ts';

/** 3 and 15 nano-dollars a token. */
const PRICE: ModelPrice = { input: 3_000, output: 15_000, cacheRead: 300 };
const DEARER: ModelPrice = { input: 6_000, output: 30_000, cacheRead: 600 };
const RESERVED = 100_000;

interface Given {
  readonly usage?: Usage;
  readonly partial?: boolean;
  readonly outputBytes?: number;
  readonly delivery?: Admission['delivery'];
  readonly prices?: readonly ModelPrice[];
}

function charge({ usage, partial = true, outputBytes = 0, delivery = 'streaming', prices = [PRICE] }: Given): number {
  const record = { ...aFinishedRecord(), usage, partial, error: undefined };
  const reading = { outputBytes, usage } as Reading;
  const estimate = { inputTokens: 1_000, outputTokens: 5_000, copies: 1 };
  const admission = { estimate, reservedNanoUsd: RESERVED, delivery } as Admission;
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
  { name: 'what was seen of a stream', outputBytes: 300, expected: 1_000 * 3 + 100 * 15 },
  { name: 'no more than was reserved for what was only seen', outputBytes: 3_000_000, expected: RESERVED },
  { name: 'caches at their own price', usage: { inputTokens: 10, cacheReadTokens: 1_000 }, expected: 30 + 300 },
  { name: 'all, where AWS works on unseen', delivery: 'unary', outputBytes: 300, expected: RESERVED },
  { name: 'all, where the response comes later', delivery: 'background', expected: RESERVED },
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
