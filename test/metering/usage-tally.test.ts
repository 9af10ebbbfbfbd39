import { describe, expect, it } from 'vitest';
import { type Count, MAX_COUNT, Tally } from '../../src/metering/usage-tally.ts';
import type { Usage } from '../../src/domain/usage.ts';

function tallyOf(counts: Partial<Record<Count, number>>): Tally {
  const tally = new Tally();
  for (const [count, value] of Object.entries(counts)) tally.put(count as Count, value);
  return tally;
}

const SUMS: readonly { name: string; counts: Partial<Record<Count, number>>; usage: Usage | undefined }[] = [
  { name: 'nothing from nothing', counts: {}, usage: undefined },
  { name: 'zero is a count', counts: { inputTokens: 0 }, usage: { inputTokens: 0 } },
  {
    name: "AWS's counts before the model's",
    counts: { awsInputTokens: 1, inputTokens: 2, awsOutputTokens: 3, outputTokens: 4, cacheReadTokens: 5 },
    usage: { inputTokens: 1, outputTokens: 3, cacheReadTokens: 5 },
  },
  {
    name: "OpenAI's input without what the cache served and took",
    counts: { promptTokens: 100, promptCachedTokens: 60, promptStoredTokens: 30 },
    usage: { inputTokens: 10, cacheReadTokens: 60, cacheWriteTokens: 30 },
  },
  {
    name: "AWS's input where it is not the prompt",
    counts: { awsInputTokens: 40, promptTokens: 100, promptCachedTokens: 60 },
    usage: { inputTokens: 40, cacheReadTokens: 60 },
  },
  {
    name: "AWS's input where AWS tells of the cache itself",
    counts: { awsInputTokens: 100, awsCacheReadTokens: 7, promptTokens: 100, promptCachedTokens: 60 },
    usage: { inputTokens: 100, cacheReadTokens: 7 },
  },
  {
    name: 'a cache write from its classes',
    counts: { cacheWrite5mTokens: 3, cacheWrite1hTokens: 4 },
    usage: { cacheWriteTokens: 7, cacheWrite1hTokens: 4 },
  },
  {
    name: 'speech as a part',
    counts: { inputTokens: 9, inputAudioTokens: 9, outputTokens: 8, outputAudioTokens: 0 },
    usage: { inputTokens: 9, inputAudioTokens: 9, outputTokens: 8, outputAudioTokens: 0 },
  },
];

const LIES: readonly { name: string; counts: Partial<Record<Count, number>>; usage: Usage | undefined }[] = [
  {
    name: 'more from the cache than there was',
    counts: { promptTokens: 5, promptCachedTokens: 6 },
    usage: { cacheReadTokens: 6 },
  },
  { name: 'more speech than input', counts: { inputTokens: 5, inputAudioTokens: 6 }, usage: { inputTokens: 5 } },
  {
    name: 'a class larger than the write',
    counts: { cacheWriteTokens: 5, cacheWrite1hTokens: 6 },
    usage: { cacheWriteTokens: 5 },
  },
  { name: 'a count over the limit', counts: { inputTokens: MAX_COUNT + 1 }, usage: undefined },
  { name: 'a negative count', counts: { inputTokens: -1 }, usage: undefined },
  { name: 'no number', counts: { inputTokens: NaN }, usage: undefined },
];

describe('the sum', () => {
  it.each(SUMS)('sums usage: $name', ({ counts, usage }) => {
    const tally = tallyOf(counts);
    expect(tally.sum()).toEqual(usage);
    expect(tally.hasInvalidCounts).toBe(false);
  });

  it.each(LIES)('leaves $name out of the sum, and remembers it', ({ counts, usage }) => {
    const tally = tallyOf(counts);
    expect(tally.sum()).toEqual(usage);
    expect(tally.hasInvalidCounts).toBe(true);
  });

  it('has no member without a value', () => {
    expect(Object.keys(tallyOf({ inputTokens: 1 }).sum() ?? {})).toEqual(['inputTokens']);
  });
});

describe('a count', () => {
  it('takes the newest count that was put, but for null and nonsense', () => {
    const tally = tallyOf({ outputTokens: 4 });
    tally.put('outputTokens', null);
    tally.put('outputTokens', undefined);
    expect(tally.hasInvalidCounts).toBe(false);
    tally.put('outputTokens', '9');
    expect([tally.sum(), tally.hasInvalidCounts]).toEqual([{ outputTokens: 4 }, true]);
  });

  it('adds counts up to the limit and no further', () => {
    const tally = new Tally();
    tally.add('outputTokens', MAX_COUNT - 1);
    tally.add('outputTokens', 1);
    expect([tally.sum(), tally.hasInvalidCounts]).toEqual([{ outputTokens: MAX_COUNT }, false]);
    tally.add('outputTokens', 1);
    expect([tally.sum(), tally.hasInvalidCounts]).toEqual([{ outputTokens: MAX_COUNT }, true]);
  });
});

describe('a count that is told', () => {
  it.each([
    ['put', { isFinal: true, isLast: false }],
    ['add', { isFinal: true, isLast: false }],
    ['putEarly', { isFinal: false, isLast: false }],
    ['addEarly', { isFinal: false, isLast: false }],
    ['putLast', { isFinal: true, isLast: true }],
  ] as const)('says by %s how final a count is, even if it is wrong; null says nothing', (put, expected) => {
    const told = new Tally();
    told[put]('inputTokens', null);
    told[put]('inputTokens', undefined);
    expect(told).toMatchObject({ isFinal: false, isLast: false });
    told[put]('inputTokens', -1);
    expect(told).toMatchObject(expected);
  });
});

describe('guardrail units', () => {
  const known = new Set(['topicPolicyUnits']);

  it('adds guardrail units up by name, and loses none without a known name', () => {
    const tally = new Tally();
    for (const topicPolicyUnits of [1, 2]) tally.addUnits({ topicPolicyUnits }, known);
    expect(tally.sum()).toEqual({ guardrailUnits: { topicPolicyUnits: 3 } });
    tally.addUnits({ newUnits: 3, otherUnits: 1 }, known);
    expect(tally.sum()).toEqual({ guardrailUnits: { topicPolicyUnits: 3, otherUnits: 4 } });
  });

  it('takes guardrail units without a known name for not final, and none of them for nothing', () => {
    const tally = new Tally();
    tally.addUnits({ newUnits: 0, more: null, nested: { units: 5 } }, known);
    expect([tally.sum(), tally.isFinal, tally.hasInvalidCounts]).toEqual([undefined, false, false]);
    tally.addUnits({ newUnits: 5 }, known);
    expect([tally.sum(), tally.isFinal]).toEqual([{ guardrailUnits: { otherUnits: 5 } }, false]);
  });

  it.each([-1, 1.5, '7', true, 1e13])('leaves out guardrail units that cannot be: %j', (value) => {
    for (const name of ['topicPolicyUnits', 'newUnits', '__proto__']) {
      const tally = new Tally();
      tally.addUnits(Object.fromEntries([[name, value]]), known);
      expect([tally.sum(), tally.hasInvalidCounts]).toEqual([undefined, true]);
    }
  });
});

describe('names', () => {
  it.each([
    ['PRIORITY', 'priority'],
    ['standard', 'default'],
    ['auto', undefined],
    ['', undefined],
    [5, undefined],
    [null, undefined],
    ['x'.repeat(2049), undefined],
  ])('keeps the name of a tier: %s', (value, tier) => {
    const tally = new Tally();
    tally.putServiceTier(value);
    expect(tally.serviceTier).toBe(tier);
  });

  it('counts the name of a model only while there is one', () => {
    const tally = new Tally();
    tally.putModel('one');
    tally.putModel('one');
    tally.putModel(null);
    expect(tally.model).toBe('one');
    tally.putModel('other');
    expect(tally.model).toBeUndefined();
  });
});
