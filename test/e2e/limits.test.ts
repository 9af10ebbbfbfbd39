/**
 * What a key may do, through the whole proxy: who is refused never reaches AWS, and a change counts from the next
 * request on.
 */
import { zstdCompressSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const HAIKU = 'anthropic.claude-haiku-4-5-20251001-v1:0';
const NOVA = 'amazon.nova-lite-v1:0';
const PROFILE = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1def2ghi3';

const { it, testbed } = proxyTest();

/** A key that may do this, and nothing is asked of AWS without it. */
async function keyWith(policy: Partial<KeyPolicy>, alias = 'limited'): Promise<string> {
  const { key } = await testbed.mint(alias, { policy: { ...EMPTY_POLICY, ...policy } });
  return key;
}

interface Response {
  readonly status: number;
  readonly code: string | null;
  readonly headers: Headers;
  readonly message: string;
}

async function call(key: string, path: string, body: object | undefined, method = 'POST'): Promise<Response> {
  const response = await fetch(`${testbed.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const { headers, status } = response;
  return { status, headers, code: headers.get('x-bedrock-proxy-error'), message: text };
}

const CONVERSE = { messages: [{ role: 'user', content: [{ text: 'Hello' }] }], inferenceConfig: { maxTokens: 10 } };
const converse = (key: string, model = NOVA, body: object = CONVERSE): Promise<Response> =>
  call(key, `/model/${encodeURIComponent(model)}/converse`, body);

/** Nova Lite: 60 nano-dollars an input token, 240 an output token. */
const respondToConverse = (inputTokens: number, outputTokens: number): void =>
  testbed.upstream.respondWith((_request, response) =>
    sendJson(response, 200, {
      output: { message: { role: 'assistant', content: [{ text: 'Hi' }] } },
      stopReason: 'end_turn',
      usage: { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens },
      metrics: { latencyMs: 1 },
    }),
  );

it('refuses a write of the control plane to a key by default, and lets a wider one do it', async () => {
  const path = '/guardrails/gr12345678';
  expect(await call(await keyWith({}), path, undefined, 'DELETE')).toMatchObject({ status: 403, code: 'ERR_SCOPE' });
  expect(testbed.upstream.requests).toEqual([]);
  expect((await call(await keyWith({ scope: 'all' }, 'wide'), path, undefined, 'DELETE')).status).toBe(200);
});

describe('models', () => {
  it('allows a model by a pattern, however it is named, and no other', async () => {
    const key = await keyWith({ models: ['anthropic.claude-haiku-*'] });
    const name = `arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.${HAIKU}`;
    expect(await converse(key, name)).toMatchObject({ status: 200 });
    expect(await call(key, `/model/${name}/converse`, CONVERSE)).toMatchObject({ status: 200 });
    const other = await converse(key, name.replace('haiku', 'opus'));
    expect(other).toMatchObject({ status: 403, code: 'ERR_MODEL_NOT_ALLOWED' });
    expect(testbed.upstream.requests).toHaveLength(2);
  });

  it('looks up what stands behind an application inference profile, once', async () => {
    testbed.upstream.respondWith((request, response) => {
      if (request.method !== 'GET') return sendJson(response, 200, {});
      const modelArn = `arn:aws:bedrock:us-east-1::foundation-model/${HAIKU}`;
      return sendJson(response, 200, { inferenceProfileArn: PROFILE, models: [{ modelArn }] });
    });
    const allowed = await keyWith({ models: ['anthropic.claude-haiku-*'] });
    const refused = await keyWith({ models: ['amazon.*'] }, 'other');
    expect(await converse(allowed, PROFILE)).toMatchObject({ status: 200 });
    expect(await converse(allowed, PROFILE)).toMatchObject({ status: 200 });
    expect(await converse(refused, PROFILE)).toMatchObject({ status: 403, code: 'ERR_MODEL_NOT_ALLOWED' });
    const lookups = testbed.upstream.requests.filter(({ method }) => method === 'GET');
    expect(lookups.map(({ rawTarget }) => rawTarget)).toEqual([`/inference-profiles/${encodeURIComponent(PROFILE)}`]);
    const byArn = await keyWith({ models: [PROFILE] }, 'arn');
    expect(await converse(byArn, PROFILE)).toMatchObject({ status: 200 });
  });
});

function pack(model: string): Buffer {
  return zstdCompressSync(JSON.stringify({ model, input: 'Hello', max_output_tokens: 10 }));
}

function sendPacked(key: string, packed: Buffer): Promise<globalThis.Response> {
  return fetch(`${testbed.url}/openai/v1/responses`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-encoding': 'zstd' },
    body: new Uint8Array(packed),
  });
}

describe('a compressed body', () => {
  const allowed = pack('openai.gpt-oss-20b-1:0');

  it.each([
    { name: 'a list of models', policy: { models: ['openai.*'] } },
    { name: 'a budget', policy: { budget: { limitNanoUsd: 1e9, windowMs: undefined, anchorMs: 0 } } },
    { name: 'a rate of tokens', policy: { tokensPerMinute: 10_000 } },
  ])('passes as it came for a key with $name, which reads it', async ({ policy }) => {
    const key = await keyWith(policy);
    expect((await sendPacked(key, allowed)).status).toBe(200);
    const [sent] = testbed.upstream.requests;
    expect(sent?.body.equals(allowed)).toBe(true);
    expect(sent?.header('content-encoding')).toBe('zstd');
    expect(testbed.records[0]?.model).toBe('openai.gpt-oss-20b-1:0');
  });

  it.each([
    { name: 'names a model that is not allowed', body: pack(NOVA), code: 'ERR_MODEL_NOT_ALLOWED' },
    { name: 'is a bomb', body: zstdCompressSync(Buffer.alloc(200_000_000)), code: 'ERR_BODY_TOO_LARGE' },
    { name: 'cannot be unpacked', body: Buffer.from('{"model":"openai.a"}'), code: 'ERR_BODY_ENCODING' },
    {
      // A Node that reads on finds two texts, and no model for certain.
      name: 'goes on after its first frame',
      body: Buffer.concat([allowed, pack(NOVA)]),
      code: /^ERR_(?:BODY_ENCODING|MODEL_NOT_ALLOWED)$/,
    },
  ])('is refused for a key with limits if it $name', async ({ body, code }) => {
    const response = await sendPacked(await keyWith({ models: ['openai.*'] }), body);
    expect(response.headers.get('x-bedrock-proxy-error')).toMatch(code);
    expect(testbed.upstream.requests).toEqual([]);
  });

  it('passes whatever it is for a key without limits', async () => {
    const body = Buffer.from('no zstd');
    expect((await sendPacked(await keyWith({}), body)).status).toBe(200);
    expect(testbed.upstream.requests[0]?.body.equals(body)).toBe(true);
  });
});

describe('rates', () => {
  it('counts the tokens that were used against a rate', async () => {
    const key = await keyWith({ tokensPerMinute: 1000 });
    respondToConverse(900, 10);
    expect(await converse(key)).toMatchObject({ status: 200 });
    const big = { ...CONVERSE, inferenceConfig: { maxTokens: 200 } };
    expect(await converse(key, NOVA, big)).toMatchObject({ status: 429, code: 'ERR_TOKEN_RATE' });
  });

  it('leaves out of a rate what caches served, and weighs the output as AWS does', async () => {
    const key = await keyWith({ tokensPerMinute: 20_000 });
    const usage = { inputTokens: 900, outputTokens: 400, cacheReadInputTokens: 150_000, totalTokens: 151_300 };
    testbed.upstream.respondWith((_request, response) => sendJson(response, 200, { usage }));
    for (let turn = 0; turn < 4; turn += 1) expect(await converse(key, HAIKU)).toMatchObject({ status: 200 });
    // Four turns of 900 and 5 x 400.
    const big = { ...CONVERSE, inferenceConfig: { maxTokens: 10_000 } };
    const refused = await converse(key, HAIKU, big);
    expect(refused).toMatchObject({ status: 429, code: 'ERR_TOKEN_RATE' });
    expect(refused.message).toContain('11600 count for the last one');
  });
});
