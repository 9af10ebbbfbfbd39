/**
 * Converse and ConverseStream of the offline Bedrock, in the shapes of AWS's model. Pure.
 */
import { blockResponse, piecesOf, type ComposedBlock, type ComposedResponse } from './compose.ts';
import { BAD_WORD, checkpointsOf, guardedTextOf, readTurn, segmentsOf } from './conversation.ts';
import { findConversationProblem } from './conversation-problems.ts';
import { paddedEventFrame } from './frames.ts';
import { assessText } from './guardrail.ts';
import { asObject, asText, isObject, parseJsonObject, type JsonObject } from '../../lib/json.ts';
import { findOfflineModel, type NamedModel } from './models.ts';
import {
  awsError,
  invalidModel,
  jsonReply,
  profileOnly,
  serializationError,
  streamReply,
  validationError,
  type OfflineCall,
  type Reply,
} from './reply.ts';
import { canConverse } from './shapes.ts';
import { useCacheOf } from './state.ts';

const GUARDRAIL_TEXT = 'The offline guardrail blocked this conversation.';

/** Responds to a Converse call. */
export function converse(call: OfflineCall): Reply {
  const outcome = respondToConversation(call);
  if ('refusal' in outcome) return outcome.refusal;
  const { response, stopReason, extras } = outcome;
  return jsonReply({
    metrics: { latencyMs: response.latencyMs },
    output: { message: { content: response.blocks.map(contentOf), role: 'assistant' } },
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
  return streamReply([
    paddedEventFrame('messageStart', { role: 'assistant' }),
    ...response.blocks.flatMap(framesOf),
    paddedEventFrame('messageStop', { stopReason }),
    paddedEventFrame('metadata', { metrics: { latencyMs: response.latencyMs }, usage: usageOf(response), ...extras }),
  ]);
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
  if (model.needsProfile) return { refusal: profileOnly(model.id) };
  if (!canConverse(model.shape)) {
    const message =
      "This action doesn't support the model that you provided. Try again with a supported text or chat model.";
    return { refusal: validationError(message) };
  }
  const body = parseJsonObject(call.body);
  if (body === undefined) return { refusal: serializationError() };
  const refusal = refuseConversation(body, model);
  if (refusal !== undefined) return { refusal };
  const turn = readTurn(body, model.id, useCacheOf(call, model, segmentsOf(body)));
  const response = call.scripted.respond(turn);
  const extras = repeatOf(body);
  const guardrail = body['guardrailConfig'];
  if (!isObject(guardrail)) return { response, stopReason: response.stopReason, extras };
  const guarded = guardedTextOf(body, turn.userText);
  const traced = guardrail['trace'] === 'enabled' || guardrail['trace'] === 'enabled_full';
  const trace = traced ? { trace: traceOf(guardrail, guarded) } : {};
  if (!guarded.includes(BAD_WORD))
    return { response, stopReason: response.stopReason, extras: { ...extras, ...trace } };
  const blocked = blockResponse(response, GUARDRAIL_TEXT);
  return { response: blocked, stopReason: 'guardrail_intervened', extras: { ...extras, ...trace } };
}

function refuseConversation(body: JsonObject, model: NamedModel): Reply | undefined {
  const problem = findConversationProblem(body, model.id);
  if (problem?.kind === 'serialization') return serializationError(problem.message);
  if (problem !== undefined) return validationError(problem.message);
  if (model.listed?.cacheTokens !== 0 || checkpointsOf(body).length === 0) return undefined;
  return awsError(
    403,
    'AccessDeniedException',
    'You invoked an unsupported model or your request did not allow prompt caching. See the documentation for more ' +
      'information.',
  );
}

function traceOf(guardrail: JsonObject, text: string): JsonObject {
  const { assessments } = asObject(assessText([text], guardrail['trace'] === 'enabled_full'));
  const [assessment = {}] = Array.isArray(assessments) ? assessments : [];
  return { guardrail: { inputAssessment: { [asText(guardrail['guardrailIdentifier'])]: assessment } } };
}

function repeatOf(body: JsonObject): JsonObject {
  const { performanceConfig, serviceTier } = body;
  return {
    ...(isObject(performanceConfig) ? { performanceConfig } : {}),
    ...(isObject(serviceTier) ? { serviceTier } : {}),
  };
}

function contentOf(block: ComposedBlock): JsonObject {
  switch (block.kind) {
    case 'reasoning':
      return { reasoningContent: { reasoningText: { text: block.text, signature: block.signature } } };
    case 'text':
      return { text: block.text };
    case 'tool':
      return { toolUse: { toolUseId: `tooluse_${block.call.id}`, name: block.call.name, input: block.call.input } };
  }
}

/** The events of one block. */
function framesOf(block: ComposedBlock, contentBlockIndex: number): Buffer[] {
  const delta = (content: object): Buffer =>
    paddedEventFrame('contentBlockDelta', { contentBlockIndex, delta: content });
  const stop = paddedEventFrame('contentBlockStop', { contentBlockIndex });
  const pieces = piecesOf(block);
  switch (block.kind) {
    case 'reasoning': {
      const deltas = pieces.map((text) => delta({ reasoningContent: { text } }));
      return [...deltas, delta({ reasoningContent: { signature: block.signature } }), stop];
    }
    case 'text':
      return [...pieces.map((text) => delta({ text })), stop];
    case 'tool': {
      const start = { toolUse: { name: block.call.name, toolUseId: `tooluse_${block.call.id}` } };
      const deltas = pieces.map((input) => delta({ toolUse: { input } }));
      return [paddedEventFrame('contentBlockStart', { contentBlockIndex, start }), ...deltas, stop];
    }
  }
}

function usageOf({ tokens, outputTokens }: ComposedResponse): JsonObject {
  const { input, read, written } = tokens;
  const cacheWriteInputTokens = written['5m'] + written['1h'];
  const cacheDetails = (['5m', '1h'] as const)
    .filter((ttl) => written[ttl] > 0)
    .map((ttl) => ({ ttl, inputTokens: written[ttl] }));
  return {
    ...(cacheDetails.length === 0 ? {} : { cacheDetails }),
    cacheReadInputTokens: read,
    cacheWriteInputTokens,
    inputTokens: input,
    outputTokens,
    totalTokens: input + read + cacheWriteInputTokens + outputTokens,
  };
}
