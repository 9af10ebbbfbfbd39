/** A row of the list, and the details: what kind it is, who responded, where the time went. */
import { describe, expect, it } from 'vitest';
import { describeExchange } from '../../../src/inspector/views/describe-exchange.ts';
import { summarise } from '../../../src/inspector/views/summarise.ts';
import { viewTiming } from '../../../src/inspector/views/timing.ts';
import type { CacheView, ExplanationView } from '../../../src/inspector/wire.ts';
import { eventFrame } from '../../helpers/event-frames.ts';
import { type ExchangeParts, keptBody, keptExchange } from '../../helpers/kept-exchange.ts';

const CHUNKS = keptBody(['a', 'b', 'c'], { times: [100, 150.25, 900.5] });

describe('a row', () => {
  it('says what the ledger says, and what belongs together', () => {
    const exchange = keptExchange({
      sequence: 7,
      response: CHUNKS,
      parent: 'p',
      isEdited: true,
      isPinned: true,
      note: 'n',
      conversation: { id: 'c', turn: 2, previous: 'b' },
      attempt: { number: 2, previous: 'a' },
    });
    const cache = { verdict: 'changed', confidence: 'certain', money: { lost_usd: '0.01' } } as CacheView;
    const explanation = { entry: 'e', cause: 'Because.' } as ExplanationView;
    expect(summarise(exchange, { cache, explanation })).toMatchObject({
      sequence: 7,
      state: 'complete',
      kind: 'model',
      source: 'live',
      is_streamed: true,
      omitted: null,
      gap_ms: 750.25,
      parent: 'p',
      is_edited: true,
      is_pinned: true,
      note: 'n',
      conversation: { id: 'c', turn: 2, previous: 'b' },
      attempt: { number: 2, previous: 'a' },
      cache: { verdict: 'changed', confidence: 'certain', lost_usd: '0.01' },
      explanation: { entry: 'e', cause: 'Because.' },
      row: { id: exchange.id, cost_usd: '0.0213', key: 'alice' },
    });
  });

  it("says the proxy's own message of what it refused", () => {
    const row = { errorCode: 'ERR_BUDGET_EXCEEDED', errorMessage: 'The budget of alice is used up.' };
    const explanation = { entry: 'ERR_BUDGET_EXCEEDED', cause: 'The proxy refused it.' } as ExplanationView;
    expect(summarise(keptExchange({ end: 'refused', row }), { explanation }).explanation).toEqual({
      entry: 'ERR_BUDGET_EXCEEDED',
      cause: 'The budget of alice is used up.',
    });
  });

  it('says null of what is not known, and is JSON', () => {
    const summary = summarise(keptExchange({ layers: {}, omitted: 'off' }), {});
    expect(summary).toMatchObject({ omitted: 'off', gap_ms: null, note: null, conversation: null, cache: null });
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
  });

  it.each<{ name: string; parts: ExchangeParts; kind: string }>([
    { name: 'a model', parts: {}, kind: 'model' },
    { name: "OpenAI's routes", parts: { row: { service: 'bedrock-mantle' } }, kind: 'model' },
    { name: 'an agent', parts: { row: { service: 'bedrock-agent-runtime' } }, kind: 'agent' },
    { name: 'the control plane', parts: { row: { service: 'bedrock' } }, kind: 'control' },
    {
      name: 'a refusal of the proxy',
      parts: { end: 'refused', row: { errorCode: 'ERR_BUDGET_EXCEEDED' } },
      kind: 'own',
    },
    { name: 'a refusal in the ledger', parts: { layers: {}, row: { errorCode: 'ERR_BUDGET_EXCEEDED' } }, kind: 'own' },
    { name: 'an error of AWS', parts: { row: { errorCode: 'ThrottlingException', status: 429 } }, kind: 'model' },
  ])('knows what it is about: $name', ({ parts, kind }) => {
    expect(summarise(keptExchange(parts), {}).kind).toBe(kind);
  });

  it.each<{ parts: ExchangeParts; source: string }>([
    { parts: { signing: { scheme: 'sigv4', accessKeyId: 'AKIA…WXYZ' } }, source: 'live' },
    { parts: { signing: { scheme: 'sigv4', accessKeyId: 'OFFL…0000' } }, source: 'offline' },
    { parts: { row: { source: 'cassette' } }, source: 'cassette' },
    { parts: { row: { fault: 'throttle#3' } }, source: 'fault' },
  ])('knows who responded: $source', ({ parts, source }) => {
    expect(summarise(keptExchange(parts), {}).source).toBe(source);
  });
});

describe('the time', () => {
  const TIMES = { authenticatedMs: 0.5, bodyReadMs: 3, admittedMs: 3.5, signedMs: 4.5, sentMs: 10, headMs: 600 };

  it('is told in steps without overlap', () => {
    const times = { ...TIMES, firstByteMs: 611, lastByteMs: 4_098, endedMs: 4_101 };
    const { steps, ...rest } = viewTiming(keptExchange({ times, response: CHUNKS }));
    expect(steps.map(({ name, from_ms: from, to_ms: to }) => `${name} ${from}-${to}`)).toEqual([
      'authenticate 0-0.5',
      'body 0.5-3',
      'admit 3-3.5',
      'sign 3.5-4.5',
      'connect 4.5-10',
      'wait 10-611',
      'response 611-4098',
      'settle 4098-4101',
    ]);
    expect(rest).toEqual({
      total_ms: 4_101,
      overhead_ms: 2,
      model_latency_ms: null,
      pieces: [
        [100, 1],
        [150.25, 1],
        [900.5, 1],
      ],
    });
  });

  it('is told as far as it has come, whatever came first', () => {
    const { steps } = viewTiming(keptExchange({ times: { ...TIMES, bodyReadMs: 20, firstByteMs: undefined } }));
    expect(steps.map(({ name, from_ms: from, to_ms: to }) => `${name} ${from}-${to}`).slice(1)).toEqual([
      'body 0.5-20',
      'admit 20-20',
      'sign 20-20',
      'connect 20-20',
      'wait 20-600',
    ]);
  });

  it.each<{ name: string; parts: ExchangeParts }>([
    {
      name: 'a header',
      parts: { responseHeaders: [['X-Amzn-Bedrock-Invocation-Latency', '3390']], contentType: 'application/json' },
    },
    {
      name: 'the body',
      parts: { contentType: 'application/json', response: keptBody(['{"metrics":{"latencyMs":3390}}']) },
    },
    {
      name: 'the last event',
      parts: { response: keptBody([eventFrame('metadata', { metrics: { latencyMs: 3_390 } })]) },
    },
    {
      name: 'the last chunk',
      parts: {
        response: keptBody([
          eventFrame('chunk', {
            bytes: Buffer.from('{"amazon-bedrock-invocationMetrics":{"invocationLatency":3390}}').toString('base64'),
          }),
        ]),
      },
    },
  ])("is the model's, by AWS's word in $name", ({ parts }) => {
    expect(viewTiming(keptExchange(parts)).model_latency_ms).toBe(3_390);
  });

  it('has two thousand pieces at most', () => {
    const response = keptBody(Array.from({ length: 9_000 }, () => 'x'));
    const { pieces } = viewTiming(keptExchange({ response }));
    expect(pieces.length).toBeLessThanOrEqual(2_000);
    expect(pieces.length).toBeGreaterThan(1_500);
  });
});

describe('the details', () => {
  it('have four messages, each with what is kept of its body', () => {
    const exchange = keptExchange({
      request: { a: 1 },
      response: keptBody(['0123456789'], { hole: [2, 3] }),
      signing: { scheme: 'sigv4', accessKeyId: 'AKIA…WXYZ', canonicalRequest: 'POST\n/' },
      failedAttempts: ['west: ThrottlingException'],
    });
    const details = describeExchange(exchange, summarise(exchange, {}));
    expect(details.layers.client_request).toMatchObject({
      method: 'POST',
      body: { size_bytes: 7, kept_bytes: 7, hole: null },
    });
    expect(details.layers.signed_request).toMatchObject({
      authority: 'bedrock-runtime.us-east-1.amazonaws.com',
      body: null,
    });
    expect(details.layers.upstream_response).toMatchObject({
      status: 200,
      body: {
        size_bytes: 10,
        kept_bytes: 7,
        hole: { at: 2, size_bytes: 3, why: 'size' },
        content_type: 'application/vnd.amazon.eventstream',
      },
    });
    expect(details.signing).toMatchObject({ scheme: 'sigv4', canonical_request: 'POST\n/', scope: null });
    expect(details.failed_attempts).toEqual(['west: ThrottlingException']);
  });

  it('have what the ledger has, if nothing is kept', () => {
    const exchange = keptExchange({ layers: {}, row: { method: 'POST', path: '/bedrock/model/x/converse' } });
    const { layers, signing, timing } = describeExchange(exchange, summarise(exchange, {}));
    expect(layers).toMatchObject({
      client_request: { method: 'POST', target: '/bedrock/model/x/converse', body: null },
      signed_request: null,
      upstream_response: null,
      client_response: null,
    });
    expect([signing, timing.total_ms, timing.steps]).toEqual([null, 4_100, []]);
  });
});
