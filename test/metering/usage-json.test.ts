import { describe, expect, it } from 'vitest';
import { MAX_CONTAINER_BYTES } from '../../src/protocol/json-container.ts';
import { BodyReader, type BodyShape, readEvent } from '../../src/metering/usage-json.ts';
import { readConverse, readInvoke, readInvokePart } from '../../src/metering/usage-readers.ts';
import { Tally } from '../../src/metering/usage-tally.ts';
import { createRandom } from '../helpers/random.ts';

const RESPONSE = '{"output":{"text":"Hello"},"usage":{"inputTokens":1,"outputTokens":2}}';

function read(text: string | Buffer, shape: BodyShape = { readUsage: readConverse }): Tally {
  const tally = new Tally();
  const reader = new BodyReader(shape, tally);
  reader.read(Buffer.from(text));
  reader.finish();
  return tally;
}

describe('BodyReader', () => {
  it('has all of the usage if the text is whole and has it', () => {
    const tally = read(RESPONSE);
    expect([tally.isFinal, tally.hasUnread]).toEqual([true, false]);
    expect(tally.sum()).toEqual({ inputTokens: 1, outputTokens: 2 });
  });

  it('counts the text if there is no usage, however the text was read', () => {
    const texts = [RESPONSE.slice(0, -1), '{"output":{"text":"Hello"}}', `{"output":{"text":"${'x'.repeat(20_000)}"}}`];
    expect(texts.map((text) => read(text).textBytes)).toEqual([5, 5, 20_000]);
  });

  it('reads a small body, which it parses, as it reads a large one, which it scans', () => {
    const random = createRandom(7);
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
    const scalars = ['1', '-1', '1.5', '1e3', 'null', 'true', '"x"', '"\\u0041"', '12345678901234567890', '{}', '[]'];
    const names = ['inputTokens', 'outputTokens', 'totalTokens', 'cacheReadInputTokens', 'cacheDetails', 'type', 'x'];
    const members = ['usage', 'output', 'trace', 'serviceTier', 'performanceConfig', 'error', 'message'];
    const make = (depth: number): string => {
      if (depth === 0 || random() < 0.3) return pick(scalars);
      const inner = Array.from({ length: Math.floor(random() * 4) }, () => make(depth - 1));
      if (random() < 0.2) return `[${inner.join()}]`;
      return `{${inner.map((value) => `"${pick(names)}": ${value}`).join(' , ')}}`;
    };
    for (let run = 0; run < 2_000; run += 1) {
      const whole = `{${Array.from({ length: 3 }, () => `"${pick(members)}":${make(3)}`).join()}}`;
      const text = random() < 0.2 ? whole.slice(0, Math.floor(random() * whole.length)) : whole;
      // Spaces make it large, and change nothing.
      const [small, large] = [read(text), read(`${' '.repeat(17_000)}${text}`)];
      expect([small.sum(), small.isFinal, small.hasUnread], text).toEqual([
        large.sum(),
        large.isFinal,
        large.hasUnread,
      ]);
    }
  });

  it.each([
    ['it has no usage', '{"output":{}}'],
    ['its usage is null', '{"usage":{"inputTokens":null}}'],
    ['its usage is no object', '{"usage":[{"inputTokens":1}]}'],
    ['it is cut', RESPONSE.slice(0, -1)],
    ['more comes after it', `${RESPONSE}{}`],
    ['it is no UTF-8', Buffer.from(RESPONSE.replace('Hello', '\xc1\xaf'), 'latin1')],
    ['it is empty', ''],
  ])('has not all of the usage if %s', (_name, text) => {
    const tally = read(text);
    expect(tally.isFinal && !tally.hasUnread).toBe(false);
  });

  it('takes the last of a member that is there twice, as JSON.parse does', () => {
    const text = '{"usage":{"inputTokens":1,"outputTokens":1},"usage":{"inputTokens":2,"inputTokens":3}}';
    expect(read(text).sum()).toEqual({ inputTokens: 3 });
  });

  it('reads no usage out of __proto__', () => {
    expect(read('{"__proto__":{"usage":{"inputTokens":1}},"usage":{"__proto__":{"inputTokens":1}}}').sum()).toBe(
      undefined,
    );
  });

  it('does without a member that is too large, and says so', () => {
    const trace = { guardrail: { modelOutput: ['x'.repeat(MAX_CONTAINER_BYTES)] } };
    const tally = read(JSON.stringify({ trace, usage: { inputTokens: 1, outputTokens: 2 } }));
    expect([tally.sum(), tally.hasUnread]).toEqual([{ inputTokens: 1, outputTokens: 2 }, true]);
  });

  const PARTS = {
    images: ['a', 'b', null, { url: 'x'.repeat(MAX_CONTAINER_BYTES) }],
    artifacts: [{ base64: 'c', seed: 1 }, { base64: null }],
    data: [{ b64_json: 'd'.repeat(3 * MAX_CONTAINER_BYTES) }, { url: 'e' }, { embedding: [1, 2] }],
    results: [{ tokenCount: 3, outputText: 'x' }, { tokenCount: 4 }, { relevance_score: 0.5 }],
  };

  it('reads a usage in parts as it passes, however large it is', () => {
    const tally = read(JSON.stringify(PARTS), { readUsage: readInvoke, readPart: readInvokePart });
    expect([tally.sum(), tally.isFinal, tally.hasUnread]).toEqual([{ images: 5, outputTokens: 7 }, true, false]);
  });

  it('reads no parts in a shape that has none', () => {
    const tally = read(JSON.stringify(PARTS));
    expect([tally.sum(), tally.isFinal, tally.hasUnread]).toEqual([undefined, false, false]);
  });
});

describe('readEvent', () => {
  const shape = { readUsage: readConverse, members: new Set(['text']) };

  function readText(text: string, more: object = {}): Tally {
    const tally = new Tally();
    readEvent(Buffer.from(text), { ...shape, ...more }, tally);
    return tally;
  }

  it('measures text and reads the usage of an event', () => {
    const tally = readText(RESPONSE);
    expect([tally.sum(), tally.textBytes, tally.hasUnread]).toEqual([{ inputTokens: 1, outputTokens: 2 }, 5, false]);
  });

  it('parses no event that cannot have usage', () => {
    expect(readText('{"text":"Hello"').hasUnread).toBe(false);
    expect(readText('{"text":"Hello"', { markers: [Buffer.from('other'), Buffer.from('"text"')] }).hasUnread).toBe(
      true,
    );
  });

  it('reads an event that is too large to be built, but for a member that is too large itself', () => {
    const usage = { inputTokens: 1, outputTokens: 2 };
    for (const [sizeBytes, isRead] of [
      [MAX_CONTAINER_BYTES / 2, true],
      [MAX_CONTAINER_BYTES, false],
    ] as const) {
      const trace = { promptRouter: { invokedModelId: 'm' }, guardrail: { modelOutput: ['x'.repeat(sizeBytes)] } };
      const tally = readText(JSON.stringify({ trace, usage, text: 'Hello' }));
      expect([tally.sum(), tally.model, tally.hasUnread]).toEqual([usage, isRead ? 'm' : undefined, !isRead]);
      expect(tally.textBytes).toBe(5);
    }
  });

  it('measures only events that bring text', () => {
    expect(readText(RESPONSE, { textMarker: Buffer.from('"delta"') }).textBytes).toBe(0);
    expect(readText('{"delta":{"text":"Hi"}}', { textMarker: Buffer.from('"delta"') }).textBytes).toBe(2);
  });

  it.each([
    '{"usage":{"inputTokens":5,',
    'token',
    '',
    '\uFEFF{"inputTokens":1}',
    '['.repeat(1_000_000) + 'token',
    `${'['.repeat(1e5)}"token"${']'.repeat(1e5)}`,
  ])('believes nothing of an event that is no JSON, or nests too deep: %.40s', (text) => {
    const tally = readText(text);
    expect([tally.sum(), tally.hasUnread]).toEqual([undefined, text !== '']);
  });

  it.each(['"tokens"', '["inputTokens"]', '{"tokens":1,"usage":5}', `${'['.repeat(1e4)}"token"${']'.repeat(1e4)}`])(
    'reads nothing in what is no such event: %.40s',
    (text) => {
      const tally = readText(text);
      expect([tally.sum(), tally.hasUnread, tally.hasInvalidCounts]).toEqual([undefined, false, false]);
    },
  );
});
