import { describe, expect, it } from 'vitest';
import {
  countConversationTokens,
  guardedTextOf,
  readTurn,
  segmentsOf,
} from '../../../src/upstream/offline/conversation.ts';
import { uncached } from '../../../src/upstream/offline/invoke-outcome.ts';
import type { JsonObject } from '../../../src/lib/json.ts';

const HI = { role: 'user', content: [{ text: 'hi' }] };
const TOOL = { toolSpec: { name: 'look', inputSchema: { json: { type: 'object' } } } };
const CALL = { role: 'assistant', content: [{ toolUse: { toolUseId: 't1', name: 'look', input: {} } }] };
const RESULT = { role: 'user', content: [{ toolResult: { toolUseId: 't1', content: [{ text: 'seen' }] } }] };

describe('readTurn', () => {
  it('reads the last user message, the tools and the limits of a conversation', () => {
    const body: JsonObject = {
      messages: [HI, CALL, { role: 'user', content: [...RESULT.content, { text: 'and now?' }] }],
      toolConfig: { tools: [TOOL], toolChoice: { any: {} } },
      inferenceConfig: { maxTokens: 7, stopSequences: ['END'] },
    };
    expect(readTurn(body, 'm', uncached(5))).toMatchObject({
      modelId: 'm',
      userText: 'and now?',
      toolResults: ['seen'],
      maxTokens: 7,
      stopSequences: ['END'],
      tools: [{ name: 'look', description: '', schema: { type: 'object' } }],
      toolChoice: 'any',
    });
  });
});

describe('guardContent', () => {
  const guarded = { guardContent: { text: { text: 'watch this' } } };

  it('is text to the model, and all that the guardrail reads', () => {
    const body = { messages: [{ role: 'user', content: [{ text: 'and' }, guarded] }] };
    expect(readTurn(body, 'm', uncached(5)).userText).toBe('and\nwatch this');
    expect(guardedTextOf(body, 'and\nwatch this')).toBe('watch this');
    expect(guardedTextOf({ messages: [HI] }, 'hi')).toBe('hi');
  });
});

describe('outputConfig.textFormat', () => {
  it.each([
    { name: 'a schema as JSON', schema: '{"type":"object"}', read: { type: 'object' } },
    { name: 'no JSON', schema: '{', read: {} },
  ])('is read from $name', ({ schema, read }) => {
    const textFormat = { type: 'json_schema', structure: { jsonSchema: { schema } } };
    expect(readTurn({ messages: [HI], outputConfig: { textFormat } }, 'm', uncached(5)).schema).toEqual(read);
  });
});

describe('segmentsOf', () => {
  it('marks what stands before a checkpoint, in the order of the model: tools, system, messages', () => {
    const point = { cachePoint: { type: 'default', ttl: '1h' } };
    const segments = segmentsOf({
      messages: [{ role: 'user', content: [{ text: 'hi' }, { cachePoint: { type: 'default' } }] }],
      system: [point, { text: 'be kind' }],
      toolConfig: { tools: [TOOL, point] },
    });
    expect(segments.map(({ checkpoint }) => checkpoint)).toEqual(['1h', undefined, '5m']);
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
