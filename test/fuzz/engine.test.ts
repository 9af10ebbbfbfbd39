/** That the fuzzers can fail: bugs that were planted are found, and what was found once stays right. */
import { describe, expect, it } from 'vitest';
import { createRandom } from '../helpers/random.ts';
import { parsePlanted } from './planted/src/planted.ts';
import { fuzz, type FuzzTarget, tryInput } from './engine.ts';
import { findSeeds, FUZZ_TARGETS } from './seeds.ts';

const run = (target: Omit<FuzzTarget, 'name'>, seeds = ['seed'], milliseconds = 8_000) =>
  fuzz(
    { name: 'planted', ...target },
    { seeds: seeds.map((seed) => Buffer.from(seed)), random: createRandom(7), limits: { milliseconds, slowMs: 50 } },
  );

describe('a bug that was planted', () => {
  it('is found behind a word of the format', async () => {
    const words = ['"model":'];
    const { finding } = await run({ words, check: (input) => expect(input.includes('l":s')).toBe(false) });
    expect(finding?.message).toContain('expected true to be false');
    expect(finding?.input.includes('l":s')).toBe(true);
  });

  it('is found behind four comparisons, by the code that each input reaches', { timeout: 90_000 }, async () => {
    const { finding, corpus } = await run({ check: parsePlanted }, ['seed'], 60_000);
    expect(finding?.message).toContain('planted');
    expect(finding?.input.subarray(0, 4).toString()).toBe('FUZZ');
    expect(corpus).toBeGreaterThan(1);
  });

  it('is found if it is slow', async () => {
    const target = { name: 'slow', check: (input: Buffer) => burn(input.length > 5 ? 60 : 0) };
    expect((await tryInput(target, Buffer.from('123456'), 50))?.message).toMatch(/took \d+ ms/);
    expect(await tryInput(target, Buffer.from('12345'), 50)).toBeUndefined();
  });

  it('is found if it shows later', async () => {
    const target = { name: 'later', check: () => Promise.reject(new Error('planted')) };
    expect((await tryInput(target, Buffer.from('a'), 50))?.message).toContain('planted');
  });

  it('is found if it changes what it was given', async () => {
    const target = { name: 'scribbler', check: (input: Buffer) => void input.fill(0) };
    expect((await tryInput(target, Buffer.from('a'), 50))?.message).toBe('the input was changed');
  });

  it('is not found where there is none, and the seeds are run', async () => {
    const seen = new Set<string>();
    const { finding, runs } = await run({ check: (input) => void seen.add(input.toString()) }, ['one', 'two'], 200);
    expect(finding).toBeUndefined();
    expect(runs).toBeGreaterThan(2);
    expect([seen.has('one'), seen.has('two')]).toEqual([true, true]);
  });
});

it.each(FUZZ_TARGETS.map((target) => [target.name, target] as const))(
  'takes every seed of %s',
  async (_name, target) => {
    const seeds = findSeeds(target);
    expect(seeds.length).toBeGreaterThan(0);
    for (const seed of seeds) expect(await tryInput(target, seed, 1_000)).toBeUndefined();
  },
);

function burn(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}
