/**
 * Anthropic's own Bedrock client, with a bearer key and with the key pair: raw colons in the path, and event streams.
 */
import { AnthropicBedrock } from '@anthropic-ai/bedrock-sdk';
import { beforeEach, describe, expect } from 'vitest';
import type { MintedKey } from '../../src/keys/mint.ts';
import { sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const QUESTION = { model: MODEL, max_tokens: 10, messages: [{ role: 'user' as const, content: 'hi' }] };
const MESSAGE = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: MODEL,
  content: [{ type: 'text', text: 'Hello' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 1, output_tokens: 1 },
};

const { it, testbed } = proxyTest();
let key: MintedKey;

beforeEach(async () => {
  key = await testbed.mint();
});

const WAYS: readonly { readonly name: string; readonly open: () => AnthropicBedrock }[] = [
  { name: 'a bearer key', open: () => new AnthropicBedrock({ ...settings(), apiKey: key.key }) },
  {
    name: 'the key pair',
    open: () => new AnthropicBedrock({ ...settings(), awsAccessKey: key.accessKeyId, awsSecretKey: key.key }),
  },
  {
    name: 'skipAuth and x-api-key',
    open: () => new AnthropicBedrock({ ...settings(), skipAuth: true, defaultHeaders: { 'x-api-key': key.key } }),
  },
];

function settings() {
  return { awsRegion: 'us-east-1', baseURL: testbed.url, maxRetries: 0 };
}

describe.each(WAYS)('AnthropicBedrock with $name', ({ open }) => {
  it('creates a message for AnthropicBedrock', async () => {
    testbed.upstream.respondWith((_, response) => sendJson(response, 200, MESSAGE));
    const message = await open().messages.create(QUESTION);
    expect(message.content).toEqual([{ type: 'text', text: 'Hello' }]);
    const request = await testbed.upstream.nextRequest();
    // Its colon stays raw, as it came.
    expect(request.rawTarget).toBe(`/model/${MODEL}/invoke`);
    expect(JSON.stringify(request.headers)).not.toContain(key.key);
  });

  it('streams a message to AnthropicBedrock', async () => {
    const events = [
      { type: 'message_start', message: { ...MESSAGE, content: [], stop_reason: null } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'lo' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 2 } },
      { type: 'message_stop' },
    ];
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response);
      for (const event of events) {
        const bytes = Buffer.from(JSON.stringify(event)).toString('base64');
        response.write(eventFrame('chunk', { bytes }));
      }
      response.end();
    });
    expect(await open().messages.stream(QUESTION).finalText()).toBe('Hello');
    expect((await testbed.upstream.nextRequest()).rawTarget).toBe(`/model/${MODEL}/invoke-with-response-stream`);
  });

  it("makes AnthropicBedrock throw AWS's throttling as a rate limit", async () => {
    testbed.upstream.respondWith((_, response) =>
      sendAwsError(response, { status: 429, type: 'ThrottlingException', message: 'slow down' }),
    );
    await expect(open().messages.create(QUESTION)).rejects.toMatchObject({ status: 429, message: /slow down/ });
  });
});

it('makes AnthropicBedrock with a wrong key give up at once, though it may retry', async () => {
  const client = new AnthropicBedrock({
    awsRegion: 'us-east-1',
    baseURL: testbed.url,
    maxRetries: 5,
    apiKey: 'sk-wrong',
  });
  await expect(client.messages.create(QUESTION)).rejects.toMatchObject({ status: 401 });
  expect(testbed.records).toHaveLength(1);
});
