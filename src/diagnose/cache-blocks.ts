/**
 * A prompt as a prompt cache sees it: its blocks in the order in which the model reads them (tools, system, messages),
 * where each stands in the request's body, and where its markers are. Reads the dialects that have markers of their
 * own: Converse's and Nova's `cachePoint`, Anthropic's `cache_control`, OpenAI's `prompt_cache_breakpoint`. Pure.
 */
import { findMember, type JsonNode, type JsonTree, readJsonText, readJsonTree } from '../protocol/json-tree.ts';
import type { MarkerTtl } from './cache-facts.ts';

/** How a request marks what is to be cached. */
export type CacheDialect = 'converse' | 'nova' | 'anthropic' | 'openai';

/** A byte span: its first byte, and the one after its last. */
export type ByteSpan = readonly [from: number, to: number];

/** A piece of a prompt. */
export interface CacheBlock {
  readonly field: 'tools' | 'system' | 'messages';
  /** Of messages. */
  readonly role: string;
  /** RFC 6901, in the request's body. */
  readonly pointer: string;
  /** All of it in the body, its marker included. */
  readonly span: ByteSpan;
  /** What the model reads of it, without its marker and without white space between values: spans of the body. */
  readonly content: readonly ByteSpan[];
  /** Set if what comes up to its end is to be cached. */
  readonly marker: MarkerTtl | undefined;
  /** Where the marker stands. */
  readonly markerPointer: string | undefined;
  readonly hasMedia: boolean;
  /** Of a tool, its name and its description, in the body. */
  readonly name: ByteSpan | undefined;
  readonly description: ByteSpan | undefined;
}

/** All of a prompt. */
export interface CachePrompt {
  readonly dialect: CacheDialect;
  readonly blocks: readonly CacheBlock[];
  /** Markers of another dialect, which mark nothing here. */
  readonly foreignMarkers: readonly string[];
  /** Markers where none can be: in a tool's result, after reasoning, on an empty text. */
  readonly misplacedMarkers: readonly string[];
  /** What the cache of messages goes by as well, as it stands there: thinking, effort, choice of a tool. */
  readonly params: string;
}

/** Undefined: a body without blocks, or none that is known. */
export function readCachePrompt(body: Buffer, operation: string | undefined): CachePrompt | undefined {
  const tree = readJsonTree(body);
  if (tree?.root.kind !== 'object') return undefined;
  const { root } = tree;
  const dialect = findDialect(root, operation);
  if (dialect === undefined) return undefined;
  const reader = new PromptReader(body, tree, dialect);
  reader.read();
  if (reader.blocks.length === 0) return undefined;
  return {
    dialect,
    blocks: reader.blocks,
    foreignMarkers: reader.foreignMarkers,
    misplacedMarkers: reader.misplacedMarkers,
    params: readParams(body, root),
  };
}

/** By the operation, or else by what only one of them has. */
function findDialect(root: JsonNode, operation: string | undefined): CacheDialect | undefined {
  if (operation === 'Converse' || operation === 'ConverseStream') return 'converse';
  if (operation === 'CreateMessage') return 'anthropic';
  if (operation === 'ChatCompletions' || operation === 'CreateResponse') return 'openai';
  const has = (name: string): boolean => findMember(root, name) !== undefined;
  if (has('anthropic_version')) return 'anthropic';
  if (!has('messages')) return undefined;
  if (has('inferenceConfig') || has('schemaVersion')) return 'nova';
  const [first] = findMember(root, 'messages')?.items ?? [];
  const [block] = findMember(first, 'content')?.items ?? [];
  const isNova =
    block !== undefined && findMember(block, 'text') !== undefined && findMember(block, 'type') === undefined;
  return isNova ? 'nova' : 'openai';
}

/** Members by which the cache of messages goes, each as it stands in the body. */
const PARAMS = [
  'thinking',
  'tool_choice',
  'output_config',
  'reasoning_effort',
  'reasoning',
  'toolConfig.toolChoice',
  'additionalModelRequestFields',
] as const;

function readParams(body: Buffer, root: JsonNode): string {
  return PARAMS.map((path) => {
    const node = path.split('.').reduce<JsonNode | undefined>(findMember, root);
    return node === undefined ? '' : body.toString('utf8', node.from, node.to);
  }).join('\n');
}

const MEDIA = new Set(['image', 'document', 'video', 'audio', 'image_url', 'input_image', 'input_audio']);
const REASONING = new Set(['thinking', 'redacted_thinking', 'reasoningContent', 'reasoning']);

/** Where a list of blocks stands. */
interface ListPlace {
  readonly field: CacheBlock['field'];
  readonly role: string;
  readonly pointer: string;
}

/** State: the blocks so far. */
class PromptReader {
  readonly blocks: CacheBlock[] = [];
  readonly foreignMarkers: string[] = [];
  readonly misplacedMarkers: string[] = [];
  readonly #body: Buffer;
  readonly #tree: JsonTree;
  readonly #dialect: CacheDialect;

  constructor(body: Buffer, tree: JsonTree, dialect: CacheDialect) {
    this.#body = body;
    this.#tree = tree;
    this.#dialect = dialect;
  }

  read(): void {
    const { root } = this.#tree;
    const isConverse = this.#dialect === 'converse' || this.#dialect === 'nova';
    const tools = isConverse ? findMember(findMember(root, 'toolConfig'), 'tools') : findMember(root, 'tools');
    const toolsPointer = isConverse ? '/toolConfig/tools' : '/tools';
    this.#readList(tools, { field: 'tools', role: 'tool', pointer: toolsPointer });
    for (const name of this.#dialect === 'openai' ? ['instructions'] : ['system']) {
      this.#readContent(findMember(root, name), { field: 'system', role: 'system', pointer: `/${name}` });
    }
    for (const name of this.#dialect === 'openai' ? ['messages', 'input'] : ['messages']) {
      this.#readMessages(findMember(root, name), `/${name}`);
    }
    if (this.#dialect === 'anthropic') this.#markEnd(findMember(root, 'cache_control'), '/cache_control');
  }

  #readMessages(messages: JsonNode | undefined, pointer: string): void {
    if (messages?.kind === 'string') return this.#readContent(messages, { field: 'messages', role: 'user', pointer });
    for (const [index, message] of (messages?.items ?? []).entries()) {
      const role = readJsonText(this.#body, findMember(message, 'role')) ?? '';
      const content = findMember(message, 'content');
      const place = { field: 'messages', role, pointer: `${pointer}/${index}` } as const;
      // What OpenAI's APIs put beside the content (calls of tools, their results) is a block of its own.
      const isPlain = content === undefined || message.members.some(({ name }) => !PLAIN_MEMBERS.has(name));
      if (isPlain) this.#addBlock(message, place);
      else this.#readContent(content, { ...place, pointer: `${place.pointer}/content` });
    }
  }

  /** A content is a text or a list of blocks. */
  #readContent(content: JsonNode | undefined, place: ListPlace): void {
    if (content?.kind === 'string') this.#addBlock(content, place);
    else this.#readList(content, place);
  }

  #readList(list: JsonNode | undefined, place: ListPlace): void {
    const start = this.blocks.length;
    for (const [index, item] of (list?.items ?? []).entries()) {
      const pointer = `${place.pointer}/${index}`;
      const point = findMember(item, 'cachePoint');
      if (point === undefined) this.#addBlock(item, { ...place, pointer });
      else if (this.#dialect === 'anthropic' || this.#dialect === 'openai') this.foreignMarkers.push(pointer);
      else this.#markLast(point, pointer, start);
    }
  }

  /** A checkpoint belongs to the block before it in its list; the first of a list marks nothing. */
  #markLast(point: JsonNode, pointer: string, start: number): void {
    const last = this.blocks.length > start ? this.blocks.at(-1) : undefined;
    if (last === undefined) return void this.misplacedMarkers.push(pointer);
    if (this.#isReasoning(last)) this.misplacedMarkers.push(pointer);
    this.blocks[this.blocks.length - 1] = { ...last, marker: this.#readTtl(point), markerPointer: pointer };
  }

  /** `cache_control` of the whole body. */
  #markEnd(control: JsonNode | undefined, pointer: string): void {
    const last = this.blocks.at(-1);
    if (control?.kind !== 'object' || last === undefined) return;
    const marker = last.marker ?? this.#readTtl(control);
    this.blocks[this.blocks.length - 1] = { ...last, marker, markerPointer: last.markerPointer ?? pointer };
  }

  #addBlock(node: JsonNode, place: ListPlace): void {
    const control = findMember(node, 'cache_control');
    const breakpoint = findMember(node, 'prompt_cache_breakpoint');
    const own = this.#dialect === 'anthropic' ? control : this.#dialect === 'openai' ? breakpoint : undefined;
    const isMarked = own !== undefined && this.#body.toString('utf8', own.from, own.to) !== 'null';
    const markerName = own === control ? 'cache_control' : 'prompt_cache_breakpoint';
    if (control !== undefined && this.#dialect !== 'anthropic')
      this.foreignMarkers.push(`${place.pointer}/cache_control`);
    this.#noteInnerMarkers(node, place.pointer);
    const described = findMember(node, 'toolSpec') ?? findMember(node, 'function') ?? node;
    const block: CacheBlock = {
      ...place,
      span: [node.from, node.to],
      content: this.#contentOf(node, own),
      marker: isMarked ? this.#readTtl(own) : undefined,
      markerPointer: isMarked ? `${place.pointer}/${markerName}` : undefined,
      hasMedia: this.#hasMedia(node),
      name: place.field === 'tools' ? spanOf(findMember(described, 'name')) : undefined,
      description: place.field === 'tools' ? spanOf(findMember(described, 'description')) : undefined,
    };
    if (isMarked && (this.#isReasoning(block) || this.#isEmptyText(node))) {
      this.misplacedMarkers.push(`${place.pointer}/${markerName}`);
    }
    this.blocks.push(block);
  }

  #readTtl(marker: JsonNode): MarkerTtl {
    return readJsonText(this.#body, findMember(marker, 'ttl')) === '1h' ? '1h' : '5m';
  }

  /** In the result of a tool. */
  #noteInnerMarkers(node: JsonNode, pointer: string): void {
    const isAnthropic = this.#dialect === 'anthropic';
    const name = isAnthropic ? 'content' : 'toolResult';
    const content = isAnthropic ? findMember(node, name) : findMember(findMember(node, name), 'content');
    for (const [index, item] of (content?.items ?? []).entries()) {
      const marker = isAnthropic ? 'cache_control' : 'cachePoint';
      if (findMember(item, marker) === undefined) continue;
      this.misplacedMarkers.push(`${pointer}/${isAnthropic ? '' : 'toolResult/'}content/${index}/${marker}`);
    }
  }

  #hasMedia(node: JsonNode): boolean {
    const type = readJsonText(this.#body, findMember(node, 'type'));
    return (
      (type !== undefined && MEDIA.has(type)) || node.members.some(({ name }) => name !== 'type' && MEDIA.has(name))
    );
  }

  #isReasoning({ span: [from, to] }: CacheBlock): boolean {
    const head = this.#body.toString('latin1', from, Math.min(to, from + 80));
    const [, type, member = type] = /^\{\s*"type"\s*:\s*"(\w+)"|^\{\s*"(\w+)"/.exec(head) ?? [];
    return member !== undefined && REASONING.has(member);
  }

  #isEmptyText(node: JsonNode): boolean {
    return readJsonText(this.#body, findMember(node, 'text'))?.trim() === '';
  }

  /** A text counts as the same whether it stands alone or in a block. */
  #contentOf(node: JsonNode, marker: JsonNode | undefined): ByteSpan[] {
    const text = findMember(node, 'text');
    const isText =
      text?.kind === 'string' && node.members.every(({ name, value }) => value === marker || TEXT_MEMBERS.has(name));
    if (isText) return [[text.from, text.to]];
    const index = node.members.findIndex(({ value }) => value === marker);
    const cut = marker === undefined || index === -1 ? undefined : this.#cutOf(node, index);
    return this.#withoutBlanks(
      cut === undefined
        ? [[node.from, node.to]]
        : [
            [node.from, cut[0]],
            [cut[1], node.to],
          ],
    );
  }

  /** A member with the comma that divides it from the others. */
  #cutOf({ members, from }: JsonNode, index: number): ByteSpan {
    const [member, before, after] = [members[index], members[index - 1], members[index + 1]];
    if (before !== undefined) return [before.value.to, member?.value.to ?? before.value.to];
    return [from + 1, after?.from ?? member?.value.to ?? from + 1];
  }

  #withoutBlanks(spans: readonly ByteSpan[]): ByteSpan[] {
    const { blanks } = this.#tree;
    return spans.flatMap(([from, to]) => {
      const kept: ByteSpan[] = [];
      let start = from;
      for (let at = firstBlank(blanks, from); at < blanks.length && (blanks[at] ?? to) < to; at += 2) {
        const [blankFrom = to, blankTo = to] = [blanks[at], blanks[at + 1]];
        if (blankFrom > start) kept.push([start, blankFrom]);
        start = Math.max(start, blankTo);
      }
      if (start < to) kept.push([start, to]);
      return kept;
    });
  }
}

const TEXT_MEMBERS = new Set(['text', 'type']);
const PLAIN_MEMBERS = new Set(['role', 'content']);

function spanOf(node: JsonNode | undefined): ByteSpan | undefined {
  return node && [node.from, node.to];
}

/** Index of the first span of white space that ends after `from`. */
function firstBlank(blanks: readonly number[], from: number): number {
  let [low, high] = [0, blanks.length / 2];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((blanks[2 * middle + 1] ?? 0) <= from) low = middle + 1;
    else high = middle;
  }
  return 2 * low;
}
