/**
 * InvokeModel in the shape of Amazon's Titan text embeddings. The vectors mean little, but not nothing: each word has a
 * direction of its own, so texts that share words lie near each other. Pure and deterministic.
 */
import { createHash } from 'node:crypto';
import type { InvokeOutcome } from './invoke-outcome.ts';
import { asText, asTexts, type JsonObject } from '../../lib/json.ts';
import { countTokens } from './tokens.ts';

const V1_DIMENSIONS = 1536;
const V2_DIMENSIONS: readonly unknown[] = [1024, 512, 256];
const DEFAULT_V2_DIMENSIONS = 1024;
const EMBEDDING_LATENCY_MS = 30;

/** Responds to a body of Titan's shape. */
export function embedText(body: JsonObject, modelId: string): InvokeOutcome {
  const text = asText(body['inputText']);
  if (text === '') return { problem: 'Malformed input request: inputText must be a text that is not empty.' };
  const isFirstVersion = modelId.startsWith('amazon.titan-embed-text-v1');
  const dimensions = body['dimensions'] ?? DEFAULT_V2_DIMENSIONS;
  if (!isFirstVersion && !V2_DIMENSIONS.includes(dimensions)) {
    return { problem: `Malformed input request: dimensions must be one of ${V2_DIMENSIONS.join(', ')}.` };
  }
  const embedding = embeddingOf(text, isFirstVersion ? V1_DIMENSIONS : Number(dimensions));
  const inputTokens = countTokens(text);
  const types = asTexts(body['embeddingTypes']);
  const embeddingsByType = {
    ...(types.length === 0 || types.includes('float') ? { float: embedding } : {}),
    ...(types.includes('binary') ? { binary: embedding.map((value) => (value > 0 ? 1 : 0)) } : {}),
  };
  const content = {
    embedding,
    ...(isFirstVersion ? {} : { embeddingsByType }),
    inputTextTokenCount: inputTokens,
  };
  return { content, streamed: undefined, inputTokens, outputTokens: 0, latencyMs: EMBEDDING_LATENCY_MS };
}

/** A vector of length one: the sum of the directions of the text's words. */
function embeddingOf(text: string, dimensions: number): number[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [text];
  const sum: number[] = Array.from({ length: dimensions }, () => 0);
  for (const word of words) {
    for (const [index, value] of directionOf(word, dimensions).entries()) sum[index] = (sum[index] ?? 0) + value;
  }
  const length = Math.hypot(...sum);
  return sum.map((value) => Number((value / length).toFixed(8)));
}

/** A direction for a word: bytes of SHAKE256, each read as a number around zero and never zero itself. */
function directionOf(word: string, dimensions: number): number[] {
  const bytes = createHash('shake256', { outputLength: dimensions }).update(word).digest();
  return Array.from(bytes, (byte) => (byte - 127.5) / 127.5);
}
