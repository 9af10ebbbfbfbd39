/**
 * OpenAI's Responses API of the offline Bedrock: CreateResponse, whole and as server-sent events. It remembers nothing:
 * a conversation has to come whole, so `previous_response_id` and `background` are refused. Pure.
 */
import { readFormat, readOpenAiChoice, textOf } from './chat-shape.ts';
import { piecesOf, PLAIN_TURN, type ComposedBlock, type ComposedResponse, type Turn } from './compose.ts';
import { applyFault } from './faults.ts';
import { asCount, asObject, asObjects, asText, isObject, type JsonObject } from '../../lib/json.ts';
import { uncached } from './invoke-outcome.ts';
import { openAiError, readOpenAiCall } from './openai-chat.ts';
import { jsonReply, type OfflineCall, type Reply } from './reply.ts';
import { reshapeFault, sseEvent, sseReply } from './sse.ts';
import { countTokens, stableId } from './tokens.ts';

const ITEM_TOKENS = 4;
const DEFAULT_MAX_TOKENS = 4096;

/** Responds to a CreateResponse call; `stream` sends it in events. */
export function createResponse(call: OfflineCall): Reply {
  const read = readOpenAiCall(call);
  if ('refusal' in read) return read.refusal;
  const { body, model } = read;
  const { input } = body;
  if ((typeof input !== 'string' || input === '') && asObjects(input).length === 0) {
    return openAiError(400, "Missing required parameter: 'input'.");
  }
  for (const name of ['previous_response_id', 'background']) {
    const value = body[name];
    if (value !== undefined && value !== null && value !== false) {
      return openAiError(400, `The offline Bedrock does not know '${name}': it remembers no responses.`);
    }
  }
  const composed = call.scripted.respond(readTurn(body, model.id));
  const id = stableId('resp_', model.id + call.body.toString(), 48);
  const response = responseOf(id, composed, body, call.nowMs);
  const reply = body['stream'] === true ? streamOf(response, composed) : jsonReply(response);
  return reshapeFault(applyFault(model.id, reply, call.scripted.findFault()), reply, {
    refuse: openAiError,
    fail: failureEvent,
  });
}

function readTurn(body: JsonObject, modelId: string): Turn {
  const items =
    typeof body['input'] === 'string' ? [{ role: 'user', content: body['input'] }] : asObjects(body['input']);
  const lastOfUser = items.findLastIndex((item) => item['role'] === 'user');
  const results = items.slice(lastOfUser + 1).filter((item) => item['type'] === 'function_call_output');
  const tools = asObjects(body['tools']).filter((tool) => tool['type'] === 'function');
  const reading = [asText(body['instructions']), ...tools.map((tool) => JSON.stringify(tool)), ...items.map(wordsOf)];
  return {
    ...PLAIN_TURN,
    modelId,
    userText: textOf(items[lastOfUser] ?? {}),
    toolResults: results.map(wordsOf),
    tokens: uncached(items.length * ITEM_TOKENS + reading.reduce((sum, text) => sum + countTokens(text), 0)),
    maxTokens: asCount(body['max_output_tokens'], 1, DEFAULT_MAX_TOKENS),
    tools: tools.map(({ name, description, parameters }) => ({
      name: asText(name),
      description: asText(description),
      schema: parameters,
    })),
    toolChoice: readOpenAiChoice(body['tool_choice']),
    isReasoning: isObject(body['reasoning']) && body['reasoning']['effort'] !== 'none',
    schema: readFormat(asObject(asObject(body['text'])['format'])),
  };
}

/** What an item of the input says: a message's text, or a tool's output. */
function wordsOf(item: JsonObject): string {
  const { output } = item;
  if (typeof output === 'string') return output;
  return output === undefined ? textOf(item) : textOf({ content: output });
}

function responseOf(id: string, composed: ComposedResponse, body: JsonObject, nowMs: number): JsonObject {
  const isCut = composed.stopReason === 'max_tokens';
  const { input: uncachedTokens, read, written } = composed.tokens;
  const input = uncachedTokens + read + written['5m'] + written['1h'];
  return {
    id,
    object: 'response',
    created_at: Math.floor(nowMs / 1000),
    status: isCut ? 'incomplete' : 'completed',
    background: false,
    error: null,
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    instructions: body['instructions'] ?? null,
    max_output_tokens: body['max_output_tokens'] ?? null,
    metadata: body['metadata'] ?? {},
    model: body['model'],
    output: composed.blocks.map((block) => itemOf(id, block, isCut ? 'incomplete' : 'completed')),
    parallel_tool_calls: body['parallel_tool_calls'] ?? true,
    previous_response_id: null,
    reasoning: body['reasoning'] ?? { effort: null, summary: null },
    store: false,
    temperature: body['temperature'] ?? 1,
    text: body['text'] ?? { format: { type: 'text' } },
    tool_choice: body['tool_choice'] ?? 'auto',
    tools: body['tools'] ?? [],
    top_p: body['top_p'] ?? 1,
    truncation: 'disabled',
    usage: {
      input_tokens: input,
      input_tokens_details: { cached_tokens: read },
      output_tokens: composed.outputTokens,
      output_tokens_details: { reasoning_tokens: composed.reasoningTokens },
      total_tokens: input + composed.outputTokens,
    },
  };
}

function itemOf(responseId: string, block: ComposedBlock, status: string): JsonObject {
  const key = responseId + block.kind + (block.kind === 'tool' ? block.call.id : '');
  switch (block.kind) {
    case 'reasoning':
      return { id: stableId('rs_', key, 48), type: 'reasoning', summary: [{ type: 'summary_text', text: block.text }] };
    case 'text': {
      const content = [{ type: 'output_text', text: block.text, annotations: [], logprobs: [] }];
      return { id: stableId('msg_', key, 48), type: 'message', status, role: 'assistant', content };
    }
    case 'tool': {
      const call = { name: block.call.name, call_id: `call_${block.call.id}` };
      const json = JSON.stringify(block.call.input);
      return { id: stableId('fc_', key, 48), type: 'function_call', status, ...call, arguments: json };
    }
  }
}

function streamOf(response: JsonObject, composed: ComposedResponse): Reply {
  const begun = { ...response, status: 'in_progress', incomplete_details: null, output: [], usage: null };
  const items = asObjects(response['output']);
  const events: JsonObject[] = [
    { type: 'response.created', response: begun },
    { type: 'response.in_progress', response: begun },
    ...composed.blocks.flatMap((block, index) => eventsOf(block, items[index] ?? {}, index)),
    { type: response['status'] === 'completed' ? 'response.completed' : 'response.incomplete', response },
  ];
  return sseReply(
    events.map((event, index) => sseEvent(JSON.stringify({ ...event, sequence_number: index }), asText(event['type']))),
  );
}

/** The events of one item of the output. */
function eventsOf(block: ComposedBlock, item: JsonObject, outputIndex: number): JsonObject[] {
  const at = { item_id: item['id'], output_index: outputIndex };
  const pieces = piecesOf(block);
  const added = (empty: object): JsonObject => ({
    type: 'response.output_item.added',
    output_index: outputIndex,
    item: { ...item, status: 'in_progress', ...empty },
  });
  const done = { type: 'response.output_item.done', output_index: outputIndex, item };
  switch (block.kind) {
    case 'reasoning': {
      const place = { ...at, summary_index: 0 };
      const part = { type: 'summary_text', text: block.text };
      return [
        added({ summary: [] }),
        { type: 'response.reasoning_summary_part.added', ...place, part: { ...part, text: '' } },
        ...pieces.map((delta) => ({ type: 'response.reasoning_summary_text.delta', ...place, delta })),
        { type: 'response.reasoning_summary_text.done', ...place, text: block.text },
        { type: 'response.reasoning_summary_part.done', ...place, part },
        done,
      ];
    }
    case 'text': {
      const place = { ...at, content_index: 0 };
      const part = { type: 'output_text', text: block.text, annotations: [], logprobs: [] };
      return [
        added({ content: [] }),
        { type: 'response.content_part.added', ...place, part: { ...part, text: '' } },
        ...pieces.map((delta) => ({ type: 'response.output_text.delta', ...place, delta, logprobs: [] })),
        { type: 'response.output_text.done', ...place, text: block.text, logprobs: [] },
        { type: 'response.content_part.done', ...place, part },
        done,
      ];
    }
    case 'tool':
      return [
        added({ arguments: '' }),
        ...pieces.map((delta) => ({ type: 'response.function_call_arguments.delta', ...at, delta })),
        { type: 'response.function_call_arguments.done', ...at, arguments: item['arguments'], name: item['name'] },
        done,
      ];
  }
}

function failureEvent(message: string): Buffer {
  const event = { type: 'error', code: 'server_error', message, param: null, sequence_number: 2 };
  return sseEvent(JSON.stringify(event), 'error');
}
