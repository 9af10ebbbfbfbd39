/** What requests ask for that is sold by the piece, in the shapes of every maker, and what they do not tell. */
import { describe, expect, it } from 'vitest';
import { mayAskForMedia, type MediaRequest } from '../../src/admission/requested-media.ts';
import { readRequestFacts } from '../../src/admission/request-facts.ts';
import { inspectBody } from '../../src/admission/scan-body.ts';
import { findFacts } from '../../src/operations/find-facts.ts';

interface Given {
  readonly model?: string | undefined;
  readonly operation?: string;
  readonly service?: string;
  /** Bytes of each piece in which the body comes. */
  readonly pieceBytes?: number;
}

async function read(body: unknown, given: Given = {}): Promise<MediaRequest> {
  const { model, operation = 'InvokeModel', service = 'bedrock-runtime', pieceBytes = 1_000_000 } = given;
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const chunks = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, at) =>
    bytes.subarray(at * pieceBytes, (at + 1) * pieceBytes),
  );
  const { variant, requestedUnits } = await inspectBody({
    service,
    operation,
    pathModel: model,
    headers: [],
    body: { chunks, sizeBytes: bytes.length },
    maxUnpackedBytes: 1_000_000,
    isSized: true,
  });
  return { variant, requestedUnits };
}

function readFacts(modelId: string, bytes: Buffer): ReturnType<typeof readRequestFacts> {
  const effect = 'inference' as const;
  const plane = 'data' as const;
  const route = { service: 'bedrock-runtime', operation: 'InvokeModel', modelId, region: 'us-east-1', effect, plane };
  return readRequestFacts(
    { route, headers: [], body: { chunks: [bytes], sizeBytes: bytes.length } },
    { size: false, models: false },
    { maxUnpackedBytes: 1_000_000 },
  );
}

const known = (counts: object): object => ({ counts, hasUnknown: false });
const UNKNOWN = { counts: {}, hasUnknown: true };
const documents = (count: number, sizeBytes = 20): string[] =>
  Array.from({ length: count }, () => 'x'.repeat(sizeBytes));

const CANVAS = 'amazon.nova-canvas-v1:0';
const TITAN = 'amazon.titan-image-generator-v2:0';
const SDXL = 'stability.stable-diffusion-xl-v1';
const REEL = { operation: 'StartAsyncInvoke' };
const MARENGO = 'us.twelvelabs.marengo-embed-3-0-v1:0';
const NOVA_EMBED = 'amazon.nova-2-multimodal-embeddings-v1:0';
const RERANK = 'cohere.rerank-v3-5:0';
const agents = { service: 'bedrock-agent-runtime', operation: 'Rerank' };

const size = (width: number, height: number, quality?: string): object => ({
  width,
  height,
  ...(quality === undefined ? {} : { quality }),
});

describe('the kind of a picture', () => {
  it.each([
    {
      name: 'as it is configured',
      model: CANVAS,
      body: {
        taskType: 'TEXT_IMAGE',
        textToImageParams: { text: 'a cat' },
        imageGenerationConfig: { width: 2048, height: 1024, quality: 'Premium', numberOfImages: 2 },
      },
      variant: size(2048, 1024, 'premium'),
    },
    {
      name: 'as it is by default',
      model: TITAN,
      body: { taskType: 'TEXT_IMAGE' },
      variant: size(1024, 1024, 'standard'),
    },
    {
      name: 'of the size of another one',
      model: TITAN,
      body: { taskType: 'OUTPAINTING', imageGenerationConfig: { quality: 'standard' } },
      variant: { quality: 'standard' },
    },
    {
      name: 'by its steps',
      model: SDXL,
      body: { text_prompts: [{ text: 'a' }], width: 1024, height: 768, steps: 50 },
      variant: { width: 1024, height: 768, steps: 50 },
    },
    {
      name: 'where a task has it, and not beside it',
      model: TITAN,
      body: { taskType: 'TEXT_IMAGE', width: 8, height: 8 },
      variant: size(1024, 1024, 'standard'),
    },
    {
      name: 'of no size that could be one',
      model: CANVAS,
      body: { taskType: 'INPAINTING', imageGenerationConfig: { width: -1, height: 1e300, quality: 7 } },
      variant: { quality: 'standard' },
    },
    {
      name: 'as the larger of two that are told',
      model: CANVAS,
      body: '{"imageGenerationConfig":{"width":2048,"width":8,"height":8,"height":2048}}',
      variant: { width: 2048, height: 2048 },
    },
    { name: 'not told', model: 'stability.sd3-5-large-v1:0', body: { prompt: 'a cat' }, variant: undefined },
    {
      name: 'of a page that is read',
      model: NOVA_EMBED,
      body: { singleEmbeddingParams: { image: { detailLevel: 'DOCUMENT_IMAGE', source: { bytes: 'x' } } } },
      variant: { quality: 'document_image' },
    },
  ])('is read $name', async ({ model, body, variant }) => {
    for (const pieceBytes of [1_000_000, 7, 1])
      expect((await read(body, { model, pieceBytes })).variant).toEqual(variant);
  });
});

describe('seconds of a video', () => {
  it.each([
    {
      name: 'Nova Reel',
      input: {
        taskType: 'TEXT_VIDEO',
        videoGenerationConfig: { durationSeconds: 6, fps: 24, dimension: '1280x720', seed: 1 },
      },
      units: known({ videoSeconds: 6 }),
      variant: size(1280, 720),
    },
    {
      name: 'Nova Reel in shots of its own',
      input: { taskType: 'MULTI_SHOT_AUTOMATED', videoGenerationConfig: { durationSeconds: 120 } },
      units: known({ videoSeconds: 120 }),
    },
    {
      name: 'Nova Reel in given shots',
      input: { taskType: 'MULTI_SHOT_MANUAL', multiShotManualParams: { shots: [{ text: 'a' }, { text: 'b' }] } },
      units: known({ videoSeconds: 12 }),
    },
    { name: 'Nova Reel that does not say', input: { taskType: 'TEXT_VIDEO' }, units: UNKNOWN },
    {
      name: 'Luma',
      input: { prompt: 'a', duration: '9s', resolution: '540p', aspect_ratio: '16:9' },
      units: known({ videoSeconds: 9 }),
      variant: { height: 540, quality: 'standard' },
    },
    {
      name: 'Luma that does not say',
      input: { prompt: 'a', resolution: '720p' },
      units: UNKNOWN,
      variant: { height: 720, quality: 'hd' },
    },
    {
      name: 'Luma, of lines that are not told',
      input: { prompt: 'a', duration: '5s' },
      units: known({ videoSeconds: 5 }),
      variant: { quality: 'hd' },
    },
    {
      name: 'TwelveLabs, a part that is read',
      input: { inputType: 'video', mediaSource: { s3Location: { uri: 's3://b/k' } }, startSec: 2, lengthSec: 30.5 },
      units: known({ inputVideoSeconds: 31 }),
    },
    {
      name: 'TwelveLabs, by its ends',
      input: { inputType: 'audio', audio: { mediaSource: { base64String: 'x' }, startSec: 2.5, endSec: 10 } },
      units: known({ inputAudioSeconds: 8 }),
    },
    {
      name: 'TwelveLabs, a length where a later model looks for none',
      input: {
        inputType: 'video',
        video: { mediaSource: { base64String: 'x' } },
        lengthSec: 1,
        startSec: 0,
        endSec: 1,
      },
      units: UNKNOWN,
    },
    {
      name: 'TwelveLabs, an end where the first model looks for none',
      input: { inputType: 'video', mediaSource: { base64String: 'x' }, video: { startSec: 0, endSec: 1 } },
      units: UNKNOWN,
    },
    {
      name: 'TwelveLabs, two recordings',
      input: {
        inputType: 'video',
        mediaSource: { base64String: 'x' },
        video: { mediaSource: { base64String: 'x' }, startSec: 0, endSec: 1 },
        lengthSec: 1,
      },
      units: UNKNOWN,
    },
    { name: 'a job that nobody knows', input: { anything: 'else' }, units: UNKNOWN },
    {
      name: 'TwelveLabs, all that is read',
      input: { inputType: 'video', mediaSource: { s3Location: { uri: 's3://b/k' } } },
      units: UNKNOWN,
    },
    {
      name: 'Nova, all that is read',
      input: { taskType: 'SEGMENTED_EMBEDDING', segmentedEmbeddingParams: { audio: { format: 'mp3' } } },
      units: UNKNOWN,
    },
  ])('are read off the request: $name', async ({ input, units, variant }) => {
    const body = { modelId: 'any', modelInput: input, outputDataConfig: {} };
    for (const pieceBytes of [1_000_000, 5]) {
      expect(await read(body, { ...REEL, pieceBytes })).toEqual({ variant, requestedUnits: units });
    }
  });
});

describe('what a model reads', () => {
  it.each([
    { name: 'Titan', model: 'amazon.titan-embed-image-v1', body: { inputText: 'a', inputImage: 'x' }, units: 1 },
    {
      name: 'Titan, text alone',
      model: 'amazon.titan-embed-image-v1',
      body: { inputText: 'a', inputImage: null },
      units: 0,
    },
    { name: 'Cohere', model: 'cohere.embed-english-v3', body: { images: ['data:image/png;base64,x'] }, units: 1 },
    {
      name: 'Cohere, mixed',
      model: 'us.cohere.embed-v4:0',
      body: {
        inputs: [
          { content: [{ type: 'text', text: 'a' }, { image_url: { url: 'x' } }] },
          { content: [{ image_url: 'x' }] },
        ],
      },
      units: 2,
    },
    { name: 'Marengo', model: MARENGO, body: { inputType: 'image', image: { mediaSource: {} } }, units: 1 },
    { name: 'Marengo, with text', model: MARENGO, body: { inputType: 'text_image', text_image: {} }, units: 1 },
    { name: 'Marengo, text alone', model: MARENGO, body: { inputType: 'text', text: { inputText: 'a' } }, units: 0 },
    {
      name: 'Nova',
      model: NOVA_EMBED,
      body: {
        taskType: 'SINGLE_EMBEDDING',
        singleEmbeddingParams: { image: { format: 'png', source: { bytes: 'x' } } },
      },
      units: 1,
    },
  ])('counts as pictures: $name', async ({ model, body, units }) => {
    const expected = units === 0 ? undefined : known({ inputImages: units });
    expect((await read(body, { model })).requestedUnits).toEqual(expected);
  });

  it.each([
    { name: 'a video of Pegasus', model: 'twelvelabs.pegasus-1-2-v1:0', body: { inputPrompt: 'a', mediaSource: {} } },
    { name: 'a video of Nova', model: NOVA_EMBED, body: { singleEmbeddingParams: { video: { format: 'mp4' } } } },
    { name: 'speech of Nova', model: NOVA_EMBED, body: { singleEmbeddingParams: { audio: { format: 'mp3' } } } },
  ])('is of unknown length: $name', async ({ model, body }) => {
    expect((await read(body, { model })).requestedUnits).toEqual(UNKNOWN);
  });
});

describe('queries of a reranking', () => {
  it.each([
    { name: 'few documents', body: { query: 'q', documents: documents(3) }, units: known({ searchQueries: 1 }) },
    { name: 'a hundred', body: { query: 'q', documents: documents(100) }, units: known({ searchQueries: 1 }) },
    { name: 'one more', body: { query: 'q', documents: documents(101) }, units: known({ searchQueries: 2 }) },
    {
      name: 'objects',
      body: { query: 'q', documents: [{ text: 'a' }, { text: 'b', title: 't' }] },
      units: known({ searchQueries: 1 }),
    },
    {
      name: 'long documents that are one query all the same',
      body: { query: 'q', documents: documents(20, 6000) },
      units: known({ searchQueries: 1 }),
    },
    {
      name: 'long documents that may be several queries',
      body: { query: 'q', documents: documents(90, 6000) },
      units: { counts: { searchQueries: 4 }, hasUnknown: false, isEstimated: true },
    },
    { name: 'documents of a chat', body: { message: 'm', documents: documents(300) }, units: undefined },
  ])('are one for each hundred begun: $name', async ({ body, units }) => {
    expect((await read(body, { model: RERANK })).requestedUnits).toEqual(units);
  });

  it('are those of a knowledge base as well', async () => {
    const sources = documents(150).map((text) => ({
      type: 'INLINE',
      inlineDocumentSource: { type: 'TEXT', textDocument: { text } },
    }));
    const body = { queries: [{ type: 'TEXT', textQuery: { text: 'q' } }], sources };
    expect((await read(body, agents)).requestedUnits).toEqual(known({ searchQueries: 2 }));
  });
});

describe('a request that may ask for such things', () => {
  const invoke = findFacts('bedrock-runtime', 'InvokeModel');
  const ARN = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijk1';

  it.each([
    ...[CANVAS, TITAN, SDXL, MARENGO, NOVA_EMBED, RERANK, 'us.stability.stable-outpaint-v1:0'].map((model) => ({
      model,
      may: true,
      certainly: true,
    })),
    ...['amazon.titan-embed-text-v2:0', 'amazon.titan-embed-g1-text-02', 'us.anthropic.claude-sonnet-4-6'].map(
      (model) => ({ model, may: false, certainly: false }),
    ),
    // Its body is read only if a limit needs it.
    { model: ARN, may: true, certainly: false },
  ])('is told by the name of its model: $model', ({ model, may, certainly }) => {
    expect([mayAskForMedia(invoke, model, false), mayAskForMedia(invoke, model, true)]).toEqual([may, certainly]);
  });

  it('is read though no limit asks for it, and only then', async () => {
    const body = Buffer.from('{"query":"q","documents":["a"],"imageGenerationConfig":{"width":512}}');
    expect(await readFacts(RERANK, body)).toMatchObject({
      requestedUnits: known({ searchQueries: 1 }),
      variant: { width: 512 },
    });
    expect(await readFacts('anthropic.claude-sonnet-4-6', body)).toMatchObject({
      requestedUnits: undefined,
      variant: undefined,
    });
  });

  it('does not look at the members of others', async () => {
    const body = { messages: [], taskType: 'TEXT_VIDEO', query: 'q', documents: ['a'], mediaSource: {} };
    const nothing = { variant: undefined, requestedUnits: undefined };
    expect(await read(body, { model: 'us.anthropic.claude-sonnet-4-6' })).toEqual(nothing);
    expect(await read(body, { operation: 'Converse', model: CANVAS })).toEqual(nothing);
  });
});
