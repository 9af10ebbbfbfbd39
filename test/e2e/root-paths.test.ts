/**
 * The addresses that clients of other gateways already have, through the whole proxy: Bedrock's paths at the root, and
 * Anthropic's and OpenAI's own. The guard, the keys and the other mounts are the same there.
 */
import Anthropic from '@anthropic-ai/sdk';
import { ConverseCommand, BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { describe, expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { sendJson } from '../helpers/fake-upstream.ts';

const MESSAGE = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'm',
  content: [{ type: 'text', text: 'Hello' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 1, output_tokens: 1 },
};

describe('a client with the root as its base URL', () => {
  it.each(['', '/bedrock'])("serves Anthropic's SDK at the base URL http://localhost%s", async (mount) => {
    const opened = await openProxy({ realHosts: true });
    const { key } = await opened.mint();
    opened.upstream.respondWith((_, response) => sendJson(response, 200, MESSAGE));
    const baseURL = `http://127.0.0.1:${opened.port}${mount}`;
    const client = new Anthropic({ apiKey: key, baseURL, maxRetries: 0 });
    const question = { model: 'anthropic.claude-x', messages: [{ role: 'user' as const, content: 'hi' }] };
    await client.messages.create({ ...question, max_tokens: 10 });
    await client.messages.countTokens(question);
    const [message, count] = opened.upstream.requests;
    expect([message?.header('host'), message?.rawTarget]).toEqual([
      'bedrock-runtime.us-east-1.amazonaws.com',
      '/anthropic/v1/messages',
    ]);
    expect([count?.header('host'), count?.rawTarget]).toEqual([
      'bedrock-mantle.us-east-1.api.aws',
      '/anthropic/v1/messages/count_tokens',
    ]);
    expect(message?.body.toString()).toBe(JSON.stringify({ ...question, max_tokens: 10 }));
  });

  it('verifies the signature over the path that came, and signs the one that goes', async () => {
    const opened = await openProxy();
    const { key, accessKeyId } = await opened.mint();
    const answer = { output: { message: { role: 'assistant', content: [{ text: 'Hello' }] } } };
    opened.upstream.respondWith((_, response) => sendJson(response, 200, answer));
    const endpoint = `http://127.0.0.1:${opened.port}`;
    const credentials = { accessKeyId, secretAccessKey: key };
    const client = new BedrockRuntimeClient({ region: 'us-east-1', endpoint, credentials, maxAttempts: 1 });
    await client.send(new ConverseCommand({ modelId: 'amazon.nova-lite-v1:0', messages: [] }));
    const request = await opened.upstream.nextRequest();
    expect(request.rawTarget).toBe('/model/amazon.nova-lite-v1%3A0/converse');
    const wrong = new BedrockRuntimeClient({
      region: 'us-east-1',
      endpoint,
      maxAttempts: 1,
      credentials: { accessKeyId, secretAccessKey: `${key}x` },
    });
    await expect(wrong.send(new ConverseCommand({ modelId: 'm', messages: [] }))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 401 },
    });
  });

  it('chooses host and prefix by the model, and sends the body as it came', async () => {
    const opened = await openProxy({ realHosts: true });
    const body = '{ "messages" : [], "model":"openai.gpt-5.5" }';
    for (const path of ['/v1/responses', '/bedrock/v1/responses']) {
      await fetch(`http://127.0.0.1:${opened.port}${path}`, { method: 'POST', body });
    }
    expect(opened.upstream.requests.map((request) => [request.rawTarget, request.body.toString()])).toEqual([
      ['/openai/v1/responses', body],
      ['/v1/responses', body],
    ]);
  });
});

describe('the root', () => {
  it('keeps what is not Bedrock, and asks for a key as the mount does', async () => {
    const opened = await openProxy();
    await opened.mint();
    const statusOf = async (path: string, init: RequestInit = {}) =>
      (await fetch(`http://127.0.0.1:${opened.port}${path}`, init)).status;
    expect(await statusOf('/')).toBe(200);
    expect(await statusOf('/health/liveliness')).toBe(200);
    expect(await statusOf('/favicon.ico')).toBe(404);
    const lost = await fetch(`http://127.0.0.1:${opened.port}/favicon.ico`);
    expect(await lost.text()).toContain(`use http://127.0.0.1:${opened.port}/bedrock as`);
    expect(await statusOf('/model/info')).not.toBe(200);
    expect(await statusOf('//key/generate', { method: 'POST' })).toBe(404);
    expect(await statusOf('/v1/models')).toBe(401);
    expect(await statusOf('/v1/messages', { method: 'POST', body: '{}' })).toBe(401);
    expect(await statusOf('/', { method: 'POST', headers: { 'x-amz-target': 'x' } })).toBe(401);
    expect(opened.upstream.requests).toEqual([]);
  });

  it.each(['/v1/messages', '/v1/chat/completions', '/chat/completions', '/v1/models', '/model/x/converse'])(
    'refuses web pages at %s, in open mode too',
    async (path) => {
      const opened = await openProxy();
      const url = `http://127.0.0.1:${opened.port}${path}`;
      for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }]) {
        expect((await fetch(url, { method: 'POST', body: '{}', headers })).status).toBe(403);
      }
      expect(opened.upstream.requests).toEqual([]);
    },
  );
});

describe('the list of models', () => {
  const LIST =
    '{"object": "list", "data": [{"id":"openai.gpt-oss-120b"},{"id":"anthropic.claude-x"}], "has_more":false}';

  it.each(['/v1/models', '/bedrock/v1/models', '/models', '/openai/v1/models'])(
    'holds what the key may use, at %s',
    async (path) => {
      const opened = await openProxy();
      const ask = async (key: string) => {
        const response = await fetch(`http://127.0.0.1:${opened.port}${path}`, { headers: { 'x-api-key': key } });
        return response.text();
      };
      const some = await opened.mint('some', { policy: { ...EMPTY_POLICY, models: ['anthropic.*'] } });
      const all = await opened.mint('all');
      opened.upstream.respondWith((_, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': LIST.length });
        response.end(LIST);
      });
      expect(JSON.parse(await ask(some.key))).toEqual({
        object: 'list',
        data: [{ id: 'anthropic.claude-x' }],
        has_more: false,
      });
      expect(await ask(all.key)).toBe(LIST);
    },
  );

  it('passes as it came if it is none', async () => {
    const opened = await openProxy();
    const { key } = await opened.mint('some', { policy: { ...EMPTY_POLICY, models: ['anthropic.*'] } });
    const ask = async () => {
      const response = await fetch(`http://127.0.0.1:${opened.port}/v1/models`, { headers: { 'x-api-key': key } });
      return [response.status, await response.text()];
    };
    for (const body of ['{"data":1}', '[', '', 'x'.repeat(5_000_000)]) {
      opened.upstream.respondWith((_, response) => void response.end(body));
      expect(await ask()).toEqual([200, body]);
    }
    opened.upstream.respondWith((_, response) => void response.writeHead(403).end('{"data":[{"id":"x"}]}'));
    expect(await ask()).toEqual([403, '{"data":[{"id":"x"}]}']);
  });
});
