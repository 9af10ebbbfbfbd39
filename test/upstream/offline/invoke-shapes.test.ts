/** InvokeModel of the offline Bedrock in the shapes of every provider, through the AWS SDK for JavaScript. */
import {
  BedrockRuntimeClient,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { sdkSettings, startForTest } from '../../helpers/offline-bedrock.ts';

const SAID = expect.stringMatching(/^Offline answer of .*: you said: Hello$/);
const CHAT = { messages: [{ role: 'user', content: 'Hello' }] };
const IMPORTED = 'arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl';

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

async function invoke(modelId: string, body: object): Promise<Record<string, unknown>> {
  const response = await client.send(new InvokeModelCommand({ modelId, body: JSON.stringify(body) }));
  return JSON.parse(response.body.transformToString()) as Record<string, unknown>;
}

async function stream(modelId: string, body: object): Promise<Record<string, unknown>[]> {
  const command = new InvokeModelWithResponseStreamCommand({ modelId, body: JSON.stringify(body) });
  const chunks: Record<string, unknown>[] = [];
  for await (const { chunk } of (await client.send(command)).body ?? []) {
    chunks.push(JSON.parse(Buffer.from(chunk?.bytes ?? []).toString()) as Record<string, unknown>);
  }
  return chunks;
}

const TEXTS = [
  {
    modelId: 'us.meta.llama3-3-70b-instruct-v1:0',
    body: {
      prompt:
        '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>' +
        '<|start_header_id|>assistant<|end_header_id|>\n\n',
    },
    whole: { generation: SAID, prompt_token_count: expect.any(Number), stop_reason: 'stop' },
    last: { generation: '', stop_reason: 'stop' },
  },
  {
    modelId: 'mistral.mistral-7b-instruct-v0:2',
    body: { prompt: '<s>[INST] Hello [/INST]', max_tokens: 50 },
    whole: { outputs: [{ text: SAID, stop_reason: 'stop' }] },
    last: { outputs: [{ text: '', stop_reason: 'stop' }] },
  },
  {
    modelId: 'us.deepseek.r1-v1:0',
    body: { prompt: '<｜begin▁of▁sentence｜><｜User｜>Hello<｜Assistant｜>', max_tokens: 50 },
    whole: { choices: [{ text: SAID, stop_reason: 'stop' }] },
    last: { choices: [{ stop_reason: 'stop' }] },
  },
  {
    modelId: 'amazon.titan-text-express-v1',
    body: { inputText: 'Hello', textGenerationConfig: { maxTokenCount: 50 } },
    whole: { inputTextTokenCount: 2, results: [{ outputText: SAID, completionReason: 'FINISH' }] },
    last: { completionReason: 'FINISH', inputTextTokenCount: 2 },
  },
  {
    modelId: 'cohere.command-r-v1:0',
    body: { message: 'Hello' },
    whole: { text: SAID, finish_reason: 'COMPLETE' },
    last: { event_type: 'stream-end', finish_reason: 'COMPLETE' },
  },
  {
    modelId: 'cohere.command-text-v14',
    body: { prompt: 'Hello' },
    whole: { generations: [{ text: SAID, finish_reason: 'COMPLETE' }] },
    last: { is_finished: true },
  },
  {
    modelId: 'anthropic.claude-v2:1',
    body: { prompt: '\n\nHuman: Hello\n\nAssistant:', max_tokens_to_sample: 100 },
    whole: { type: 'completion', completion: SAID, stop_reason: 'stop_sequence' },
    last: { completion: '', stop_reason: 'stop_sequence' },
  },
  ...['openai.gpt-oss-20b-1:0', 'mistral.mistral-large-3-675b-instruct', 'deepseek.v3.2', 'qwen.qwen3-32b-v1:0'].map(
    (modelId) => ({
      modelId,
      body: CHAT,
      whole: { choices: [{ message: { role: 'assistant', content: SAID }, finish_reason: 'stop' }] },
      last: { choices: [{ delta: {}, finish_reason: 'stop' }] },
    }),
  ),
  {
    modelId: IMPORTED,
    body: CHAT,
    whole: { choices: [{ message: { content: SAID } }] },
    last: { choices: [{ finish_reason: 'stop' }] },
  },
  {
    modelId: IMPORTED,
    body: { prompt: 'Hello', max_gen_len: 50 },
    whole: { generation: SAID },
    last: { stop_reason: 'stop' },
  },
];

describe('InvokeModel of a model that writes', () => {
  it.each(TEXTS)('goes on with the text of $modelId, whole and streamed', async ({ modelId, body, whole, last }) => {
    expect(await invoke(modelId, body)).toMatchObject(whole);
    const chunks = await stream(modelId, body);
    expect(chunks.at(-1)).toMatchObject({
      ...last,
      'amazon-bedrock-invocationMetrics': { inputTokenCount: expect.any(Number) },
    });
    expect(chunks.length).toBeGreaterThan(5);
  });

  it('cuts a text at the most that each body names', async () => {
    expect(await invoke('us.meta.llama3-3-70b-instruct-v1:0', { prompt: 'Hello', max_gen_len: 2 })).toMatchObject({
      generation_token_count: 2,
      stop_reason: 'length',
    });
  });

  it('refuses a body without a prompt', async () => {
    const sent = invoke('us.meta.llama3-3-70b-instruct-v1:0', CHAT);
    await expect(sent).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringContaining('[prompt]'),
    });
  });
});

function ofLength(length: number) {
  return expect.objectContaining({ length });
}

describe('InvokeModel of an embedding', () => {
  it.each([
    {
      modelId: 'cohere.embed-english-v3',
      body: { texts: ['x', 'y'], input_type: 'search_query' },
      content: { embeddings: [ofLength(1024), ofLength(1024)], response_type: 'embeddings_floats', texts: ['x', 'y'] },
    },
    {
      modelId: 'us.cohere.embed-v4:0',
      body: {
        texts: ['x'],
        input_type: 'search_document',
        embedding_types: ['float', 'int8', 'ubinary'],
        output_dimension: 256,
      },
      content: {
        response_type: 'embeddings_by_type',
        embeddings: { float: [ofLength(256)], int8: [ofLength(256)], ubinary: [ofLength(32)] },
      },
    },
    {
      modelId: 'amazon.titan-embed-image-v1',
      body: { inputText: 'x', inputImage: 'aGk=', embeddingConfig: { outputEmbeddingLength: 384 } },
      content: { embedding: ofLength(384), inputTextTokenCount: 1 },
    },
    {
      modelId: 'amazon.nova-2-multimodal-embeddings-v1:0',
      body: {
        taskType: 'SINGLE_EMBEDDING',
        singleEmbeddingParams: {
          embeddingPurpose: 'GENERIC_INDEX',
          embeddingDimension: 384,
          text: { truncationMode: 'END', value: 'x' },
        },
      },
      content: { embeddings: [{ embeddingType: 'TEXT', embedding: ofLength(384) }] },
    },
  ])('answers in the shape of $modelId', async ({ modelId, body, content }) => {
    expect(await invoke(modelId, body)).toMatchObject(content);
  });

  it.each([
    { modelId: 'cohere.embed-english-v3', body: { texts: [], input_type: 'search_query' }, says: 'texts' },
    { modelId: 'cohere.embed-english-v3', body: { texts: ['x'] }, says: 'input_type' },
    {
      modelId: 'cohere.embed-v4:0',
      body: { texts: ['x'], input_type: 'clustering', output_dimension: 7 },
      says: '256',
    },
    { modelId: 'amazon.nova-2-multimodal-embeddings-v1:0', body: { taskType: 'x' }, says: 'taskType' },
    { modelId: 'amazon.titan-embed-image-v1', body: {}, says: 'inputImage' },
  ])('refuses what $modelId cannot embed: $says', async ({ modelId, body, says }) => {
    await expect(invoke(modelId, body)).rejects.toMatchObject({ message: expect.stringContaining(says) });
  });
});

describe('InvokeModel of a reranker', () => {
  it.each(['cohere.rerank-v3-5:0', 'amazon.rerank-v1:0'])('puts the nearest document of %s first', async (modelId) => {
    const documents = ['the price of gold', 'a cat on a mat', 'cats and cats'];
    const { results } = await invoke(modelId, { query: 'where is the cat on the mat', documents, top_n: 2 });
    expect(results).toMatchObject([{ index: 1, relevance_score: expect.any(Number) }, { index: expect.any(Number) }]);
  });
});

describe('InvokeModel of a painter', () => {
  it.each([
    {
      modelId: 'amazon.titan-image-generator-v2:0',
      body: { taskType: 'TEXT_IMAGE', textToImageParams: { text: 'x' }, imageGenerationConfig: { numberOfImages: 2 } },
      count: 2,
    },
    { modelId: 'stability.stable-image-core-v1:1', body: { prompt: 'x' }, count: 1 },
  ])('paints a dot with $modelId', async ({ modelId, body, count }) => {
    const { images } = (await invoke(modelId, body)) as { images: string[] };
    expect(images).toHaveLength(count);
    const picture = Buffer.from(images[0] ?? '', 'base64');
    expect(picture.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a');
    expect(picture.subarray(-8, -4).toString()).toBe('IEND');
  });
});
