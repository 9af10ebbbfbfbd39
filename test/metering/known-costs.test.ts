/**
 * What whole exchanges cost, to the nano-dollar, at prices that stand beside them: what is billed besides plain tokens
 * was once left out of each of these.
 */
import { describe, expect, it } from 'vitest';
import type { RequestedUnits } from '../../src/domain/units.ts';
import { createTap, type Reading } from '../../src/metering/tap.ts';
import { costOf, type ModelPrice } from '../../src/pricing/cost.ts';
import { eventFrame } from '../helpers/event-frames.ts';

const EVENT_STREAM = 'application/vnd.amazon.eventstream';
/** Per million tokens, in dollars. */
const perMillion = (usd: number): number => Math.round(usd * 1e6);
/** Per piece, in dollars. */
const perPiece = (usd: number): number => Math.round(usd * 1e12);

const SONNET: ModelPrice = {
  input: perMillion(3.3),
  output: perMillion(16.5),
  cacheRead: perMillion(0.33),
  cacheWrite: perMillion(4.125),
};
/** Its price goes up above 200,000 tokens of input. */
const LONG_SONNET: ModelPrice = {
  input: { base: perMillion(3.3), steps: [{ aboveTokens: 200_000, price: perMillion(6.6) }] },
  output: { base: perMillion(16.5), steps: [{ aboveTokens: 200_000, price: perMillion(24.75) }] },
};
const GPT: ModelPrice = {
  input: perMillion(2.2),
  output: perMillion(4.4),
  cacheRead: perMillion(0.22),
  units: { webSearches: perPiece(0.012) },
};
const GUARDRAIL: ModelPrice = {
  guardrailUnits: {
    topicPolicyUnits: perPiece(0.00015),
    contentPolicyUnits: perPiece(0.00015),
    automatedReasoningPolicyUnits: perPiece(0.00017),
  },
};

interface Exchange {
  readonly name: string;
  readonly operation: string;
  readonly service?: string;
  readonly model?: string;
  readonly type?: string;
  readonly bytes: Buffer;
  readonly requestedUnits?: RequestedUnits;
  readonly price: ModelPrice;
  readonly nanoUsd: number | undefined;
  readonly complete?: boolean;
}

const json = (body: unknown): Buffer => Buffer.from(JSON.stringify(body));
const event = (name: string, data: unknown): Buffer => Buffer.from(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
const chunk = (inner: unknown): Buffer => eventFrame('chunk', { bytes: json(inner).toString('base64') });

const top = { input_tokens: 23_000, output_tokens: 1_000 };
const compacted = {
  ...top,
  iterations: [
    { type: 'compaction', input_tokens: 180_000, output_tokens: 3_500 },
    { type: 'message', ...top },
  ],
};
const start = { type: 'message_start', message: { usage: { input_tokens: 23_000, output_tokens: 1 } } };
const units = {
  topicPolicyUnits: 1,
  contentPolicyUnits: 2,
  automatedReasoningPolicyUnits: 1,
  automatedReasoningPolicies: 2,
};
const repeated = {
  instructions: 'a "b" '.repeat(180_000),
  usage: { input_tokens: 800, input_tokens_details: { cached_tokens: 300 }, output_tokens: 250 },
};

const EXCHANGES: readonly Exchange[] = [
  {
    name: 'a message with a compaction',
    operation: 'CreateMessage',
    bytes: json({ usage: compacted }),
    price: SONNET,
    nanoUsd: 744_150_000,
  },
  {
    name: 'steps of which none is as long as all of them together',
    operation: 'CreateMessage',
    bytes: json({ usage: compacted }),
    price: LONG_SONNET,
    nanoUsd: 744_150_000,
  },
  {
    name: 'a step that is long by itself',
    operation: 'CreateMessage',
    bytes: json({
      usage: {
        ...top,
        iterations: [{ type: 'compaction', input_tokens: 300_000, output_tokens: 0 }, compacted.iterations[1]],
      },
    }),
    price: LONG_SONNET,
    nanoUsd: 323_000 * 6_600 + 1_000 * 24_750,
  },
  {
    name: 'the same in server-sent events',
    operation: 'CreateMessage',
    type: 'text/event-stream',
    bytes: Buffer.concat([
      event('message_start', start),
      event('message_delta', { type: 'message_delta', usage: compacted }),
      event('message_stop', { type: 'message_stop' }),
    ]),
    price: SONNET,
    nanoUsd: 744_150_000,
  },
  {
    name: 'the same in chunks, whose metrics leave it out',
    operation: 'InvokeModelWithResponseStream',
    type: EVENT_STREAM,
    bytes: Buffer.concat([
      chunk(start),
      chunk({ type: 'message_delta', usage: compacted }),
      chunk({ 'amazon-bedrock-invocationMetrics': { inputTokenCount: 23_000, outputTokenCount: 1_000 } }),
    ]),
    price: SONNET,
    nanoUsd: 744_150_000,
  },
  {
    name: 'a guardrail with a policy of automated reasoning',
    operation: 'ApplyGuardrail',
    bytes: json({ usage: units, action: 'NONE' }),
    price: GUARDRAIL,
    nanoUsd: 620_000,
  },
  {
    name: 'a model and the guardrail around it',
    operation: 'InvokeModel',
    bytes: json({
      usage: { input_tokens: 5, output_tokens: 7 },
      'amazon-bedrock-trace': { guardrail: { input: { g: { invocationMetrics: { usage: units } } } } },
    }),
    price: { ...SONNET, ...GUARDRAIL },
    nanoUsd: 620_000 + 16_500 + 115_500,
  },
  {
    name: 'searches of the web, and tokens',
    operation: 'CreateResponse',
    service: 'bedrock-mantle',
    bytes: json({ usage: { input_tokens: 10, output_tokens: 5 }, tool_usage: { web_search: { num_requests: 3 } } }),
    price: GPT,
    nanoUsd: 36_000_000 + 22_000 + 22_000,
  },
  {
    name: 'searches of the web that have no price',
    operation: 'CreateMessage',
    bytes: json({ usage: { input_tokens: 10, output_tokens: 5, server_tool_use: { web_search_requests: 1 } } }),
    price: SONNET,
    nanoUsd: undefined,
  },
  {
    name: 'a response that is repeated in one event of more than a megabyte',
    operation: 'CreateResponse',
    service: 'bedrock-mantle',
    type: 'text/event-stream',
    bytes: event('response.completed', { type: 'response.completed', response: repeated }),
    price: GPT,
    nanoUsd: 1_100_000 + 66_000 + 1_100_000,
  },
  {
    name: 'a response that failed with all of its usage',
    operation: 'CreateResponse',
    service: 'bedrock-mantle',
    bytes: json({ error: { code: 'server_error' }, usage: { input_tokens: 10, output_tokens: 5 } }),
    price: GPT,
    nanoUsd: 44_000,
  },
  {
    name: 'a picture that a filter took',
    operation: 'InvokeModel',
    bytes: json({ seeds: [1], finish_reasons: ['Filter reason: prompt'], images: [null] }),
    price: { image: perPiece(0.04) },
    nanoUsd: 0,
  },
  {
    name: 'a reranking of 150 documents',
    operation: 'InvokeModel',
    bytes: json({ results: [{ index: 0, relevance_score: 0.9 }] }),
    requestedUnits: { counts: { searchQueries: 2 }, hasUnknown: false },
    price: { units: { searchQueries: perPiece(0.002) } },
    nanoUsd: 4_000_000,
  },
  {
    name: 'a reranking of a knowledge base',
    service: 'bedrock-agent-runtime',
    operation: 'Rerank',
    bytes: json({ results: [{ index: 0, relevanceScore: 0.9 }] }),
    requestedUnits: { counts: { searchQueries: 1 }, hasUnknown: false },
    price: { units: { searchQueries: perPiece(0.001) } },
    nanoUsd: 1_000_000,
  },
  {
    name: 'a video that is to be made',
    operation: 'StartAsyncInvoke',
    bytes: json({ invocationArn: 'arn:aws:bedrock:us-east-1:111122223333:async-invoke/abcdefghijkl' }),
    requestedUnits: { counts: { videoSeconds: 6 }, hasUnknown: false },
    price: { units: { videoSeconds: perPiece(0.08) } },
    nanoUsd: 480_000_000,
  },
  {
    name: 'a reranking at a price per request',
    operation: 'InvokeModel',
    bytes: json({ results: [{ index: 0, relevance_score: 0.9 }] }),
    requestedUnits: { counts: { searchQueries: 1 }, hasUnknown: false },
    price: { request: perPiece(0.002) },
    nanoUsd: 2_000_000,
  },
  {
    name: 'a picture that is embedded, and text',
    operation: 'InvokeModel',
    bytes: json({ embedding: [0.1], inputTextTokenCount: 10 }),
    requestedUnits: { counts: { inputImages: 1 }, hasUnknown: false },
    price: { input: perMillion(0.8), units: { inputImages: perPiece(0.00006) } },
    nanoUsd: 60_000 + 8_000,
  },
  {
    name: 'a video of unknown length that is read',
    operation: 'InvokeModel',
    bytes: json({ message: 'm', usage: { outputTokens: 10 } }),
    requestedUnits: { counts: {}, hasUnknown: true },
    price: { output: perMillion(7.5), units: { inputVideoSeconds: perPiece(0.00049) } },
    nanoUsd: 75_000,
    complete: false,
  },
  {
    name: 'a prompt router, whose own price nobody knows',
    operation: 'Converse',
    model: 'arn:aws:bedrock:us-east-1:111122223333:default-prompt-router/anthropic.claude:1',
    bytes: json({ usage: { inputTokens: 10, outputTokens: 1, totalTokens: 11 } }),
    price: SONNET,
    nanoUsd: 33_000 + 16_500,
    complete: false,
  },
];

function readIn(
  { operation, service = 'bedrock-runtime', model, type = 'application/json', ...exchange }: Exchange,
  sizes: () => number,
): Reading {
  const tap = createTap({ service, operation, model, requestedUnits: exchange.requestedUnits });
  tap.onStart(200, [['content-type', type]]);
  for (let at = 0; at < exchange.bytes.length;) {
    const end = at + sizes();
    tap.onBytes(exchange.bytes.subarray(at, end));
    at = end;
  }
  return tap.finish(true);
}

describe('an exchange', () => {
  it.each(EXCHANGES)('costs what is billed for it: $name', (exchange) => {
    const ways = [() => exchange.bytes.length, () => 1, () => 17, () => 1 + Math.floor(Math.random() * 3000)];
    for (const sizes of ways) {
      const { usage = {}, complete } = readIn(exchange, sizes);
      expect([costOf(usage, exchange.price), complete]).toEqual([exchange.nanoUsd, exchange.complete ?? true]);
    }
  });
});

describe('what only the request tells', () => {
  const requestedUnits = { counts: { videoSeconds: 6 }, hasUnknown: false };

  it('counts once AWS has taken the request, though the response tells nothing', () => {
    const tap = createTap({ service: 'bedrock-runtime', operation: 'StartAsyncInvoke', requestedUnits });
    tap.onStart(200, [['content-type', 'application/json']]);
    tap.onBytes(json({ invocationArn: 'a' }));
    expect(tap.finish(true).usage).toEqual({ units: { videoSeconds: 6 } });
  });

  it.each([400, 429, 500])('does not count if AWS refuses it with status %i', (status) => {
    const tap = createTap({ service: 'bedrock-runtime', operation: 'StartAsyncInvoke', requestedUnits });
    tap.onStart(status, [['content-type', 'application/json']]);
    expect(tap.finish(true)).toMatchObject({ usage: undefined, complete: true, hasUnknownPart: false });
  });

  it('does not count if AWS does not know the operation', () => {
    const tap = createTap({ service: 'bedrock-runtime', operation: 'StartAsyncInvoke', requestedUnits });
    tap.onStart(200, [['content-type', 'application/json']]);
    tap.onBytes(json({ Output: { __type: 'a#UnknownOperationException' }, Version: '1.0' }));
    expect(tap.finish(true)).toMatchObject({ usage: undefined, isRefused: true });
  });
});
