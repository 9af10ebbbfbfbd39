/**
 * Reads a body of Anthropic's Messages API: what is wrong with it, in Anthropic's words, how many tokens it has, and
 * what it asks of the model. For InvokeModel and for CreateMessage. Pure.
 */
import type { Turn } from './compose.ts';
import { asCount, asObject, asObjects, asText, asTexts, isObject, type JsonObject } from '../../lib/json.ts';
import {
  countSegments,
  findCheckpointProblem,
  type CacheTtl,
  type PromptSegment,
  type PromptTokens,
  withParams,
} from './prompt-cache.ts';
import { findThinkingProblem, isReasoning } from './thinking.ts';
import { countTokens } from './tokens.ts';

const MEDIA_TOKENS = 1500;
const MESSAGE_TOKENS = 4;

/** Tokens of everything the model reads. */
export function countMessageTokens(body: JsonObject): number {
  return countSegments(segmentsOfMessages(body));
}

/** What the model reads, in its order: tools, system, messages. `cache_control` of the body marks its end. */
export function segmentsOfMessages(body: JsonObject): PromptSegment[] {
  const segments = [
    ...asObjects(body['tools']).map((tool) => segmentOf(tool, 'tool', countTokens(JSON.stringify(tool)))),
    ...blocksOf(body['system']).map((block) => segmentOf(block, 'system', countBlock(block))),
    ...withParams(
      asObjects(body['messages']).flatMap(({ role, content }) =>
        blocksOf(content).map((block, index) =>
          segmentOf(block, asText(role), countBlock(block) + (index === 0 ? MESSAGE_TOKENS : 0)),
        ),
      ),
      PARAMS.map((name) => body[name]),
    ),
  ];
  const automatic = readCheckpoint(body);
  const last = segments.at(-1);
  if (automatic === undefined || last === undefined) return segments;
  return [...segments.slice(0, -1), { ...last, checkpoint: last.checkpoint ?? automatic }];
}

/** By these the cache of messages goes as well. */
const PARAMS = ['thinking', 'tool_choice', 'output_config'] as const;

/** Why Anthropic would refuse the body; undefined if it would not. */
export function findMessagesProblem(body: JsonObject, modelId: string): string | undefined {
  if (!Number.isInteger(body['max_tokens'])) return 'max_tokens: Field required';
  if (Number(body['max_tokens']) < 1) return 'max_tokens: must be greater than or equal to 1';
  for (const name of ['temperature', 'top_p']) {
    const value = body[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== 'number') return `${name}: Input should be a valid number`;
    if (value < 0 || value > 1) return `${name}: range: 0..1`;
  }
  return findPromptProblem(body, modelId);
}

/** The same without what only an answer needs: `max_tokens` and the sampling of it. */
export function findPromptProblem(body: JsonObject, modelId: string): string | undefined {
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
  const checkpoints = segmentsOfMessages(body).flatMap(({ checkpoint }) => checkpoint ?? []);
  const thinking = {
    maxTokens: asCount(body['max_tokens'], 1, Number.POSITIVE_INFINITY),
    temperature: body['temperature'],
    isForced: choice['type'] === 'tool' || choice['type'] === 'any',
  };
  return findCheckpointProblem(checkpoints, modelId) ?? findThinkingProblem(body, thinking);
}

/** The turn that a sound body asks for. */
export function readMessagesTurn(body: JsonObject, modelId: string, tokens: PromptTokens): Turn {
  const last = asObjects(body['messages']).findLast((message) => message['role'] === 'user');
  const blocks = typeof last?.['content'] === 'string' ? [] : asObjects(last?.['content']);
  const results = blocks.filter((block) => block['type'] === 'tool_result');
  const format = asObject(asObject(body['output_config'])['format'] ?? body['output_format']);
  return {
    modelId,
    // Clients put reminders of their own before what the user wrote, and those name tools that the user does not ask
    // for.
    userText: typeof last?.['content'] === 'string' ? last['content'] : lastTextOf(blocks),
    toolResults: results.map(({ content }) => (typeof content === 'string' ? content : textOf(asObjects(content)))),
    tokens,
    maxTokens: asCount(body['max_tokens'], 1, 1),
    stopSequences: asTexts(body['stop_sequences']),
    tools: asObjects(body['tools']).map(({ name, description, input_schema: schema }) => ({
      name: asText(name),
      description: asText(description),
      schema,
    })),
    toolChoice: readToolChoice(asObject(body['tool_choice'])),
    isReasoning: isReasoning(modelId, body),
    schema: format['type'] === 'json_schema' ? (format['schema'] ?? {}) : undefined,
  };
}

function readToolChoice(choice: JsonObject): Turn['toolChoice'] {
  if (choice['type'] === 'tool') return { name: asText(choice['name']) };
  return choice['type'] === 'any' || choice['type'] === 'none' ? choice['type'] : 'auto';
}

function segmentOf(block: JsonObject, role: string, tokens: number): PromptSegment {
  const { cache_control: control, ...content } = block;
  const checkpoint = readCheckpoint({ cache_control: control });
  const text = `${role} ${JSON.stringify(content)}`;
  return checkpoint === undefined ? { text, tokens } : { text, tokens, checkpoint };
}

function readCheckpoint({ cache_control: control }: JsonObject): CacheTtl | undefined {
  if (!isObject(control) || control['type'] !== 'ephemeral') return undefined;
  return control['ttl'] === '1h' ? '1h' : '5m';
}

/** A content is a text or a list of blocks. */
function blocksOf(content: unknown): JsonObject[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : asObjects(content);
}

function countBlock(block: JsonObject): number {
  if (block['type'] === 'text') return countTokens(asText(block['text']));
  return isObject(block['source']) ? MEDIA_TOKENS : countTokens(JSON.stringify(block));
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
