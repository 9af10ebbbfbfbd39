/** The InvokeModel shapes of the offline Bedrock, through Anthropic's own Bedrock client. */
import AnthropicBedrock from '@anthropic-ai/bedrock-sdk';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { lookupLoopback, RUNTIME_HOST, startForTest } from '../../helpers/offline-bedrock.ts';
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY } from '../../helpers/sigv4-signing.ts';

const REQUEST = {
  model: 'us.anthropic.claude-haiku-4-5-20251001-v1:0',
  max_tokens: 200,
  messages: [{ role: 'user' as const, content: 'Hello, offline!' }],
};

let bedrock: OfflineBedrock;
let client: AnthropicBedrock;
const dispatcher = new Agent({ connect: { lookup: lookupLoopback } });

beforeAll(async () => {
  bedrock = await startForTest();
  client = new AnthropicBedrock({
    awsAccessKey: ACCESS_KEY_ID,
    awsSecretKey: SECRET_ACCESS_KEY,
    awsRegion: 'us-east-1',
    baseURL: `http://${RUNTIME_HOST}:${bedrock.port}`,
    maxRetries: 0,
    fetch: (url, init) => undiciFetch(url as never, { ...init, dispatcher } as never) as never,
  });
});

afterAll(async () => {
  await dispatcher.destroy();
  await bedrock.close();
});

it('creates a message for the SDK of Anthropic', async () => {
  const message = await client.messages.create(REQUEST);
  expect(message).toMatchObject({ role: 'assistant', stop_reason: 'end_turn' });
  expect(message.content).toMatchObject([{ type: 'text', text: expect.stringContaining('you said: Hello, offline!') }]);
});

it('streams a message to the SDK of Anthropic', async () => {
  const types: string[] = [];
  let text = '';
  for await (const event of await client.messages.create({ ...REQUEST, stream: true })) {
    types.push(event.type);
    if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text;
  }
  expect(text).toContain('you said: Hello, offline!');
  expect([types[0], types.at(-1)]).toEqual(['message_start', 'message_stop']);
});

it('makes the SDK of Anthropic raise the typed error of a throttled model', async () => {
  const sent = client.messages.create({ ...REQUEST, model: 'offline.throttle-v1:0' });
  await expect(sent).rejects.toMatchObject({ status: 429 });
});
