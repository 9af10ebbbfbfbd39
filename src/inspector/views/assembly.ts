/**
 * Puts a streamed response together, event by event, in the shapes of Converse, Nova, Anthropic, OpenAI and those that
 * only send text. An event is told by what it has, not by what was asked for. Pure; hostile events are read like any
 * other.
 */
import { asObject, asObjects, asText, isObject, type JsonObject } from '../../lib/json.ts';
import type { BlockView, Json, MessageView } from '../wire.ts';
import { NO_PLACE, other, parseInput, put, readAnthropicBlock, toJson, toolUse } from './blocks.ts';
import type { StreamEvent } from './stream-events.ts';

/** A block that grows. */
interface Draft {
  kind: 'text' | 'thinking' | 'tool_use' | 'other';
  text: string;
  id: string;
  name: string;
  /** What the block's beginning said, of kinds that are not put together. */
  begin: BlockView[];
  firstMs: number | undefined;
  lastMs: number | undefined;
}

/** State: the blocks so far, in the order in which they began. */
export class Assembly {
  role: string | undefined;
  stop: string | null = null;
  problem: string | null = null;
  readonly #drafts = new Map<string, Draft>();

  add({ type, json, atMs, isException }: StreamEvent): void {
    const kind = asText(json['type']);
    if (isException) this.#fail(type, json);
    else if (CONVERSE_EVENTS.has(type)) this.#addConverse(type, json, atMs);
    else if (kind.startsWith('response.')) this.#addResponse(kind, json, atMs);
    else if (ANTHROPIC_EVENTS.has(kind)) this.#addAnthropic(kind, json, atMs);
    else if (Array.isArray(json['choices'])) this.#addChat(json, atMs);
    else {
      const [name = ''] = Object.keys(json);
      if (CONVERSE_EVENTS.has(name)) this.#addConverse(name, asObject(json[name]), atMs);
      else this.#addText(type, json, atMs);
    }
  }

  /** Undefined as long as nothing has begun. */
  finish(): MessageView | undefined {
    if (this.role === undefined && this.#drafts.size === 0) return undefined;
    return { role: this.role ?? 'assistant', blocks: [...this.#drafts.values()].flatMap(closeDraft) };
  }

  #fail(type: string, json: JsonObject): void {
    const error = asObject(json['error']);
    const message = [json['message'], json['Message'], error['message'], json['originalMessage']].find(isText) ?? '';
    const name = isText(error['type']) && (type === 'error' || type === 'message') ? error['type'] : type;
    this.problem = message === '' ? name : `${name}: ${message}`;
  }

  #addConverse(type: string, json: JsonObject, atMs: number): void {
    const key = `b${Number(json['contentBlockIndex'] ?? 0)}`;
    if (type === 'messageStart') this.role = asText(json['role']) || 'assistant';
    if (type === 'messageStop') this.#end(json['stopReason']);
    if (type === 'contentBlockStart') {
      const { toolUseId, name } = asObject(asObject(json['start'])['toolUse']);
      if (name !== undefined) this.#open(key, 'tool_use', { id: toolUseId, name });
    }
    if (type !== 'contentBlockDelta') return;
    const delta = asObject(json['delta']);
    const { text, toolUse: call, reasoningContent } = delta;
    if (isText(text)) this.#append(key, 'text', text, atMs);
    else if (isObject(call)) this.#append(key, 'tool_use', asText(call['input']), atMs);
    else if (isObject(reasoningContent)) {
      const thought = reasoningContent['text'] ?? asObject(reasoningContent['reasoningText'])['text'];
      this.#append(key, 'thinking', asText(thought), atMs);
    }
  }

  #addAnthropic(kind: string, json: JsonObject, atMs: number): void {
    const key = `b${Number(json['index'] ?? 0)}`;
    if (kind === 'message_start') this.role = asText(asObject(json['message'])['role']) || 'assistant';
    if (kind === 'message_delta') this.#end(asObject(json['delta'])['stop_reason']);
    if (kind === 'content_block_start') this.#openAnthropic(key, asObject(json['content_block']), atMs);
    if (kind !== 'content_block_delta') return;
    const { text, thinking, partial_json } = asObject(json['delta']);
    if (isText(text)) this.#append(key, 'text', text, atMs);
    else if (isText(thinking)) this.#append(key, 'thinking', thinking, atMs);
    else if (isText(partial_json)) this.#append(key, 'tool_use', partial_json, atMs);
  }

  #openAnthropic(key: string, block: JsonObject, atMs: number): void {
    const type = asText(block['type']);
    if (type === 'text') this.#append(key, 'text', asText(block['text']), atMs);
    else if (type === 'thinking') this.#append(key, 'thinking', asText(block['thinking']), atMs);
    else if (/^(?:server_|mcp_)?tool_use$/.test(type)) this.#open(key, 'tool_use', block);
    else this.#open(key, 'other', {}).begin = readAnthropicBlock(block, NO_PLACE);
  }

  #addChat(json: JsonObject, atMs: number): void {
    for (const choice of asObjects(json['choices'])) {
      const key = `c${Number(choice['index'] ?? 0)}`;
      const delta = asObject(choice['delta'] ?? choice['message']);
      if (isText(delta['role'])) this.role = delta['role'];
      const thought = delta['reasoning_content'] ?? delta['reasoning'];
      if (isText(thought)) this.#append(`${key} thinking`, 'thinking', thought, atMs);
      const text = [delta['content'], delta['refusal'], choice['text']].find(isText);
      if (text !== undefined) this.#append(`${key} text`, 'text', text, atMs);
      for (const call of asObjects(delta['tool_calls'])) {
        const place = `${key} tool ${Number(call['index'] ?? 0)}`;
        const { name, arguments: input } = asObject(call['function']);
        if (isText(name)) this.#open(place, 'tool_use', { id: call['id'], name });
        if (isText(input)) this.#append(place, 'tool_use', input, atMs);
      }
      this.#end(choice['finish_reason'] ?? choice['stop_reason']);
    }
  }

  #addResponse(kind: string, json: JsonObject, atMs: number): void {
    const item = `o${Number(json['output_index'] ?? 0)}`;
    const key = `${item} ${Number(json['content_index'] ?? json['summary_index'] ?? 0)}`;
    const delta = asText(json['delta']);
    this.role ??= 'assistant';
    if (/^response\.(?:output_text|refusal)\.delta$/.test(kind)) this.#append(key, 'text', delta, atMs);
    if (/^response\.reasoning(?:_summary)?(?:_text)?\.delta$/.test(kind)) this.#append(key, 'thinking', delta, atMs);
    if (/^response\.(?:function_call_arguments|custom_tool_call_input)\.delta$/.test(kind)) {
      this.#append(item, 'tool_use', delta, atMs);
    }
    if (kind === 'response.output_item.added') {
      const { type, name, call_id } = asObject(json['item']);
      if (/^(?:function|custom_tool)_call$/.test(asText(type))) this.#open(item, 'tool_use', { id: call_id, name });
    }
    if (!/^response\.(?:completed|incomplete|failed)$/.test(kind)) return;
    const { status, error, incomplete_details } = asObject(json['response']);
    this.#end(asObject(incomplete_details)['reason'] ?? status);
    if (isObject(error)) this.#fail(asText(error['code']), error);
  }

  /** Titan, Llama, Claude 2, Mistral, Cohere, agents, and what Nova Sonic has understood and said. */
  #addText(type: string, json: JsonObject, atMs: number): void {
    const [output = {}] = asObjects(json['outputs']);
    const spoken = asObject(asObject(json['event'])['textOutput']);
    const content = asObject(asObject(asObject(json['delta'])['message'])['content']);
    const key = isText(spoken['contentId']) ? `s${spoken['contentId']}` : 'text';
    const piece = [json['outputText'], json['generation'], json['completion'], output['text'], content['text']];
    const text = [...piece, json['event_type'] === 'stream-end' ? undefined : json['text'], spoken['content']].find(
      isText,
    );
    if (text !== undefined) this.#append(key, 'text', text, atMs);
    else if (type === 'chunk' && isText(json['bytes'])) {
      this.#append(key, 'text', Buffer.from(json['bytes'], 'base64').toString(), atMs);
    }
    const stops = [json['completionReason'], json['stop_reason'], json['finish_reason'], output['stop_reason']];
    this.#end(stops.find(isText));
  }

  #end(reason: unknown): void {
    if (isText(reason)) this.stop = reason;
  }

  #open(key: string, kind: Draft['kind'], { id, name }: { readonly id?: unknown; readonly name?: unknown }): Draft {
    const draft = this.#drafts.get(key) ?? {
      kind,
      text: '',
      id: asText(id),
      name: asText(name),
      begin: [],
      firstMs: undefined,
      lastMs: undefined,
    };
    this.#drafts.set(key, draft);
    return draft;
  }

  #append(key: string, kind: Draft['kind'], text: string, atMs: number): void {
    const draft = this.#open(key, kind, {});
    draft.text += text;
    draft.firstMs ??= atMs;
    draft.lastMs = atMs;
  }
}

const CONVERSE_EVENTS: ReadonlySet<string> = new Set(
  'messageStart contentBlockStart contentBlockDelta contentBlockStop messageStop metadata'.split(' '),
);
const ANTHROPIC_EVENTS: ReadonlySet<string> = new Set(
  'message_start content_block_start content_block_delta content_block_stop message_delta message_stop ping'.split(' '),
);

function closeDraft({ kind, text, id, name, begin, firstMs, lastMs }: Draft): BlockView[] {
  switch (kind) {
    case 'text':
      return [put(NO_PLACE, { kind, text })];
    case 'thinking': {
      const durationMs =
        firstMs === undefined || lastMs === undefined ? null : Math.round((lastMs - firstMs) * 10) / 10;
      return [put(NO_PLACE, { kind, text, duration_ms: durationMs })];
    }
    case 'tool_use':
      return [toolUse({ id, name, input: text === '' ? EMPTY : parseInput(text) }, NO_PLACE)];
    case 'other':
      return begin.length > 0 ? begin : [other(name, toJson(text), NO_PLACE)];
  }
}

/** A tool without input gets none. */
const EMPTY: Json = {};

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
