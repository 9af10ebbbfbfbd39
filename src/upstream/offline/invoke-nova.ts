/**
 * InvokeModel in the shape of Amazon's Nova models, which is nearly that of Converse. Pure.
 */
import { composeResponse, streamedPieces } from './compose.ts';
import { findConversationProblem, readTurn } from './conversation.ts';
import type { InvokeOutcome } from './invoke-outcome.ts';
import type { JsonObject } from '../../lib/json.ts';

/** Responds to a body of Nova's shape. */
export function invokeNova(body: JsonObject, modelId: string): InvokeOutcome {
  const problem = findConversationProblem(body);
  if (problem !== undefined) return { problem: `Malformed input request: ${problem.message}` };
  const response = composeResponse(readTurn(body, modelId));
  const { inputTokens, outputTokens, latencyMs, stopReason, text, toolCall } = response;
  const toolUse = toolCall && { name: toolCall.name, toolUseId: toolCall.id, input: toolCall.input };
  const counts = { inputTokens, outputTokens, cacheReadInputTokenCount: 0, cacheWriteInputTokenCount: 0 };
  const content = {
    output: { message: { content: [toolUse === undefined ? { text } : { toolUse }], role: 'assistant' } },
    stopReason,
    usage: { ...counts, totalTokens: inputTokens + outputTokens },
  };
  const start = toolUse && { toolUse: { name: toolUse.name, toolUseId: toolUse.toolUseId } };
  const streamed = [
    { messageStart: { role: 'assistant' } },
    ...(start === undefined ? [] : [{ contentBlockStart: { start, contentBlockIndex: 0 } }]),
    ...streamedPieces(response).map((piece) => {
      const delta = toolUse === undefined ? { text: piece } : { toolUse: { input: piece } };
      return { contentBlockDelta: { delta, contentBlockIndex: 0 } };
    }),
    { contentBlockStop: { contentBlockIndex: 0 } },
    { messageStop: { stopReason } },
    { metadata: { usage: counts, metrics: {}, trace: {} } },
  ];
  return { content, streamed, inputTokens, outputTokens, latencyMs };
}
