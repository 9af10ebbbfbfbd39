/**
 * InvokeModel and InvokeModelWithResponseStream of the offline Bedrock: finds the shape of the model and hands the call
 * on. Pure.
 */
import { parseJsonObject } from '../../lib/json.ts';
import { embedText } from './invoke-embedding.ts';
import { invokeAnthropic } from './invoke-anthropic.ts';
import { invokeNova } from './invoke-nova.ts';
import type { InvokeOutcome } from './invoke-outcome.ts';
import { findOfflineModel } from './models.ts';
import { chunkFrame } from './frames.ts';
import { jsonReply, streamReply, validationError, type OfflineCall, type Reply } from './reply.ts';

const MALFORMED = 'Malformed input request, please reformat your input and try again.';

/** Responds to an InvokeModel call, with the token counts in headers. */
export function invokeModel(call: OfflineCall): Reply {
  const outcome = invoke(call);
  if ('problem' in outcome) return validationError(outcome.problem);
  return jsonReply(outcome.content, {
    'x-amzn-bedrock-invocation-latency': String(outcome.latencyMs),
    'x-amzn-bedrock-input-token-count': String(outcome.inputTokens),
    'x-amzn-bedrock-output-token-count': String(outcome.outputTokens),
  });
}

/** Responds to an InvokeModelWithResponseStream call; the token counts are in its last chunk. */
export function invokeModelStream(call: OfflineCall): Reply {
  const outcome = invoke(call);
  if ('problem' in outcome) return validationError(outcome.problem);
  if (outcome.streamed === undefined) return validationError('The model is unsupported for streaming.');
  const metrics = {
    inputTokenCount: outcome.inputTokens,
    outputTokenCount: outcome.outputTokens,
    invocationLatency: outcome.latencyMs,
    firstByteLatency: Math.min(120, outcome.latencyMs),
  };
  const frames = outcome.streamed.map((content, index, all) =>
    chunkFrame(index === all.length - 1 ? { ...content, 'amazon-bedrock-invocationMetrics': metrics } : content),
  );
  return streamReply(frames, { 'x-amzn-bedrock-content-type': 'application/json' });
}

function invoke(call: OfflineCall): InvokeOutcome {
  const model = findOfflineModel(call.labels['modelId'] ?? '', call.region);
  if (model === undefined) return { problem: 'The provided model identifier is invalid.' };
  const body = parseJsonObject(call.body);
  if (body === undefined) return { problem: MALFORMED };
  switch (model.shape) {
    case 'anthropic':
      return invokeAnthropic(body, model.id);
    case 'nova':
      return invokeNova(body, model.id);
    case 'titan-embedding':
      return embedText(body, model.id);
    case 'other':
      return {
        problem:
          `The offline Bedrock does not know the InvokeModel shape of ${model.id}: it knows those of anthropic.*, ` +
          'amazon.nova-* and amazon.titan-embed-text-*. Converse works for this model.',
      };
  }
}
