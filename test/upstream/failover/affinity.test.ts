import { describe, expect, it } from 'vitest';
import { monotonicClock } from '../../../src/lib/clock.ts';
import { Affinity, rankByWeight } from '../../../src/upstream/failover/affinity.ts';

describe('where a prefix was served', () => {
  it('is remembered for an hour after its last use, the longest first', () => {
    let now = 0;
    const affinity = new Affinity(monotonicClock(() => now));
    affinity.remember(['long', 'short'], 'one', false);
    affinity.remember(['other', 'short'], 'two', false);
    expect(affinity.find(['long', 'short'])).toBe('one');
    expect(affinity.find(['unknown', 'short'])).toBe('two');
    now = 3_599_999;
    affinity.remember(['long'], 'one', false);
    now = 3_600_000;
    expect([affinity.find(['long']), affinity.find(['short'])]).toEqual(['one', undefined]);
  });

  it('is remembered for five minutes at an upstream of last resort, however often it is used', () => {
    let now = 0;
    const affinity = new Affinity(monotonicClock(() => now));
    for (; now < 300_000; now += 10_000) affinity.remember(['p'], 'guest', true);
    expect(affinity.find(['p'])).toBe(undefined);
  });

  it('is forgotten if fifty thousand others have come since', () => {
    const affinity = new Affinity(monotonicClock(() => 0));
    affinity.remember(['p'], 'one', false);
    for (let index = 0; index < 50_000; index += 1) affinity.remember([`p${index}`], 'one', false);
    expect([affinity.find(['p']), affinity.find(['p0'])]).toEqual([undefined, 'one']);
  });
});

describe('the order by weight', () => {
  const MANY = Array.from({ length: 4_000 }, (_, index) => `prefix ${index}`);
  const UPSTREAMS = [
    { name: 'a', weight: 3 },
    { name: 'b', weight: 1 },
    { name: 'last', weight: 0 },
    { name: 'very last', weight: 0 },
  ];

  it('gives each its share, and those without one the last places', () => {
    const ranked = MANY.map((prefix) => rankByWeight(prefix, UPSTREAMS).map(({ name }) => name));
    const share = ranked.filter(([first]) => first === 'a').length / MANY.length;
    expect(share).toBeCloseTo(0.75, 1);
    expect(ranked.every((names) => names.slice(2).join() === 'last,very last')).toBe(true);
  });

  it('changes for no other prefix if one goes', () => {
    const without = UPSTREAMS.filter(({ name }) => name !== 'b');
    for (const prefix of MANY) {
      const [first] = rankByWeight(prefix, UPSTREAMS);
      if (first?.name !== 'b') expect(rankByWeight(prefix, without)[0]).toBe(first);
    }
  });
});
