/**
 * Reads a conversation of Converse's shape (Nova's is nearly the same): how many tokens it has, where its cache
 * checkpoints are, and what it asks of the model. Pure. What AWS refuses in one: conversation-problems.ts.
 */
import type { Turn } from './compose.ts';
import { asCount, asObject, asObjects, asText, asTexts, isObject, type JsonObject } from '../../lib/json.ts';
import { countSegments, type CacheTtl, type PromptSegment, type PromptTokens, withParams } from './prompt-cache.ts';
import { isReasoning } from './thinking.ts';
import { countTokens } from './tokens.ts';
import type { OfferedTool } from './tool-choice.ts';

/** The guardrail of the offline Bedrock knows one rule: this word is bad. */
export const BAD_WORD = 'badword';

/** What an image, a document or a video counts. */
const MEDIA_TOKENS = 1500;
const MESSAGE_TOKENS = 4;
const DEFAULT_MAX_TOKENS = 4096;

/** Tokens of everything the model reads. */
export function countConversationTokens(body: JsonObject): number {
  return countSegments(segmentsOf(body));
}

/** What the model reads, in its order: tools, system, messages. */
export function segmentsOf(body: JsonObject): PromptSegment[] {
  const messages = asObjects(body['messages']);
  return [
    ...segmentBlocks(asObjects(asObject(body['toolConfig'])['tools']), 'tool'),
    ...segmentBlocks(asObjects(body['system']), 'system'),
    ...withParams(
      messages.flatMap((message) => segmentBlocks(asObjects(message['content']), asText(message['role']), true)),
      [body['additionalModelRequestFields'], asObject(body['toolConfig'])['toolChoice']],
    ),
  ];
}

/** The checkpoints of a conversation, in its order. */
export function checkpointsOf(body: JsonObject): CacheTtl[] {
  const lists = [asObject(body['toolConfig'])['tools'], body['system']];
  const contents = asObjects(body['messages']).map((message) => message['content']);
  return [...lists, ...contents].flatMap((list) => asObjects(list).flatMap((block) => readCheckpoint(block) ?? []));
}

/** The turn that a sound body asks for. */
export function readTurn(body: JsonObject, modelId: string, tokens: PromptTokens): Turn {
  const inference = asObject(body['inferenceConfig']);
  const last = asObjects(body['messages']).findLast((message) => message['role'] === 'user');
  const blocks = asObjects(last?.['content']);
  const textFormat = asObject(asObject(body['outputConfig'])['textFormat']);
  return {
    modelId,
    userText: blocks.flatMap((block) => textOf(block) ?? []).join('\n'),
    toolResults: blocks.flatMap(readToolResult),
    tokens,
    maxTokens: asCount(inference['maxTokens'], 1, DEFAULT_MAX_TOKENS),
    stopSequences: asTexts(inference['stopSequences']),
    tools: readTools(body),
    toolChoice: readToolChoice(asObject(asObject(body['toolConfig'])['toolChoice'])),
    isReasoning: isReasoning(modelId, asObject(body['additionalModelRequestFields'])),
    schema: textFormat['type'] === 'json_schema' ? readSchema(asObject(textFormat['structure'])) : undefined,
  };
}

/**
 * What a guardrail reads: the blocks that say so, wherever they are; the last user message if there are none.
 * https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-use-converse-api.html
 */
export function guardedTextOf(body: JsonObject, userText: string): string {
  const contents = asObjects(body['messages']).flatMap((message) => asObjects(message['content']));
  const guarded = [...asObjects(body['system']), ...contents].flatMap((block) => guardTextOf(block) ?? []);
  return guarded.length === 0 ? userText : guarded.join('\n');
}

/** The tools that a model may call: not those that Bedrock runs itself (`systemTool`). */
export function readTools(body: JsonObject): OfferedTool[] {
  return asObjects(asObject(body['toolConfig'])['tools']).flatMap((tool) => {
    const { name, description, inputSchema } = asObject(tool['toolSpec']);
    const schema = asObject(inputSchema)['json'];
    return asText(name) === '' ? [] : [{ name: asText(name), description: asText(description), schema }];
  });
}

/** What `toolConfig.toolChoice` says. */
export function readToolChoice(choice: JsonObject): Turn['toolChoice'] {
  if (isObject(choice['tool'])) return { name: asText(choice['tool']['name']) };
  return isObject(choice['any']) ? 'any' : 'auto';
}

/** A checkpoint belongs to the block before it; one without a block before it marks nothing. */
function segmentBlocks(blocks: readonly JsonObject[], role: string, isMessage = false): PromptSegment[] {
  const segments: PromptSegment[] = [];
  for (const block of blocks) {
    const checkpoint = readCheckpoint(block);
    const last = segments.at(-1);
    if (checkpoint === undefined) {
      const tokens = countBlock(block) + (isMessage && last === undefined ? MESSAGE_TOKENS : 0);
      segments.push({ text: `${role} ${JSON.stringify(block)}`, tokens });
    } else if (last !== undefined) {
      segments[segments.length - 1] = { ...last, checkpoint };
    }
  }
  return segments;
}

function readCheckpoint({ cachePoint }: JsonObject): CacheTtl | undefined {
  if (!isObject(cachePoint)) return undefined;
  return cachePoint['ttl'] === '1h' ? '1h' : '5m';
}

/** Schemas travel as JSON in a text. */
function readSchema(structure: JsonObject): unknown {
  const { schema } = asObject(structure['jsonSchema']);
  if (typeof schema !== 'string') return schema ?? {};
  try {
    return JSON.parse(schema);
  } catch {
    return {};
  }
}

function readToolResult(block: JsonObject): string[] {
  const result = block['toolResult'];
  if (!isObject(result)) return [];
  const texts = asObjects(result['content']).map((part) => asText(part['text']) || JSON.stringify(part['json'] ?? ''));
  return [texts.join(' ')];
}

function textOf(block: JsonObject): string | undefined {
  return typeof block['text'] === 'string' ? block['text'] : guardTextOf(block);
}

function guardTextOf(block: JsonObject): string | undefined {
  if (!isObject(block['guardContent'])) return undefined;
  return asText(asObject(block['guardContent']['text'])['text']);
}

function countBlock(block: JsonObject): number {
  const text = textOf(block);
  if (text !== undefined) return countTokens(text);
  const isMedia = ['image', 'document', 'video', 'audio'].some((kind) => kind in block);
  return isMedia ? MEDIA_TOKENS : countTokens(JSON.stringify(block));
}
