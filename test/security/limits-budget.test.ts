/**
 * A budget against the one who holds the key: every way to make the model work while the books say that it hardly did.
 * What a client chooses (where a limit stands, how often a member comes, when it leaves) must not make a request cheap.
 */
import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { cutConnection, sendJson } from '../helpers/fake-upstream.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { type Testbed, startProxy } from '../helpers/testbed.ts';

/** 60 nano-dollars a token in, 240 out: 1 dollar reserves some 4 million tokens of response. */
const NOVA = 'amazon.nova-lite-v1:0';
const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const SONNET_IN = 3_300;
const SONNET_OUT = 16_500;
const CHEAP = 'openai.gpt-oss-20b-1:0';
const DEAR = 'openai.gpt-oss-120b-1:0';

const { it, testbed } = proxyTest();

async function keyWith(limitUsd: number, policy: Partial<KeyPolicy> = {}, at: Testbed = testbed): Promise<string> {
  const budget = { limitNanoUsd: limitUsd * 1e9, windowMs: undefined, anchorMs: 0 };
  return (await at.mint('thrifty', { policy: { ...EMPTY_POLICY, budget, ...policy } })).key;
}

interface Sent {
  readonly status: number;
  readonly code: string | null;
}

async function send(
  key: string,
  path: string,
  body: object | string,
  headers: Record<string, string> = {},
  at: Testbed = testbed,
): Promise<Sent> {
  const response = await fetch(`${at.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  await response.arrayBuffer();
  return { status: response.status, code: response.headers.get('x-bedrock-proxy-error') };
}

async function lastRow(at: Testbed = testbed): Promise<LedgerEntry> {
  const [row] = await at.store.readLedgerBackwards({}, { limit: 1 });
  if (row === undefined) throw new Error('the ledger is empty');
  return row;
}

const respond = (handler: (response: ServerResponse) => void, at: Testbed = testbed): void =>
  at.upstream.respondWith((_request, response) => handler(response));

const MESSAGES = [{ role: 'user', content: [{ text: 'Write for as long as you can.' }] }];

describe('a limit of the response that AWS does not read there', () => {
  it.each([
    { name: 'Converse', path: `/model/${NOVA}/converse`, body: { messages: MESSAGES, max_tokens: 1 } },
    {
      name: 'Converse, in fields that the model may not know',
      path: `/model/${NOVA}/converse`,
      body: { messages: MESSAGES, additionalModelRequestFields: { max_new_tokens: 1 } },
    },
    { name: 'ConverseStream', path: `/model/${NOVA}/converse-stream`, body: { messages: MESSAGES, max_gen_len: 1 } },
    { name: 'Claude by InvokeModel', path: `/model/${SONNET}/invoke`, body: { messages: [], max_gen_len: 1 } },
    { name: 'Nova by InvokeModel', path: `/model/${NOVA}/invoke`, body: { messages: [], max_tokens: 1 } },
    { name: 'OpenAI chat', path: '/openai/v1/chat/completions', body: { model: DEAR, messages: [], maxTokens: 1 } },
    { name: 'OpenAI responses', path: '/openai/v1/responses', body: { model: DEAR, input: '', max_tokens: 1 } },
  ])('reserves in full though a limit stands where AWS does not read it: $name', async ({ path, body }) => {
    // Less than 8,192 tokens of response cost at any of these models.
    const key = await keyWith(0.0005);
    expect(await send(key, path, body)).toEqual({ status: 402, code: 'ERR_BUDGET_EXCEEDED' });
    expect(testbed.upstream.requests).toEqual([]);
  });
});

it('counts text without a space as text, not as a picture', async () => {
  const text = 'word_'.repeat(20_000);
  const key = await keyWith(0.001);
  const body = { messages: [{ role: 'user', content: [{ text }] }], inferenceConfig: { maxTokens: 1 } };
  // 100,000 bytes are 33,334 tokens, which is 2 thousandths of a dollar.
  expect(await send(key, `/model/${NOVA}/converse`, body)).toMatchObject({ status: 402 });
  const picture = { messages: [{ role: 'user', content: [{ image: { format: 'png', source: { bytes: text } } }] }] };
  const admitted = await send(key, `/model/${NOVA}/converse`, { ...picture, inferenceConfig: { maxTokens: 1 } });
  expect(admitted.status).toBe(200);
});

describe('two models in one body', () => {
  it.each([
    { name: 'the cheap one first', models: [CHEAP, DEAR] },
    { name: 'the dear one first', models: [DEAR, CHEAP] },
  ])('refuses two models in one body, of which others may read the other one: $name', async ({ models }) => {
    const key = await keyWith(10);
    const body = `{"model":"${models[0]}","max_tokens":1000,"messages":[],"model":"${models[1]}"}`;
    expect(await send(key, '/openai/v1/chat/completions', body)).toMatchObject({ status: 403 });
    expect(await lastRow()).toMatchObject({ chargedNanoUsd: 0, errorCode: 'ERR_MODEL_NOT_ALLOWED' });
  });
});

describe('a response whose cost nobody can tell', () => {
  const RESERVED = 8_192 * SONNET_OUT;

  it('charges what was reserved for a way of serving without a price', async () => {
    const key = await keyWith(10);
    respond((response) =>
      sendJson(response, 200, {
        output: {},
        usage: { inputTokens: 100_000, outputTokens: 8_000, totalTokens: 108_000 },
        performanceConfig: { latency: 'optimized' },
        serviceTier: { type: 'priority' },
      }),
    );
    expect(await send(key, `/model/${SONNET}/converse`, { messages: MESSAGES })).toMatchObject({ status: 200 });
    const row = await lastRow();
    expect(row).toMatchObject({ pricing: 'unpriced', costNanoUsd: undefined });
    expect(row.chargedNanoUsd).toBeGreaterThanOrEqual(RESERVED);
  });

  it.each([
    { name: 'no usage', content: { output: { message: { content: [{ text: 'Here it is.' }] } } } },
    { name: 'nonsense', content: { usage: { inputTokens: -5, outputTokens: 'many' } } },
    { name: 'nothing at all', content: {} },
  ])('charges what was reserved for a response that reports $name', async ({ content }) => {
    const key = await keyWith(10);
    respond((response) => sendJson(response, 200, content));
    await send(key, `/model/${SONNET}/converse`, { messages: MESSAGES });
    const row = await lastRow();
    expect(row).toMatchObject({ pricing: 'unpriced', partial: true });
    expect(row.chargedNanoUsd).toBeGreaterThanOrEqual(RESERVED);
  });

  it('charges what was reserved for a response that is worked on while its client asks for it later', async () => {
    const key = await keyWith(10);
    respond((response) => sendJson(response, 200, { id: 'resp_1', status: 'queued', background: true, usage: null }));
    const body = { model: DEAR, input: 'Hello', background: true, max_output_tokens: 10_000 };
    expect(await send(key, '/openai/v1/responses', body)).toMatchObject({ status: 200 });
    // 10,000 x 600
    expect((await lastRow()).chargedNanoUsd).toBeGreaterThanOrEqual(6_000_000);
  });

  it('charges what a response reports, also beyond what was reserved', async () => {
    const key = await keyWith(10);
    respond((response) =>
      sendJson(response, 200, {
        output: {},
        usage: { inputTokens: 10, outputTokens: 60_000, totalTokens: 60_010 },
        trace: { guardrail: { inputAssessment: { a: { invocationMetrics: { usage: { topicPolicyUnits: 1 } } } } } },
      }),
    );
    await send(key, `/model/${SONNET}/converse`, { messages: MESSAGES });
    expect(await lastRow()).toMatchObject({ chargedNanoUsd: 10 * SONNET_IN + 60_000 * SONNET_OUT + 150_000 });
  });
});

describe('a request in disguise', () => {
  it.each(['bedrock-runtime', 'bedrock-agent-runtime', 'bedrock', 'bedrock-agentcore', 'agentcore-gateway/g1'])(
    'is charged for the model that it runs, though it names %s',
    async (service) => {
      const key = await keyWith(10, { allowUnpriced: true });
      respond((response) => sendJson(response, 200, { output: {}, usage: { inputTokens: 10, outputTokens: 5 } }));
      expect(await send(key, `/${service}/model/${SONNET}/converse`, { messages: MESSAGES })).toMatchObject({
        status: 200,
      });
      expect(await lastRow()).toMatchObject({
        operation: 'Converse',
        model: SONNET,
        chargedNanoUsd: 10 * SONNET_IN + 5 * SONNET_OUT,
      });
    },
  );

  it.each([
    `{"model":"${CHEAP}","Model":"${DEAR}","messages":[]}`,
    `{"model":"${CHEAP}","model":["${DEAR}"],"messages":[]}`,
    `{"model":"${CHEAP}","max_tokens":1,"MAX_TOKENS":100000,"messages":[]}`,
  ])('is refused if two parsers read two requests: %s', async (body) => {
    const key = await keyWith(10, { allowUnpriced: true });
    const sent = await send(key, '/openai/v1/chat/completions', body);
    expect(sent).toEqual({ status: 403, code: 'ERR_MODEL_NOT_ALLOWED' });
    expect(testbed.upstream.requests).toEqual([]);
  });
});

describe('a client that leaves', () => {
  it('charges what was reserved if a client leaves before a response that is made all the same', async () => {
    const key = await keyWith(10);
    const { promise: isAsked, resolve: asked } = Promise.withResolvers<void>();
    respond(() => asked());
    const leaving = new AbortController();
    const sent = fetch(`${testbed.url}/model/${SONNET}/converse`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ messages: MESSAGES, inferenceConfig: { maxTokens: 1_000 } }),
      signal: leaving.signal,
    });
    sent.catch(() => {});
    await isAsked;
    const over = testbed.nextRecord();
    leaving.abort();
    await over;
    const row = await lastRow();
    expect(row).toMatchObject({ errorCode: 'ERR_CLIENT_GONE', partial: true });
    expect(row.chargedNanoUsd).toBeGreaterThanOrEqual(1_000 * SONNET_OUT);
  });

  it('charges little for what AWS itself broke off', async () => {
    const key = await keyWith(10);
    respond((response) => cutConnection(response));
    const over = testbed.nextRecord();
    await send(key, `/model/${SONNET}/converse`, { messages: MESSAGES, inferenceConfig: { maxTokens: 1_000 } });
    await over;
    expect(await lastRow()).toMatchObject({ errorCode: 'ERR_UPSTREAM_RESET', partial: true });
    expect((await lastRow()).chargedNanoUsd).toBeLessThan(1_000 * SONNET_OUT);
  });
});

describe('a client that leaves just before the usage', () => {
  it('charges a client that leaves just before the usage for what it read, again and again', async () => {
    const key = await keyWith(0.01);
    const text = 'Once upon a time. '.repeat(200);
    respond((response) => {
      startEventStream(response);
      response.write(eventFrame('contentBlockDelta', { delta: { text }, contentBlockIndex: 0 }));
      response.write(eventFrame('messageStop', { stopReason: 'end_turn' }));
    });
    let served = 0;
    for (;;) {
      const response = await fetch(`${testbed.url}/model/${SONNET}/converse-stream`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ messages: MESSAGES, inferenceConfig: { maxTokens: 400 } }),
      });
      if (response.status !== 200) {
        expect(response.status).toBe(402);
        await response.arrayBuffer();
        break;
      }
      served += 1;
      expect(served).toBeLessThan(10);
      const over = testbed.nextRecord();
      const reader = response.body?.getReader();
      await reader?.read();
      await reader?.cancel();
      await over;
    }
    const row = (await testbed.store.readLedger({}, { after: 0, limit: 1 }))[0];
    expect(row).toMatchObject({ partial: true, errorCode: 'ERR_CLIENT_GONE' });
    // Not more than was reserved, and not less than four bytes a token.
    expect(row?.chargedNanoUsd).toBeGreaterThanOrEqual(Math.min(400, text.length / 4) * SONNET_OUT);
  });
});

describe('a tier that is asked for where AWS does not read it', () => {
  it.each([
    {
      name: 'a header of Converse',
      path: `/model/${NOVA}/converse`,
      headers: { 'x-amzn-bedrock-service-tier': 'flex' },
      body: {},
    },
    {
      name: "a member of Converse's body",
      path: `/model/${NOVA}/converse`,
      headers: {},
      body: { service_tier: 'flex' },
    },
    {
      name: "a member of InvokeModel's body",
      path: `/model/${NOVA}/invoke`,
      headers: {},
      body: { serviceTier: { type: 'flex' } },
    },
  ])('makes nothing cheaper by a tier where AWS does not read it: $name', async ({ path, headers, body }) => {
    const prices = join(await makeTemporaryFolder(), 'prices.json');
    const flex = {
      models: {
        [NOVA]: { input_mtok: 0.06, output_mtok: 0.24, tiers: { flex: { input_mtok: 0.03, output_mtok: 0.12 } } },
      },
    };
    await writeFile(prices, JSON.stringify(flex));
    await using owner = await startProxy({ flags: { prices } });
    const key = await keyWith(10, {}, owner);
    respond(
      (response) => sendJson(response, 200, { usage: { inputTokens: 1_000, outputTokens: 1_000, totalTokens: 2_000 } }),
      owner,
    );
    await send(key, path, { messages: MESSAGES, ...body }, headers, owner);
    expect(await lastRow(owner)).toMatchObject({ chargedNanoUsd: 1_000 * 60 + 1_000 * 240 });
    expect(owner.upstream.failures).toEqual([]);
  });
});
