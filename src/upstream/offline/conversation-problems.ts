/**
 * What AWS refuses in a conversation of Converse's shape, as far as a developer can run into it: types, the order of
 * roles, tools and their results, ranges, checkpoints of the cache, thinking. Pure.
 */
import { checkpointsOf, readToolChoice, readTools } from './conversation.ts';
import { asObject, asObjects, asText, isObject, type JsonObject } from '../../lib/json.ts';
import { findCheckpointProblem } from './prompt-cache.ts';
import { findThinkingProblem } from './thinking.ts';

/** What a service would refuse in a body, and with which kind of error. */
export interface ConversationProblem {
  readonly kind: 'serialization' | 'validation';
  readonly message: string;
}

/** The first problem of a body with `messages`, `inferenceConfig` and `toolConfig`; undefined if all is well. */
export function findConversationProblem(body: JsonObject, modelId: string): ConversationProblem | undefined {
  return (
    findTypeProblem(body) ??
    findMessageProblem(body) ??
    findToolProblem(body) ??
    findInferenceProblem(body) ??
    findModelProblem(body, modelId)
  );
}

function findTypeProblem(body: JsonObject): ConversationProblem | undefined {
  for (const [name, type] of [
    ...(['messages', 'system'] as const).map((list) => [list, 'a list'] as const),
    ...(['inferenceConfig', 'toolConfig', 'guardrailConfig', 'outputConfig'] as const).map(
      (object) => [object, 'an object'] as const,
    ),
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

function findMessageProblem(body: JsonObject): ConversationProblem | undefined {
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

function findToolProblem(body: JsonObject): ConversationProblem | undefined {
  const messages = asObjects(body['messages']).map((message) => asObjects(message['content']));
  const usesTools = messages.flat().some((block) => isObject(block['toolUse']) || isObject(block['toolResult']));
  const tools = readTools(body);
  if (usesTools && !isObject(body['toolConfig'])) {
    return invalid('toolConfig must be defined when content blocks of toolUse or toolResult are used.');
  }
  const members = asObjects(asObject(body['toolConfig'])['tools']);
  if (isObject(body['toolConfig']) && !members.some((tool) => tool['toolSpec'] ?? tool['systemTool'])) {
    return invalid('toolConfig.tools must have a member.');
  }
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

function findInferenceProblem(body: JsonObject): ConversationProblem | undefined {
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

/** What depends on the model: checkpoints, and the thinking of Anthropic's models. */
function findModelProblem(body: JsonObject, modelId: string): ConversationProblem | undefined {
  const { maxTokens, temperature } = asObject(body['inferenceConfig']);
  const choice = readToolChoice(asObject(asObject(body['toolConfig'])['toolChoice']));
  const message =
    findCheckpointProblem(checkpointsOf(body), modelId) ??
    findThinkingProblem(asObject(body['additionalModelRequestFields']), {
      maxTokens: typeof maxTokens === 'number' ? maxTokens : Number.POSITIVE_INFINITY,
      temperature,
      isForced: choice !== 'auto',
    });
  return message === undefined ? undefined : invalid(message);
}

function idOf(block: unknown): string[] {
  return isObject(block) ? [asText(block['toolUseId'])] : [];
}

function invalid(message: string): ConversationProblem {
  return { kind: 'validation', message };
}

function wrongType(path: string, type: string): ConversationProblem {
  return { kind: 'serialization', message: `The field ${path} must be ${type}.` };
}

function outOfRange(name: string, value: number, range: string): ConversationProblem {
  const path = `inferenceConfig.${name}`;
  return invalid(`1 validation error detected: Value '${value}' at '${path}' failed to satisfy constraint: ${range}`);
}
