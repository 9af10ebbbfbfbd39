import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readPrefixes } from '../../../src/upstream/failover/prefix.ts';

const read = async (body: unknown, owner = 'vk_a'): Promise<readonly string[]> => {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readPrefixes({ chunks: [Buffer.from(text)] }, [], owner);
};
const TOOLS = { toolConfig: { tools: [{ toolSpec: { name: 'a' } }] } };
const messages = (text: string) => ({ messages: [{ role: 'user', content: [{ text }] }] });
const SYSTEM = [{ text: 'one' }, { text: 'two, \\"}]' }];

describe('prefixes', () => {
  it('go on with what is the same, block by block, and end with the tools', async () => {
    const [both, one, tools, ...none] = await read({ ...TOOLS, system: SYSTEM, ...messages('hi') });
    expect(none).toEqual([]);
    expect(await read({ ...messages('other'), system: SYSTEM, ...TOOLS })).toEqual([both, one, tools]);
    expect(await read({ ...TOOLS, system: [SYSTEM[0], { text: 'three' }] })).toEqual([expect.anything(), one, tools]);
    expect(await read({ ...TOOLS, ...messages('x') })).toEqual([tools]);
  });

  it('are of one owner', async () => {
    expect(await read({ system: 'a' }, 'vk_a')).not.toEqual(await read({ system: 'a' }, 'vk_b'));
  });

  it.each([
    ['a system of text', { system: 'a' }, { system: 'b' }],
    ['tools as a list', { tools: [{ name: 'a' }] }, { tools: [{ name: 'b' }] }],
    ['instructions', { instructions: 'a' }, { instructions: 'b' }],
    ['how it opens, without tools and system', messages('a'), messages('b')],
    ['a prompt', { prompt: 'a' }, { prompt: 'b' }],
  ])('differ by %s', async (_name, one, other) => {
    expect(await read(one)).toEqual(await read({ ...one, max_tokens: 3 }));
    expect(await read(one)).not.toEqual(await read(other));
  });

  it('do not change as a conversation without instructions goes on', async () => {
    const first = messages('a');
    const later = { messages: [...first.messages, { role: 'assistant', content: [] }, { role: 'user', content: [] }] };
    expect(await read(later)).toEqual(await read(first));
  });

  it('take members of the outermost object alone', async () => {
    expect(await read({ a: { system: 'x' }, ...messages('a') })).toEqual(await read(messages('a')));
  });

  it('are at most those of nine', async () => {
    const system = Array.from({ length: 30 }, (_, index) => ({ text: `block ${index}` }));
    expect(await read({ ...TOOLS, system })).toHaveLength(9);
  });

  it.each(['', '[]', '"system"', '{"system":', '{"system":"a', 'null', '}}]]', '{"system":"a\\'])(
    'exist for what is no whole object: %s',
    async (text) => {
      expect(await read(text)).toHaveLength(1);
    },
  );

  it('are those of the owner if the body is compressed', async () => {
    const chunks = [gzipSync('{"system":"a"}')];
    const headers = [['content-encoding', 'gzip']] as const;
    expect(await readPrefixes({ chunks }, headers, 'vk_a')).toEqual(await read('', 'vk_a'));
  });

  it('are the same at every split', async () => {
    const bytes = Buffer.from(JSON.stringify({ a: '\\\\', system: SYSTEM, ...TOOLS, ...messages('"\\') }));
    const whole = await read(bytes.toString());
    for (let at = 0; at <= bytes.length; at += 1) {
      const chunks = [bytes.subarray(0, at), bytes.subarray(at)];
      expect(await readPrefixes({ chunks }, [], 'vk_a')).toEqual(whole);
    }
    const single = Array.from(bytes, (byte) => Buffer.from([byte]));
    expect(await readPrefixes({ chunks: single }, [], 'vk_a')).toEqual(whole);
  });
});
