/** The OpenAI routes of the offline Bedrock, over its socket, signed for each of the two hosts that serve them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { sendSigned, startForTest, type RawResponse } from '../../helpers/offline-bedrock.ts';

const MODEL = 'openai.gpt-oss-120b-1:0';
const HELLO = [{ role: 'user', content: 'Hello' }];
const RESPONSE = `Offline answer of ${MODEL}: you said: Hello`;
const TOOL = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
};

let bedrock: OfflineBedrock;

beforeAll(async () => {
  bedrock = await startForTest();
});

afterAll(() => bedrock.close());

describe('a chat completion', () => {
  it.each([
    { name: 'of bedrock-runtime', host: 'bedrock-runtime.us-east-1.amazonaws.com', service: 'bedrock' },
    { name: 'of bedrock-mantle', host: 'bedrock-mantle.us-east-1.api.aws', service: 'bedrock-mantle' },
  ])('repeats in a chat completion what it was told: $name', async ({ host, service }) => {
    const response = await complete({ model: MODEL, messages: HELLO }, { host, service });
    expect(response.status).toBe(200);
    expect(parse(response)).toMatchObject({
      object: 'chat.completion',
      model: MODEL,
      choices: [{ index: 0, message: { role: 'assistant', content: RESPONSE }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 6, total_tokens: expect.any(Number) },
    });
  });

  it.each([
    { name: 'cut at max_tokens', settings: { max_tokens: 2 }, content: 'Offline', finish: 'length' },
    {
      name: 'ended by a stop text',
      settings: { stop: ': you' },
      content: `Offline answer of ${MODEL}`,
      finish: 'stop',
    },
  ])('ends a chat completion that is $name', async ({ settings, content, finish }) => {
    const response = parse(await complete({ model: MODEL, messages: HELLO, ...settings }));
    expect(response).toMatchObject({ choices: [{ message: { content }, finish_reason: finish }] });
  });

  it('calls the tool that a chat completion must call, and repeats what the tool said', async () => {
    const asked = { model: MODEL, messages: HELLO, tools: [TOOL], tool_choice: 'required' };
    const call = { type: 'function', function: { name: 'get_weather', arguments: '{"city":"sample"}' } };
    const choice = { message: { content: null, tool_calls: [call] }, finish_reason: 'tool_calls' };
    expect(parse(await complete(asked))).toMatchObject({ choices: [choice] });
    const messages = [...HELLO, { role: 'tool', content: 'rain' }];
    const told = { message: { content: `Offline answer of ${MODEL}: the tool said: rain` } };
    expect(parse(await complete({ model: MODEL, messages, tools: [TOOL] }))).toMatchObject({ choices: [told] });
  });

  it.each([
    { name: 'an unknown model', body: { model: 'gpt-x', messages: HELLO }, status: 404, message: "'gpt-x'" },
    { name: 'no messages', body: { model: MODEL, messages: [] }, status: 400, message: 'at least one message' },
    { name: 'no JSON', body: 'hello', status: 400, message: 'not a JSON object' },
  ])('refuses a chat completion with $name in the shape of OpenAI', async ({ body, status, message }) => {
    const response = await complete(body);
    expect(response.status).toBe(status);
    const error = { type: 'invalid_request_error', message: expect.stringContaining(message) };
    expect(parse(response)).toMatchObject({ error });
  });

  it.each([
    { model: 'offline.throttle-v1:0', status: 429, type: 'rate_limit_error' },
    { model: 'offline.internal-v1:0', status: 500, type: 'server_error' },
  ])('fails a chat completion on demand as $model', async ({ model, status, type }) => {
    const response = await complete({ model, messages: HELLO });
    expect(response.status).toBe(status);
    expect(parse(response)).toMatchObject({ error: { type } });
    expect(response.headers['retry-after']).toBe(status === 429 ? '1' : undefined);
  });
});

describe('a streamed chat completion', () => {
  it('streams a chat completion in pieces, the tokens last if they are asked for', async () => {
    const asked = { model: MODEL, messages: HELLO, stream: true, stream_options: { include_usage: true } };
    const response = await complete(asked);
    expect(response.headers['content-type']).toContain('text/event-stream');
    const events = eventsOf(response);
    expect(events.at(-1)).toBe('[DONE]');
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event) as Chunk);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(RESPONSE);
    expect(chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? [])).toEqual(['stop']);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 6 } });
  });

  it('streams a call of a tool in pieces', async () => {
    const asked = { model: MODEL, messages: HELLO, tools: [TOOL], tool_choice: TOOL, stream: true };
    const chunks = eventsOf(await complete(asked)).slice(0, -1);
    const calls = chunks.flatMap((event) => (JSON.parse(event) as Chunk).choices[0]?.delta.tool_calls ?? []);
    expect(calls[0]?.function.name).toBe('get_weather');
    expect(calls.map((call) => call.function.arguments).join('')).toBe('{"city":"sample"}');
  });

  it('streams a failure in the middle as an event of its own', async () => {
    const events = eventsOf(await complete({ model: 'offline.stream-error-v1:0', messages: HELLO, stream: true }));
    expect(events).toHaveLength(3);
    expect(JSON.parse(events[2] ?? '')).toMatchObject({ error: { type: 'server_error' } });
  });
});

it('lists the models that write text', async () => {
  const response = await sendSigned(bedrock.port, { method: 'GET', path: '/openai/v1/models' });
  const { object, data } = parse(response) as { object: string; data: { id: string }[] };
  expect(object).toBe('list');
  expect(data.map(({ id }) => id)).toContain(MODEL);
  expect(data.map(({ id }) => id)).not.toContain('amazon.titan-embed-text-v2:0');
});

interface Chunk {
  readonly choices: readonly {
    readonly delta: {
      readonly content?: string | null;
      readonly tool_calls?: readonly { readonly function: { readonly name?: string; readonly arguments: string } }[];
    };
    readonly finish_reason: string | null;
  }[];
}

function complete(body: unknown, signing: { host?: string; service?: string } = {}): Promise<RawResponse> {
  const toSign = { method: 'POST', path: '/openai/v1/chat/completions', body: JSON.stringify(body) };
  return sendSigned(bedrock.port, { ...toSign, ...signing });
}

function parse({ body }: RawResponse): unknown {
  return JSON.parse(body.toString());
}

function eventsOf({ body }: RawResponse): string[] {
  return body
    .toString()
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => event.replace(/^data: /, ''));
}
