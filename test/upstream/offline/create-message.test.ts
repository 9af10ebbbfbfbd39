/** Anthropic's Messages API of the offline Bedrock, over its socket, signed for each of the two hosts that serve it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { sendSigned, startForTest, type RawResponse } from '../../helpers/offline-bedrock.ts';

const MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const HELLO = { model: MODEL, max_tokens: 100, messages: [{ role: 'user', content: 'Hello' }] };
const MANTLE = { host: 'bedrock-mantle.us-east-1.api.aws', service: 'bedrock-mantle' };

let bedrock: OfflineBedrock;

beforeAll(async () => {
  bedrock = await startForTest();
});

afterAll(() => bedrock.close());

async function send(body: object, where: object = {}, path = '/anthropic/v1/messages') {
  const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
  return sendSigned(bedrock.port, { method: 'POST', path, headers, body: JSON.stringify(body), ...where });
}

function parse({ body }: RawResponse): Record<string, unknown> {
  return JSON.parse(body.toString()) as Record<string, unknown>;
}

function eventsOf({ body }: RawResponse): { name: string; data: Record<string, unknown> }[] {
  return body
    .toString()
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => {
      const [, name = '', data = '{}'] = /^event: (.*)\ndata: (.*)$/.exec(event) ?? [];
      return { name, data: JSON.parse(data) as Record<string, unknown> };
    });
}

describe('CreateMessage', () => {
  it.each([
    { name: 'bedrock-runtime', where: {}, model: MODEL },
    { name: 'bedrock-mantle', where: MANTLE, model: 'anthropic.claude-haiku-4-5' },
  ])('creates a message at $name', async ({ where, model }) => {
    const response = await send({ ...HELLO, model }, where);
    expect(response.status).toBe(200);
    expect(parse(response)).toMatchObject({
      type: 'message',
      model,
      content: [{ type: 'text', text: expect.stringContaining('you said: Hello') }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 6, output_tokens: expect.any(Number) },
    });
  });

  it('streams a message, each event under its name', async () => {
    const response = await send({ ...HELLO, stream: true });
    expect(response.headers['content-type']).toContain('text/event-stream');
    const events = eventsOf(response);
    for (const { name, data } of events) expect(data['type']).toBe(name);
    expect([events[0]?.name, events[1]?.name, events.at(-1)?.name]).toEqual(['message_start', 'ping', 'message_stop']);
    expect(events.at(-2)?.data).toMatchObject({
      delta: { stop_reason: 'end_turn' },
      usage: { output_tokens: expect.any(Number) },
    });
  });

  it.each([
    { name: 'an unknown model', body: { ...HELLO, model: 'claude' }, status: 404, type: 'not_found_error' },
    { name: 'no model', body: { ...HELLO, model: 1 }, status: 400, type: 'invalid_request_error' },
    {
      name: 'another provider',
      body: { ...HELLO, model: 'openai.gpt-oss-20b' },
      status: 400,
      type: 'invalid_request_error',
    },
    { name: 'no tokens', body: { ...HELLO, max_tokens: 0 }, status: 400, type: 'invalid_request_error' },
    {
      name: 'a throttled model',
      body: { ...HELLO, model: 'offline.throttle-v1:0' },
      status: 429,
      type: 'rate_limit_error',
    },
  ])('refuses $name in the shape of Anthropic', async ({ body, status, type }) => {
    const response = await send(body);
    expect(response.status).toBe(status);
    expect(parse(response)).toEqual({ type: 'error', error: { type, message: expect.any(String) } });
  });

  it('fails in the middle of a stream with an event of Anthropic', async () => {
    const events = eventsOf(await send({ ...HELLO, model: 'offline.stream-error-v1:0', stream: true }));
    expect(events.at(-1)).toMatchObject({ name: 'error', data: { type: 'error', error: { type: 'api_error' } } });
  });
});

describe('the counting of tokens', () => {
  it('counts what CreateMessage reports', async () => {
    const { model, messages } = HELLO;
    const response = await send({ model, messages }, MANTLE, '/anthropic/v1/messages/count_tokens');
    expect(parse(response)).toEqual({ input_tokens: 6 });
  });
});

it('lacks batches of messages, in the shape of Anthropic and with a status that no SDK tries again', async () => {
  const response = await send({ requests: [] }, {}, '/anthropic/v1/messages/batches');
  expect(response.status).toBe(400);
  expect(parse(response)).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } });
});
