/** What AWS refuses and what it counts, through the AWS SDK for JavaScript: models, caches, thinking, guardrails. */
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  type ContentBlock,
  type ConverseCommandInput,
} from '@aws-sdk/client-bedrock-runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { sdkSettings, startForTest } from '../../helpers/offline-bedrock.ts';

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const LONG = 'word '.repeat(1100);

let bedrock: OfflineBedrock;
let client: BedrockRuntimeClient;

beforeEach(async () => {
  bedrock = await startForTest();
  client = new BedrockRuntimeClient(sdkSettings(bedrock.port));
});

afterEach(async () => {
  client.destroy();
  await bedrock.close();
});

function converse(content: readonly ContentBlock[], rest: Partial<ConverseCommandInput> = {}) {
  return client.send(
    new ConverseCommand({ modelId: CLAUDE, messages: [{ role: 'user', content: [...content] }], ...rest }),
  );
}

describe('a model', () => {
  it.each([
    { modelId: 'amazon.nova-lyte-v1:0', says: 'The provided model identifier is invalid.' },
    { modelId: 'eu.amazon.nova-lite-v1:0', says: 'The provided model identifier is invalid.' },
    {
      modelId: 'anthropic.claude-sonnet-4-5-20250929-v1:0',
      says:
        'Invocation of model ID anthropic.claude-sonnet-4-5-20250929-v1:0 with on-demand throughput isn\u2019t supported. ' +
        'Retry your request with the ID or ARN of an inference profile that contains this model.',
    },
    {
      modelId: 'amazon.titan-embed-text-v2:0',
      says: "This action doesn't support the model that you provided. Try again with a supported text or chat model.",
    },
  ])('is refused in the words of AWS: $modelId', async ({ modelId, says }) => {
    const refusal = { name: 'ValidationException', message: says, $metadata: { httpStatusCode: 400 } };
    await expect(converse([{ text: 'hi' }], { modelId })).rejects.toMatchObject(refusal);
  });
});

describe('a cache checkpoint', () => {
  const content: ContentBlock[] = [{ text: LONG }, { cachePoint: { type: 'default' } }, { text: 'hi' }];

  it('is written once and read after that, in Converse', async () => {
    const written = await converse(content);
    const { cacheWriteInputTokens = 0, inputTokens = 0, outputTokens = 0, totalTokens } = written.usage ?? {};
    expect(written.usage).toMatchObject({ cacheReadInputTokens: 0, inputTokens: 1 });
    expect(cacheWriteInputTokens).toBeGreaterThan(1024);
    expect(totalTokens).toBe(cacheWriteInputTokens + inputTokens + outputTokens);
    const read = await converse(content);
    expect(read.usage).toMatchObject({ cacheReadInputTokens: cacheWriteInputTokens, cacheWriteInputTokens: 0 });
  });

  it('counts nothing below what its model keeps', async () => {
    const modelId = 'us.anthropic.claude-haiku-4-5-20251001-v1:0';
    expect((await converse(content, { modelId })).usage).toMatchObject({ cacheWriteInputTokens: 0 });
  });

  it('is refused by a model without a cache, in the words of AWS', async () => {
    const refusal = { name: 'AccessDeniedException', message: expect.stringContaining('did not allow prompt caching') };
    await expect(converse(content, { modelId: 'openai.gpt-oss-20b-1:0' })).rejects.toMatchObject(refusal);
  });

  it('shows in the headers and the body of InvokeModel', async () => {
    const block = { type: 'text', text: LONG, cache_control: { type: 'ephemeral', ttl: '1h' } };
    const body = JSON.stringify({
      anthropic_version: 'bedrock-2023-05-31',
      max_tokens: 50,
      system: [block],
      messages: [{ role: 'user', content: 'hi' }],
    });
    const usages = [];
    for (let turn = 0; turn < 2; turn++) {
      const response = await client.send(new InvokeModelCommand({ modelId: CLAUDE, body }));
      usages.push((JSON.parse(response.body.transformToString()) as { usage: Record<string, unknown> }).usage);
    }
    const [written, read] = usages;
    const count = written?.['cache_creation_input_tokens'];
    expect(count).toBeGreaterThan(1024);
    expect(written).toMatchObject({
      cache_read_input_tokens: 0,
      cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: count },
    });
    expect(read).toMatchObject({ cache_read_input_tokens: count, cache_creation_input_tokens: 0 });
  });
});

describe('thinking', () => {
  const thinking = { thinking: { type: 'enabled', budget_tokens: 1024 } };
  const rest = { additionalModelRequestFields: thinking, inferenceConfig: { maxTokens: 2000 } };

  it('comes before the text, signed', async () => {
    const { output } = await converse([{ text: 'hi' }], rest);
    expect(output?.message?.content).toMatchObject([
      { reasoningContent: { reasoningText: { text: expect.any(String), signature: expect.any(String) } } },
      { text: expect.stringContaining('you said: hi') },
    ]);
  });

  it('streams as a block of its own', async () => {
    const messages = [{ role: 'user' as const, content: [{ text: 'hi' }] }];
    const { stream = [] } = await client.send(new ConverseStreamCommand({ modelId: CLAUDE, messages, ...rest }));
    const kinds = new Set<string>();
    for await (const { contentBlockDelta } of stream) {
      const [kind] = Object.keys(contentBlockDelta?.delta?.reasoningContent ?? contentBlockDelta?.delta ?? {});
      if (kind !== undefined) kinds.add(`${contentBlockDelta?.contentBlockIndex} ${kind}`);
    }
    expect([...kinds]).toEqual(['0 text', '0 signature', '1 text']);
  });
});

describe('a guardrail', () => {
  const guardrailConfig = { guardrailIdentifier: 'abc', guardrailVersion: '1', trace: 'enabled' as const };

  it.each([
    { name: 'guarded', content: [{ guardContent: { text: { text: 'badword' } } }], stopReason: 'guardrail_intervened' },
    {
      name: 'beside what is guarded',
      content: [{ text: 'badword' }, { guardContent: { text: { text: 'good' } } }],
      stopReason: 'end_turn',
    },
  ])('reads a word that is $name: $stopReason', async ({ content, stopReason }) => {
    const response = await converse(content, { guardrailConfig });
    expect(response).toMatchObject({
      stopReason,
      trace: { guardrail: { inputAssessment: { abc: expect.anything() } } },
    });
  });
});

describe('Converse', () => {
  it('takes a tool of Bedrock alone', async () => {
    const toolConfig = { tools: [{ systemTool: { name: 'nova_grounding' } }] };
    expect(await converse([{ text: 'hi' }], { modelId: 'us.amazon.nova-premier-v1:0', toolConfig })).toMatchObject({
      stopReason: 'end_turn',
    });
  });

  it('writes JSON of the schema that it is given', async () => {
    const schema = JSON.stringify({ type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] });
    const outputConfig = { textFormat: { type: 'json_schema' as const, structure: { jsonSchema: { schema } } } };
    const { output } = await converse([{ text: 'hi' }], { outputConfig });
    expect(output?.message?.content).toEqual([{ text: '{"a":1}' }]);
  });

  it('calls a tool on auto if the question is about what it does', async () => {
    const tools = [{ toolSpec: { name: 'lookup', description: 'Tells the weather.', inputSchema: { json: {} } } }];
    const response = await converse([{ text: 'What is the weather in Paris?' }], { toolConfig: { tools } });
    expect(response.stopReason).toBe('tool_use');
  });
});
