import { describe, expect, it } from 'vitest';
import * as places from '../../src/metering/usage-places.ts';
import { Tally } from '../../src/metering/usage-tally.ts';

const TABLES = Object.entries(places).flatMap(([name, value]) =>
  typeof value === 'function' ? [] : [{ name, value }],
);

function scan(table: places.Places, value: unknown): Tally {
  const tally = new Tally();
  expect(places.scanText(table, Buffer.from(JSON.stringify(value)), tally)).toBe(true);
  return tally;
}

/** A document with `value` at `path`. */
function documentAt(path: string, value: unknown): unknown {
  return path
    .replaceAll('[]', '.[]')
    .split('.')
    .reduceRight((inner, step) => (step === '[]' ? [inner] : { [step === '*' ? 'any' : step]: inner }), value);
}

describe('every place', () => {
  const all = TABLES.flatMap(({ name, value }) => [...value.sinks.keys()].map((path) => ({ name, path, value })));

  it.each(all)('of $name takes a value: $path', ({ path, value }) => {
    const isName = /(?:tier|latency|invokedModelId|foundationModel|ttl|\.type)$/i.test(path);
    const tally = scan(value, documentAt(path, isName ? 'one' : 3));
    const found = [tally.sum(), tally.serviceTier, tally.latency, tally.model].filter((what) => what !== undefined);
    // Half of a class says nothing, and speech that is part of nothing is a lie.
    if (/cacheDetails/.test(path)) expect([found.length, tally.hasInvalidCounts]).toEqual([0, false]);
    else if (/audio|speech/.test(path)) expect([found.length, tally.hasInvalidCounts]).toEqual([0, true]);
    else expect([found.length, tally.hasInvalidCounts]).toEqual([1, false]);
  });

  it.each(all)('of $name says nothing with null: $path', ({ path, value }) => {
    const tally = scan(value, documentAt(path, null));
    expect([tally.sum(), tally.hasInvalidCounts, tally.isFinal, tally.isLast]).toEqual([
      undefined,
      false,
      false,
      false,
    ]);
  });
});

describe('the last word on usage', () => {
  it("is AWS's metrics, and no count of a model", () => {
    const metrics = { 'amazon-bedrock-invocationMetrics': { inputTokenCount: 1 } };
    expect(scan(places.INVOKE_CHUNK, metrics).isLast).toBe(true);
    expect(scan(places.INVOKE_CHUNK, { usage: { output_tokens: 1 } }).isLast).toBe(false);
  });

  it('is not said at the beginning of a message', () => {
    const start = { message: { usage: { input_tokens: 1, output_tokens: 1 } } };
    expect(scan(places.MESSAGE_EVENT, start).isFinal).toBe(false);
    expect(scan(places.INVOKE_CHUNK, start).isFinal).toBe(false);
    expect(scan(places.MESSAGE_EVENT, { usage: { output_tokens: 1 } }).isFinal).toBe(true);
  });
});
