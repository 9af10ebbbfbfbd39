/**
 * Converse and ConverseStream of the offline Bedrock, in the shapes of AWS's model. Pure.
 */
import { composeResponse, streamedPieces, type ComposedResponse } from './compose.ts';
import { BAD_WORD, findConversationProblem, readTurn } from './conversation.ts';
import { paddedEventFrame } from './frames.ts';
import { isObject, parseJsonObject, type JsonObject } from '../../lib/json.ts';
import { findOfflineModel } from './models.ts';
import {
  invalidModel,
  jsonReply,
  serializationError,
  streamReply,
  validationError,
  type OfflineCall,
  type Reply,
} from './reply.ts';

const GUARDRAIL_TEXT = 'The offline guardrail blocked this conversation.';

/** Responds to a Converse call. */
export function converse(call: OfflineCall): Reply {
  const outcome = respondToConversation(call);
  if ('refusal' in outcome) return outcome.refusal;
  const { response, stopReason, extras } = outcome;
  const content = response.toolCall === undefined ? [{ text: response.text }] : [{ toolUse: toolUseOf(response) }];
  return jsonReply({
    metrics: { latencyMs: response.latencyMs },
    output: { message: { content, role: 'assistant' } },
    stopReason,
    usage: usageOf(response),
    ...extras,
  });
}

/** Responds to a ConverseStream call. */
export function converseStream(call: OfflineCall): Reply {
  const outcome = respondToConversation(call);
  if ('refusal' in outcome) return outcome.refusal;
  const { response, stopReason, extras } = outcome;
  const { toolCall } = response;
  const frames = [paddedEventFrame('messageStart', { role: 'assistant' })];
  if (toolCall !== undefined) {
    const { toolUseId, name } = toolUseOf(response);
    const start = { toolUse: { name, toolUseId } };
    frames.push(paddedEventFrame('contentBlockStart', { contentBlockIndex: 0, start }));
  }
  for (const piece of streamedPieces(response)) {
    const delta = toolCall === undefined ? { text: piece } : { toolUse: { input: piece } };
    frames.push(paddedEventFrame('contentBlockDelta', { contentBlockIndex: 0, delta }));
  }
  frames.push(
    paddedEventFrame('contentBlockStop', { contentBlockIndex: 0 }),
    paddedEventFrame('messageStop', { stopReason }),
    paddedEventFrame('metadata', { metrics: { latencyMs: response.latencyMs }, usage: usageOf(response), ...extras }),
  );
  return streamReply(frames);
}

interface Outcome {
  readonly response: ComposedResponse;
  readonly stopReason: string;
  /** Members that the reply repeats from the request, and the guardrail's. */
  readonly extras: JsonObject;
}

function respondToConversation(call: OfflineCall): Outcome | { readonly refusal: Reply } {
  const model = findOfflineModel(call.labels['modelId'] ?? '', call.region);
  if (model === undefined) return { refusal: invalidModel() };
  if (model.shape === 'titan-embedding') {
    return { refusal: validationError(`The model ${model.id} does not converse: it makes embeddings.`) };
  }
  const body = parseJsonObject(call.body);
  if (body === undefined) return { refusal: serializationError() };
  const problem = findConversationProblem(body);
  if (problem?.kind === 'serialization') return { refusal: serializationError(problem.message) };
  if (problem !== undefined) return { refusal: validationError(problem.message) };
  const turn = readTurn(body, model.id);
  const response = composeResponse(turn);
  const extras = repeatOf(body);
  if (!isObject(body['guardrailConfig']) || !turn.userText.includes(BAD_WORD)) {
    return { response, stopReason: response.stopReason, extras };
  }
  const blocked: ComposedResponse = {
    ...response,
    text: GUARDRAIL_TEXT,
    toolCall: undefined,
    inputTokens: 0,
    outputTokens: 0,
  };
  return { response: blocked, stopReason: 'guardrail_intervened', extras };
}

function repeatOf(body: JsonObject): JsonObject {
  const { performanceConfig, serviceTier } = body;
  return {
    ...(isObject(performanceConfig) ? { performanceConfig } : {}),
    ...(isObject(serviceTier) ? { serviceTier } : {}),
  };
}

function toolUseOf({ toolCall }: ComposedResponse): { toolUseId: string; name: string; input: unknown } {
  return { toolUseId: `tooluse_${toolCall?.id ?? ''}`, name: toolCall?.name ?? '', input: toolCall?.input };
}

function usageOf({ inputTokens, outputTokens }: ComposedResponse): JsonObject {
  const totalTokens = inputTokens + outputTokens;
  return { cacheReadInputTokens: 0, cacheWriteInputTokens: 0, inputTokens, outputTokens, totalTokens };
}
