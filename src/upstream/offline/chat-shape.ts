/**
 * OpenAI's chat completions as a shape: what a body asks, and the response whole and in chunks. For the API below
 * /openai/v1, and for InvokeModel of the many models that take the same. Pure.
 */
import { piecesOf, PLAIN_TURN, type ComposedResponse, type ToolCall, type Turn } from './compose.ts';
import { asCount, asObject, asObjects, asText, asTexts, type JsonObject } from '../../lib/json.ts';
import type { PromptSegment, PromptTokens } from './prompt-cache.ts';
import { countTokens } from './tokens.ts';

const MESSAGE_TOKENS = 4;
const DEFAULT_MAX_TOKENS = 4096;

/** OpenAI's words for why a response ended. */
const FINISH_REASONS: Readonly<Record<ComposedResponse['stopReason'], string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  tool_use: 'tool_calls',
};

/** What the model reads. */
export function segmentsOfChat(body: JsonObject): PromptSegment[] {
  const tools = asObjects(body['tools']).map((tool) => JSON.stringify(tool));
  return [
    ...tools.map((text) => ({ text, tokens: countTokens(text) })),
    ...asObjects(body['messages']).map((message) => ({
      text: JSON.stringify(message),
      tokens: MESSAGE_TOKENS + countTokens(textOf(message)),
    })),
  ];
}

/** The turn that a body with messages asks for. */
export function readChatTurn(body: JsonObject, modelId: string, tokens: PromptTokens): Turn {
  const messages = asObjects(body['messages']);
  const lastOfUser = messages.findLastIndex((message) => message['role'] === 'user');
  const results = messages.slice(lastOfUser + 1).filter((message) => message['role'] === 'tool');
  return {
    ...PLAIN_TURN,
    modelId,
    userText: textOf(messages[lastOfUser] ?? {}),
    toolResults: results.map(textOf),
    tokens,
    maxTokens: asCount(body['max_completion_tokens'] ?? body['max_tokens'], 1, DEFAULT_MAX_TOKENS),
    stopSequences: typeof body['stop'] === 'string' ? [body['stop']] : asTexts(body['stop']),
    tools: asObjects(body['tools']).map((tool) => {
      const { name, description, parameters } = asObject(tool['function']);
      return { name: asText(name), description: asText(description), schema: parameters };
    }),
    toolChoice: readOpenAiChoice(body['tool_choice']),
    schema: readFormat(asObject(body['response_format'])),
  };
}

/** The completion; `head` has its id, model and time. */
export function completionOf(head: object, response: ComposedResponse): JsonObject {
  const { toolCalls } = response;
  const calls = toolCalls.map((call) => toolCallOf(call, JSON.stringify(call.input)));
  const message = {
    role: 'assistant',
    content: contentOf(response),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  const choice = { index: 0, message, finish_reason: FINISH_REASONS[response.stopReason], logprobs: null };
  return { ...head, object: 'chat.completion', choices: [choice], usage: usageOf(response) };
}

/** The chunks of a completion; the last has the tokens, if they are asked for. */
export function chunksOf(head: object, response: ComposedResponse, withUsage: boolean): JsonObject[] {
  const chunk = (choices: readonly object[], rest: object = {}): JsonObject => ({
    ...head,
    object: 'chat.completion.chunk',
    choices,
    ...rest,
  });
  const delta = (content: object, finishReason: string | null = null): JsonObject =>
    chunk([{ index: 0, delta: content, finish_reason: finishReason, logprobs: null }]);
  const pieces = response.blocks.flatMap((block) => {
    if (block.kind === 'reasoning') return [];
    if (block.kind === 'text') return piecesOf(block).map((piece) => delta({ content: piece }));
    const index = response.toolCalls.indexOf(block.call);
    return piecesOf(block).map((piece, at) => {
      const call = at === 0 ? toolCallOf(block.call, piece) : { function: { arguments: piece } };
      return delta({ tool_calls: [{ index, ...call }] });
    });
  });
  return [
    delta({ role: 'assistant', content: contentOf(response) === null ? null : '' }),
    ...pieces,
    delta({}, FINISH_REASONS[response.stopReason]),
    ...(withUsage ? [chunk([], { usage: usageOf(response) })] : []),
  ];
}

/** `required`, `none`, or the name of a function within `function` or beside it. */
export function readOpenAiChoice(choice: unknown): Turn['toolChoice'] {
  if (choice === 'none') return 'none';
  if (choice === 'required') return 'any';
  const { name, function: chosen } = asObject(choice);
  const chosenName = asText(asObject(chosen)['name'] ?? name);
  return chosenName === '' ? 'auto' : { name: chosenName };
}

/** The schema that a text has to fit; undefined: prose. */
export function readFormat({ type, json_schema: wrapped, schema }: JsonObject): unknown {
  if (type === 'json_object') return {};
  return type === 'json_schema' ? (schema ?? asObject(wrapped)['schema'] ?? {}) : undefined;
}

/** The text of a message, whose content is a text or a list of parts. */
export function textOf({ content }: JsonObject): string {
  if (typeof content === 'string') return content;
  return asObjects(content)
    .map((part) => asText(part['text']))
    .join('\n');
}

/** Null if a tool is called without a word. */
function contentOf({ text, toolCalls }: ComposedResponse): string | null {
  return text === '' && toolCalls.length > 0 ? null : text;
}

function toolCallOf({ id, name }: ToolCall, argumentsText: string): object {
  return { id: `call_${id}`, type: 'function', function: { name, arguments: argumentsText } };
}

/** OpenAI counts what caches served, or took, among the tokens of the prompt. */
function usageOf({ tokens, outputTokens }: ComposedResponse): object {
  const { input, read, written } = tokens;
  const prompt = input + read + written['5m'] + written['1h'];
  return {
    prompt_tokens: prompt,
    completion_tokens: outputTokens,
    total_tokens: prompt + outputTokens,
    ...(read === 0 ? {} : { prompt_tokens_details: { cached_tokens: read } }),
  };
}
