/**
 * A response in the shape of Anthropic's Messages API: the message, and the events it arrives in. For InvokeModel and
 * for CreateMessage. Pure.
 */
import { piecesOf, type ComposedBlock, type ComposedResponse } from './compose.ts';
import type { JsonObject } from '../../lib/json.ts';

/** The message; `id` has Anthropic's prefix. */
export function messageOf(response: ComposedResponse, { id, model }: { id: string; model: string }): JsonObject {
  return {
    model,
    id,
    type: 'message',
    role: 'assistant',
    content: response.blocks.map(blockOf),
    stop_reason: response.stopReason,
    stop_sequence: response.stopSequence ?? null,
    usage: usageOf(response, response.outputTokens),
  };
}

/** The events of a message, from `message_start` to `message_stop`; each has its name in `type`. */
export function eventsOf(message: JsonObject, response: ComposedResponse): JsonObject[] {
  const { stop_reason: reason, stop_sequence: sequence } = message;
  const start = { ...message, content: [], stop_reason: null, stop_sequence: null, usage: usageOf(response, 1) };
  const usage = { ...usageOf(response, response.outputTokens), output_tokens: response.outputTokens };
  return [
    { type: 'message_start', message: start },
    ...response.blocks.flatMap(eventsOfBlock),
    { type: 'message_delta', delta: { stop_reason: reason, stop_sequence: sequence }, usage },
    { type: 'message_stop' },
  ];
}

function blockOf(block: ComposedBlock): JsonObject {
  switch (block.kind) {
    case 'reasoning':
      return { type: 'thinking', thinking: block.text, signature: block.signature };
    case 'text':
      return { type: 'text', text: block.text };
    case 'tool':
      return { type: 'tool_use', id: `toolu_bdrk_${block.call.id}`, name: block.call.name, input: block.call.input };
  }
}

/** How a block begins, before its deltas. */
function emptyBlockOf(block: ComposedBlock): JsonObject {
  switch (block.kind) {
    case 'reasoning':
      return { type: 'thinking', thinking: '', signature: '' };
    case 'text':
      return { type: 'text', text: '' };
    case 'tool':
      return { ...blockOf(block), input: {} };
  }
}

function deltasOf(block: ComposedBlock): JsonObject[] {
  const pieces = piecesOf(block);
  switch (block.kind) {
    case 'reasoning':
      return [
        ...pieces.map((thinking) => ({ type: 'thinking_delta', thinking })),
        { type: 'signature_delta', signature: block.signature },
      ];
    case 'text':
      return pieces.map((text) => ({ type: 'text_delta', text }));
    case 'tool':
      return pieces.map((json) => ({ type: 'input_json_delta', partial_json: json }));
  }
}

function eventsOfBlock(block: ComposedBlock, index: number): JsonObject[] {
  return [
    { type: 'content_block_start', index, content_block: emptyBlockOf(block) },
    ...deltasOf(block).map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ];
}

function usageOf({ tokens }: ComposedResponse, outputTokens: number): JsonObject {
  const { input, read, written } = tokens;
  return {
    input_tokens: input,
    cache_creation_input_tokens: written['5m'] + written['1h'],
    cache_read_input_tokens: read,
    cache_creation: { ephemeral_5m_input_tokens: written['5m'], ephemeral_1h_input_tokens: written['1h'] },
    output_tokens: outputTokens,
  };
}
