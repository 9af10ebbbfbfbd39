/**
 * InvokeModel and InvokeModelWithResponseStream of the offline Bedrock: finds the shape of the model and hands the call
 * on. Pure.
 */
import { asText, parseJsonObject, type JsonObject } from '../../lib/json.ts';
import { chunkFrame } from './frames.ts';
import { invokeAnthropic } from './invoke-anthropic.ts';
import { invokeChat, invokeUnknown } from './invoke-chat.ts';
import { embedCohere, embedMultimodal, embedNova, embedText } from './invoke-embedding.ts';
import { invokeImage } from './invoke-image.ts';
import { invokeNova } from './invoke-nova.ts';
import type { InvokeContext, InvokeOutcome } from './invoke-outcome.ts';
import { invokeText } from './invoke-text.ts';
import { findOfflineModel, type NamedModel } from './models.ts';
import {
  invalidModel,
  jsonReply,
  profileOnly,
  streamReply,
  validationError,
  type OfflineCall,
  type Reply,
} from './reply.ts';
import { invokeRerank } from './rerank.ts';
import { useCacheOf } from './state.ts';

const MALFORMED = 'Malformed input request, please reformat your input and try again.';

/** Responds to an InvokeModel call, with the token counts in headers. */
export function invokeModel(call: OfflineCall): Reply {
  const outcome = invoke(call);
  if ('refusal' in outcome) return outcome.refusal;
  const { read, written } = outcome.tokens;
  const writtenTokens = written['5m'] + written['1h'];
  const usesCache = read + writtenTokens > 0;
  return jsonReply(outcome.content, {
    'x-amzn-bedrock-invocation-latency': String(outcome.latencyMs),
    'x-amzn-bedrock-input-token-count': String(outcome.tokens.input),
    'x-amzn-bedrock-output-token-count': String(outcome.outputTokens),
    ...(usesCache ? { 'x-amzn-bedrock-cache-read-input-token-count': String(read) } : {}),
    ...(usesCache ? { 'x-amzn-bedrock-cache-write-input-token-count': String(writtenTokens) } : {}),
  });
}

/** Responds to an InvokeModelWithResponseStream call; the token counts are in its last chunk. */
export function invokeModelStream(call: OfflineCall): Reply {
  const outcome = invoke(call);
  if ('refusal' in outcome) return outcome.refusal;
  if (outcome.streamed === undefined) return validationError('The model is unsupported for streaming.');
  const { input, read, written } = outcome.tokens;
  const metrics = {
    inputTokenCount: input,
    outputTokenCount: outcome.outputTokens,
    invocationLatency: outcome.latencyMs,
    firstByteLatency: Math.min(120, outcome.latencyMs),
    cacheReadInputTokenCount: read,
    cacheWriteInputTokenCount: written['5m'] + written['1h'],
  };
  const frames = outcome.streamed.map((content, index, all) =>
    chunkFrame(index === all.length - 1 ? { ...content, 'amazon-bedrock-invocationMetrics': metrics } : content),
  );
  return streamReply(frames, { 'x-amzn-bedrock-content-type': 'application/json' });
}

function invoke(call: OfflineCall): Exclude<InvokeOutcome, { problem: string }> | { readonly refusal: Reply } {
  const model = findOfflineModel(call.labels['modelId'] ?? '', call.region);
  if (model === undefined) return { refusal: invalidModel() };
  if (model.needsProfile) return { refusal: profileOnly(model.id) };
  const body = parseJsonObject(call.body);
  if (body === undefined) return { refusal: validationError(MALFORMED) };
  const useCache: InvokeContext['useCache'] = (segments) => useCacheOf(call, model, segments);
  const outcome = invokeShape(body, model, { modelId: model.id, useCache, respond: call.scripted.respond });
  if (!('problem' in outcome)) call.scripted.failWithoutTurn(model.id, call.body);
  return 'problem' in outcome ? { refusal: validationError(outcome.problem) } : outcome;
}

function invokeShape(body: JsonObject, { id, shape }: NamedModel, context: InvokeContext): InvokeOutcome {
  switch (shape) {
    case 'anthropic':
      return asText(body['prompt']) === '' ? invokeAnthropic(body, context) : invokeText('claude-text', body, context);
    case 'nova':
      return invokeNova(body, context);
    case 'chat':
      return invokeChat(body, context);
    case 'llama':
    case 'mistral-text':
    case 'deepseek-text':
    case 'titan-text':
    case 'cohere-text':
    case 'cohere-chat':
      return invokeText(shape, body, context);
    case 'titan-embedding':
      return embedText(body, context);
    case 'titan-multimodal':
      return embedMultimodal(body);
    case 'nova-embedding':
      return embedNova(body);
    case 'cohere-embedding':
      return embedCohere(body, context);
    case 'rerank':
      return invokeRerank(body);
    case 'image':
      return invokeImage(body, context);
    case 'unknown':
      return invokeUnknown(body, context);
    case 'none':
      return { problem: `The offline Bedrock has no InvokeModel of ${id}.` };
  }
}
