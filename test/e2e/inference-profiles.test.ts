/**
 * What AWS is told of a caller in the request itself: an application inference profile in place of a model, and
 * metadata for its invocation logs. Both are signed; the body is never touched, and what it costs is what the model
 * costs.
 */
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';
import { beforeEach, describe, expect } from 'vitest';
import type { KeyPolicy } from '../../src/domain/key.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { MintedKey } from '../../src/keys/mint.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const NOVA = 'amazon.nova-lite-v1:0';
const ARN = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1def2ghi3';
const BODY = `{ "messages":[{"role":"user","content":[{"text":"${NOVA}"}]}], "model" : "${NOVA}" }`;
const METADATA = 'x-amzn-bedrock-request-metadata';

const { it, testbed } = proxyTest({ flags: { requestMetadata: 'true' } });

beforeEach(() => {
  testbed.upstream.respondWith((_request, response) =>
    sendJson(response, 200, {
      output: { message: { role: 'assistant', content: [{ text: 'Hi' }] } },
      stopReason: 'end_turn',
      usage: { inputTokens: 1000, outputTokens: 50, totalTokens: 1050 },
    }),
  );
});

function keyWith(policy: Partial<KeyPolicy> = {}): Promise<MintedKey> {
  const all = { ...EMPTY_POLICY, inferenceProfiles: { [NOVA]: [ARN] }, ...policy };
  return testbed.mint('search', { policy: all, tags: { team: 'ads' } });
}

async function post({ key }: MintedKey, path: string, more: Readonly<Record<string, string>> = {}): Promise<Response> {
  const ended = testbed.nextRecord();
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...more };
  const response = await fetch(`${testbed.url}${path}`, { method: 'POST', headers, body: BODY });
  await response.arrayBuffer();
  await ended;
  return response;
}

async function lastRow(): Promise<object | undefined> {
  const [row] = await testbed.store.readLedgerBackwards({}, { limit: 1 });
  return row;
}

describe('an inference profile of a key', () => {
  it('is sent in place of the model, which is judged and priced all the same', async () => {
    const key = await keyWith({ models: ['amazon.nova-*'] });
    const response = await post(key, `/model/${NOVA}/converse?a=%2f`);
    // 1000 x 60 + 50 x 240
    expect([response.status, response.headers.get('x-bedrock-proxy-cost')]).toEqual([200, '0.000072']);
    const [sent, ...others] = testbed.upstream.requests;
    expect([sent?.rawTarget, sent?.body.toString()]).toEqual([
      `/model/${encodeURIComponent(ARN)}/converse?a=%2f`,
      BODY,
    ]);
    // Nobody had to ask AWS what is behind it.
    expect(others).toEqual([]);
    expect(await lastRow()).toMatchObject({
      model: NOVA,
      inferenceProfile: ARN,
      costNanoUsd: 72_000,
      keyLabel: 'search',
    });
  });

  it('opens no model that the key may not use', async () => {
    const response = await post(await keyWith({ models: ['anthropic.*'] }), `/model/${NOVA}/converse`);
    expect([response.status, testbed.upstream.requests]).toEqual([403, []]);
    expect(await lastRow()).toMatchObject({ model: NOVA, errorCode: 'ERR_MODEL_NOT_ALLOWED' });
  });

  it('takes the place of the model behind an alias', async () => {
    const key = await keyWith({ modelAliases: { fast: NOVA } });
    await post(key, '/model/fast/converse');
    expect(testbed.upstream.requests[0]?.rawTarget).toBe(`/model/${encodeURIComponent(ARN)}/converse`);
    expect(await lastRow()).toMatchObject({ model: NOVA, modelAlias: 'fast', inferenceProfile: ARN });
  });

  it('is not used in another region', async () => {
    await post(await keyWith(), `/model/${NOVA}/converse`, { 'x-bedrock-proxy-region': 'eu-west-1' });
    expect(testbed.upstream.requests[0]?.rawTarget).toBe(`/model/${NOVA}/converse`);
    expect(await lastRow()).toMatchObject({ model: NOVA, inferenceProfile: undefined, region: 'eu-west-1' });
  });

  it('does not concern a client that signs: what it sent is verified', async () => {
    const { accessKeyId, key } = await keyWith();
    const client = new BedrockRuntimeClient({
      endpoint: testbed.url,
      region: 'us-east-1',
      credentials: { accessKeyId, secretAccessKey: key },
      requestHandler: { requestTimeout: 5_000 },
    });
    const messages = [{ role: 'user' as const, content: [{ text: 'Hi' }] }];
    const { stopReason } = await client.send(new ConverseCommand({ modelId: NOVA, messages }));
    client.destroy();
    expect(stopReason).toBe('end_turn');
    expect(testbed.upstream.requests[0]?.rawTarget).toBe(`/model/${encodeURIComponent(ARN)}/converse`);
  });
});

describe('the metadata of a request', () => {
  it.each(['invoke', 'invoke-with-response-stream'])('names key and tags, and is signed: %s', async (action) => {
    const given = { [METADATA]: '{"run":"7","team":"boss"}', 'x-bedrock-proxy-tags': 'team=other' };
    expect((await post(await keyWith(), `/model/${NOVA}/${action}`, given)).status).toBe(200);
    const [sent] = testbed.upstream.requests;
    expect(JSON.parse(sent?.header(METADATA) ?? '')).toEqual({ bedrock_proxy_key: 'search', team: 'ads', run: '7' });
    expect(sent?.signature?.signedHeaders).toContain(METADATA);
    expect(sent?.headers.filter(([name]) => name.toLowerCase() === METADATA)).toHaveLength(1);
  });

  it('is not there for Converse, whose body has its own', async () => {
    await post(await keyWith(), `/model/${NOVA}/converse`);
    expect(testbed.upstream.requests[0]?.header(METADATA)).toBeUndefined();
    expect(testbed.upstream.requests[0]?.body.toString()).toBe(BODY);
  });

  it('cannot be avoided by one that nobody can read; nothing is sent, or reserved', async () => {
    const key = await keyWith({ budget: { limitNanoUsd: 1e9, windowMs: undefined, anchorMs: 0 } });
    const response = await post(key, `/model/${NOVA}/invoke`, { [METADATA]: '{' });
    expect([response.status, response.headers.get('x-bedrock-proxy-error')]).toEqual([400, 'ERR_BAD_REQUEST']);
    expect(testbed.upstream.requests).toEqual([]);
    expect(await lastRow()).toMatchObject({ errorCode: 'ERR_BAD_REQUEST', chargedNanoUsd: 0 });
  });
});
