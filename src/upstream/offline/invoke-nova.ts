/**
 * InvokeModel in the shape of Amazon's Nova models, which is nearly that of Converse. Pure.
 */
import { piecesOf, type ComposedBlock } from './compose.ts';
import { readTurn, segmentsOf } from './conversation.ts';
import { findConversationProblem } from './conversation-problems.ts';
import type { InvokeContext, InvokeOutcome } from './invoke-outcome.ts';
import { isReasoning } from './thinking.ts';
import type { JsonObject } from '../../lib/json.ts';

/** Responds to a body of Nova's shape. */
export function invokeNova(body: JsonObject, { modelId, useCache, respond }: InvokeContext): InvokeOutcome {
  const problem = findConversationProblem(body, modelId);
  if (problem !== undefined) return { problem: `Malformed input request: ${problem.message}` };
  const turn = readTurn(body, modelId, useCache(segmentsOf(body)));
  const response = respond({ ...turn, isReasoning: isReasoning(modelId, body) });
  const { tokens, outputTokens, latencyMs, stopReason } = response;
  const counts = {
    inputTokens: tokens.input,
    outputTokens,
    cacheReadInputTokenCount: tokens.read,
    cacheWriteInputTokenCount: tokens.written['5m'] + tokens.written['1h'],
  };
  const totalTokens = tokens.input + outputTokens + counts.cacheReadInputTokenCount + counts.cacheWriteInputTokenCount;
  const content = {
    output: { message: { content: response.blocks.map(contentOf), role: 'assistant' } },
    stopReason,
    usage: { ...counts, totalTokens },
  };
  const streamed = [
    { messageStart: { role: 'assistant' } },
    ...response.blocks.flatMap(eventsOf),
    { messageStop: { stopReason } },
    { metadata: { usage: counts, metrics: {}, trace: {} } },
  ];
  return { content, streamed, tokens, outputTokens, latencyMs };
}

function contentOf(block: ComposedBlock): object {
  switch (block.kind) {
    case 'reasoning':
      return { reasoningContent: { reasoningText: { text: block.text } } };
    case 'text':
      return { text: block.text };
    case 'tool':
      return { toolUse: { name: block.call.name, toolUseId: block.call.id, input: block.call.input } };
  }
}

function eventsOf(block: ComposedBlock, contentBlockIndex: number): object[] {
  const deltas = piecesOf(block).map((piece) => {
    if (block.kind === 'text') return { text: piece };
    return block.kind === 'tool'
      ? { toolUse: { input: piece } }
      : { reasoningContent: { reasoningText: { text: piece } } };
  });
  const start = block.kind === 'tool' && { toolUse: { name: block.call.name, toolUseId: block.call.id } };
  return [
    ...(start === false ? [] : [{ contentBlockStart: { start, contentBlockIndex } }]),
    ...deltas.map((delta) => ({ contentBlockDelta: { delta, contentBlockIndex } })),
    { contentBlockStop: { contentBlockIndex } },
  ];
}
