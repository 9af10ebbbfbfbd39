import { describe, expect, it } from 'vitest';
import { JsonReader } from '../../src/metering/usage-json.ts';
import { CONVERSE } from '../../src/metering/usage-places.ts';
import { Tally } from '../../src/metering/usage-tally.ts';

const RESPONSE = '{"output":{"text":"Hello"},"usage":{"inputTokens":1,"outputTokens":2}}';

function read(text: string, isWhole = true): { isAll: boolean; textBytes: number; tally: Tally } {
  const tally = new Tally();
  const reader = new JsonReader(CONVERSE, tally);
  reader.read(Buffer.from(text));
  return { isAll: reader.finish(isWhole), textBytes: reader.textBytes, tally };
}

describe('JsonReader', () => {
  it('has all of the usage where the text is whole and has it', () => {
    const { isAll, textBytes, tally } = read(RESPONSE);
    expect([isAll, textBytes, tally.sum()]).toEqual([true, 5, { inputTokens: 1, outputTokens: 2 }]);
  });

  it.each([
    ['it has no usage', '{"output":{}}', true],
    ['its usage is null', '{"usage":{"inputTokens":null}}', true],
    ['it is cut', RESPONSE.slice(0, -1), true],
    ['more comes after it', `${RESPONSE}{}`, true],
    ['the connection broke, even after its last byte', RESPONSE, false],
    ['it is empty', '', true],
  ])('has not where %s', (_name, text, isWhole) => {
    expect(read(text, isWhole).isAll).toBe(false);
  });
});
