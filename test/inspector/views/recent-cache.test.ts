/** What is kept of bodies is bounded, however many there are. */
import { describe, expect, it } from 'vitest';
import { RecentCache } from '../../../src/inspector/views/recent-cache.ts';

describe('a cache of what is recent', () => {
  it('has the last ones, and at most twice what it may', () => {
    const cache = new RecentCache<object, number>(100);
    const keys = Array.from({ length: 1_000 }, () => ({}));
    for (const [at, key] of keys.entries()) cache.keep(key, at, { size: 10, added: 10 });
    const found = keys.map((key) => cache.find(key)).filter((value) => value !== undefined);
    expect(found.length).toBeLessThanOrEqual(22);
    expect(found).toContain(999);
    expect(found).not.toContain(0);
  });

  it('counts what grows once', () => {
    const cache = new RecentCache<object, string[]>(100);
    const [first, growing] = [{}, {}];
    cache.keep(first, [], { size: 1, added: 1 });
    const value: string[] = [];
    for (let size = 1; size < 90; size += 1) cache.keep(growing, value, { size, added: 1 });
    expect(cache.find(first)).toBeDefined();
  });
});
