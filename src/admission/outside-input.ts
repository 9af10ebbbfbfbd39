/**
 * What a body merely points to: an object in S3, a file, an address, an earlier response, a stored prompt, what a tool
 * of the provider finds. The model reads it as input, and the body does not tell how much it is. Pure.
 */
import type { JsonScalar } from '../protocol/json-scan.ts';

/** Blocks of a message, and those in the result of a tool: Converse's and Nova's, then Anthropic's. */
const BLOCKS = ['messages[].content[]', 'messages[].content[].toolResult.content[]', 'messages[].content[].content[]'];
/** Of Anthropic's blocks, and of those that a document holds. */
const SOURCES = BLOCKS.flatMap((block) => [`${block}.source`, `${block}.source.content[].source`]);
/** Items of OpenAI's responses. */
const PARTS = ['input[]', 'input[].content[]', 'input[].output[]', 'input[].output'];
/** The body of a provider, by itself or within Converse's. */
const PROVIDER = ['', 'additionalModelRequestFields.'];

/** Any value there points to something. */
const POINTERS: readonly string[] = [
  ...SOURCES.map((source) => `${source}.file_id`),
  ...BLOCKS.flatMap((block) => [
    ...['image', 'document', 'video', 'audio'].map((kind) => `${block}.${kind}.source.s3Location.uri`),
    `${block}.file_id`,
    `${block}.file.file_id`,
  ]),
  ...PARTS.flatMap((part) => [`${part}.file_id`, `${part}.file_url`]),
  'singleEmbeddingParams.*.source.s3Location.uri',
  'mediaSource.s3Location.uri',
  'previous_response_id',
  'conversation',
  'conversation.id',
  'prompt.id',
  'tools[].vector_store_ids[]',
  'tools[].server_url',
  'tools[].connector_id',
  'toolConfig.tools[].systemTool.name',
  ...PROVIDER.flatMap((provider) => [
    `${provider}mcp_servers[].url`,
    `${provider}container`,
    `${provider}container.id`,
  ]),
];

/** A value there points to something, if it is no data URL. */
const URLS: readonly string[] = [
  ...SOURCES.map((source) => `${source}.url`),
  ...BLOCKS.flatMap((block) => [`${block}.image_url`, `${block}.image_url.url`]),
  ...['video_url', 'audio_url'].flatMap((name) => [`messages[].content[].${name}`, `messages[].content[].${name}.url`]),
  ...PARTS.flatMap((part) => [`${part}.image_url`]),
];

const TOOL_TYPES = PROVIDER.map((provider) => `${provider}tools[].type`);
/** Tools that the provider itself runs; those that the client runs send their results in the next body. */
const PROVIDER_TOOL = /^(?:web_search|web_fetch|file_search|mcp|code_interpreter|code_execution)/;

/** OpenAI's items. One of this type, or one with an id and no type, is an earlier one that the provider has kept. */
const ITEM = 'input[]';
const ITEM_TYPE = 'input[].type';
const ITEM_ID = 'input[].id';
const ITEM_REFERENCE = 'item_reference';

const IS_POINTER: ReadonlySet<string> = new Set(POINTERS);
const IS_URL: ReadonlySet<string> = new Set(URLS);

/** Where to look, as `JsonPaths` reads it. */
export const OUTSIDE_PATHS: readonly string[] = [...POINTERS, ...URLS, ...TOOL_TYPES, ITEM, ITEM_TYPE, ITEM_ID];

/** State: whether something was pointed to, and what is known of the item that is being read. */
export class OutsideInput {
  #isFound = false;
  #item = { hasType: false, hasId: false };

  /** An object or a list begins at one of OUTSIDE_PATHS. */
  open(path: string): void {
    if (path !== ITEM) return;
    this.#endItem();
    this.#item = { hasType: false, hasId: false };
  }

  /** A value stands at one of OUTSIDE_PATHS. */
  take(path: string, value: JsonScalar): void {
    if (value === null) return;
    if (IS_POINTER.has(path)) this.#isFound = true;
    else if (IS_URL.has(path)) this.#isFound ||= !isDataUrl(value);
    else if (path === ITEM_ID) this.#item.hasId = true;
    else if (path === ITEM_TYPE) {
      this.#item.hasType = true;
      this.#isFound ||= value === ITEM_REFERENCE;
    } else if (path !== ITEM) this.#isFound ||= typeof value === 'string' && PROVIDER_TOOL.test(value);
  }

  /** Whether the model reads what is not in the body. To be asked when all of it has been read. */
  finish(): boolean {
    this.#endItem();
    return this.#isFound;
  }

  #endItem(): void {
    this.#isFound ||= this.#item.hasId && !this.#item.hasType;
  }
}

function isDataUrl(value: JsonScalar): boolean {
  const start = typeof value === 'object' ? value?.head : String(value);
  return /^\s*data:/i.test(start ?? '');
}
