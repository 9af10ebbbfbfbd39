/**
 * What a request says to its model, by the form of its body: instructions, tools, messages and parameters, each block
 * with its place in the body. Pure, and never throws: what has no known form is shown as `other`.
 */
import { toPointer } from '../../cassette/places.ts';
import { asObject, asObjects, asText, isObject, type JsonObject } from '../../lib/json.ts';
import { findMember, type JsonNode } from '../../protocol/json-tree.ts';
import type { BlockView, Json, MessagesView, MessageView } from '../wire.ts';
import {
  type BlockReader,
  NO_PLACE,
  other,
  parseInput,
  type BlockPlace,
  put,
  readAnthropicBlock,
  readContent,
  readConverseBlock,
  readOpenAiPart,
  toJson,
  toolResult,
  toolUse,
} from './blocks.ts';

/** A form of bodies. */
export type MessageForm = MessagesView['form'];

/** What a request says. */
export type RequestMessages = Pick<MessagesView, 'system' | 'tools' | 'messages' | 'parameters'>;

/** Of which form a request is, by its operation (if that says it) and the members of its body. */
export function findForm(operation: string | undefined, body: JsonObject): MessageForm {
  if (operation === 'Converse' || operation === 'ConverseStream') return 'converse';
  if (operation === 'CreateMessage') return 'anthropic';
  if (operation === 'CreateResponse' || operation === 'CompactResponse') return 'openai-responses';
  if (operation === 'ChatCompletions') return 'openai-chat';
  const { messages } = body;
  if (Array.isArray(messages)) {
    if (body['anthropic_version'] !== undefined) return 'anthropic';
    const isNova = 'schemaVersion' in body || 'inferenceConfig' in body || asObjects(messages).some(hasNovaContent);
    return isNova ? 'nova' : 'openai-chat';
  }
  if ('taskType' in body || operation === 'CreateEmbedding') return 'taskType' in body ? 'other' : 'embedding';
  if ('texts' in body || 'input_type' in body || 'embeddingConfig' in body || 'embeddingTypes' in body) {
    return 'embedding';
  }
  if (typeof body['prompt'] === 'string' || typeof body['inputText'] === 'string') return 'text';
  if (typeof body['message'] === 'string' && operation?.startsWith('InvokeModel') === true) return 'text';
  return 'model' in body && 'input' in body ? 'openai-responses' : 'other';
}

/** Nova's blocks have no type: `{"text"}`. */
function hasNovaContent({ content }: JsonObject): boolean {
  return asObjects(content).some((block) => !('type' in block) && ('text' in block || 'image' in block));
}

/** Reads a request of a form. `root`: where its values stand; undefined: not known. */
export function readRequestMessages(form: MessageForm, body: JsonObject, root: JsonNode | undefined): RequestMessages {
  const place = placeOf(root, '');
  switch (form) {
    case 'converse':
    case 'nova':
      return readConverse(body, place);
    case 'anthropic':
      return readAnthropic(body, place);
    case 'openai-chat':
      return readChat(body, place);
    case 'openai-responses':
      return readResponses(body, place);
    case 'text':
    case 'embedding':
      return readTexts(body, place);
    case 'other':
      return { system: [], tools: [], messages: [], parameters: parametersOf(body, []) };
  }
}

function placeOf(node: JsonNode | undefined, pointer: string): BlockPlace {
  return {
    pointer,
    span: node === undefined ? null : [node.from, node.to],
    at: (step) => {
      const within = typeof step === 'number' ? node?.items[step] : findMember(node, step);
      return placeOf(within, `${pointer}${toPointer([String(step)])}`);
    },
  };
}

function readConverse(body: JsonObject, root: BlockPlace): RequestMessages {
  return {
    system: readContent(body['system'] ?? [], root.at('system'), readConverseBlock),
    tools: asObjects(asObject(body['toolConfig'])['tools']).flatMap((tool) => {
      const { name, description, inputSchema } = asObject(tool['toolSpec'] ?? tool['systemTool']);
      return name === undefined ? [] : [toolView(name, description, asObject(inputSchema)['json'])];
    }),
    messages: readTurns(body['messages'], root.at('messages'), readConverseBlock),
    parameters: parametersOf(body, ['system', 'messages', 'toolConfig'], {
      ...asObject(body['inferenceConfig']),
      ...withChoice(asObject(body['toolConfig'])['toolChoice']),
    }),
  };
}

function withChoice(choice: unknown): JsonObject {
  return choice === undefined ? {} : { toolChoice: choice };
}

function readAnthropic(body: JsonObject, root: BlockPlace): RequestMessages {
  return {
    system: readContent(body['system'], root.at('system'), readAnthropicBlock),
    tools: asObjects(body['tools']).map((tool) =>
      toolView(tool['name'] ?? tool['type'], tool['description'], tool['input_schema']),
    ),
    messages: readTurns(body['messages'], root.at('messages'), readAnthropicBlock),
    parameters: parametersOf(body, ['system', 'messages', 'tools']),
  };
}

/** Instructions stand among the messages. */
const INSTRUCTING: ReadonlySet<unknown> = new Set(['system', 'developer']);
const isSystem = ({ json }: { readonly json: unknown }): boolean => INSTRUCTING.has(asObject(json)['role']);

function readChat(body: JsonObject, root: BlockPlace): RequestMessages {
  const turns = asArray(body['messages']).map((json, index) => ({ json, place: root.at('messages').at(index) }));
  return {
    system: turns
      .filter(isSystem)
      .flatMap(({ json, place }) => readContent(asObject(json)['content'], place.at('content'), readOpenAiPart)),
    tools: asObjects(body['tools']).map((tool) => {
      const { name, description, parameters } = { ...tool, ...asObject(tool['function']) } as JsonObject;
      return toolView(name ?? tool['type'], description, parameters);
    }),
    messages: turns.filter((turn) => !isSystem(turn)).map(({ json, place }) => readChatMessage(json, place)),
    parameters: parametersOf(body, ['messages', 'tools']),
  };
}

/** A message of OpenAI's chat completions. */
export function readChatMessage(json: unknown, place: BlockPlace): MessageView {
  const message = asObject(json);
  const role = asText(message['role']) || 'user';
  const content = readContent(message['content'], place.at('content'), readOpenAiPart);
  if (role === 'tool') {
    const result = toolResult({ id: message['tool_call_id'], isError: false, blocks: content }, place);
    return { role, blocks: [result] };
  }
  const thinking = message['reasoning_content'] ?? message['reasoning'];
  const calls = asArray(message['tool_calls']).map((call, index) => {
    const { name, arguments: input } = asObject(asObject(call)['function']);
    const parsed = typeof input === 'string' ? parseInput(input) : input;
    return toolUse({ id: asObject(call)['id'], name, input: parsed }, place.at('tool_calls').at(index));
  });
  const thought: BlockView[] =
    typeof thinking === 'string' && thinking !== ''
      ? [put(place.at('reasoning_content'), { kind: 'thinking', text: thinking, duration_ms: null })]
      : [];
  const refusal =
    typeof message['refusal'] === 'string' ? [put(place, { kind: 'text', text: message['refusal'] })] : [];
  return { role, blocks: [...thought, ...content, ...refusal, ...calls] };
}

function readResponses(body: JsonObject, root: BlockPlace): RequestMessages {
  const { input, instructions } = body;
  const place = root.at('input');
  const items: readonly unknown[] = typeof input === 'string' ? [{ role: 'user', content: input }] : asArray(input);
  return {
    system: readContent(instructions, root.at('instructions'), readOpenAiPart),
    tools: asObjects(body['tools']).map((tool) =>
      toolView(tool['name'] ?? tool['type'], tool['description'], tool['parameters']),
    ),
    messages: items.map((item, index) => readResponseItem(item, typeof input === 'string' ? place : place.at(index))),
    parameters: parametersOf(body, ['input', 'instructions', 'tools']),
  };
}

/** An item of the input or of the output of OpenAI's responses. */
export function readResponseItem(json: unknown, place: BlockPlace): MessageView {
  const item = asObject(json);
  const type = asText(item['type']);
  if (type === 'function_call' || type === 'custom_tool_call') {
    const input = item['arguments'] ?? item['input'];
    const parsed = typeof input === 'string' ? parseInput(input) : input;
    return { role: 'assistant', blocks: [toolUse({ id: item['call_id'], name: item['name'], input: parsed }, place)] };
  }
  if (type.endsWith('_call_output')) {
    const blocks = readContent(item['output'], place.at('output'), readOpenAiPart);
    return { role: 'tool', blocks: [toolResult({ id: item['call_id'], isError: false, blocks }, place)] };
  }
  if (type === 'reasoning') {
    const parts = [...asObjects(item['summary']), ...asObjects(item['content'])].map(({ text }) => asText(text));
    return {
      role: 'assistant',
      blocks: [put(place, { kind: 'thinking', text: parts.join('\n\n'), duration_ms: null })],
    };
  }
  const role = asText(item['role']) || (type === 'message' ? 'assistant' : '');
  if (role === '') return { role: 'assistant', blocks: [other(type, json, place)] };
  return { role, blocks: readContent(item['content'], place.at('content'), readOpenAiPart) };
}

/** One text or several: prompts, and what is to be embedded. */
function readTexts(body: JsonObject, root: BlockPlace): RequestMessages {
  const names = ['prompt', 'inputText', 'message', 'texts', 'input'].filter((name) => name in body);
  const blocks = names.flatMap((name) => readContent(body[name], root.at(name), readPlainText));
  const messages = blocks.length === 0 ? [] : [{ role: 'user', blocks }];
  return { system: [], tools: [], messages, parameters: parametersOf(body, names) };
}

const readPlainText: BlockReader = (json, place) => [
  typeof json === 'string' ? put(place, { kind: 'text', text: json }) : other('input', json, place),
];

function readTurns(messages: unknown, place: BlockPlace, read: BlockReader): MessageView[] {
  return asArray(messages).map((json, index) => {
    const message = asObject(json);
    const within = place.at(index);
    if (!isObject(json)) return { role: '', blocks: [other('message', json, within)] };
    return { role: asText(message['role']), blocks: readContent(message['content'], within.at('content'), read) };
  });
}

function toolView(name: unknown, description: unknown, schema: unknown): MessagesView['tools'][number] {
  return {
    name: asText(name),
    description: typeof description === 'string' ? description : null,
    schema: toJson(schema),
  };
}

/** Every member that is not shown elsewhere. */
function parametersOf(body: JsonObject, shown: readonly string[], more: JsonObject = {}): MessagesView['parameters'] {
  const rest = Object.entries(body).filter(([name]) => !shown.includes(name) && name !== 'inferenceConfig');
  const all = [...Object.entries(more), ...rest].map(([name, value]): [string, Json] => [name, toJson(value)]);
  return Object.fromEntries(all);
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A message of a response, read by the same rules. */
export function readMessageTurn(role: string, content: unknown, read: BlockReader): MessageView {
  return { role, blocks: readContent(content, NO_PLACE, read) };
}
