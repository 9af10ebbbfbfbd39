/** Which rule befalls a request: order, counts, and chance that repeats itself. */
import { describe, expect, it } from 'vitest';
import { type FaultRule, parseFaultRule } from '../../src/faults/grammar.ts';
import { FaultSet } from '../../src/faults/fault-set.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';

function rule(text: string): FaultRule {
  const parsed = parseFaultRule(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed;
}

function open(rules: readonly string[], seed = 1): FaultSet {
  return new FaultSet(rules.map(rule), seed);
}

function takeEarly(set: FaultSet, count: number, model = 'amazon.nova-lite-v1:0'): (string | undefined)[] {
  return Array.from({ length: count }, () => set.take('early', () => aLedgerRow({ model }))?.mark);
}

describe('counts', () => {
  it.each([
    { text: 'throttle', marks: ['throttle#1', 'throttle#2', 'throttle#3', 'throttle#4', 'throttle#5', 'throttle#6'] },
    { text: 'throttle count=1', marks: ['throttle#1', undefined, undefined, undefined, undefined, undefined] },
    { text: 'throttle every=3', marks: [undefined, undefined, 'throttle#1', undefined, undefined, 'throttle#2'] },
    { text: 'throttle after=4', marks: [undefined, undefined, undefined, undefined, 'throttle#1', 'throttle#2'] },
    {
      text: 'throttle after=1 every=2 count=1',
      marks: [undefined, undefined, 'throttle#1', undefined, undefined, undefined],
    },
  ])('$text', ({ text, marks }) => {
    expect(takeEarly(open([text]), 6)).toEqual(marks);
  });
});

it('takes the first rule that strikes, and counts what it looked at', () => {
  const set = open(['throttle count=1 where model:*nova*', 'internal', 'empty']);
  expect(takeEarly(set, 2)).toEqual(['throttle#1', 'internal#1']);
  expect(takeEarly(set, 1, 'anthropic.claude')).toEqual(['internal#2']);
  expect(set.take('late', () => aLedgerRow())?.mark).toBe('empty#1');
  expect(set.readCounts()).toEqual([
    { fault: 'throttle count=1 where model:*nova*', matched: 2, injected: 1 },
    { fault: 'internal', matched: 2, injected: 2 },
    { fault: 'empty', matched: 1, injected: 1 },
  ]);
});

describe('chance', () => {
  it('is the same with the same seed, whatever comes between, and another one with another seed', () => {
    const alone = takeEarly(open(['throttle p=0.5 where model:*nova*'], 7), 50);
    const set = open(['throttle p=0.5 where model:*nova*', 'internal p=0.5'], 7);
    const amongOthers = Array.from({ length: 50 }, () => {
      set.take('early', () => aLedgerRow({ model: 'other' }));
      return set.take('early', () => aLedgerRow())?.mark;
    }).map((mark) => (mark?.startsWith('throttle') === true ? mark : undefined));
    expect(amongOthers).toEqual(alone);
    expect(takeEarly(open(['throttle p=0.5 where model:*nova*'], 8), 50)).not.toEqual(alone);
  });

  it('is about as often as it says', () => {
    const struck = takeEarly(open(['throttle p=0.2']), 2000).filter((mark) => mark !== undefined).length;
    expect(struck).toBeGreaterThan(330);
    expect(struck).toBeLessThan(470);
    expect(takeEarly(open(['throttle p=0']), 100).every((mark) => mark === undefined)).toBe(true);
  });
});
