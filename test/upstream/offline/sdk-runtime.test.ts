/** The runtime operations of the offline Bedrock, through the AWS SDK for JavaScript. */
import {
  ApplyGuardrailCommand,
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  CountTokensCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
  type ConverseCommandInput,
  type ConverseStreamOutput,
  type ToolConfiguration,
} from '@aws-sdk/client-bedrock-runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { sdkSettings, startForTest } from '../../helpers/offline-bedrock.ts';

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const TOOLS: ToolConfiguration = {
  tools: [
    {
      toolSpec: {
        name: 'get_weather',
        inputSchema: {
          json: {
            type: 'object',
            properties: { city: { type: 'string' }, days: { type: 'integer' } },
            required: ['city'],
          },
        },
      },
    },
  ],
};

let bedrock: OfflineBedrock;
let client: BedrockRuntimeClient;

beforeAll(async () => {
  bedrock = await startForTest();
  client = new BedrockRuntimeClient(sdkSettings(bedrock.port));
});

afterAll(async () => {
  client.destroy();
  await bedrock.close();
});

function ask(text: string, rest: Partial<ConverseCommandInput> = {}): ConverseCommandInput {
  return { modelId: CLAUDE, messages: [{ role: 'user', content: [{ text }] }], ...rest };
}

describe('Converse', () => {
  it('repeats in Converse what it was told, and names the model', async () => {
    const response = await client.send(new ConverseCommand(ask('Hello, Bedrock!')));
    expect(response.output?.message).toEqual({
      role: 'assistant',
      content: [{ text: 'Offline answer of anthropic.claude-sonnet-4-5-20250929-v1:0: you said: Hello, Bedrock!' }],
    });
    expect(response.stopReason).toBe('end_turn');
    const { inputTokens = 0, outputTokens = 0, totalTokens } = response.usage ?? {};
    expect(inputTokens).toBeGreaterThan(0);
    expect(totalTokens).toBe(inputTokens + outputTokens);
    expect(response.metrics?.latencyMs).toBeGreaterThan(0);
  });

  it('gives the same response to the same request', async () => {
    const [one, other] = await Promise.all([1, 2].map(() => client.send(new ConverseCommand(ask('again')))));
    expect({ ...one, $metadata: 0 }).toEqual({ ...other, $metadata: 0 });
    expect(one?.$metadata.requestId).not.toBe(other?.$metadata.requestId);
  });

  it('stops a Converse response at maxTokens', async () => {
    const response = await client.send(new ConverseCommand(ask('hi', { inferenceConfig: { maxTokens: 3 } })));
    expect(response.output?.message?.content?.[0]?.text).toBe('Offline answ');
    expect(response).toMatchObject({ stopReason: 'max_tokens', usage: { outputTokens: 3 } });
  });

  it('calls a tool that it must call', async () => {
    const toolConfig = { ...TOOLS, toolChoice: { any: {} } };
    const response = await client.send(new ConverseCommand(ask('hi', { toolConfig })));
    expect(response.stopReason).toBe('tool_use');
    expect(response.output?.message?.content).toEqual([
      {
        toolUse: {
          name: 'get_weather',
          input: { city: 'sample' },
          toolUseId: expect.stringMatching(/^tooluse_\w{22}$/),
        },
      },
    ]);
  });

  it('answers in words once the tool has answered', async () => {
    const question = ask('please get_weather', { toolConfig: TOOLS });
    const call = await client.send(new ConverseCommand(question));
    const toolUseId = call.output?.message?.content?.[0]?.toolUse?.toolUseId;
    const response = await client.send(
      new ConverseCommand({
        ...question,
        messages: [
          ...(question.messages ?? []),
          { role: 'assistant', content: call.output?.message?.content },
          {
            role: 'user',
            content: [{ toolResult: { toolUseId, content: [{ text: 'sunny' }, { json: { degrees: 20 } }] } }],
          },
        ],
      }),
    );
    expect(response.stopReason).toBe('end_turn');
    expect(response.output?.message?.content?.[0]?.text).toContain('the tool said: sunny {"degrees":20}');
  });

  it('stops a Converse response by a guardrail', async () => {
    const guardrailConfig = { guardrailIdentifier: 'abc', guardrailVersion: '1' };
    const response = await client.send(new ConverseCommand(ask('a badword', { guardrailConfig })));
    expect(response).toMatchObject({ stopReason: 'guardrail_intervened', usage: { totalTokens: 0 } });
  });
});

describe('ConverseStream', () => {
  it('streams the response of Converse', async () => {
    const input = ask('Hello, \u{1f600} stream!');
    const whole = await client.send(new ConverseCommand(input));
    const events = await readEvents(input);
    expect(events.map((event) => Object.keys(event)[0])).toEqual([
      'messageStart',
      ...events.slice(1, -3).map(() => 'contentBlockDelta'),
      'contentBlockStop',
      'messageStop',
      'metadata',
    ]);
    const text = events.map((event) => event.contentBlockDelta?.delta?.text ?? '').join('');
    expect(text).toBe(whole.output?.message?.content?.[0]?.text);
    expect(events.at(-2)?.messageStop?.stopReason).toBe('end_turn');
    expect(events.at(-1)?.metadata).toMatchObject({ usage: whole.usage, metrics: whole.metrics });
  });

  it('streams the call of a tool', async () => {
    const events = await readEvents(ask('hi', { toolConfig: { ...TOOLS, toolChoice: { any: {} } } }));
    expect(events[1]?.contentBlockStart?.start?.toolUse).toMatchObject({ name: 'get_weather' });
    const input = events.map((event) => event.contentBlockDelta?.delta?.toolUse?.input ?? '').join('');
    expect(JSON.parse(input)).toEqual({ city: 'sample' });
    expect(events.at(-2)?.messageStop?.stopReason).toBe('tool_use');
  });

  it.each([
    { modelId: 'offline.stream-error-v1:0', name: 'ModelStreamErrorException' },
    { modelId: 'offline.stream-throttle-v1:0', name: 'ThrottlingException' },
  ])('fails a ConverseStream in the middle with $name', async ({ modelId, name }) => {
    const response = await client.send(new ConverseStreamCommand(ask('hi', { modelId })));
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const event of response.stream ?? []) seen.push(Object.keys(event)[0] ?? '');
    };
    await expect(read()).rejects.toMatchObject({ name });
    expect(seen).toEqual(['messageStart', 'contentBlockDelta']);
  });
});

const ANTHROPIC_BODY = {
  anthropic_version: 'bedrock-2023-05-31',
  max_tokens: 500,
  messages: [{ role: 'user', content: 'Hello, Claude!' }],
};
const NOVA_BODY = {
  messages: [{ role: 'user', content: [{ text: 'Hello, Nova!' }] }],
  inferenceConfig: { maxTokens: 99 },
};

describe('InvokeModel', () => {
  it("answers InvokeModel in the shape of Anthropic's Messages API", async () => {
    const response = await client.send(
      new InvokeModelCommand({ modelId: CLAUDE, body: JSON.stringify(ANTHROPIC_BODY) }),
    );
    expect(JSON.parse(response.body.transformToString())).toMatchObject({
      id: expect.stringMatching(/^msg_bdrk_\w{24}$/),
      model: 'claude-sonnet-4-5-20250929',
      role: 'assistant',
      content: [{ type: 'text', text: expect.stringContaining('you said: Hello, Claude!') }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: expect.any(Number), output_tokens: expect.any(Number) },
    });
    expect(response.contentType).toBe('application/json');
  });

  it('answers InvokeModel in the shape of Nova', async () => {
    const input = { modelId: 'amazon.nova-lite-v1:0', body: JSON.stringify(NOVA_BODY) };
    const response = await client.send(new InvokeModelCommand(input));
    expect(JSON.parse(response.body.transformToString())).toMatchObject({
      output: { message: { role: 'assistant', content: [{ text: expect.stringContaining('Hello, Nova!') }] } },
      stopReason: 'end_turn',
      usage: { inputTokens: expect.any(Number) },
    });
  });

  it('embeds texts, and puts near ones near', async () => {
    const one = await embed('the cat sat on the mat', 256);
    const near = await embed('a cat on the mat', 256);
    const far = await embed('quarterly revenue forecast', 256);
    const dot = (other: number[]): number => one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
    expect(one).toHaveLength(256);
    expect(dot(one)).toBeCloseTo(1, 4);
    expect(dot(near)).toBeGreaterThan(dot(far) + 0.3);
    expect(await embed('x')).toHaveLength(1024);
  });

  it.each([
    { name: 'Claude', modelId: CLAUDE, body: ANTHROPIC_BODY, first: 'message_start', last: 'message_stop' },
    { name: 'Nova', modelId: 'us.amazon.nova-pro-v1:0', body: NOVA_BODY, first: undefined, last: undefined },
  ])('streams InvokeModel of $name, with the metrics in the last chunk', async ({ modelId, body, first, last }) => {
    const command = new InvokeModelWithResponseStreamCommand({ modelId, body: JSON.stringify(body) });
    const response = await client.send(command);
    const chunks: Record<string, unknown>[] = [];
    for await (const event of response.body ?? []) {
      chunks.push(JSON.parse(Buffer.from(event.chunk?.bytes ?? []).toString()) as Record<string, unknown>);
    }
    expect(response.contentType).toBe('application/json');
    expect(chunks[0]?.['type']).toBe(first);
    expect(chunks.at(-1)?.['type']).toBe(last);
    expect(chunks.at(-1)?.['amazon-bedrock-invocationMetrics']).toMatchObject({
      inputTokenCount: expect.any(Number),
      outputTokenCount: expect.any(Number),
      invocationLatency: expect.any(Number),
      firstByteLatency: expect.any(Number),
    });
    expect(chunks.filter((chunk) => 'amazon-bedrock-invocationMetrics' in chunk)).toHaveLength(1);
  });
});

describe('CountTokens', () => {
  it('counts the tokens that Converse reports', async () => {
    const { messages } = ask('How many tokens?');
    const response = await client.send(new ConverseCommand(ask('How many tokens?')));
    const counted = await client.send(new CountTokensCommand({ modelId: CLAUDE, input: { converse: { messages } } }));
    expect(counted.inputTokens).toBe(response.usage?.inputTokens);
  });

  it.each([
    { name: 'Claude', modelId: CLAUDE, body: ANTHROPIC_BODY },
    { name: 'Nova', modelId: 'amazon.nova-lite-v1:0', body: NOVA_BODY },
  ])('counts the tokens that InvokeModel of $name reports', async ({ modelId, body: content }) => {
    const body = Buffer.from(JSON.stringify(content));
    const response = await client.send(new InvokeModelCommand({ modelId, body }));
    const usage = (JSON.parse(response.body.transformToString()) as { usage: Record<string, number> }).usage;
    const counted = await client.send(new CountTokensCommand({ modelId, input: { invokeModel: { body } } }));
    expect(counted.inputTokens).toBe(usage['input_tokens'] ?? usage['inputTokens']);
  });
});

describe('ApplyGuardrail', () => {
  it.each([
    { text: 'all is well', action: 'NONE', outputs: 0 },
    { text: 'a BadWord', action: 'GUARDRAIL_INTERVENED', outputs: 1 },
  ] as const)('answers ApplyGuardrail with $action to "$text"', async ({ text, action, outputs }) => {
    const input = { guardrailIdentifier: 'abc123', guardrailVersion: 'DRAFT', source: 'INPUT' as const };
    const response = await client.send(new ApplyGuardrailCommand({ ...input, content: [{ text: { text } }] }));
    expect(response).toMatchObject({ action, usage: { wordPolicyUnits: 1 } });
    expect(response.outputs).toHaveLength(outputs);
  });
});

describe('a model that fails on demand', () => {
  it.each([
    { fault: 'throttle', name: 'ThrottlingException', status: 429 },
    { fault: 'not-ready', name: 'ModelNotReadyException', status: 429 },
    { fault: 'unavailable', name: 'ServiceUnavailableException', status: 503 },
    { fault: 'internal', name: 'InternalServerException', status: 500 },
    { fault: 'timeout', name: 'ModelTimeoutException', status: 408 },
    { fault: 'model-error', name: 'ModelErrorException', status: 424 },
    { fault: 'denied', name: 'AccessDeniedException', status: 403 },
  ])('fails on demand by $fault with $name', async ({ fault, name, status }) => {
    const sent = client.send(new ConverseCommand(ask('hi', { modelId: `offline.${fault}-v1:0` })));
    await expect(sent).rejects.toMatchObject({ name, $metadata: { httpStatusCode: status } });
  });
});

async function readEvents(input: ConverseCommandInput): Promise<ConverseStreamOutput[]> {
  const response = await client.send(new ConverseStreamCommand(input));
  const events: ConverseStreamOutput[] = [];
  for await (const event of response.stream ?? []) events.push(event);
  return events;
}

async function embed(inputText: string, dimensions?: number): Promise<number[]> {
  const body = JSON.stringify({ inputText, dimensions });
  const input = { modelId: 'amazon.titan-embed-text-v2:0', body, contentType: 'application/json' };
  const response = await client.send(new InvokeModelCommand(input));
  return (JSON.parse(response.body.transformToString()) as { embedding: number[] }).embedding;
}
