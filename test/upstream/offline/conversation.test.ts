import { describe, expect, it } from 'vitest';
import {
  countConversationTokens,
  findConversationProblem,
  readTurn,
} from '../../../src/upstream/offline/conversation.ts';
import type { JsonObject } from '../../../src/lib/json.ts';

const HI = { role: 'user', content: [{ text: 'hi' }] };
const REPLY = { role: 'assistant', content: [{ text: 'hello' }] };
const TOOL = { toolSpec: { name: 'look', inputSchema: { json: { type: 'object' } } } };
const CALL = { role: 'assistant', content: [{ toolUse: { toolUseId: 't1', name: 'look', input: {} } }] };
const RESULT = { role: 'user', content: [{ toolResult: { toolUseId: 't1', content: [{ text: 'seen' }] } }] };

describe('findConversationProblem', () => {
  it.each([
    { name: 'one message', body: { messages: [HI] } },
    { name: 'several', body: { messages: [HI, REPLY, HI] } },
    { name: 'a start of the response given', body: { messages: [HI, REPLY] } },
    { name: 'tools', body: { messages: [HI, CALL, RESULT], toolConfig: { tools: [TOOL] } } },
    { name: 'an image alone', body: { messages: [{ role: 'user', content: [{ image: {} }] }] } },
    { name: 'null for what is optional', body: { messages: [HI], system: null, inferenceConfig: { maxTokens: null } } },
    {
      name: 'the least of everything',
      body: { messages: [HI], inferenceConfig: { maxTokens: 1, temperature: 0, topP: 1 } },
    },
  ])('finds no problem in a conversation with $name', ({ body }) => {
    expect(findConversationProblem(body)).toBeUndefined();
  });

  it.each([
    { name: 'messages that are no list', body: { messages: 'hi' }, says: 'messages must be a list' },
    { name: 'a message that is no object', body: { messages: ['hi'] }, says: 'messages.0 must be an object' },
    {
      name: 'content that is text',
      body: { messages: [{ role: 'user', content: 'hi' }] },
      says: 'messages.0.content must',
    },
    {
      name: 'a block that is text',
      body: { messages: [{ role: 'user', content: ['hi'] }] },
      says: 'messages.0.content.0',
    },
    { name: 'a system that is text', body: { messages: [HI], system: 'be kind' }, says: 'system must be a list' },
    { name: 'half a token', body: { messages: [HI], inferenceConfig: { maxTokens: 0.5 } }, says: 'maxTokens must be' },
    {
      name: 'a temperature in words',
      body: { messages: [HI], inferenceConfig: { temperature: 'hot' } },
      says: 'temperature',
    },
  ])('finds the wrong type in a conversation: $name', ({ body, says }) => {
    expect(findConversationProblem(body)).toEqual({ kind: 'serialization', message: expect.stringContaining(says) });
  });

  it.each([
    { name: 'no messages', body: {}, says: 'start with a user message' },
    { name: 'empty messages', body: { messages: [] }, says: 'start with a user message' },
    { name: 'an assistant first', body: { messages: [REPLY, HI] }, says: 'start with a user message' },
    { name: 'two users in a row', body: { messages: [HI, HI] }, says: 'alternate' },
    { name: 'an unknown role', body: { messages: [HI, { ...REPLY, role: 'robot' }] }, says: 'messages.1.role' },
    { name: 'empty content', body: { messages: [{ role: 'user', content: [] }] }, says: 'messages.0 is empty' },
    {
      name: 'blank text',
      body: { messages: [{ role: 'user', content: [{ text: ' ' }] }] },
      says: 'content.0 is blank',
    },
    { name: 'tool use without tools', body: { messages: [HI, CALL, RESULT] }, says: 'toolConfig must be defined' },
    { name: 'tools without any', body: { messages: [HI], toolConfig: { tools: [] } }, says: 'toolConfig.tools' },
    {
      name: 'a choice of a tool that is not there',
      body: { messages: [HI], toolConfig: { tools: [TOOL], toolChoice: { tool: { name: 'hear' } } } },
      says: 'names the tool hear',
    },
    {
      name: 'a call without a result',
      body: { messages: [HI, CALL, HI], toolConfig: { tools: [TOOL] } },
      says: 'messages.2.content lacks toolResult blocks for these ids: t1',
    },
    {
      name: 'no tokens',
      body: { messages: [HI], inferenceConfig: { maxTokens: 0 } },
      says: "Value '0' at 'inferenceConfig.maxTokens'",
    },
    { name: 'too hot', body: { messages: [HI], inferenceConfig: { temperature: 1.5 } }, says: 'temperature' },
    { name: 'too sure', body: { messages: [HI], inferenceConfig: { topP: -1 } }, says: 'topP' },
  ])('refuses a conversation: $name', ({ body, says }) => {
    expect(findConversationProblem(body)).toEqual({ kind: 'validation', message: expect.stringContaining(says) });
  });
});

describe('readTurn', () => {
  it('reads the last user message, the tools and the limits of a conversation', () => {
    const body: JsonObject = {
      messages: [HI, CALL, { role: 'user', content: [...RESULT.content, { text: 'and now?' }] }],
      toolConfig: { tools: [TOOL], toolChoice: { any: {} } },
      inferenceConfig: { maxTokens: 7, stopSequences: ['END'] },
    };
    expect(readTurn(body, 'm')).toMatchObject({
      modelId: 'm',
      userText: 'and now?',
      toolResults: ['seen'],
      maxTokens: 7,
      stopSequences: ['END'],
      tools: [{ name: 'look', schema: { type: 'object' } }],
      toolChoice: 'any',
    });
  });
});

describe('countConversationTokens', () => {
  it('counts text, system, media and tools of a conversation', () => {
    const alone = countConversationTokens({ messages: [HI] });
    expect(countConversationTokens({ messages: [HI], system: [{ text: 'be kind' }] })).toBe(alone + 2);
    expect(countConversationTokens({ messages: [HI], toolConfig: { tools: [TOOL] } })).toBeGreaterThan(alone + 10);
    const seen = { role: 'user', content: [{ text: 'hi' }, { image: {} }, { cachePoint: { type: 'default' } }] };
    expect(countConversationTokens({ messages: [seen] })).toBe(alone + 1500);
  });
});
