/**
 * The OpenAI shape of the offline Bedrock: chat completions, whole and as server-sent events, and the list of models,
 * as bedrock-runtime serves them below /openai/v1. Failures too are in OpenAI's shape. Pure.
 */
import { composeResponse, streamedPieces, type ComposedResponse, type Turn } from './compose.ts';
import { applyFault } from './faults.ts';
import { asCount, asObject, asObjects, asText, asTexts, parseJsonObject, type JsonObject } from '../../lib/json.ts';
import { findOfflineModel, LISTED_MODELS } from './models.ts';
import { jsonReply, type OfflineCall, type Reply } from './reply.ts';
import { countTokens, stableId } from './tokens.ts';

const MESSAGE_TOKENS = 4;
const DEFAULT_MAX_TOKENS = 4096;

/** OpenAI's words for why a response ended. */
const FINISH_REASONS: Readonly<Record<ComposedResponse['stopReason'], string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  tool_use: 'tool_calls',
};

/**
 * Responds to a chat completion; `stream` sends it in pieces, the last one with the tokens if `stream_options` asks so.
 */
export function completeChat(call: OfflineCall): Reply {
  const body = parseJsonObject(call.body);
  if (body === undefined) return openAiError(400, 'The request body is not a JSON object.');
  const model = findOfflineModel(asText(body['model']), call.region);
  if (model === undefined) return openAiError(404, `The model '${asText(body['model'])}' does not exist.`);
  if (asObjects(body['messages']).length === 0) return openAiError(400, 'messages: at least one message is required');
  const response = composeResponse(readTurn(body, model.id));
  const head = {
    id: stableId('chatcmpl-', model.id + call.body.toString(), 24),
    created: Math.floor(call.nowMs / 1000),
    model: asText(body['model']),
  };
  const reply = body['stream'] === true ? streamOf(head, response, body) : wholeOf(head, response);
  return inOpenAiShape(applyFault(model.id, reply), reply);
}

/** Returns the list of models that write text. */
export function listOpenAiModels({ nowMs }: OfflineCall): Reply {
  const writing = LISTED_MODELS.filter(({ output }) => output === 'TEXT');
  const created = Math.floor(nowMs / 1000);
  const data = writing.map(({ id, provider }) => ({ id, object: 'model', created, owned_by: provider }));
  return jsonReply({ object: 'list', data });
}

function readTurn(body: JsonObject, modelId: string): Turn {
  const messages = asObjects(body['messages']);
  const lastOfUser = messages.findLastIndex((message) => message['role'] === 'user');
  const results = messages.slice(lastOfUser + 1).filter((message) => message['role'] === 'tool');
  const tools = asObjects(body['tools']).map((tool) => asObject(tool['function']));
  const words = messages.reduce((sum, message) => sum + countTokens(textOf(message)), 0);
  return {
    modelId,
    userText: textOf(messages[lastOfUser] ?? {}),
    toolResults: results.map(textOf),
    inputTokens:
      words + messages.length * MESSAGE_TOKENS + (tools.length === 0 ? 0 : countTokens(JSON.stringify(tools))),
    maxTokens: asCount(body['max_completion_tokens'] ?? body['max_tokens'], 1, DEFAULT_MAX_TOKENS),
    stopSequences: typeof body['stop'] === 'string' ? [body['stop']] : asTexts(body['stop']),
    tools: tools.map((tool) => ({ name: asText(tool['name']), schema: tool['parameters'] })),
    toolChoice: readToolChoice(body['tool_choice']),
  };
}

function readToolChoice(choice: unknown): Turn['toolChoice'] {
  if (choice === 'none') return 'none';
  if (choice === 'required') return 'any';
  const name = asText(asObject(asObject(choice)['function'])['name']);
  return name === '' ? 'auto' : { name };
}

/** The text of a message, whose content is a text or a list of parts. */
function textOf({ content }: JsonObject): string {
  if (typeof content === 'string') return content;
  return asObjects(content)
    .map((part) => asText(part['text']))
    .join('\n');
}

function wholeOf(head: object, response: ComposedResponse): Reply {
  const { toolCall, text } = response;
  const message = {
    role: 'assistant',
    content: toolCall === undefined ? text : null,
    ...(toolCall === undefined ? {} : { tool_calls: [toolCallOf(toolCall, JSON.stringify(toolCall.input))] }),
  };
  const choice = { index: 0, message, finish_reason: FINISH_REASONS[response.stopReason], logprobs: null };
  return jsonReply({ ...head, object: 'chat.completion', choices: [choice], usage: usageOf(response) });
}

function streamOf(head: object, response: ComposedResponse, body: JsonObject): Reply {
  const { toolCall } = response;
  const asksForUsage = asObject(body['stream_options'])['include_usage'] === true;
  const chunk = (choices: readonly object[], rest: object = {}): Buffer =>
    sseEvent(JSON.stringify({ ...head, object: 'chat.completion.chunk', choices, ...rest }));
  const delta = (content: object, finishReason: string | null = null): Buffer =>
    chunk([{ index: 0, delta: content, finish_reason: finishReason, logprobs: null }]);
  const pieces = streamedPieces(response).map((piece, index) => {
    if (toolCall === undefined) return delta({ content: piece });
    const call = index === 0 ? toolCallOf(toolCall, piece) : { function: { arguments: piece } };
    return delta({ tool_calls: [{ index: 0, ...call }] });
  });
  const chunks = [
    delta({ role: 'assistant', content: toolCall === undefined ? '' : null }),
    ...pieces,
    delta({}, FINISH_REASONS[response.stopReason]),
    ...(asksForUsage ? [chunk([], { usage: usageOf(response) })] : []),
    sseEvent('[DONE]'),
  ];
  const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };
  return { status: 200, headers, chunks, isStream: true, ending: 'end', isSlow: false };
}

function toolCallOf({ id, name }: NonNullable<ComposedResponse['toolCall']>, argumentsText: string): object {
  return { id: `call_${id}`, type: 'function', function: { name, arguments: argumentsText } };
}

function usageOf({ inputTokens, outputTokens }: ComposedResponse): object {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  };
}

function sseEvent(content: string): Buffer {
  return Buffer.from(`data: ${content}\n\n`);
}

/** What a fault made of a reply, as this shape shows it: an AWS error and an AWS exception frame become OpenAI's. */
function inOpenAiShape(faulted: Reply, reply: Reply): Reply {
  if (faulted.status !== 200) {
    const { 'retry-after': retryAfter } = faulted.headers;
    const message = asText(parseJsonObject(Buffer.concat(faulted.chunks))?.['message']);
    return openAiError(faulted.status, message, retryAfter === undefined ? {} : { 'retry-after': retryAfter });
  }
  const last = faulted.chunks.at(-1);
  if (!faulted.isStream || last === undefined || reply.chunks.includes(last)) return faulted;
  const failure = sseEvent(JSON.stringify(errorOf(500, 'The stream failed, as was asked for.')));
  return { ...faulted, chunks: [...faulted.chunks.slice(0, -1), failure] };
}

function openAiError(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return jsonReply(errorOf(status, message), headers, status);
}

function errorOf(status: number, message: string): object {
  const type = status === 429 ? 'rate_limit_error' : status >= 500 ? 'server_error' : 'invalid_request_error';
  return { error: { code: type, message, param: null, type } };
}
