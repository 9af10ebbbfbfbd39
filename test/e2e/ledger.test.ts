/**
 * What requests cost, through the whole proxy: a list of known requests, its cost worked out by hand in nano-dollars,
 * and what the ledger, the response headers and the metrics say of it.
 */
import { beforeEach, describe, expect } from 'vitest';
import type { ServerResponse } from 'node:http';
import { sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { startProxy } from '../helpers/testbed.ts';

const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const GLOBAL_SONNET = 'global.anthropic.claude-sonnet-4-5-20250929-v1:0';
const NOVA = 'amazon.nova-lite-v1:0';

const { it, testbed } = proxyTest();
let key: string;

beforeEach(async () => {
  key = (await testbed.mint('books', { tags: { team: 'red' } })).key;
});

async function post(path: string, body: object = {}): Promise<Response> {
  const response = await fetch(`${testbed.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'user-agent': 'Boto3/1.44.5' },
    body: JSON.stringify(body),
  });
  await response.arrayBuffer();
  return response;
}

const respond = (content: object, headers: Record<string, string> = {}): void =>
  testbed.upstream.respondWith((_request, response) => sendJson(response, 200, content, headers));

const CONVERSE_RESPONSE = {
  output: { message: { role: 'assistant', content: [{ text: 'Hi' }] } },
  stopReason: 'end_turn',
};

interface Known {
  readonly name: string;
  readonly path: string;
  readonly body?: object;
  readonly respond: (response: ServerResponse) => void;
  /** Worked out from the prices of AWS, in nano-dollars. */
  readonly costNanoUsd: number | undefined;
}

const KNOWN: readonly Known[] = [
  {
    name: 'Converse',
    path: `/model/${NOVA}/converse`,
    respond: (response) =>
      sendJson(response, 200, {
        ...CONVERSE_RESPONSE,
        usage: { inputTokens: 1000, outputTokens: 50, totalTokens: 1050 },
      }),
    // 1000 x 60 + 50 x 240
    costNanoUsd: 72_000,
  },
  {
    name: 'Converse with caches of both lives',
    path: `/model/${SONNET}/converse`,
    respond: (response) =>
      sendJson(response, 200, {
        ...CONVERSE_RESPONSE,
        usage: {
          inputTokens: 10,
          outputTokens: 20,
          totalTokens: 3030,
          cacheReadInputTokens: 1000,
          cacheWriteInputTokens: 2000,
          cacheDetails: [
            { ttl: '1h', inputTokens: 500 },
            { ttl: '5m', inputTokens: 1500 },
          ],
        },
      }),
    // 10 x 3300 + 20 x 16500 + 1000 x 330 + 1500 x 4125 + 500 x 6600
    costNanoUsd: 33_000 + 330_000 + 330_000 + 6_187_500 + 3_300_000,
  },
  {
    name: 'ConverseStream, a global profile',
    path: `/model/${GLOBAL_SONNET}/converse-stream`,
    respond: (response) => {
      startEventStream(response);
      response.write(eventFrame('contentBlockDelta', { delta: { text: 'Hi' }, contentBlockIndex: 0 }));
      response.end(eventFrame('metadata', { usage: { inputTokens: 7, outputTokens: 3, totalTokens: 10 } }));
    },
    // 7 x 3000 + 3 x 15000
    costNanoUsd: 66_000,
  },
  {
    name: 'InvokeModel, by its headers',
    path: `/model/${NOVA}/invoke`,
    respond: (response) =>
      sendJson(
        response,
        200,
        { output: {} },
        {
          'x-amzn-bedrock-input-token-count': '11',
          'x-amzn-bedrock-output-token-count': '13',
        },
      ),
    // 11 x 60 + 13 x 240
    costNanoUsd: 3_780,
  },
  {
    name: "InvokeModel, by the provider's body",
    path: `/model/${SONNET}/invoke`,
    respond: (response) =>
      sendJson(response, 200, { type: 'message', content: [], usage: { input_tokens: 5, output_tokens: 2 } }),
    // 5 x 3300 + 2 x 16500
    costNanoUsd: 49_500,
  },
  {
    name: 'InvokeModelWithResponseStream',
    path: `/model/${SONNET}/invoke-with-response-stream`,
    respond: (response) => {
      const last = {
        type: 'message_stop',
        'amazon-bedrock-invocationMetrics': { inputTokenCount: 9, outputTokenCount: 4, invocationLatency: 1 },
      };
      startEventStream(response);
      response.end(eventFrame('chunk', { bytes: Buffer.from(JSON.stringify(last)).toString('base64') }));
    },
    // 9 x 3300 + 4 x 16500
    costNanoUsd: 95_700,
  },
  {
    name: 'ChatCompletions',
    path: '/openai/v1/chat/completions',
    body: { model: 'openai.gpt-oss-20b-1:0', messages: [] },
    respond: (response) =>
      sendJson(response, 200, { choices: [], usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 } }),
    // 100 x 70 + 10 x 300
    costNanoUsd: 10_000,
  },
  {
    name: 'a model that nobody has a price of',
    path: '/model/nobody.knows-v1:0/converse',
    respond: (response) =>
      sendJson(response, 200, { ...CONVERSE_RESPONSE, usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } }),
    costNanoUsd: undefined,
  },
  {
    name: 'what AWS refuses',
    path: `/model/${NOVA}/converse`,
    respond: (response) =>
      sendAwsError(response, { status: 429, type: 'ThrottlingException', message: 'Too many tokens' }),
    costNanoUsd: 0,
  },
];

it('knows the cost of known requests to the nano-dollar', async () => {
  for (const { path, body, respond: send } of KNOWN) {
    testbed.upstream.respondWith((_request, response) => send(response));
    const over = testbed.nextRecord();
    await post(path, body);
    await over;
  }
  const entries = await testbed.store.readLedger({}, { after: 0, limit: 100 });
  expect(entries.map(({ costNanoUsd }, index) => [KNOWN[index]?.name, costNanoUsd])).toEqual(
    KNOWN.map(({ name, costNanoUsd }) => [name, costNanoUsd]),
  );
  const total = KNOWN.reduce((sum, { costNanoUsd }) => sum + (costNanoUsd ?? 0), 0);
  const { groups, total: sums } = await testbed.store.sumUsage({ filter: {}, by: ['key'] });
  expect(sums).toMatchObject({ requests: 9, errors: 1, unpriced: 1, partial: 0, costNanoUsd: total });
  expect(groups).toMatchObject([{ label: 'books', costNanoUsd: total }]);
  const [row] = await testbed.store.listKeys();
  const spend = row && (await testbed.store.findSpend([row], Date.now())).get(row.id);
  expect(spend?.totalNanoUsd).toBe(total);
});

it('writes all that is known of a request', async () => {
  respond({ ...CONVERSE_RESPONSE, usage: { inputTokens: 2, outputTokens: 1, totalTokens: 3 } });
  const over = testbed.nextRecord();
  const response = await post(`/model/${NOVA}/converse`);
  await over;
  const [entry] = await testbed.store.readLedger({}, { after: 0, limit: 1 });
  expect(entry).toMatchObject({
    id: response.headers.get('x-bedrock-proxy-request-id'),
    principal: 'key',
    keyLabel: 'books',
    service: 'bedrock-runtime',
    operation: 'Converse',
    region: 'us-east-1',
    model: NOVA,
    status: 200,
    errorCode: undefined,
    upstreamRequestId: '00000000-0000-4000-8000-000000000001',
    usage: { inputTokens: 2, outputTokens: 1 },
    pricing: 'priced',
    costNanoUsd: 360,
    chargedNanoUsd: 360,
    partial: false,
    tags: { team: 'red' },
    userAgent: 'boto3',
    requestBytes: 2,
  });
  expect(entry?.totalMs).toBeGreaterThan(0);
  expect(entry?.firstByteMs).toBeGreaterThan(0);
});

describe('response headers', () => {
  it('says in headers what a whole response cost, and what the proxy took', async () => {
    respond({ ...CONVERSE_RESPONSE, usage: { inputTokens: 1000, outputTokens: 50, totalTokens: 1050 } });
    const { headers } = await post(`/model/${NOVA}/converse`);
    expect(headers.get('x-bedrock-proxy-cost')).toBe('0.000072');
    expect(headers.get('x-litellm-response-cost')).toBe('0.000072');
    expect(headers.get('x-litellm-call-id')).toBe(headers.get('x-bedrock-proxy-request-id'));
    expect(headers.get('x-bedrock-proxy-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(Number(headers.get('x-bedrock-proxy-overhead-ms'))).toBeGreaterThan(0);
  });

  it('says in headers that nobody knows the cost', async () => {
    respond({ ...CONVERSE_RESPONSE, usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } });
    const { headers } = await post('/model/nobody.knows-v1:0/converse');
    expect(headers.get('x-bedrock-proxy-cost')).toBe('unpriced');
    expect(headers.get('x-litellm-response-cost')).toBeNull();
  });

  it('sends no cost headers with a stream', async () => {
    testbed.upstream.respondWith((_request, response) => {
      startEventStream(response);
      response.write(eventFrame('messageStart', { role: 'assistant' }));
    });
    const response = await fetch(`${testbed.url}/model/${NOVA}/converse-stream`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: '{}',
    });
    expect(response.headers.get('x-bedrock-proxy-cost')).toBeNull();
    const reader = response.body?.getReader();
    expect((await reader?.read())?.value?.length).toBeGreaterThan(0);
    await reader?.cancel();
  });

  it('leaves its headers out if the response must be what AWS sent', async () => {
    await using exact = await startProxy({ environment: { BEDROCK_PROXY_NO_RESPONSE_HEADERS: '1' } });
    exact.upstream.respondWith((_request, response) => sendJson(response, 200, { usage: { inputTokens: 1 } }));
    const response = await fetch(`${exact.url}/model/${NOVA}/converse`, { method: 'POST', body: '{}' });
    expect([...response.headers.keys()].filter((name) => /^x-(?:bedrock-proxy|litellm)-/.test(name))).toEqual([]);
  });
});

it('records what was seen of a stream whose client left, and says that it is not all', async () => {
  testbed.upstream.respondWith((_request, response) => {
    const first = { type: 'message_start', message: { usage: { input_tokens: 100, output_tokens: 1 } } };
    startEventStream(response);
    response.write(eventFrame('chunk', { bytes: Buffer.from(JSON.stringify(first)).toString('base64') }));
  });
  const response = await fetch(`${testbed.url}/model/${SONNET}/invoke-with-response-stream`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: '{}',
  });
  const reader = response.body?.getReader();
  await reader?.read();
  const over = testbed.nextRecord();
  await reader?.cancel();
  await over;
  const [entry] = await testbed.store.readLedger({}, { after: 0, limit: 1 });
  expect(entry).toMatchObject({
    partial: true,
    errorCode: 'ERR_CLIENT_GONE',
    status: 200,
    usage: { inputTokens: 100 },
    pricing: 'priced',
  });
  // 100 x 3300, and the one output token that was told of.
  expect(entry?.costNanoUsd).toBe(346_500);
});
