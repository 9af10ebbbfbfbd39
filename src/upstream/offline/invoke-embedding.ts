/**
 * InvokeModel in the shapes of embeddings: Amazon's Titan (texts; texts and images), Nova and Cohere's Embed. Pure.
 */
import { uncached, type InvokeContext, type InvokeOutcome } from './invoke-outcome.ts';
import { asObject, asObjects, asText, asTexts, type JsonObject } from '../../lib/json.ts';
import { countTokens, stableUuid } from './tokens.ts';
import { vectorOf } from './vectors.ts';

const V1_DIMENSIONS = 1536;
const V2_DIMENSIONS: readonly unknown[] = [1024, 512, 256];
const DEFAULT_V2_DIMENSIONS = 1024;
const MULTIMODAL_DIMENSIONS: readonly unknown[] = [256, 384, 1024];
const NOVA_DIMENSIONS: readonly unknown[] = [256, 384, 1024, 3072];
const NOVA_TASKS = ['SINGLE_EMBEDDING', 'SEGMENTED_EMBEDDING'];
const NOVA_MEDIA = ['text', 'image', 'audio', 'video'];
const COHERE_V3_DIMENSIONS = 1024;
const COHERE_V4_DIMENSIONS: readonly unknown[] = [256, 512, 1024, 1536];
const COHERE_MAX_TEXTS = 96;
const COHERE_INPUT_TYPES = ['search_document', 'search_query', 'classification', 'clustering', 'image'];
const EMBEDDING_LATENCY_MS = 30;

/** Responds to a body of Titan's shape. */
export function embedText(body: JsonObject, { modelId }: InvokeContext): InvokeOutcome {
  const text = asText(body['inputText']);
  if (text === '') return { problem: 'Malformed input request: inputText must be a text that is not empty.' };
  const isFirstVersion = !modelId.startsWith('amazon.titan-embed-text-v2');
  const dimensions = body['dimensions'] ?? DEFAULT_V2_DIMENSIONS;
  if (!isFirstVersion && !V2_DIMENSIONS.includes(dimensions)) return wrongDimensions('dimensions', V2_DIMENSIONS);
  const embedding = vectorOf(text, isFirstVersion ? V1_DIMENSIONS : Number(dimensions));
  const types = asTexts(body['embeddingTypes']);
  const embeddingsByType = {
    ...(types.length === 0 || types.includes('float') ? { float: embedding } : {}),
    ...(types.includes('binary') ? { binary: bitsOf(embedding) } : {}),
  };
  const inputTokens = countTokens(text);
  const rest = isFirstVersion ? {} : { embeddingsByType };
  return embedded({ embedding, ...rest, inputTextTokenCount: inputTokens }, inputTokens);
}

/** Responds to a body of Titan Multimodal Embeddings: a text, an image, or both. */
export function embedMultimodal(body: JsonObject): InvokeOutcome {
  const [text, image] = [asText(body['inputText']), asText(body['inputImage'])];
  if (text === '' && image === '') {
    return { problem: 'Malformed input request: inputText or inputImage is required.' };
  }
  const length = asObject(body['embeddingConfig'])['outputEmbeddingLength'] ?? 1024;
  if (!MULTIMODAL_DIMENSIONS.includes(length)) {
    return wrongDimensions('embeddingConfig.outputEmbeddingLength', MULTIMODAL_DIMENSIONS);
  }
  const inputTokens = countTokens(text);
  const embedding = vectorOf(`${text} ${image}`.trim(), Number(length));
  return embedded({ embedding, inputTextTokenCount: inputTokens, message: null }, inputTokens);
}

/** Responds to a body of Nova's embeddings. */
export function embedNova(body: JsonObject): InvokeOutcome {
  const task = asText(body['taskType']);
  if (task !== NOVA_TASKS[0]) return { problem: `Malformed input request: taskType must be ${NOVA_TASKS[0]}.` };
  const parameters = asObject(body['singleEmbeddingParams']);
  const media = NOVA_MEDIA.filter((name) => name in parameters);
  const [medium] = media;
  if (medium === undefined || media.length > 1) {
    return { problem: `Malformed input request: singleEmbeddingParams must have one of ${NOVA_MEDIA.join(', ')}.` };
  }
  if (asText(parameters['embeddingPurpose']) === '') {
    return { problem: 'Malformed input request: singleEmbeddingParams.embeddingPurpose is required.' };
  }
  const dimensions = parameters['embeddingDimension'] ?? 3072;
  if (!NOVA_DIMENSIONS.includes(dimensions)) {
    return wrongDimensions('singleEmbeddingParams.embeddingDimension', NOVA_DIMENSIONS);
  }
  const content = asObject(parameters[medium]);
  const text = asText(content['value']) || JSON.stringify(content['source'] ?? '');
  const embeddingType = medium === 'text' ? 'TEXT' : medium.toUpperCase();
  const embeddings = [{ embeddingType, embedding: vectorOf(text, Number(dimensions)) }];
  return embedded({ embeddings }, medium === 'text' ? countTokens(text) : 0);
}

/** Responds to a body of Cohere's Embed, version 3 or 4. */
export function embedCohere(body: JsonObject, { modelId }: InvokeContext): InvokeOutcome {
  const inputs = readCohereInputs(body);
  if (inputs.length === 0) return { problem: 'Malformed input request: texts, images or inputs must have a member.' };
  if (inputs.length > COHERE_MAX_TEXTS)
    return { problem: `Malformed input request: at most ${COHERE_MAX_TEXTS} texts.` };
  if (!COHERE_INPUT_TYPES.includes(asText(body['input_type']))) {
    return { problem: `Malformed input request: input_type must be one of ${COHERE_INPUT_TYPES.join(', ')}.` };
  }
  const isV4 = modelId.includes('embed-v4');
  const dimensions = isV4 ? (body['output_dimension'] ?? 1536) : COHERE_V3_DIMENSIONS;
  if (isV4 && !COHERE_V4_DIMENSIONS.includes(dimensions)) {
    return wrongDimensions('output_dimension', COHERE_V4_DIMENSIONS);
  }
  const vectors = inputs.map((text) => vectorOf(text, Number(dimensions)));
  const types = asTexts(body['embedding_types']);
  const isByType = types.length > 0;
  const content = {
    id: stableUuid(`embedding ${inputs.join('\n')}`),
    texts: asTexts(body['texts']),
    response_type: isByType ? 'embeddings_by_type' : 'embeddings_floats',
    embeddings: isByType
      ? Object.fromEntries(types.map((type) => [type, vectors.map((one) => packAs(type, one))]))
      : vectors,
  };
  return embedded(
    content,
    inputs.reduce((sum, text) => sum + countTokens(text), 0),
  );
}

function readCohereInputs(body: JsonObject): string[] {
  const mixed = asObjects(body['inputs']).map(({ content }) => JSON.stringify(content ?? ''));
  return [...asTexts(body['texts']), ...asTexts(body['images']), ...mixed];
}

/** A vector in one of Cohere's types. */
function packAs(type: string, vector: readonly number[]): number[] {
  switch (type) {
    case 'int8':
      return vector.map((value) => Math.round(value * 127));
    case 'uint8':
      return vector.map((value) => Math.round((value + 1) * 127.5));
    case 'binary':
      return bytesOf(vector).map((byte) => byte - 128);
    case 'ubinary':
      return bytesOf(vector);
    default:
      return [...vector];
  }
}

function bitsOf(vector: readonly number[]): number[] {
  return vector.map((value) => (value > 0 ? 1 : 0));
}

/** Eight signs in a byte. */
function bytesOf(vector: readonly number[]): number[] {
  const bits = bitsOf(vector);
  return Array.from({ length: bits.length / 8 }, (_, byte) =>
    bits.slice(byte * 8, byte * 8 + 8).reduce((sum, bit) => sum * 2 + bit, 0),
  );
}

function wrongDimensions(name: string, allowed: readonly unknown[]): InvokeOutcome {
  return { problem: `Malformed input request: ${name} must be one of ${allowed.join(', ')}.` };
}

function embedded(content: object, inputTokens: number): InvokeOutcome {
  return {
    content,
    streamed: undefined,
    tokens: uncached(inputTokens),
    outputTokens: 0,
    latencyMs: EMBEDDING_LATENCY_MS,
  };
}
