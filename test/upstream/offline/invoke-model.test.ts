import { describe, expect, it } from 'vitest';
import { invokeModel, invokeModelStream } from '../../../src/upstream/offline/invoke-model.ts';
import { openScriptedCall } from '../../../src/upstream/offline/scripted-call.ts';
import { createOfflineState } from '../../../src/upstream/offline/state.ts';
import type { OfflineCall, Reply } from '../../../src/upstream/offline/reply.ts';

const CLAUDE = 'anthropic.claude-3-haiku-20240307-v1:0';
const PROFILE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const NOVA = 'amazon.nova-lite-v1:0';
const TITAN = 'amazon.titan-embed-text-v2:0';
const HI = { role: 'user', content: 'hi' };
const BODY = { anthropic_version: 'bedrock-2023-05-31', max_tokens: 100, messages: [HI] };
const TOOLS = [{ name: 'look', input_schema: { type: 'object', properties: { at: { type: 'string' } } } }];

function callWith(modelId: string, body: unknown): OfflineCall {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const rest = {
    operation: 'InvokeModel',
    region: 'us-east-1',
    partition: 'aws',
    query: new Map(),
    headers: [],
    nowMs: 0,
    state: createOfflineState(),
    scripted: openScriptedCall(undefined),
  };
  return { ...rest, labels: { modelId }, body: bytes };
}

function contentOf(reply: Reply): unknown {
  return JSON.parse(Buffer.concat(reply.chunks).toString());
}

describe('InvokeModel', () => {
  it.each([
    { name: 'a bad model id', modelId: 'x', body: BODY, says: 'model identifier is invalid' },
    { name: 'no JSON', modelId: CLAUDE, body: '{', says: 'Malformed input request' },
    { name: 'a list', modelId: CLAUDE, body: '[]', says: 'Malformed input request' },
    {
      name: 'a model of streams alone',
      modelId: 'amazon.nova-sonic-v1:0',
      body: {},
      says: 'has no InvokeModel of amazon.nova-sonic-v1:0',
    },
    {
      name: 'a model of profiles alone',
      modelId: PROFILE.slice(3),
      body: BODY,
      says: `Invocation of model ID ${PROFILE.slice(3)} with on-demand throughput isn\u2019t supported.`,
    },
    { name: 'too high a temperature', modelId: CLAUDE, body: { ...BODY, temperature: 5 }, says: 'temperature: range' },
    { name: 'no version', modelId: CLAUDE, body: { ...BODY, anthropic_version: 1 }, says: 'anthropic_version' },
    {
      name: 'no max_tokens',
      modelId: CLAUDE,
      body: { ...BODY, max_tokens: undefined },
      says: 'max_tokens: Field required',
    },
    { name: 'max_tokens of 0', modelId: CLAUDE, body: { ...BODY, max_tokens: 0 }, says: 'max_tokens: must be' },
    { name: 'no messages', modelId: CLAUDE, body: { ...BODY, messages: undefined }, says: 'messages: Field required' },
    { name: 'empty messages', modelId: CLAUDE, body: { ...BODY, messages: [] }, says: 'at least one message' },
    {
      name: 'a system message first',
      modelId: CLAUDE,
      body: { ...BODY, messages: [{ ...HI, role: 'system' }] },
      says: 'role',
    },
    { name: 'empty content', modelId: CLAUDE, body: { ...BODY, messages: [{ ...HI, content: '' }] }, says: 'empty' },
    {
      name: 'no content',
      modelId: CLAUDE,
      body: { ...BODY, messages: [{ role: 'user' }] },
      says: 'content: Field required',
    },
    {
      name: 'an assistant first',
      modelId: CLAUDE,
      body: { ...BODY, messages: [{ ...HI, role: 'assistant' }] },
      says: 'user role',
    },
    {
      name: 'an unknown tool',
      modelId: CLAUDE,
      body: { ...BODY, tools: TOOLS, tool_choice: { type: 'tool', name: 'x' } },
      says: 'tool x',
    },
    { name: 'Claude\u2019s shape for Nova', modelId: NOVA, body: BODY, says: 'Malformed input request: ' },
    { name: 'no text to embed', modelId: TITAN, body: {}, says: 'inputText' },
    { name: 'odd dimensions', modelId: TITAN, body: { inputText: 'x', dimensions: 100 }, says: '1024, 512, 256' },
  ])('refuses to invoke a model with $name', ({ modelId, body, says }) => {
    const reply = invokeModel(callWith(modelId, body));
    expect(reply.status).toBe(400);
    expect(reply.headers['x-amzn-errortype']).toMatch(/^ValidationException:/);
    expect(contentOf(reply)).toEqual({ message: expect.stringContaining(says) });
  });

  it('calls a tool in the shape of Anthropic', () => {
    const content = contentOf(invokeModel(callWith(CLAUDE, { ...BODY, tools: TOOLS, tool_choice: { type: 'any' } })));
    expect(content).toMatchObject({
      content: [
        { type: 'tool_use', id: expect.stringMatching(/^toolu_bdrk_\w{22}$/), name: 'look', input: { at: 'sample' } },
      ],
      stop_reason: 'tool_use',
    });
  });

  it('responds to tool results, and names the stop sequence it met', () => {
    const messages = [HI, { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'x', content: 'seen' }] }];
    const told = contentOf(invokeModel(callWith(CLAUDE, { ...BODY, messages })));
    expect(told).toMatchObject({ content: [{ text: expect.stringContaining('the tool said: seen') }] });
    const stopped = contentOf(invokeModel(callWith(CLAUDE, { ...BODY, stop_sequences: ['you'] })));
    expect(stopped).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: 'you' });
  });

  it('repeats what the user wrote last, not the reminders before it that name tools', () => {
    const reminder = { type: 'text', text: '<system-reminder>You may look.</system-reminder>' };
    const content = [reminder, { type: 'text', text: 'hi' }];
    const messages = [
      { role: 'user', content },
      { role: 'system', content: 'Look out.' },
    ];
    const reply = invokeModel(callWith(CLAUDE, { ...BODY, messages, tools: TOOLS }));
    const text = `Offline answer of ${CLAUDE}: you said: hi`;
    expect(contentOf(reply)).toMatchObject({ content: [{ type: 'text', text }], stop_reason: 'end_turn' });
  });

  it('gives binary embeddings and the first version its 1536 dimensions', () => {
    const binary = contentOf(
      invokeModel(callWith(TITAN, { inputText: 'x', dimensions: 256, embeddingTypes: ['binary'] })),
    );
    const { embeddingsByType } = binary as { embeddingsByType: { binary: number[] } };
    expect(Object.keys(embeddingsByType)).toEqual(['binary']);
    expect(new Set(embeddingsByType.binary)).toEqual(new Set([0, 1]));
    const first = contentOf(invokeModel(callWith('amazon.titan-embed-text-v1', { inputText: 'x' })));
    expect(first).toMatchObject({ embedding: expect.objectContaining({ length: 1536 }), inputTextTokenCount: 1 });
  });

  it('streams no embeddings', () => {
    const reply = invokeModelStream(callWith(TITAN, { inputText: 'x' }));
    expect(contentOf(reply)).toEqual({ message: 'The model is unsupported for streaming.' });
  });
});
