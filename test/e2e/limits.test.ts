/**
 * What a key may do, through the whole proxy: who is refused never reaches AWS, and a change counts from the next
 * request on.
 */
import { describe, expect } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/policy.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import { sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
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

describe('scope', () => {
  it.each([
    { name: 'deletes a guardrail', method: 'DELETE', path: '/guardrails/gr12345678' },
    { name: 'buys a provisioned throughput', method: 'POST', path: '/provisioned-model-throughput' },
    { name: 'an unknown write of the control plane', method: 'POST', path: '/bedrock/something-new' },
  ])('refuses a key by default, if it asks for a write: $name', async ({ method, path }) => {
    const refused = await call(await keyWith({}), path, method === 'POST' ? {} : undefined, method);
    expect(refused).toMatchObject({ status: 403, code: 'ERR_SCOPE' });
    expect(testbed.upstream.requests).toEqual([]);
    const admitted = await call(
      await keyWith({ scope: 'all' }, 'wide'),
      path,
      method === 'POST' ? {} : undefined,
      method,
    );
    expect(admitted.status).toBe(200);
  });

  it('lets a key by default read the control plane', async () => {
    const response = await call(await keyWith({}), '/foundation-models', undefined, 'GET');
    expect(response.status).toBe(200);
  });
});

describe('models', () => {
  it.each([
    HAIKU,
    `us.${HAIKU}`,
    `global.${HAIKU}`,
    `arn:aws:bedrock:us-east-1::foundation-model/${HAIKU}`,
    `arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.${HAIKU}`,
  ])('allows by one pattern the model named as %s, and no other', async (name) => {
    const key = await keyWith({ models: ['anthropic.claude-haiku-*'] });
    expect(await converse(key, name)).toMatchObject({ status: 200 });
    const raw = await call(key, `/model/${name}/converse`, CONVERSE);
    expect(raw.status).toBe(200);
    const other = await converse(key, name.replace('haiku', 'opus'));
    expect(other).toMatchObject({ status: 403, code: 'ERR_MODEL_NOT_ALLOWED' });
    expect(testbed.upstream.requests).toHaveLength(2);
  });

  it('sees the model that a body names, however often and however it is spelt', async () => {
    const key = await keyWith({ models: ['openai.*'] });
    const chat = (body: string): Promise<Awaited<ReturnType<typeof fetch>>> =>
      fetch(`${testbed.url}/openai/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body,
      });
    expect((await chat('{"model":"openai.gpt-oss-20b-1:0","messages":[]}')).status).toBe(200);
    const refused = [
      '{"model":"openai.gpt-oss-20b-1:0","messages":[],"model":"us.anthropic.claude-opus-4-6-v1"}',
      '{"model":"openai.gpt-oss-20b-1:0","mod\\u0065l":"us.anthropic.claude-opus-4-6-v1"}',
      '{"messages":[]}',
      '{"model":"openai.gpt-oss-20b-1:0"',
      '\ufeff{"model":"openai.gpt-oss-20b-1:0"}',
      '{"model":["us.anthropic.claude-opus-4-6-v1"]}',
    ];
    for (const body of refused) {
      const response = await chat(body);
      expect([body, response.status, response.headers.get('x-bedrock-proxy-error')]).toEqual([
        body,
        403,
        'ERR_MODEL_NOT_ALLOWED',
      ]);
    }
    expect(testbed.upstream.requests).toHaveLength(1);
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

  it('refuses an application inference profile whose models AWS does not tell', async () => {
    testbed.upstream.respondWith((_request, response) =>
      sendAwsError(response, { status: 403, type: 'AccessDeniedException', message: 'no' }),
    );
    const key = await keyWith({ models: ['anthropic.*'] });
    expect(await converse(key, PROFILE)).toMatchObject({ status: 403, code: 'ERR_MODEL_NOT_ALLOWED' });
  });
});

it('keeps a key to its regions', async () => {
  const key = await keyWith({ regions: ['eu-*'] });
  expect(await converse(key)).toMatchObject({ status: 403, code: 'ERR_REGION_NOT_ALLOWED' });
  const response = await fetch(`${testbed.url}/model/${NOVA}/converse`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'x-bedrock-proxy-region': 'eu-west-1' },
    body: JSON.stringify(CONVERSE),
  });
  expect(response.status).toBe(200);
});

describe('rates', () => {
  it("lets Claude Code's burst of thirty one-token calls through, and says to the next one when to come again", async () => {
    const key = await keyWith({ requestsPerMinute: 30, maxParallel: 30 });
    respondToConverse(5, 1);
    const oneToken = { ...CONVERSE, inferenceConfig: { maxTokens: 1 } };
    const burst = await Promise.all(Array.from({ length: 30 }, () => converse(key, NOVA, oneToken)));
    expect(burst.map(({ status }) => status)).toEqual(Array.from({ length: 30 }, () => 200));
    const next = await converse(key, NOVA, oneToken);
    expect(next).toMatchObject({ status: 429, code: 'ERR_REQUEST_RATE' });
    expect(next.headers.get('x-amzn-errortype')).toBe('ThrottlingException');
    expect(Number(next.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(next.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect(testbed.upstream.requests).toHaveLength(30);
  });

  it('frees a slot if a client leaves', async () => {
    const key = await keyWith({ maxParallel: 1 });
    testbed.upstream.respondWith(() => {});
    const leaving = new AbortController();
    const first = fetch(`${testbed.url}/model/${NOVA}/converse`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify(CONVERSE),
      signal: leaving.signal,
    });
    await testbed.upstream.nextRequest();
    expect(await converse(key)).toMatchObject({ status: 429, code: 'ERR_TOO_MANY_PARALLEL' });
    const over = testbed.nextRecord();
    leaving.abort();
    await expect(first).rejects.toThrow();
    await over;
    respondToConverse(1, 1);
    expect(await converse(key)).toMatchObject({ status: 200 });
  });

  it('counts the tokens that were used against a rate', async () => {
    const key = await keyWith({ tokensPerMinute: 1000 });
    respondToConverse(900, 10);
    expect(await converse(key)).toMatchObject({ status: 200 });
    const big = { ...CONVERSE, inferenceConfig: { maxTokens: 200 } };
    expect(await converse(key, NOVA, big)).toMatchObject({ status: 429, code: 'ERR_TOKEN_RATE' });
  });
});

const budget = (limitNanoUsd: number): KeyPolicy['budget'] => ({ limitNanoUsd, windowMs: undefined, anchorMs: 0 });

describe('budgets', () => {
  it('does not overspend a budget by a hundred requests at once', async () => {
    // One request: at most 100 output tokens, 24,000 nano-dollars, and a little for its input.
    const key = await keyWith({ budget: budget(100_000) });
    respondToConverse(5, 100);
    const body = { ...CONVERSE, inferenceConfig: { maxTokens: 100 } };
    const responses = await Promise.all(Array.from({ length: 100 }, () => converse(key, NOVA, body)));
    const passed = responses.filter(({ status }) => status === 200).length;
    expect(passed).toBeGreaterThan(0);
    const [row] = await testbed.store.listKeys();
    const spend = row && (await testbed.store.findSpend([row], Date.now())).get(row.id);
    expect(spend).toMatchObject({ totalNanoUsd: passed * 24_300, reservedNanoUsd: 0 });
    expect(passed * 24_300).toBeLessThanOrEqual(100_000);
    for (const { status, code } of responses.filter((response) => response.status !== 200)) {
      expect([
        [429, 'ERR_BUDGET_HELD'],
        [402, 'ERR_BUDGET_EXCEEDED'],
      ]).toContainEqual([status, code]);
    }
  });

  it('answers an exhausted budget so that no SDK sends the request again', async () => {
    const key = await keyWith({ budget: budget(20_000) });
    const response = await converse(key, NOVA, { ...CONVERSE, inferenceConfig: { maxTokens: 1000 } });
    expect(response).toMatchObject({ status: 402, code: 'ERR_BUDGET_EXCEEDED' });
    expect(response.headers.get('x-should-retry')).toBe('false');
    expect(response.headers.get('retry-after')).toBeNull();
    expect(testbed.upstream.requests).toEqual([]);
  });

  it('refuses a model without a price if a key has a budget, unless it may use one', async () => {
    const strict = await keyWith({ budget: budget(1e9) });
    const lenient = await keyWith({ budget: budget(1e9), allowUnpriced: true }, 'lenient');
    const unknown = 'nobody.knows-v1:0';
    expect(await converse(strict, unknown)).toMatchObject({ status: 402, code: 'ERR_UNPRICED' });
    expect(await converse(lenient, unknown)).toMatchObject({ status: 200 });
    const [entry] = await testbed.store.readLedgerBackwards({}, { limit: 1 });
    expect(entry).toMatchObject({ pricing: 'unpriced', costNanoUsd: undefined });
  });

  it('charges what broke off, and gives the rest back', async () => {
    const key = await keyWith({ budget: budget(10_000_000) });
    testbed.upstream.respondWith((_request, response) => void response.socket?.resetAndDestroy());
    const over = testbed.nextRecord();
    expect(await converse(key)).toMatchObject({ status: 502 });
    await over;
    const [entry] = await testbed.store.readLedgerBackwards({}, { limit: 1 });
    expect(entry).toMatchObject({ partial: true, pricing: 'unpriced', errorCode: 'ERR_UPSTREAM_RESET' });
    const [row] = await testbed.store.listKeys();
    const spend = row && (await testbed.store.findSpend([row], Date.now())).get(row.id);
    expect(spend?.reservedNanoUsd).toBe(0);
    expect(spend?.totalNanoUsd).toBe(entry?.chargedNanoUsd);
    expect(entry?.chargedNanoUsd).toBeGreaterThan(0);
  });
});

it('applies a change of a key from the next request on, and says that it is blocked or has expired', async () => {
  const key = await keyWith({});
  const [row] = await testbed.store.listKeys();
  const id = row?.id ?? '';
  expect(await converse(key)).toMatchObject({ status: 200 });
  await testbed.store.updateKey(id, { policy: { ...EMPTY_POLICY, models: ['nothing.*'] } }, Date.now());
  expect(await converse(key)).toMatchObject({ status: 403, code: 'ERR_MODEL_NOT_ALLOWED' });
  await testbed.store.updateKey(id, { policy: EMPTY_POLICY, blockedAtMs: Date.now() }, Date.now());
  expect(await converse(key)).toMatchObject({ status: 401, code: 'ERR_KEY_BLOCKED' });
  await testbed.store.updateKey(id, { blockedAtMs: undefined, expiresAtMs: Date.now() - 1 }, Date.now());
  expect(await converse(key)).toMatchObject({ status: 401, code: 'ERR_KEY_EXPIRED' });
  await testbed.store.updateKey(id, { expiresAtMs: undefined }, Date.now());
  expect(await converse(key)).toMatchObject({ status: 200 });
  await testbed.store.deleteKey(id, Date.now());
  expect(await converse(key)).toMatchObject({ status: 401, code: 'ERR_KEY_UNKNOWN' });
});
