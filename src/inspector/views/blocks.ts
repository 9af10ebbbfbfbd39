/**
 * Blocks of content, in the shapes in which Converse, Nova, Anthropic and OpenAI have them, as the page shows them.
 * What is not known is shown as the JSON it is. Hostile JSON is read like any other: a member of the wrong type is as
 * good as none. Pure.
 */
import { asObject, asObjects, asText, isObject, type JsonObject } from '../../lib/json.ts';
import type { BlockView, Json } from '../wire.ts';
import { readJson } from './payload.ts';

/** A block without its place: `pointer` and `span` are those of what it was read from. */
export type Block = BlockView extends infer View
  ? View extends unknown
    ? Omit<View, 'pointer' | 'span'>
    : never
  : never;

/** The place of what is read: its pointer and its bytes; null in responses. */
export interface BlockPlace {
  readonly pointer: string | null;
  readonly span: readonly [number, number] | null;
  /** The place of a member or an element. */
  readonly at: (step: string | number) => BlockPlace;
}

/** Reads what one element of a message's content says: a block, or several (a block with a marker of a cache). */
export type BlockReader = (json: unknown, place: BlockPlace) => BlockView[];

/** In a response, where nothing has a place. */
export const NO_PLACE: BlockPlace = { pointer: null, span: null, at: () => NO_PLACE };

/** Larger media are told by their size alone. */
const MAX_MEDIA_CHARACTERS = 2 * 1024 * 1024;

/** Content that is text, or a list of blocks. */
export function readContent(content: unknown, place: BlockPlace, read: BlockReader): BlockView[] {
  if (typeof content === 'string') return [put(place, { kind: 'text', text: content })];
  if (!Array.isArray(content)) return isMissing(content) ? [] : [other('content', content, place)];
  return content.flatMap((block, index) => read(block, place.at(index)));
}

/** Converse and Nova. */
export function readConverseBlock(json: unknown, place: BlockPlace): BlockView[] {
  const block = asObject(json);
  const [name = ''] = Object.keys(block);
  const inner = asObject(block[name]);
  const within = place.at(name);
  switch (name) {
    case 'text':
      return [textBlock(block['text'], place)];
    case 'reasoningContent':
      return [readReasoning(inner, json, place)];
    case 'toolUse':
    case 'serverToolUse':
      return [toolUse({ id: inner['toolUseId'], name: inner['name'], input: inner['input'] }, place)];
    case 'toolResult': {
      const blocks = readContent(inner['content'], within.at('content'), readConverseBlock);
      return [toolResult({ id: inner['toolUseId'], isError: inner['status'] === 'error', blocks }, place)];
    }
    case 'image':
    case 'document':
    case 'video':
    case 'audio':
      return [readConverseMedia(name, inner, json, place)];
    case 'cachePoint':
      return [cachePoint(inner, place)];
    case 'citationsContent':
      return [
        put(place, {
          kind: 'text',
          text: asObjects(inner['content'])
            .map((part) => asText(part['text']))
            .join(''),
        }),
      ];
    default:
      return [other(name, json, place)];
  }
}

function readReasoning(inner: JsonObject, json: unknown, place: BlockPlace): BlockView {
  const { text } = asObject(inner['reasoningText']);
  if (typeof text === 'string') return put(place, { kind: 'thinking', text, duration_ms: null });
  if (typeof inner['text'] === 'string')
    return put(place, { kind: 'thinking', text: inner['text'], duration_ms: null });
  return other('redacted thinking', json, place);
}

/** AWS's formats of documents whose media types are no `application/…` of that name. */
const DOCUMENT_TYPES: Readonly<Record<string, string>> = { txt: 'text/plain', md: 'text/markdown' };

function readConverseMedia(name: string, inner: JsonObject, json: unknown, place: BlockPlace): BlockView {
  const { bytes } = asObject(inner['source']);
  if (typeof bytes !== 'string') return other(name, json, place);
  const format = asText(inner['format']);
  const family = name === 'document' ? (/^(?:csv|html)$/.test(format) ? 'text' : 'application') : name;
  return mediaBlock(DOCUMENT_TYPES[format] ?? `${family}/${format === '' ? 'octet-stream' : format}`, bytes, place);
}

/** Anthropic's; a block that carries a marker of a cache is followed by it. */
export function readAnthropicBlock(json: unknown, place: BlockPlace): BlockView[] {
  const block = asObject(json);
  const marker = block['cache_control'];
  const read = readAnthropicContent(block, json, place);
  return isObject(marker) ? [read, cachePoint(marker, place.at('cache_control'))] : [read];
}

function readAnthropicContent(block: JsonObject, json: unknown, place: BlockPlace): BlockView {
  const type = asText(block['type']);
  if (type === 'text') return textBlock(block['text'], place);
  if (type === 'thinking') return put(place, { kind: 'thinking', text: asText(block['thinking']), duration_ms: null });
  if (type === 'tool_use' || type === 'server_tool_use' || type === 'mcp_tool_use') {
    return toolUse({ id: block['id'], name: block['name'], input: block['input'] }, place);
  }
  if (type.endsWith('tool_result')) {
    const blocks = readContent(block['content'], place.at('content'), readAnthropicBlock);
    return toolResult({ id: block['tool_use_id'], isError: block['is_error'] === true, blocks }, place);
  }
  if (type === 'image' || type === 'document') {
    const { data, media_type } = asObject(block['source']);
    if (typeof data === 'string' && media_type !== 'text/plain') {
      return mediaBlock(asText(media_type) || 'application/octet-stream', data, place);
    }
  }
  return other(type, json, place);
}

/** Parts of OpenAI's chat completions and of its responses. */
export function readOpenAiPart(json: unknown, place: BlockPlace): BlockView[] {
  const part = asObject(json);
  const type = asText(part['type']);
  if (/^(?:input_|output_|summary_|reasoning_)?text$/.test(type)) return [textBlock(part['text'], place)];
  if (type === 'refusal') return [textBlock(part['refusal'], place)];
  const audio = asObject(part['input_audio']);
  if (typeof audio['data'] === 'string') {
    return [mediaBlock(`audio/${asText(audio['format']) || 'octet-stream'}`, audio['data'], place)];
  }
  const image = part['image_url'];
  const url = asText(
    isObject(image) ? image['url'] : (image ?? part['file_data'] ?? asObject(part['file'])['file_data']),
  );
  const [, mediaType, base64] = /^data:([^;,]{1,100});base64,(.*)$/s.exec(url) ?? [];
  if (mediaType !== undefined && base64 !== undefined) return [mediaBlock(mediaType, base64, place)];
  return [other(type, json, place)];
}

/** A call of a tool. OpenAI sends its input as text, which is parsed if it is JSON. */
export function toolUse(call: { id: unknown; name: unknown; input: unknown }, place: BlockPlace): BlockView {
  return put(place, { kind: 'tool_use', id: asText(call.id), name: asText(call.name), input: toJson(call.input) });
}

/** What a tool has said. */
export function toolResult(
  result: { id: unknown; isError: boolean; blocks: readonly BlockView[] },
  place: BlockPlace,
): BlockView {
  return put(place, {
    kind: 'tool_result',
    id: asText(result.id),
    is_error: result.isError,
    blocks: result.blocks,
  });
}

function cachePoint(marker: JsonObject, place: BlockPlace): BlockView {
  return put(place, { kind: 'cache_point', ttl: typeof marker['ttl'] === 'string' ? marker['ttl'] : null });
}

function textBlock(text: unknown, place: BlockPlace): BlockView {
  return typeof text === 'string' ? put(place, { kind: 'text', text }) : other('text', text, place);
}

/** A picture, a document, a film or speech. */
export function mediaBlock(mediaType: string, base64: string, place: BlockPlace): BlockView {
  const padding = /={0,2}$/.exec(base64.slice(-2))?.[0].length ?? 0;
  return put(place, {
    kind: 'media',
    media_type: mediaType,
    size_bytes: Math.max(0, Math.floor((base64.length * 3) / 4) - padding),
    base64: base64.length > MAX_MEDIA_CHARACTERS ? null : base64,
  });
}

/** JSON that has no form here. */
export function other(name: string, json: unknown, place: BlockPlace): BlockView {
  return put(place, { kind: 'other', name, json: toJson(json) });
}

/** A block at its place. */
export function put(place: BlockPlace, block: Block): BlockView {
  return { pointer: place.pointer, span: place.span, ...block };
}

/** What JSON.parse has made is JSON; nothing is null. */
export function toJson(value: unknown): Json {
  return (value ?? null) as Json;
}

/** The JSON in a text, if it is some, else the text. */
export function parseInput(text: string): Json {
  return readJson(Buffer.from(text)) ?? text;
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}
