/**
 * Reads a conversation of Converse's shape (Nova's is nearly the same): what is wrong with it, how many tokens it has,
 * and what it asks of the model. Pure. Refuses what AWS refuses, as far as a developer can run into it.
 */
import type { OfferedTool, Turn } from './compose.ts';
import { asCount, asObject, asObjects, asText, asTexts, isObject, type JsonObject } from '../../lib/json.ts';
import { countTokens } from './tokens.ts';

/** The guardrail of the offline Bedrock knows one rule: this word is bad. */
export const BAD_WORD = 'badword';

/** What an image, a document or a video counts. */
const MEDIA_TOKENS = 1500;
const MESSAGE_TOKENS = 4;
const DEFAULT_MAX_TOKENS = 4096;

/** What a service would refuse in a body, and with which kind of error; undefined if all is well. */
export interface Problem {
  readonly kind: 'serialization' | 'validation';
  readonly message: string;
}

/** The first problem of a body with `messages`, `inferenceConfig` and `toolConfig`. */
export function findConversationProblem(body: JsonObject): Problem | undefined {
  return findTypeProblem(body) ?? findMessageProblem(body) ?? findToolProblem(body) ?? findInferenceProblem(body);
}

/** Tokens of everything the model reads. */
export function countConversationTokens(body: JsonObject): number {
  const messages = asObjects(body['messages']);
  const contents = [...messages.flatMap((message) => asObjects(message['content'])), ...asObjects(body['system'])];
  const toolConfig = body['toolConfig'];
  const tools = isObject(toolConfig) ? countTokens(JSON.stringify(toolConfig)) : 0;
  return contents.reduce((sum, block) => sum + countBlock(block), messages.length * MESSAGE_TOKENS + tools);
}

/** The turn that a sound body asks for. */
export function readTurn(body: JsonObject, modelId: string): Turn {
  const inference = asObject(body['inferenceConfig']);
  const last = asObjects(body['messages']).findLast((message) => message['role'] === 'user');
  const blocks = asObjects(last?.['content']);
  return {
    modelId,
    userText: blocks.flatMap((block) => (typeof block['text'] === 'string' ? [block['text']] : [])).join('\n'),
    toolResults: blocks.flatMap(readToolResult),
    inputTokens: countConversationTokens(body),
    maxTokens: asCount(inference['maxTokens'], 1, DEFAULT_MAX_TOKENS),
    stopSequences: asTexts(inference['stopSequences']),
    tools: readTools(body),
    toolChoice: readToolChoice(asObject(asObject(body['toolConfig'])['toolChoice'])),
  };
}

function findTypeProblem(body: JsonObject): Problem | undefined {
  for (const [name, type] of [
    ...(['messages', 'system'] as const).map((list) => [list, 'a list'] as const),
    ...(['inferenceConfig', 'toolConfig', 'guardrailConfig'] as const).map((object) => [object, 'an object'] as const),
  ]) {
    const value = body[name];
    const isRight = type === 'a list' ? Array.isArray(value) : isObject(value);
    if (value !== undefined && value !== null && !isRight) return wrongType(name, type);
  }
  const messages = Array.isArray(body['messages']) ? body['messages'] : [];
  for (const [index, message] of messages.entries()) {
    if (!isObject(message)) return wrongType(`messages.${index}`, 'an object');
    if (!Array.isArray(message['content'])) return wrongType(`messages.${index}.content`, 'a list');
    const oddOne = message['content'].findIndex((block) => !isObject(block));
    if (oddOne !== -1) return wrongType(`messages.${index}.content.${oddOne}`, 'an object');
  }
  return undefined;
}

function findMessageProblem(body: JsonObject): Problem | undefined {
  const messages = asObjects(body['messages']).filter((message) => message['role'] !== 'system');
  if (messages[0]?.['role'] !== 'user') return invalid('A conversation must start with a user message.');
  for (const [index, message] of messages.entries()) {
    const { role } = message;
    if (role !== 'user' && role !== 'assistant') return invalid(`messages.${index}.role must be user or assistant.`);
    if (role === messages[index - 1]?.['role']) {
      return invalid('A conversation must alternate between user and assistant roles.');
    }
    const blocks = asObjects(message['content']);
    if (blocks.length === 0) return invalid(`The content field in the message at messages.${index} is empty.`);
    const blank = blocks.findIndex((block) => typeof block['text'] === 'string' && block['text'].trim() === '');
    if (blank !== -1) return invalid(`The text field at messages.${index}.content.${blank} is blank.`);
  }
  return undefined;
}

function findToolProblem(body: JsonObject): Problem | undefined {
  const messages = asObjects(body['messages']).map((message) => asObjects(message['content']));
  const usesTools = messages.flat().some((block) => isObject(block['toolUse']) || isObject(block['toolResult']));
  const tools = readTools(body);
  if (usesTools && tools.length === 0) {
    return invalid('toolConfig must be defined when content blocks of toolUse or toolResult are used.');
  }
  if (isObject(body['toolConfig']) && tools.length === 0) return invalid('toolConfig.tools must have a member.');
  const choice = readToolChoice(asObject(asObject(body['toolConfig'])['toolChoice']));
  if (typeof choice === 'object' && !tools.some((tool) => tool.name === choice.name)) {
    return invalid(`toolConfig.toolChoice names the tool ${choice.name}, which toolConfig.tools does not have.`);
  }
  for (const [index, blocks] of messages.entries()) {
    const called = blocks.flatMap((block) => idOf(block['toolUse']));
    const withResult = new Set((messages[index + 1] ?? []).flatMap((block) => idOf(block['toolResult'])));
    const missing = called.filter((id) => !withResult.has(id));
    if (missing.length > 0) {
      return invalid(`messages.${index + 1}.content lacks toolResult blocks for these ids: ${missing.join(', ')}.`);
    }
  }
  return undefined;
}

function findInferenceProblem(body: JsonObject): Problem | undefined {
  const inference = asObject(body['inferenceConfig']);
  const { maxTokens } = inference;
  if (maxTokens !== undefined && maxTokens !== null && !Number.isInteger(maxTokens)) {
    return wrongType('inferenceConfig.maxTokens', 'an integer');
  }
  if (typeof maxTokens === 'number' && maxTokens < 1) return outOfRange('maxTokens', maxTokens, 'at least 1');
  for (const name of ['temperature', 'topP']) {
    const value = inference[name];
    if (value !== undefined && value !== null && typeof value !== 'number') {
      return wrongType(`inferenceConfig.${name}`, 'a number');
    }
    if (typeof value === 'number' && (value < 0 || value > 1)) return outOfRange(name, value, 'between 0 and 1');
  }
  return undefined;
}

function readTools(body: JsonObject): OfferedTool[] {
  return asObjects(asObject(body['toolConfig'])['tools']).flatMap((tool) => {
    const specification = asObject(tool['toolSpec']);
    const name = asText(specification['name']);
    return name === '' ? [] : [{ name, schema: asObject(specification['inputSchema'])['json'] }];
  });
}

function readToolChoice(choice: JsonObject): Turn['toolChoice'] {
  if (isObject(choice['tool'])) return { name: asText(choice['tool']['name']) };
  return isObject(choice['any']) ? 'any' : 'auto';
}

function readToolResult(block: JsonObject): string[] {
  const result = block['toolResult'];
  if (!isObject(result)) return [];
  const texts = asObjects(result['content']).map((part) => asText(part['text']) || JSON.stringify(part['json'] ?? ''));
  return [texts.join(' ')];
}

function countBlock(block: JsonObject): number {
  if (typeof block['text'] === 'string') return countTokens(block['text']);
  if ('cachePoint' in block) return 0;
  const isMedia = ['image', 'document', 'video', 'audio'].some((kind) => kind in block);
  return isMedia ? MEDIA_TOKENS : countTokens(JSON.stringify(block));
}

function idOf(block: unknown): string[] {
  return isObject(block) ? [asText(block['toolUseId'])] : [];
}

function invalid(message: string): Problem {
  return { kind: 'validation', message };
}

function wrongType(path: string, type: string): Problem {
  return { kind: 'serialization', message: `The field ${path} must be ${type}.` };
}

function outOfRange(name: string, value: number, range: string): Problem {
  const path = `inferenceConfig.${name}`;
  return invalid(`1 validation error detected: Value '${value}' at '${path}' failed to satisfy constraint: ${range}`);
}
