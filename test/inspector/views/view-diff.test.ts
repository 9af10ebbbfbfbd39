/** How two requests differ: parts, pointers, bytes, and the line that says it. */
import { describe, expect, it } from 'vitest';
import { viewDiff } from '../../../src/inspector/views/view-diff.ts';
import { keptExchange } from '../../helpers/kept-exchange.ts';

const ASK = { role: 'user', content: [{ text: 'Where is the bug?' }] };
const ANSWER = { role: 'assistant', content: [{ text: 'In line 3.' }] };
const MORE = { role: 'user', content: [{ text: 'Mend it.' }] };
const tool = (name: string, description = 'd') => ({ toolSpec: { name, description, inputSchema: { json: {} } } });
const BASE = {
  system: [{ text: 'It is 10:00.' }, { cachePoint: { type: 'default' } }],
  messages: [ASK],
  toolConfig: { tools: [tool('read'), tool('write')] },
  inferenceConfig: { maxTokens: 10 },
};

function differ(after: unknown, before: unknown = BASE) {
  return viewDiff(keptExchange({ request: after }), keptExchange({ id: 'base', request: before }));
}

const nest = (inner: unknown): unknown => Array.from({ length: 150 }).reduce((value) => [value, 'x'], inner);

describe('the difference of two requests', () => {
  it.each([
    { name: 'nothing', after: BASE, summary: 'messages same, tools same, system same' },
    {
      name: 'the next turn',
      after: { ...BASE, messages: [ASK, ANSWER, MORE] },
      summary: '+2 messages, tools same, system same',
    },
    {
      name: 'the time of day in the instructions',
      after: {
        ...BASE,
        system: [{ text: 'It is 10:01.' }, { cachePoint: { type: 'default' } }],
        messages: [ASK, ANSWER, MORE],
      },
      summary: '+2 messages, tools same, system changed at byte 30',
    },
    {
      name: 'a tool that is new, and one that is gone',
      after: { ...BASE, toolConfig: { tools: [tool('read'), tool('list')] } },
      summary: 'messages same, +1 tool, -1 tool, system same',
    },
    {
      name: 'tools in another order',
      after: { ...BASE, toolConfig: { tools: [tool('write'), tool('read')] } },
      summary: 'messages same, tools reordered, system same',
    },
    {
      name: 'a marker of the cache that has moved',
      after: { ...BASE, messages: [{ ...ASK, content: [...ASK.content, { cachePoint: { type: 'default' } }] }] },
      summary: 'cache markers moved, tools same, system same',
    },
    {
      name: 'another member',
      after: { ...BASE, inferenceConfig: { maxTokens: 20 } },
      summary: 'messages same, tools same, system same, inferenceConfig changed at byte 343',
    },
    {
      name: 'messages that were left out at the front',
      before: { ...BASE, messages: [ASK, ANSWER, MORE] },
      after: { ...BASE, messages: [MORE] },
      summary: '-2 messages, tools same, system same',
    },
  ])('is told in one line: $name', ({ after, before, summary }) => {
    const view = differ(after, before);
    expect(view.base).toBe('base');
    expect(view.summary).toBe(summary);
  });

  it('is told by pointer, and by the first byte that differs', () => {
    const after = { ...BASE, system: [{ text: 'It is 10:01.' }, BASE.system[1]] };
    const part = differ(after).parts.find(({ name }) => name === 'system');
    expect(part).toEqual({
      name: 'system',
      pointer: '/system',
      change: 'changed',
      at_byte: Buffer.from(JSON.stringify(after)).indexOf('1."}'),
      changes: [{ pointer: '/system/0/text', before: 'It is 10:00.', after: 'It is 10:01.' }],
    });
  });

  it('sees white space and the order of members, which caches see too', () => {
    const before = Buffer.from('{"system":[{"text":"a"}],"messages":[]}');
    const after = Buffer.from('{"system":[ {"text":"a"}],"messages":[]}');
    expect(differ(after, before).parts[0]).toMatchObject({ change: 'changed', at_byte: 11, changes: [] });
  });

  it('finds the block that came in between', () => {
    const after = { messages: [{ role: 'user', content: [{ text: 'new' }, { text: 'a' }, { text: 'b' }] }] };
    const before = { messages: [{ role: 'user', content: [{ text: 'a' }, { text: 'b' }] }] };
    expect(differ(after, before).parts[0]?.changes).toEqual([
      { pointer: '/messages/0/content/0', before: null, after: { text: 'new' } },
    ]);
  });

  it('does not take long, however deep and long', () => {
    const words = Array.from({ length: 50_000 }, (_, index) => ({ word: `w${index}` }));
    const started = performance.now();
    const { parts } = differ({ messages: [nest([...words, 1])] }, { messages: [nest([...words, 2])] });
    expect(parts[0]?.changes).toHaveLength(1);
    expect(parts[0]?.changes[0]).toMatchObject({ before: 2, after: 1 });
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('says that the model is another one', () => {
    const view = viewDiff(
      keptExchange({ request: BASE, row: { model: 'b' } }),
      keptExchange({ request: BASE, row: { model: 'a' } }),
    );
    expect(view.summary).toMatch(/^another model, /);
    expect(view.parts[0]?.changes).toEqual([{ pointer: '', before: 'a', after: 'b' }]);
  });

  it.each([
    { name: 'is not kept', request: undefined, says: "The request's body is not kept." },
    { name: 'is no JSON', request: Buffer.from('{"a'), says: "The request's body is no JSON object." },
    {
      name: 'is nested too deeply',
      request: Buffer.from(`{"a":${'['.repeat(9_999)}${']'.repeat(9_999)}}`),
      says: "The request's body is no JSON object.",
    },
  ])('is not told of a body that $name', ({ request, says }) => {
    expect(differ(request)).toEqual({ base: 'base', summary: says, parts: [] });
  });
});
