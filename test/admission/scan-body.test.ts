/**
 * What is read off the body of a request before it is sent, by the shapes of every provider, and what must not be
 * trusted.
 */
import { describe, expect, it } from 'vitest';
import type { Inspection } from '../../src/admission/body-reading.ts';
import { inspectBody, type InspectedRequest } from '../../src/admission/scan-body.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { failureOf } from '../helpers/failure.ts';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';

const JSON_HEADERS: readonly HeaderPair[] = [['Content-Type', 'application/json']];

interface Given {
  readonly service?: string;
  readonly operation?: string | undefined;
  readonly pathModel?: string | undefined;
  readonly headers?: readonly HeaderPair[];
}

function request(
  body: unknown,
  { service = 'bedrock-runtime', operation, pathModel, headers = JSON_HEADERS }: Given = {},
): InspectedRequest {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return {
    service,
    operation,
    pathModel,
    headers,
    body: { chunks: [bytes], sizeBytes: bytes.length },
    maxUnpackedBytes: 1_000_000,
    isSized: true,
  };
}

const inspect = (body: unknown, given?: Given): Promise<Inspection> => inspectBody(request(body, given));

describe('models', () => {
  const ARN = 'arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0';
  const agents = 'bedrock-agent-runtime';
  const reranking = { bedrockRerankingConfiguration: { modelConfiguration: { modelArn: ARN } } };
  it.each([
    {
      name: 'OpenAI chat',
      service: 'bedrock-mantle',
      operation: 'ChatCompletions',
      body: { model: 'openai.gpt-oss-120b', messages: [{ model: 'no' }] },
      models: ['openai.gpt-oss-120b'],
    },
    {
      name: 'a tool with a model of its own',
      service: 'bedrock-mantle',
      operation: 'CreateMessage',
      body: { model: 'a', tools: [{ name: 't', model: 'b', input_schema: { model: 'no' } }] },
      models: ['a', 'b'],
    },
    {
      name: 'a path that nobody knows',
      service: 'bedrock-mantle',
      operation: undefined,
      body: { model: 'a' },
      models: ['a'],
    },
    {
      name: 'Converse, whose model is in the path',
      operation: 'Converse',
      body: { model: 'no', modelId: 'no', messages: [] },
      models: [],
    },
    {
      name: 'a tool in the fields that Converse passes on',
      operation: 'Converse',
      body: { additionalModelRequestFields: { tools: [{ model: 'b' }] } },
      models: ['b'],
    },
    {
      name: 'StartAsyncInvoke',
      operation: 'StartAsyncInvoke',
      body: { modelInput: { modelId: 'no' }, modelId: 'amazon.nova-reel-v1:0' },
      models: ['amazon.nova-reel-v1:0'],
    },
    {
      name: 'Rerank',
      service: agents,
      operation: 'Rerank',
      body: { rerankingConfiguration: reranking },
      models: [ARN],
    },
    {
      name: 'Retrieve with a reranker',
      service: agents,
      operation: 'Retrieve',
      body: { retrievalConfiguration: { vectorSearchConfiguration: { rerankingConfiguration: reranking } } },
      models: [ARN],
    },
    {
      name: 'RetrieveAndGenerate, everywhere',
      service: agents,
      operation: 'RetrieveAndGenerate',
      body: {
        retrieveAndGenerateConfiguration: {
          knowledgeBaseConfiguration: {
            modelArn: 'a',
            retrievalConfiguration: { vectorSearchConfiguration: { implicitFilterConfiguration: { modelArn: 'b' } } },
          },
          externalSourcesConfiguration: { modelArn: 'c' },
        },
      },
      models: ['a', 'b', 'c'],
    },
    {
      name: 'InvokeInlineAgent, with its collaborators',
      service: agents,
      operation: 'InvokeInlineAgent',
      body: {
        foundationModel: 'a',
        collaborators: [
          { foundationModel: 'b', promptOverrideConfiguration: { promptConfigurations: [{ foundationModel: 'c' }] } },
        ],
        collaboratorConfigurations: [{ agentAliasArn: 'd' }],
      },
      models: ['a', 'b', 'c', 'd'],
    },
    {
      name: 'InvokeHarness',
      service: 'bedrock-agentcore',
      operation: 'InvokeHarness',
      body: { model: { bedrockModelConfig: { modelId: 'a' } } },
      models: ['a'],
    },
    {
      name: 'a batch job',
      service: 'bedrock',
      operation: 'CreateModelInvocationJob',
      body: { modelId: 'a' },
      models: ['a'],
    },
    {
      name: 'a memory with its own models',
      service: 'bedrock-agentcore-control',
      operation: 'CreateMemory',
      body: {
        memoryStrategies: [
          { customMemoryStrategy: { configuration: { semanticOverride: { extraction: { modelId: 'a' } } } } },
        ],
      },
      models: ['a'],
    },
    {
      name: 'a repeated and disguised name',
      service: 'bedrock-mantle',
      operation: 'CreateResponse',
      body: String.raw`{"model":"a","mod\u0065l":"b"}`,
      models: ['b', 'a'],
    },
    {
      name: 'no text where a name belongs',
      service: 'bedrock-mantle',
      operation: 'CreateResponse',
      body: '{"model":7,"model":null}',
      models: ['7'],
    },
  ])('finds the models in a body: $name', async ({ body, models, ...given }) => {
    expect(await inspect(body, given)).toMatchObject({ models, wellFormed: true });
  });

  it('does not trust models of a body if a name is too long to be read', async () => {
    const given = { service: 'bedrock-mantle', operation: 'ChatCompletions' };
    expect(await inspect({ model: 'x'.repeat(5000) }, given)).toMatchObject({ models: [], wellFormed: false });
  });

  it('does not trust models of a body if there are too many to keep', async () => {
    const body = `{${Array.from({ length: 1001 }, (_, index) => `"model":"m${index}"`).join()}}`;
    const { models, wellFormed } = await inspect(body, { service: 'bedrock-mantle', operation: 'ChatCompletions' });
    expect(models.length).toBe(1000);
    expect(wellFormed).toBe(false);
  });
});

describe('most tokens and copies', () => {
  it.each([
    { name: 'Converse', body: { inferenceConfig: { maxTokens: 100 } }, maxOutputTokens: 100 },
    { name: 'Anthropic', body: { max_tokens: 100 }, maxOutputTokens: 100 },
    { name: 'Anthropic of old', body: { max_tokens_to_sample: 100 }, maxOutputTokens: 100 },
    { name: 'Nova', body: { inferenceConfig: { max_new_tokens: 100 } }, maxOutputTokens: 100 },
    { name: 'Titan', body: { textGenerationConfig: { maxTokenCount: 100 } }, maxOutputTokens: 100 },
    {
      name: 'Titan images',
      body: { imageGenerationConfig: { numberOfImages: 3 } },
      maxOutputTokens: undefined,
      copies: 3,
    },
    { name: 'Llama', body: { max_gen_len: 100 }, maxOutputTokens: 100 },
    { name: 'Cohere', body: { max_tokens: 100, num_generations: 2 }, maxOutputTokens: 100, copies: 2 },
    { name: 'AI21', body: { maxTokens: 100, numResults: 2 }, maxOutputTokens: 100, copies: 2 },
    { name: 'OpenAI', body: { max_tokens: 50, max_completion_tokens: 100, n: 4 }, maxOutputTokens: 100, copies: 4 },
    { name: 'OpenAI responses', body: { max_output_tokens: 100 }, maxOutputTokens: 100 },
    {
      name: 'an inline agent',
      body: {
        promptOverrideConfiguration: { promptConfigurations: [{ inferenceConfiguration: { maximumLength: 100 } }] },
      },
      maxOutputTokens: 100,
    },
    {
      name: 'RetrieveAndGenerate',
      body: {
        retrieveAndGenerateConfiguration: {
          knowledgeBaseConfiguration: {
            generationConfiguration: { inferenceConfig: { textInferenceConfig: { maxTokens: 100 } } },
          },
        },
      },
      maxOutputTokens: 100,
    },
    { name: 'InvokeHarness', body: { model: { bedrockModelConfig: { maxTokens: 100 } } }, maxOutputTokens: 100 },
    {
      name: 'the largest of those that are repeated',
      body: '{"max_tokens":100,"max_tokens":7,"n":3,"n":1}',
      maxOutputTokens: 100,
      copies: 3,
    },
    {
      name: 'a text of digits beside a limit',
      body: '{"max_tokens":"900","max_completion_tokens":7,"n":"3"}',
      maxOutputTokens: 900,
      copies: 3,
    },
    {
      name: 'a larger one in what Converse passes on',
      body: { max_tokens: 7, additionalModelRequestFields: { max_gen_len: 90, n: 4 } },
      maxOutputTokens: 90,
      copies: 4,
    },
    { name: 'the best of several', body: { max_tokens: 7, best_of: 5, n: 2 }, maxOutputTokens: 7, copies: 5 },
    {
      name: 'several prompts',
      body: { max_tokens: 7, n: 2, prompt: ['a', 'b', [1, 2]] },
      maxOutputTokens: 7,
      copies: 6,
    },
    { name: 'one prompt of tokens', body: { max_tokens: 7, prompt: [1, 2, 3] }, maxOutputTokens: 7 },
    { name: 'nothing', body: { messages: [{ max_tokens: 5 }] }, maxOutputTokens: undefined },
    {
      name: 'what is no number to go by',
      body: '{"max_tokens":-1,"max_gen_len":"9","maxTokens":1e400,"n":0}',
      maxOutputTokens: undefined,
    },
  ])('finds the limit of the response in a body: $name', async ({ body, maxOutputTokens, copies = 1 }) => {
    expect(await inspect(body, { operation: 'InvokeModel', pathModel: 'm' })).toMatchObject({
      maxOutputTokens,
      copies,
    });
  });
});

describe('an estimate of the input', () => {
  const picture = Buffer.alloc(75_000, 'picture').toString('base64');
  it.each([
    {
      name: 'counts text by its bytes, names and punctuation too',
      body: { inputText: 'x'.repeat(284) },
      inputTokens: 100,
    },
    { name: 'is rounded up', body: { a: 1 }, inputTokens: 3 },
    { name: 'does not count a picture as text', body: { inputImage: picture }, inputTokens: 6 + 5000 + 2000 },
    { name: 'counts each picture', body: { images: [picture, picture] }, inputTokens: 6 + 10_000 + 4000 },
    { name: 'counts as text what stands where no picture does', body: { data: picture }, inputTokens: 33_337 },
    { name: 'counts a picture in full, however small it is', body: { inputImage: 'iVBO' }, inputTokens: 6 + 5000 + 1 },
    {
      name: 'takes a picture whose slashes are escaped for a picture',
      body: `{"inputImage":"${picture.slice(0, 99_998)}\\/"}`,
      inputTokens: 6 + 5000 + 2000,
    },
    { name: 'takes for text what is no JSON', body: picture, inputTokens: 33_334 },
    { name: 'is nothing for nothing', body: '', inputTokens: 0 },
  ])('estimates the input of a body: it $name', async ({ body, inputTokens }) => {
    expect((await inspect(body)).inputTokens).toBe(inputTokens);
  });
});

const withHeader = (name: string, value: string): readonly HeaderPair[] => [[name, value]];

describe('what may not be trusted', () => {
  const plain = '{"model":"a"}';
  it.each<{ name: string; body: string | Buffer; headers?: readonly HeaderPair[]; wellFormed: boolean }>([
    { name: 'a plain object', body: plain, wellFormed: true },
    { name: 'white space around it', body: ` \r\n${plain}\t`, wellFormed: true },
    { name: 'no body', body: '', wellFormed: true },
    { name: 'an array', body: `[${plain}]`, wellFormed: false },
    { name: 'a string', body: '"{}"', wellFormed: false },
    { name: 'two objects', body: plain + plain, wellFormed: false },
    { name: 'half an object', body: '{"model":"a"', wellFormed: false },
    { name: 'a trailing comma', body: '{"model":"a",}', wellFormed: false },
    { name: 'a byte order mark', body: `\uFEFF${plain}`, wellFormed: false },
    { name: 'UTF-16', body: Buffer.from(plain, 'utf16le'), wellFormed: false },
    {
      name: 'an overlong letter',
      body: Buffer.from('{"m\u00c1\u00afdel":"b","model":"a"}', 'latin1'),
      wellFormed: false,
    },
    { name: 'no packing', body: plain, headers: withHeader('Content-Encoding', 'Identity'), wellFormed: true },
    {
      name: 'UTF-8 by name',
      body: plain,
      headers: withHeader('Content-Type', 'application/json; charset="UTF-8"'),
      wellFormed: true,
    },
    {
      name: 'another character set',
      body: plain,
      headers: withHeader('Content-Type', 'application/json;charset=utf-7'),
      wellFormed: false,
    },
    {
      name: 'two character sets',
      body: plain,
      headers: withHeader('content-type', 'application/json; charset=utf-8; charset=utf-7'),
      wellFormed: false,
    },
    {
      name: 'the media type of AWS',
      body: plain,
      headers: withHeader('Content-Type', 'application/x-amz-json-1.1'),
      wellFormed: true,
    },
  ])(
    'knows whether a body is well-formed: $name: $wellFormed',
    async ({ body, headers = JSON_HEADERS, wellFormed }) => {
      expect((await inspect(body, { headers })).wellFormed).toBe(wellFormed);
    },
  );
});

describe('the service tier', () => {
  const header: readonly HeaderPair[] = [['X-Amzn-Bedrock-Service-Tier', 'flex']];
  it.each([
    { name: 'of Converse', body: { serviceTier: { type: 'priority' } }, serviceTier: 'priority' },
    { name: 'of OpenAI', body: { service_tier: 'Flex' }, serviceTier: 'flex' },
    { name: 'of InvokeModel', body: {}, headers: header, serviceTier: 'flex' },
    { name: 'that is not named', body: { messages: [{ service_tier: 'flex' }] }, serviceTier: undefined },
  ])('finds the service tier in a body: $name', async ({ body, headers = JSON_HEADERS, serviceTier }) => {
    expect((await inspect(body, { headers })).serviceTier).toBe(serviceTier);
  });
});

describe('a large body', () => {
  const bytes = Buffer.from(JSON.stringify({ text: 'words '.repeat(700_000), model: 'last', max_tokens: 5 }));
  const cut = (sizeBytes: number): Buffer[] =>
    Array.from({ length: Math.ceil(bytes.length / sizeBytes) }, (_, index) =>
      bytes.subarray(index * sizeBytes, (index + 1) * sizeBytes),
    );
  async function* read(): AsyncGenerator<Buffer> {
    yield* cut(256 * 1024);
  }
  const given = {
    service: 'bedrock-mantle',
    operation: 'ChatCompletions',
    pathModel: undefined,
    headers: JSON_HEADERS,
    maxUnpackedBytes: 1_000_000,
  };

  it.each([
    { name: 'in one piece', body: { chunks: [bytes], sizeBytes: bytes.length } },
    { name: 'in many', body: { chunks: cut(16_384), sizeBytes: bytes.length } },
    { name: 'in a file', body: { chunks: [bytes.subarray(0, 1024)], sizeBytes: bytes.length, spool: { read } } },
  ])('reads a large body to its end, and others have their turn: $name', async ({ body }) => {
    let turns = 0;
    const count = (): void => {
      turns += 1;
      waiting = setImmediate(count);
    };
    let waiting = setImmediate(count);
    const inspection = await inspectBody({ ...given, body, isSized: true });
    clearImmediate(waiting);
    expect(inspection).toMatchObject({ models: ['last'], maxOutputTokens: 5, wellFormed: true });
    expect(turns).toBeGreaterThanOrEqual(3);
  });
});

function packedIn(coding: string): Given {
  const headers: HeaderPair[] = [...JSON_HEADERS, ['Content-Encoding', coding]];
  return { service: 'bedrock-mantle', operation: 'ChatCompletions', headers };
}

describe('a compressed body', () => {
  const body = { model: 'a', max_tokens: 7, messages: [{ content: 'words '.repeat(5_000) }] };
  const text = JSON.stringify(body);

  it.each([
    { coding: 'gzip', packed: gzipSync(text) },
    { coding: 'zstd', packed: zstdCompressSync(text) },
    { coding: 'br', packed: brotliCompressSync(text) },
    { coding: 'deflate', packed: deflateSync(text) },
  ])('is read as what it unpacks to: $coding', async ({ coding, packed }) => {
    const plain = await inspect(text, packedIn('identity'));
    expect(await inspect(packed, packedIn(coding))).toEqual(plain);
    expect(plain).toMatchObject({ models: ['a'], maxOutputTokens: 7, wellFormed: true });
  });

  it('is estimated by all that it unpacks to, if it is no JSON', async () => {
    const packed = gzipSync('words '.repeat(50_000));
    expect(await inspect(packed, packedIn('gzip'))).toMatchObject({ inputTokens: 100_000, wellFormed: false });
  });

  it.each([
    { name: 'is not what its header says', coding: 'gzip', packed: Buffer.from(text), code: 'ERR_BODY_ENCODING' },
    {
      name: 'has a coding that nobody knows',
      coding: 'aws-chunked',
      packed: gzipSync(text),
      code: 'ERR_BODY_ENCODING',
    },
    { name: 'is a bomb', coding: 'gzip', packed: gzipSync(Buffer.alloc(1_000_001)), code: 'ERR_BODY_TOO_LARGE' },
  ])('throws if it $name', async ({ coding, packed, code }) => {
    expect((await failureOf(() => inspect(packed, packedIn(coding)))).code).toBe(code);
  });

  it('that is empty is no compressed body', async () => {
    expect(await inspect('', packedIn('gzip'))).toMatchObject({ wellFormed: true, inputTokens: 0 });
  });
});

describe('a body that can be read in two ways', () => {
  const CHAT = { service: 'bedrock-mantle', operation: 'ChatCompletions' };
  it.each([
    { name: 'another case', body: '{"model":"a","Model":"b"}' },
    { name: 'another case alone', body: '{"MODEL":"b"}' },
    { name: 'another case by an escape', body: '{"model":"a","\\u004dodel":"b"}' },
    { name: 'the case of a limit', body: '{"model":"a","max_tokens":1,"Max_Tokens":100000}' },
    { name: 'a long s', body: '{"model":"a","tool\u017f":[{"model":"b"}]}' },
    { name: 'another case deeper', body: '{"model":"a","tools":[{"mOdel":"b"}]}' },
    { name: 'a list of names', body: '{"model":"a","model":["b"]}' },
    { name: 'an object for a name', body: '{"model":{"id":"b"}}' },
    { name: 'a list deeper', body: '{"model":"a","tools":[{"model":["b"]}]}' },
    { name: 'a name twice', body: '{"model":"a","model":"a"}' },
    { name: 'a limit, and then none', body: '{"model":"a","max_tokens":1,"max_tokens":null}' },
    { name: 'a limit twice by an escape', body: '{"max_tokens":1,"model":"a","max_tok\\u0065ns":9}' },
    {
      name: 'a tool that is of two types',
      body: '{"model":"a","tools":[{"type":"x","name":"y","type":"web_search"}]}',
    },
    { name: 'what holds a limit twice', body: '{"model":"a","inferenceConfig":{"maxTokens":1},"inferenceConfig":{}}' },
    { name: 'messages twice', body: '{"model":"a","messages":[{"content":[]}],"messages":[]}' },
  ])('is known by $name', async ({ body }) => {
    expect((await inspect(body, CHAT)).isEquivocal).toBe(true);
  });

  it.each([
    { name: 'nothing odd', body: '{"model":"a","max_tokens":1,"tools":[{"name":"Model","input_schema":{"Model":1}}]}' },
    {
      name: 'the other case where nothing counts',
      body: '{"model":"a","messages":[{"Model":"b"}],"metadata":{"N":1}}',
    },
    { name: 'a list for a limit', body: '{"model":"a","max_tokens":[1]}' },
    {
      name: 'the same member in two objects',
      body: '{"model":"a","tools":[{"type":"x"},{"type":"x"}],"inferenceConfig":{"maxTokens":1},"max_tokens":1}',
    },
    {
      name: 'what does not count twice',
      body: '{"model":"a","metadata":{"a":1,"a":2},"temperature":1,"temperature":0}',
    },
    { name: 'names of the same length', body: '{"model":"a","modal":"b","tuols":1}' },
  ])('is not $name', async ({ body }) => {
    expect((await inspect(body, CHAT)).isEquivocal).toBe(false);
  });

  it('is not that of an agent, of which nobody knows the members', async () => {
    const agent = { service: 'bedrock-agentcore', operation: 'InvokeAgentRuntime' };
    expect((await inspect('{"Model":"a","Stream":true,"n":{}}', agent)).isEquivocal).toBe(false);
  });
});
