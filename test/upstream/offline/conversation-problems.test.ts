import { describe, expect, it } from 'vitest';
import { findConversationProblem } from '../../../src/upstream/offline/conversation-problems.ts';

const HI = { role: 'user', content: [{ text: 'hi' }] };
const REPLY = { role: 'assistant', content: [{ text: 'hello' }] };
const TOOL = { toolSpec: { name: 'look', inputSchema: { json: { type: 'object' } } } };
const CALL = { role: 'assistant', content: [{ toolUse: { toolUseId: 't1', name: 'look', input: {} } }] };
const RESULT = { role: 'user', content: [{ toolResult: { toolUseId: 't1', content: [{ text: 'seen' }] } }] };

const CLAUDE = 'anthropic.claude-sonnet-4-5-20250929-v1:0';
const POINT = { cachePoint: { type: 'default' } };

function pointed(...ttls: readonly (string | undefined)[]) {
  const points = ttls.map((ttl) => ({ cachePoint: { type: 'default', ...(ttl === undefined ? {} : { ttl }) } }));
  return { messages: [{ role: 'user', content: [{ text: 'hi' }, ...points] }] };
}

function thinking(fields: object, rest: object = {}) {
  return { messages: [HI], additionalModelRequestFields: { thinking: fields }, ...rest };
}

describe('findConversationProblem', () => {
  it.each([
    { name: 'one message', body: { messages: [HI] } },
    { name: 'several', body: { messages: [HI, REPLY, HI] } },
    { name: 'a start of the response given', body: { messages: [HI, REPLY] } },
    { name: 'tools', body: { messages: [HI, CALL, RESULT], toolConfig: { tools: [TOOL] } } },
    { name: 'an image alone', body: { messages: [{ role: 'user', content: [{ image: {} }] }] } },
    { name: 'null for what is optional', body: { messages: [HI], system: null, inferenceConfig: { maxTokens: null } } },
    {
      name: 'a tool of Bedrock alone',
      body: { messages: [HI], toolConfig: { tools: [{ systemTool: { name: 'x' } }] } },
    },
    { name: 'four checkpoints', body: pointed('1h', '1h', '5m', undefined) },
    {
      name: 'thinking',
      body: thinking({ type: 'enabled', budget_tokens: 1024 }, { inferenceConfig: { maxTokens: 2000 } }),
    },
    { name: 'thinking that adapts', body: thinking({ type: 'adaptive' }) },
    {
      name: 'the least of everything',
      body: { messages: [HI], inferenceConfig: { maxTokens: 1, temperature: 0, topP: 1 } },
    },
  ])('finds no problem in a conversation with $name', ({ body }) => {
    expect(findConversationProblem(body, CLAUDE)).toBeUndefined();
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
    expect(findConversationProblem(body, CLAUDE)).toEqual({
      kind: 'serialization',
      message: expect.stringContaining(says),
    });
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
    { name: 'five checkpoints', body: pointed('5m', '5m', '5m', '5m', '5m'), says: 'A maximum of 4 blocks' },
    { name: 'an hour after five minutes', body: pointed('5m', '1h'), says: "must not come after a ttl='5m'" },
    {
      name: 'checkpoints alone for tools',
      body: { messages: [HI], toolConfig: { tools: [POINT] } },
      says: 'toolConfig.tools',
    },
    { name: 'little thinking', body: thinking({ type: 'enabled', budget_tokens: 100 }), says: '1024' },
    {
      name: 'more thinking than tokens',
      body: thinking({ type: 'enabled', budget_tokens: 2000 }, { inferenceConfig: { maxTokens: 2000 } }),
      says: 'must be greater than `thinking.budget_tokens`',
    },
    {
      name: 'thinking with a forced tool',
      body: thinking({ type: 'adaptive' }, { toolConfig: { tools: [TOOL], toolChoice: { any: {} } } }),
      says: 'Thinking may not be enabled when tool_choice forces tool use.',
    },
    {
      name: 'cool thinking',
      body: thinking({ type: 'adaptive' }, { inferenceConfig: { temperature: 0.5 } }),
      says: '`temperature` may only be set to 1',
    },
    { name: 'too hot', body: { messages: [HI], inferenceConfig: { temperature: 1.5 } }, says: 'temperature' },
    { name: 'too sure', body: { messages: [HI], inferenceConfig: { topP: -1 } }, says: 'topP' },
  ])('refuses a conversation: $name', ({ body, says }) => {
    expect(findConversationProblem(body, CLAUDE)).toEqual({
      kind: 'validation',
      message: expect.stringContaining(says),
    });
  });

  it('refuses an hour of a model that keeps no cache so long', () => {
    const problem = findConversationProblem(pointed('1h'), 'amazon.nova-lite-v1:0');
    expect(problem).toEqual({ kind: 'validation', message: expect.stringContaining('1h') });
  });
});
