/** OpenAI's Responses API of the offline Bedrock, over its socket, signed for each of the hosts that serve it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { sendSigned, startForTest, type RawResponse } from '../../helpers/offline-bedrock.ts';

const MODEL = 'openai.gpt-oss-120b';
const HELLO = { model: MODEL, input: 'Hello' };
const MANTLE = { host: 'bedrock-mantle.us-east-1.api.aws', service: 'bedrock-mantle' };
const TOOL = {
  type: 'function',
  name: 'lookup',
  description: 'Tells the weather.',
  parameters: { properties: { city: {} } },
};

let bedrock: OfflineBedrock;

beforeAll(async () => {
  bedrock = await startForTest();
});

afterAll(() => bedrock.close());

async function send(body: object, where: object = {}, path = '/openai/v1/responses', method = 'POST') {
  const headers = { 'content-type': 'application/json' };
  return sendSigned(bedrock.port, { method, path, headers, body: JSON.stringify(body), ...where });
}

function parse({ body }: RawResponse): Record<string, unknown> {
  return JSON.parse(body.toString()) as Record<string, unknown>;
}

function eventsOf({ body }: RawResponse): Record<string, unknown>[] {
  return [...body.toString().matchAll(/^event: (.*)\ndata: (.*)\n$/gm)].map(([, name, data = '{}']) => {
    const event = JSON.parse(data) as Record<string, unknown>;
    expect(event['type']).toBe(name);
    return event;
  });
}

describe('CreateResponse', () => {
  it.each([
    { name: 'bedrock-runtime', where: {}, path: '/openai/v1/responses' },
    { name: 'bedrock-mantle', where: MANTLE, path: '/v1/responses' },
  ])('repeats what it was told at $name', async ({ where, path }) => {
    const response = parse(await send(HELLO, where, path));
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      model: MODEL,
      output: [
        {
          type: 'message',
          role: 'assistant',
          content: [{ type: 'output_text', text: expect.stringContaining('you said: Hello') }],
        },
      ],
      usage: { input_tokens: 6, total_tokens: expect.any(Number) },
    });
  });

  it('calls a function, and repeats what it gave', async () => {
    const input = [{ role: 'user', content: [{ type: 'input_text', text: 'What is the weather?' }] }];
    const { output } = parse(await send({ model: MODEL, input, tools: [TOOL] }));
    const [call] = output as { type: string; call_id: string; arguments: string }[];
    expect(call).toMatchObject({ type: 'function_call', name: 'lookup', arguments: '{"city":"sample"}' });
    const result = { type: 'function_call_output', call_id: call?.call_id, output: 'rain' };
    const told = parse(await send({ model: MODEL, input: [...input, call, result], tools: [TOOL] }));
    expect(told).toMatchObject({ output: [{ content: [{ text: expect.stringContaining('the tool said: rain') }] }] });
  });

  it('reasons, and writes JSON of a schema', async () => {
    const format = { type: 'json_schema', name: 'x', schema: { properties: { a: { type: 'integer' } } } };
    const response = parse(await send({ ...HELLO, reasoning: { effort: 'low' }, text: { format } }));
    expect(response).toMatchObject({
      output: [{ type: 'reasoning' }, { content: [{ text: '{"a":1}' }] }],
      usage: { output_tokens_details: { reasoning_tokens: expect.any(Number) } },
    });
  });

  it('is incomplete at max_output_tokens', async () => {
    const response = parse(await send({ ...HELLO, max_output_tokens: 2 }));
    expect(response).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } });
  });

  it('streams a response in numbered events that make it again', async () => {
    const response = await send({ ...HELLO, stream: true });
    expect(response.headers['content-type']).toContain('text/event-stream');
    const events = eventsOf(response);
    expect(events.map((event) => event['sequence_number'])).toEqual(events.map((_, index) => index));
    expect([events[0]?.['type'], events[2]?.['type']]).toEqual(['response.created', 'response.output_item.added']);
    const last = events.at(-1);
    expect(last?.['type']).toBe('response.completed');
    const text = events
      .filter((event) => event['type'] === 'response.output_text.delta')
      .map((event) => event['delta'])
      .join('');
    expect(last?.['response']).toMatchObject({ output: [{ content: [{ text }] }] });
  });

  it('streams the arguments of a function', async () => {
    const events = eventsOf(await send({ ...HELLO, tools: [TOOL], tool_choice: 'required', stream: true }));
    const json = events
      .filter((event) => event['type'] === 'response.function_call_arguments.delta')
      .map((event) => event['delta'])
      .join('');
    expect(JSON.parse(json)).toEqual({ city: 'sample' });
  });

  it.each([
    { name: 'an unknown model', body: { ...HELLO, model: 'gpt-9' }, status: 404 },
    { name: 'no input', body: { model: MODEL }, status: 400 },
    { name: 'an earlier response', body: { ...HELLO, previous_response_id: 'resp_1' }, status: 400 },
    { name: 'a response in the background', body: { ...HELLO, background: true }, status: 400 },
    { name: 'a throttled model', body: { ...HELLO, model: 'offline.throttle-v1:0' }, status: 429 },
  ])('refuses $name in the shape of OpenAI', async ({ body, status }) => {
    const response = await send(body);
    expect(response.status).toBe(status);
    expect(parse(response)).toMatchObject({ error: { message: expect.any(String), type: expect.any(String) } });
  });

  it('fails in the middle of a stream with an event of OpenAI', async () => {
    const events = eventsOf(await send({ ...HELLO, model: 'offline.stream-error-v1:0', stream: true }));
    expect(events.at(-1)).toMatchObject({ type: 'error', code: 'server_error' });
  });
});

it('lacks files, in the shape of OpenAI and with a status that no SDK tries again', async () => {
  const response = await send({}, {}, '/openai/v1/files', 'PUT');
  expect(response.status).toBe(400);
  expect(parse(response)).toMatchObject({ error: { type: 'invalid_request_error' } });
});
