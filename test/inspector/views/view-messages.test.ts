/** What client and model have said, in every form, whole and streamed, growing, broken and hostile. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findContentFacts } from '../../../src/inspector/views/exchange-facts.ts';
import { viewDiff } from '../../../src/inspector/views/view-diff.ts';
import { viewFrames } from '../../../src/inspector/views/view-frames.ts';
import { viewMessages } from '../../../src/inspector/views/view-messages.ts';
import type { BlockView, Json, MessagesView } from '../../../src/inspector/wire.ts';
import { eventFrame, exceptionFrame } from '../../helpers/event-frames.ts';
import {
  byteByByte,
  exchangeOf,
  type ExchangeParts,
  keptBody,
  keptExchange,
  recordedExchanges,
  splitAt,
} from '../../helpers/kept-exchange.ts';
import { bytesOf } from '../../helpers/responses.ts';

const PICTURE = Buffer.from('a picture');
const BASE64 = PICTURE.toString('base64');
const SCHEMA = { type: 'object' };

/** In short: kind and what counts of it. */
function short(block: BlockView): string {
  switch (block.kind) {
    case 'text':
      return `text ${block.text}`;
    case 'thinking':
      return `thinking ${block.text}`;
    case 'tool_use':
      return `tool_use ${block.id} ${block.name} ${JSON.stringify(block.input)}`;
    case 'tool_result':
      return `tool_result ${block.id}${block.is_error ? ' error' : ''} (${block.blocks.map(short).join(', ')})`;
    case 'media':
      return `media ${block.media_type} ${block.size_bytes}`;
    case 'cache_point':
      return `cache_point ${block.ttl ?? 'default'}`;
    case 'other':
      return `other ${block.name}`;
  }
}

function shortRequest({ form, system, tools, messages, parameters }: MessagesView) {
  return {
    form,
    system: system.map(short),
    tools: tools.map(({ name, description }) => `${name}: ${description ?? '-'}`),
    messages: messages.map(({ role, blocks }) => [role, ...blocks.map(short)]),
    parameters: Object.keys(parameters),
  };
}

function viewRequest(operation: string | undefined, request: unknown): MessagesView {
  return viewMessages(keptExchange({ row: { operation }, request }));
}

const withoutTimes = (view: MessagesView): string => JSON.stringify(view).replaceAll(/"duration_ms":[\d.]+/g, '');

function shortResponse({ response, stop }: MessagesView): unknown {
  return response === null ? stop : [response.role, ...response.blocks.map(short), stop];
}

describe('a request', () => {
  it.each<{ name: string; operation: string | undefined; request: object; shown: ReturnType<typeof shortRequest> }>([
    {
      name: 'Converse',
      operation: 'ConverseStream',
      request: {
        system: [{ text: 'Be kind.' }, { cachePoint: { type: 'default', ttl: '1h' } }],
        messages: [
          {
            role: 'user',
            content: [
              { text: 'Look:' },
              { image: { format: 'png', source: { bytes: BASE64 } } },
              { document: { format: 'pdf', name: 'd', source: { bytes: BASE64 } } },
              { video: { format: 'mp4', source: { s3Location: { uri: 's3://b/k' } } } },
            ],
          },
          {
            role: 'assistant',
            content: [
              { reasoningContent: { reasoningText: { text: 'Hm.', signature: 's' } } },
              { reasoningContent: { redactedContent: BASE64 } },
              { toolUse: { toolUseId: 't', name: 'f', input: { a: 1 } } },
            ],
          },
          { role: 'user', content: [{ toolResult: { toolUseId: 't', status: 'error', content: [{ text: 'no' }] } }] },
        ],
        toolConfig: {
          tools: [
            { toolSpec: { name: 'f', description: 'd', inputSchema: { json: SCHEMA } } },
            { cachePoint: { type: 'default' } },
          ],
          toolChoice: { auto: {} },
        },
        inferenceConfig: { maxTokens: 5 },
      },
      shown: {
        form: 'converse',
        system: ['text Be kind.', 'cache_point 1h'],
        tools: ['f: d'],
        messages: [
          ['user', 'text Look:', 'media image/png 9', 'media application/pdf 9', 'other video'],
          ['assistant', 'thinking Hm.', 'other redacted thinking', 'tool_use t f {"a":1}'],
          ['user', 'tool_result t error (text no)'],
        ],
        parameters: ['maxTokens', 'toolChoice'],
      },
    },
    {
      name: "Anthropic's body",
      operation: 'InvokeModel',
      request: {
        anthropic_version: 'bedrock-2023-05-31',
        max_tokens: 5,
        system: [{ type: 'text', text: 'Be kind.', cache_control: { type: 'ephemeral' } }],
        messages: [
          { role: 'user', content: 'Hi' },
          {
            role: 'assistant',
            content: [
              { type: 'thinking', thinking: 'Hm.' },
              { type: 'tool_use', id: 't', name: 'f', input: {} },
            ],
          },
          {
            role: 'user',
            content: [
              {
                type: 'tool_result',
                tool_use_id: 't',
                is_error: true,
                content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: BASE64 } }],
              },
              { type: 'redacted_thinking', data: 'x' },
            ],
          },
        ],
        tools: [
          { name: 'f', description: 'd', input_schema: SCHEMA },
          { type: 'web_search_20250305', name: 'web_search' },
        ],
      },
      shown: {
        form: 'anthropic',
        system: ['text Be kind.', 'cache_point default'],
        tools: ['f: d', 'web_search: -'],
        messages: [
          ['user', 'text Hi'],
          ['assistant', 'thinking Hm.', 'tool_use t f {}'],
          ['user', 'tool_result t error (media image/png 9)', 'other redacted_thinking'],
        ],
        parameters: ['anthropic_version', 'max_tokens'],
      },
    },
    {
      name: "OpenAI's chat completions",
      operation: 'ChatCompletions',
      request: {
        model: 'm',
        messages: [
          { role: 'system', content: 'Be kind.' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'Hi' },
              { type: 'image_url', image_url: { url: `data:image/png;base64,${BASE64}` } },
              { type: 'image_url', image_url: { url: 'https://example.com/i.png' } },
            ],
          },
          {
            role: 'assistant',
            content: null,
            reasoning_content: 'Hm.',
            tool_calls: [{ id: 't', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
          },
          { role: 'tool', tool_call_id: 't', content: 'done' },
        ],
        tools: [{ type: 'function', function: { name: 'f', description: 'd', parameters: SCHEMA } }],
      },
      shown: {
        form: 'openai-chat',
        system: ['text Be kind.'],
        tools: ['f: d'],
        messages: [
          ['user', 'text Hi', 'media image/png 9', 'other image_url'],
          ['assistant', 'thinking Hm.', 'tool_use t f {"a":1}'],
          ['tool', 'tool_result t (text done)'],
        ],
        parameters: ['model'],
      },
    },
    {
      name: "OpenAI's responses",
      operation: 'CreateResponse',
      request: {
        model: 'm',
        instructions: 'Be kind.',
        input: [
          {
            role: 'user',
            content: [
              { type: 'input_text', text: 'Hi' },
              { type: 'input_image', image_url: `data:image/png;base64,${BASE64}` },
            ],
          },
          { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm.' }] },
          { type: 'function_call', call_id: 't', name: 'f', arguments: '{"a":1}' },
          { type: 'function_call_output', call_id: 't', output: 'done' },
          { type: 'item_reference', id: 'x' },
        ],
        tools: [{ type: 'function', name: 'f', description: 'd', parameters: SCHEMA }, { type: 'web_search' }],
      },
      shown: {
        form: 'openai-responses',
        system: ['text Be kind.'],
        tools: ['f: d', 'web_search: -'],
        messages: [
          ['user', 'text Hi', 'media image/png 9'],
          ['assistant', 'thinking Hm.'],
          ['assistant', 'tool_use t f {"a":1}'],
          ['tool', 'tool_result t (text done)'],
          ['assistant', 'other item_reference'],
        ],
        parameters: ['model'],
      },
    },
    {
      name: 'Nova',
      operation: 'InvokeModel',
      request: {
        schemaVersion: 'messages-v1',
        system: [{ text: 'Be kind.' }],
        messages: [{ role: 'user', content: [{ text: 'Hi' }] }],
      },
      shown: {
        form: 'nova',
        system: ['text Be kind.'],
        tools: [],
        messages: [['user', 'text Hi']],
        parameters: ['schemaVersion'],
      },
    },
    {
      name: 'Titan text',
      operation: 'InvokeModel',
      request: { inputText: 'Hi', textGenerationConfig: {} },
      shown: {
        form: 'text',
        system: [],
        tools: [],
        messages: [['user', 'text Hi']],
        parameters: ['textGenerationConfig'],
      },
    },
    {
      name: 'Cohere embeddings',
      operation: 'InvokeModel',
      request: { texts: ['a', 'b'], input_type: 'search_query' },
      shown: {
        form: 'embedding',
        system: [],
        tools: [],
        messages: [['user', 'text a', 'text b']],
        parameters: ['input_type'],
      },
    },
    {
      name: 'what nobody knows',
      operation: 'InvokeModel',
      request: { taskType: 'TEXT_IMAGE', textToImageParams: { text: 'a cat' } },
      shown: { form: 'other', system: [], tools: [], messages: [], parameters: ['taskType', 'textToImageParams'] },
    },
  ])('is shown in its form: $name', ({ operation, request, shown }) => {
    expect(shortRequest(viewRequest(operation, request))).toEqual(shown);
  });

  it('gives each block its pointer and its bytes', () => {
    const request = `{ "messages" : [ {"role":"user","content":[ {"text":"Grüß \\u0064ich"} , {"cachePoint":{}}]} ],
      "system": "Sei \\"lieb\\"" , "a/b~c": 1}`;
    const bytes = Buffer.from(request);
    const { messages, system } = viewRequest('ConverseStream', bytes);
    const [text, marker] = messages[0]?.blocks ?? [];
    const cut = (block: BlockView | undefined): string => bytes.subarray(...(block?.span ?? [0, 0])).toString();
    expect([text?.pointer, cut(text)]).toEqual(['/messages/0/content/0', '{"text":"Grüß \\u0064ich"}']);
    expect([marker?.pointer, cut(marker)]).toEqual(['/messages/0/content/1', '{"cachePoint":{}}']);
    expect([system[0]?.pointer, cut(system[0])]).toEqual(['/system', '"Sei \\"lieb\\""']);
  });
});

describe('a response', () => {
  it.each(recordedExchanges())('is put together, the same at any split: $name', ({ recorded, exchange }) => {
    const bytes = bytesOf(recorded);
    const whole = viewMessages(exchange);
    expect(shortResponse(whole)).toMatchSnapshot();
    for (let at = 0; at <= bytes.length; at += 13) {
      expect(withoutTimes(viewMessages(exchangeOf(recorded, splitAt(bytes, at))))).toBe(withoutTimes(whole));
    }
    expect(withoutTimes(viewMessages(exchangeOf(recorded, byteByByte(bytes))))).toBe(withoutTimes(whole));
  });

  const FRAMES = [
    eventFrame('messageStart', { role: 'assistant' }),
    eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'H' } } }),
    eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'm.' } } }),
    eventFrame('contentBlockStart', { contentBlockIndex: 1, start: { toolUse: { toolUseId: 't', name: 'f' } } }),
    eventFrame('contentBlockDelta', { contentBlockIndex: 1, delta: { toolUse: { input: '{"a"' } } }),
    eventFrame('contentBlockDelta', { contentBlockIndex: 1, delta: { toolUse: { input: ':1}' } } }),
    eventFrame('messageStop', { stopReason: 'tool_use' }),
  ];
  const streamed = (count: number, parts: ExchangeParts = {}): MessagesView =>
    viewMessages(
      keptExchange({
        response: keptBody(FRAMES.slice(0, count), { times: [1, 10, 1_910, 1_920, 1_930, 1_940, 1_950] }),
        ...parts,
      }),
    );

  it('grows while it comes, and says how long the model thought', () => {
    const open = { end: 'open' } as const;
    expect(streamed(0, open)).toMatchObject({ response: null, is_open: true });
    expect(streamed(1, open).response).toEqual({ role: 'assistant', blocks: [] });
    expect(streamed(3, open).response?.blocks).toMatchObject([{ kind: 'thinking', text: 'Hm.', duration_ms: 1_900 }]);
    expect(streamed(5, open).response?.blocks[1]).toMatchObject({ kind: 'tool_use', name: 'f', input: '{"a"' });
    expect(streamed(7)).toMatchObject({ stop: 'tool_use', is_open: false });
    expect(streamed(7).response?.blocks[1]).toMatchObject({ input: { a: 1 } });
  });

  it('keeps what came before it failed, and says why', () => {
    const response = keptBody([...FRAMES.slice(0, 3), exceptionFrame('throttlingException', 'Slow down.')]);
    const view = viewMessages(keptExchange({ response, request: {} }));
    expect(view.response?.blocks).toHaveLength(1);
    expect(view.problem).toBe('throttlingException: Slow down.');
  });

  it.each([
    {
      name: 'an error of AWS',
      status: 400,
      body: '{"message":"Too long."}',
      row: { errorCode: 'ValidationException' },
      says: 'HTTP 400 ValidationException: Too long.',
    },
    {
      name: "an error of OpenAI's form",
      status: 429,
      body: '{"error":{"type":"rate_limit","message":"Wait."}}',
      row: {},
      says: 'HTTP 429 rate_limit: Wait.',
    },
    { name: 'an error that says nothing', status: 502, body: '<html>', row: {}, says: 'HTTP 502' },
    {
      name: 'what is no JSON',
      status: 200,
      body: '{"output":',
      row: {},
      says: "The response's body is no JSON object.",
    },
  ])('says what is wrong: $name', ({ status, body, row, says }) => {
    const parts = { status, contentType: 'application/json', response: keptBody([body]), request: {}, row };
    expect(viewMessages(keptExchange(parts))).toMatchObject({ response: null, problem: says });
  });

  it('says what is not kept', () => {
    expect(viewMessages(keptExchange({ layers: {}, omitted: 'off' })).problem).toBe("The request's body is not kept.");
    const response = keptBody(['{"output":{"message":{"content":[]}}}'], { hole: [5, 10] });
    const { problem } = viewMessages(keptExchange({ contentType: 'application/json', response, request: {} }));
    expect(problem).toBe("The response's body is not kept whole: 10 bytes from 5 on are missing (size).");
  });
});

describe('hostile bytes', () => {
  const ALL = { from: 0, limit: 1_000 };
  const viewAll = (parts: ExchangeParts): string => {
    const exchange = keptExchange(parts);
    return JSON.stringify([
      viewMessages(exchange),
      viewFrames(exchange, ALL),
      viewDiff(exchange, exchange),
      findContentFacts(exchange),
    ]);
  };
  const names = 'text content role messages system tools type input image source bytes toolUse toolResult cachePoint '
    .concat(
      'delta choices index output event message __proto__ constructor length reasoningContent tool_calls function',
    )
    .split(' ');
  const json = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      fc.constantFrom(null, true, 0, -1, 1.5, '', 'text', '\ud800', 'tool_use', 'response.output_text.delta'),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...names), tie('value'), { maxKeys: 5 }),
    ),
  })).value;
  const TYPES = ['application/json', 'application/vnd.amazon.eventstream', 'text/event-stream'] as const;
  const OPERATIONS = [
    'Converse',
    'InvokeModel',
    'CreateMessage',
    'ChatCompletions',
    'CreateResponse',
    undefined,
  ] as const;

  it('are shown, whatever JSON they are', () => {
    const arbitrary = fc.record({ request: json, response: json, operation: fc.constantFrom(...OPERATIONS) });
    fc.assert(
      fc.property(arbitrary, ({ request, response, operation }) => {
        const body = JSON.stringify(response);
        const parts = { row: { operation }, request: Buffer.from(JSON.stringify(request)) };
        viewAll({ ...parts, contentType: 'application/json', response: keptBody([body]) });
        viewAll({ ...parts, contentType: 'text/event-stream', response: keptBody([`data: ${body}\n\n`]) });
        const frames = [
          eventFrame('contentBlockDelta', Buffer.from(body)),
          eventFrame('chunk', { bytes: Buffer.from(body).toString('base64') }),
        ];
        viewAll({ ...parts, response: keptBody(frames) });
      }),
      { numRuns: 300 },
    );
  });

  it('are shown, whatever bytes they are', () => {
    const arbitrary = fc.record({
      bytes: fc.uint8Array({ maxLength: 200 }),
      type: fc.constantFrom(...TYPES),
      status: fc.constantFrom(101, 200, 500),
    });
    fc.assert(
      fc.property(arbitrary, ({ bytes, type, status }) => {
        const response = keptBody([Buffer.from(bytes)]);
        viewAll({ status, contentType: type, response, clientStream: response, request: Buffer.from(bytes) });
      }),
      { numRuns: 500 },
    );
  });

  it('are shown, wherever a frame is broken', () => {
    const frame = Buffer.concat([
      eventFrame('messageStart', { role: 'assistant' }),
      eventFrame('chunk', { bytes: 'e30=' }),
    ]);
    for (let at = 0; at < frame.length; at += 1) {
      for (const value of [0, 0xff, (frame[at] ?? 0) ^ 1]) {
        const broken = Buffer.from(frame);
        broken[at] = value;
        viewAll({ response: keptBody([broken]) });
      }
    }
  });

  it.each([
    { name: 'deep', value: `{"messages":${'['.repeat(50_000)}${']'.repeat(50_000)}}` },
    {
      name: 'deep in what a tool gets',
      value: JSON.stringify({
        messages: [
          {
            role: 'assistant',
            tool_calls: [{ function: { name: 'f', arguments: '['.repeat(50_000) + ']'.repeat(50_000) } }],
          },
        ],
      }),
    },
    {
      name: 'one string of 5 MB',
      value: JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'x'.repeat(5_000_000) }] }] }),
    },
    { name: '5 MB of line ends', value: '\n'.repeat(5_000_000) },
    { name: '50,000 messages', value: JSON.stringify({ messages: Array.from({ length: 50_000 }, () => 1) }) },
  ])('do not take long: $name', { timeout: 30_000 }, ({ value }) => {
    for (const contentType of TYPES) {
      const started = performance.now();
      viewAll({ request: Buffer.from(value), contentType, response: keptBody([value]), row: { operation: undefined } });
      expect(performance.now() - started).toBeLessThan(10_000);
    }
  });
});
