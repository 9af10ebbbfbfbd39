/** What each field of a filter means, and how mistakes are told. */
import { describe, expect, it } from 'vitest';
import { type FilterSubject, readRecordFilter } from '../../src/filter/record-filter.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';

const NOW_MS = 1_700_000_600_000;
const ROW: FilterSubject = aLedgerRow({
  id: '0192',
  keyLabel: 'my laptop',
  operation: 'ConverseStream',
  model: 'us.anthropic.claude-haiku-4-5-20251001-v1:0',
  modelAlias: 'fast',
  status: 429,
  errorCode: 'ThrottlingException',
  usage: { inputTokens: 12_000, outputTokens: 500 },
  firstByteMs: 2500,
  totalMs: 61_000,
  costNanoUsd: 60_000_000,
  cacheVerdict: 'changed',
  cacheLostNanoUsd: 20_000_000,
  requestBytes: 2_000_000,
  responseBytes: 700,
  fault: 'throttle#3',
  userAgent: 'boto3',
  tags: { team: 'red' },
});

function matches(text: string, row = ROW): boolean {
  const filter = readRecordFilter(text, NOW_MS);
  if ('problem' in filter) throw new Error(`${filter.problem} ${filter.hint ?? ''}`);
  return filter.matches(row);
}

it.each([
  '',
  'haiku',
  'LAPTOP',
  'throttl',
  'model:*haiku*',
  'model:anthropic.claude-haiku-4-5-20251001-v1:0',
  'model:claude-haiku-4-5',
  'model:fast',
  'op:converse*',
  'op:converse-stream',
  'converse-st',
  'service:bedrock-runtime region:us-*',
  'status:429',
  'status:4xx',
  'status:400..499',
  'status:>=400',
  'error:Throttl*',
  'error:/^throttling/i',
  'key:"My Laptop"',
  'client:boto3',
  'tag:team tag:team=red',
  'id:0192',
  'is:stream is:error is:fault',
  'fault:throttle*',
  'ttfb:>2s time:>1m time:<=61s',
  'in:>10k in:10k..13k out:500',
  'cost:>$0.05 cost:<0.07',
  'cache:miss cache:changed lost:>$0.01',
  'size:>1mb answer:<1kb',
  'since:15m',
  '-key:bob',
  'key:bob | key:my*',
])('matches: %s', (text) => {
  expect(matches(text)).toBe(true);
});

it.each([
  'sonnet',
  'model:haiku',
  'status:5xx',
  'error:/^throttling/',
  'key:"my*"',
  'is:unpriced',
  'cached:>0',
  'cache:hit*',
  'lost:>$0.02',
  'since:5m',
  '-haiku',
  'haiku -stream',
])('does not match: %s', (text) => {
  expect(matches(text)).toBe(false);
});

it('takes the word of the response for whether it is a stream', () => {
  expect(matches('is:stream', { ...ROW, isStreamed: false })).toBe(false);
  expect(matches('is:stream', { ...ROW, operation: 'CreateMessage', isStreamed: true })).toBe(true);
});

describe('mistakes', () => {
  it.each([
    { text: 'modle:x', problem: 'There is no field "modle" (at character 1).', hint: 'Did you mean model:?' },
    { text: 'a constructor:x', problem: 'There is no field "constructor" (at character 3).', hint: 'The fields are ' },
    { text: 'ttfb:fast', problem: 'ttfb: takes >2s, <500ms or 1s..3s (at character 1).' },
    { text: 'status:/4/', problem: 'status: takes 429, 4xx or >=500 (at character 1).' },
    { text: 'is:slow', problem: 'is: takes stream, error, partial, unpriced, fault (at character 1).' },
    { text: '(a', problem: 'A parenthesis is not closed.' },
  ])('$text', ({ text, problem, hint }) => {
    const found = readRecordFilter(text, NOW_MS);
    expect(found).toMatchObject({ problem });
    expect(('problem' in found && found.hint) || '').toContain(hint ?? '');
  });
});

it('names the fields that only a response fills', () => {
  expect(readRecordFilter('model:a (ttfb:>1s | -status:4xx) is:stream is:error', 0)).toMatchObject({
    responseFields: ['ttfb', 'status', 'is'],
  });
});
