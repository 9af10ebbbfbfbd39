/**
 * InvokeModel in the shape of Anthropic's models: their Messages API, with `anthropic_version` in place of the model's
 * name. Pure.
 */
import { composeResponse, streamedPieces, type ComposedResponse, type Turn } from './compose.ts';
import type { InvokeOutcome } from './invoke-outcome.ts';
import { asCount, asObject, asObjects, asText, asTexts, isObject, type JsonObject } from '../../lib/json.ts';
import { countTokens, stableId } from './tokens.ts';

const MEDIA_TOKENS = 1500;
const MESSAGE_TOKENS = 4;

/** Responds to a body of the Messages API. */
export function invokeAnthropic(body: JsonObject, modelId: string): InvokeOutcome {
  const problem = findProblem(body);
  if (problem !== undefined) return { problem };
  const response = composeResponse(readTurn(body, modelId));
  const { inputTokens, outputTokens, latencyMs } = response;
  const id = stableId('msg_bdrk_', JSON.stringify(body) + modelId, 24);
  const message = {
    model: modelId.replace(/^anthropic\./, '').replace(/-v\d+(?::\d+)?$/, ''),
    id,
    type: 'message',
    role: 'assistant',
    content: [blockOf(response)],
    stop_reason: response.stopReason,
    stop_sequence: response.stopSequence ?? null,
    usage: usageOf(inputTokens, outputTokens),
  };
  return { content: message, streamed: streamOf(message, response), inputTokens, outputTokens, latencyMs };
}

/** Tokens of everything the model reads. */
export function countAnthropicTokens(body: JsonObject): number {
  const messages = asObjects(body['messages']);
  const tools = Array.isArray(body['tools']) ? countTokens(JSON.stringify(body['tools'])) : 0;
  const texts = [body['system'], ...messages.map((message) => message['content'])];
  return texts.reduce<number>((sum, content) => sum + countContent(content), messages.length * MESSAGE_TOKENS + tools);
}

function findProblem(body: JsonObject): string | undefined {
  if (typeof body['anthropic_version'] !== 'string') return 'anthropic_version: Field required';
  if (!Number.isInteger(body['max_tokens'])) return 'max_tokens: Field required';
  if (Number(body['max_tokens']) < 1) return 'max_tokens: must be greater than or equal to 1';
  if (!Array.isArray(body['messages'])) return 'messages: Field required';
  const messages = asObjects(body['messages']);
  if (messages.length === 0) return 'messages: at least one message is required';
  for (const [index, { role, content }] of messages.entries()) {
    // Newer models take system messages within the conversation; Claude Code sends some.
    const isKnown = role === 'user' || role === 'assistant' || (role === 'system' && index > 0);
    if (!isKnown) return `messages.${index}.role: must be user or assistant`;
    if (typeof content !== 'string' && !Array.isArray(content)) return `messages.${index}.content: Field required`;
    if (content.length === 0) return `messages.${index}: the content must not be empty`;
  }
  if (messages[0]?.['role'] !== 'user') return 'messages: the first message must use the user role';
  const choice = asObject(body['tool_choice']);
  const isOffered = asObjects(body['tools']).some((tool) => tool['name'] === choice['name']);
  if (choice['type'] === 'tool' && !isOffered) return `tool_choice: the tool ${asText(choice['name'])} is not in tools`;
  return undefined;
}

function readTurn(body: JsonObject, modelId: string): Turn {
  const last = asObjects(body['messages']).findLast((message) => message['role'] === 'user');
  const blocks = typeof last?.['content'] === 'string' ? [] : asObjects(last?.['content']);
  const results = blocks.filter((block) => block['type'] === 'tool_result');
  return {
    modelId,
    // Clients put reminders of their own before what the user wrote, and those name tools that the user does not ask
    // for.
    userText: typeof last?.['content'] === 'string' ? last['content'] : lastTextOf(blocks),
    toolResults: results.map(({ content }) => (typeof content === 'string' ? content : textOf(asObjects(content)))),
    inputTokens: countAnthropicTokens(body),
    maxTokens: asCount(body['max_tokens'], 1, 1),
    stopSequences: asTexts(body['stop_sequences']),
    tools: asObjects(body['tools']).map((tool) => ({ name: asText(tool['name']), schema: tool['input_schema'] })),
    toolChoice: readToolChoice(asObject(body['tool_choice'])),
  };
}

function readToolChoice(choice: JsonObject): Turn['toolChoice'] {
  if (choice['type'] === 'tool') return { name: asText(choice['name']) };
  return choice['type'] === 'any' || choice['type'] === 'none' ? choice['type'] : 'auto';
}

function blockOf({ text, toolCall }: ComposedResponse): JsonObject {
  if (toolCall === undefined) return { type: 'text', text };
  return { type: 'tool_use', id: `toolu_bdrk_${toolCall.id}`, name: toolCall.name, input: toolCall.input };
}

/** The events of the Messages API, from message_start to message_stop. */
function streamOf(message: JsonObject, response: ComposedResponse): object[] {
  const block = blockOf(response);
  const usage = usageOf(response.inputTokens, 1);
  const start = { ...message, content: [], stop_reason: null, stop_sequence: null, usage };
  const emptyBlock = response.toolCall === undefined ? { ...block, text: '' } : { ...block, input: {} };
  const deltas = streamedPieces(response).map((piece) => {
    const isText = response.toolCall === undefined;
    const delta = isText ? { type: 'text_delta', text: piece } : { type: 'input_json_delta', partial_json: piece };
    return { type: 'content_block_delta', index: 0, delta };
  });
  return [
    { type: 'message_start', message: start },
    { type: 'content_block_start', index: 0, content_block: emptyBlock },
    ...deltas,
    { type: 'content_block_stop', index: 0 },
    {
      type: 'message_delta',
      delta: { stop_reason: message['stop_reason'], stop_sequence: message['stop_sequence'] },
      usage: { output_tokens: response.outputTokens },
    },
    { type: 'message_stop' },
  ];
}

function usageOf(inputTokens: number, outputTokens: number): JsonObject {
  return {
    input_tokens: inputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: outputTokens,
  };
}

function textOf(blocks: readonly JsonObject[]): string {
  return blocks
    .filter((block) => block['type'] === 'text')
    .map((block) => asText(block['text']))
    .join('\n');
}

function lastTextOf(blocks: readonly JsonObject[]): string {
  return asText(blocks.findLast((block) => block['type'] === 'text')?.['text']);
}

function countContent(content: unknown): number {
  if (typeof content === 'string') return countTokens(content);
  return asObjects(content).reduce((sum, block) => {
    if (block['type'] === 'text') return sum + countTokens(asText(block['text']));
    return sum + (isObject(block['source']) ? MEDIA_TOKENS : countTokens(JSON.stringify(block)));
  }, 0);
}
