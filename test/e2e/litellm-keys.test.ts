/**
 * What LiteLLM's own test of its key endpoints does (tests/test_keys.py there), against the whole proxy: each key is
 * made with `aliases`. Where that test calls a model in OpenAI's shape, this one calls Converse.
 */
import { describe, expect } from 'vitest';
import { sendJson } from '../helpers/fake-upstream.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { type Json } from '../helpers/open-admin.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const MASTER = 'sk-1234-of-the-testbed';
const NOVA = 'amazon.nova-lite-v1:0';

const { it, testbed } = proxyTest({ environment: { BEDROCK_PROXY_MASTER_KEY: MASTER } });

interface Told {
  readonly status: number;
  readonly json: Json;
}

async function ask(path: string, key: string, body?: object): Promise<Told> {
  const response = await fetch(`http://127.0.0.1:${testbed.port}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Json };
}

/** All fields are always sent, those without a value as null. */
async function generate(fields: object = {}): Promise<Json> {
  const { status, json } = await ask('/key/generate', MASTER, {
    models: ['gpt-3.5-turbo', 'dall-e-3', NOVA],
    aliases: { 'mistral-7b': 'gpt-3.5-turbo', 'gpt-4': NOVA },
    duration: null,
    max_budget: null,
    budget_duration: null,
    ...fields,
  });
  expect(status).toBe(200);
  return json;
}

const USAGE = { inputTokens: 1000, outputTokens: 50, totalTokens: 1050 };

async function converse(key: string, model: string, action = 'converse'): Promise<Response> {
  testbed.upstream.respondWith((_request, response) => {
    if (action === 'converse') return sendJson(response, 200, { output: {}, stopReason: 'end_turn', usage: USAGE });
    startEventStream(response);
    response.write(eventFrame('messageStop', { stopReason: 'end_turn' }));
    response.end(eventFrame('metadata', { usage: USAGE, metrics: { latencyMs: 1 } }));
  });
  const ended = testbed.nextRecord();
  const response = await fetch(`${testbed.url}/model/${model}/${action}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: '{"messages":[{"role":"user","content":[{"text":"Hello!"}]}],"inferenceConfig":{"maxTokens":50}}',
  });
  await response.arrayBuffer();
  await ended;
  return response;
}

describe("LiteLLM's test of its key endpoints", () => {
  it('makes ten keys at once', async () => {
    const keys = await Promise.all(Array.from({ length: 10 }, () => generate()));
    expect(new Set(keys.map(({ key }) => String(key))).size).toBe(10);
    expect(keys[0]?.['aliases']).toEqual({ 'mistral-7b': 'gpt-3.5-turbo', 'gpt-4': NOVA });
  });

  it('changes the models of a key and calls one of them by its alias', async () => {
    const { key } = await generate();
    const updated = await ask('/key/update', MASTER, { key, models: [NOVA] });
    expect([updated.status, updated.json['models'], updated.json['aliases']['gpt-4']]).toEqual([200, [NOVA], NOVA]);
    expect((await converse(key, 'gpt-4')).status).toBe(200);
    expect(testbed.upstream.requests.at(-1)?.rawTarget).toBe(`/model/${encodeURIComponent(NOVA)}/converse`);
    expect((await converse(key, 'mistral-7b')).status).toBe(403);
  });

  it('sends an alias whatever it stands for', async () => {
    const { key } = await generate();
    await converse(key, 'mistral-7b');
    expect(testbed.upstream.requests.at(-1)?.rawTarget).toBe('/model/gpt-3.5-turbo/converse');
  });

  it('deletes a key', async () => {
    const { key } = await generate();
    expect(await ask('/key/delete', MASTER, { keys: [key] })).toEqual({ status: 200, json: { deleted_keys: [key] } });
  });

  it('tells of a key to the admin and to itself, and not to another', async () => {
    const { key, token } = await generate();
    for (const [path, caller] of [
      [`/key/info?key=${key}`, MASTER],
      [`/key/info?key=${key}`, key],
      ['/key/info', key],
    ] as const) {
      expect(await ask(path, caller)).toMatchObject({ status: 200, json: { key: token } });
    }
    const other = await generate();
    expect((await ask(`/key/info?key=${key}`, other['key'])).status).toBe(403);
  });

  it.each(['converse', 'converse-stream'])('counts what %s cost, by request and by key', async (action) => {
    const { key } = await generate();
    const { headers } = await converse(key, 'gpt-4', action);
    const logs = await ask(`/spend/logs?request_id=${headers.get('x-litellm-call-id')}`, MASTER);
    // 1000 x 60 + 50 x 240 nano-dollars
    expect(logs.json).toMatchObject([
      { prompt_tokens: 1000, completion_tokens: 50, spend: 0.000072, model: NOVA, metadata: { model_alias: 'gpt-4' } },
    ]);
    expect((await ask('/key/info', key)).json['info'].spend).toBeCloseTo(0.000072, 8);
  });

  it('gives a budget its windows, and stops a key that has spent its own', async () => {
    const { key } = await generate({ max_budget: 10, budget_duration: '5s' });
    const { info } = (await ask('/key/info', key)).json;
    expect(Date.parse(info.budget_reset_at) - Date.now()).toBeLessThanOrEqual(5_000);
    // LiteLLM lets the first call through, and the second no more; here it is what a call may cost that counts.
    const poor = await generate({ max_budget: 0.0000001 });
    const refused = await converse(poor['key'], 'gpt-4');
    expect([refused.status, refused.headers.get('x-bedrock-proxy-error')]).toEqual([402, 'ERR_BUDGET_EXCEEDED']);
  });
});
