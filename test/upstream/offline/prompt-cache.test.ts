import { describe, expect, it } from 'vitest';
import { findCheckpointProblem, PromptCache, type PromptSegment } from '../../../src/upstream/offline/prompt-cache.ts';

const CLAUDE = 'anthropic.claude-sonnet-4-5-20250929-v1:0';
const LONG: PromptSegment = { text: 'a long document', tokens: 2000, checkpoint: '5m' };
const QUESTION: PromptSegment = { text: 'a question', tokens: 10 };
const MINUTE = 60_000;

function cacheAt() {
  const cache = new PromptCache();
  return (segments: readonly PromptSegment[], nowMs = 0, leastTokens = 1024) =>
    cache.use(segments, { scope: 'm', leastTokens, nowMs });
}

describe('the prompt cache', () => {
  it('writes what is new up to the checkpoint, and reads it the next time', () => {
    const use = cacheAt();
    expect(use([LONG, QUESTION])).toEqual({ input: 10, read: 0, written: { '5m': 2000, '1h': 0 } });
    expect(use([LONG, { text: 'another', tokens: 7 }])).toEqual({
      input: 7,
      read: 2000,
      written: { '5m': 0, '1h': 0 },
    });
  });

  it.each([
    { name: 'less than the model keeps', segments: [{ ...LONG, tokens: 1023 }, QUESTION], input: 1033 },
    { name: 'no checkpoint', segments: [{ text: 'a', tokens: 2000 }], input: 2000 },
  ])('writes nothing of a prompt with $name', ({ segments, input }) => {
    const use = cacheAt();
    expect([use(segments), use(segments)]).toEqual(
      [1, 2].map(() => ({ input, read: 0, written: { '5m': 0, '1h': 0 } })),
    );
  });

  it('writes nothing for a model without a cache', () => {
    expect(cacheAt()([LONG], 0, 0)).toMatchObject({ input: 2000, read: 0 });
  });

  it('forgets after five minutes without a use, or after an hour', () => {
    const use = cacheAt();
    use([LONG]);
    expect(use([LONG], 4 * MINUTE).read).toBe(2000);
    expect(use([LONG], 8 * MINUTE).read).toBe(2000);
    expect(use([LONG], 13 * MINUTE).read).toBe(0);
    const hour = [{ ...LONG, text: 'other', checkpoint: '1h' as const }];
    expect(use(hour).written).toEqual({ '5m': 0, '1h': 2000 });
    expect(use(hour, 59 * MINUTE).read).toBe(2000);
  });

  it('reads as far as prompts are the same, and writes the rest for as long as each checkpoint says', () => {
    const use = cacheAt();
    const first: PromptSegment = { ...LONG, checkpoint: '1h' };
    use([first]);
    const second: PromptSegment = { text: 'more', tokens: 500, checkpoint: '5m' };
    expect(use([first, second, QUESTION])).toEqual({ input: 10, read: 2000, written: { '5m': 500, '1h': 0 } });
    expect(use([{ ...first, text: 'changed' }, second])).toMatchObject({ read: 0, written: { '5m': 500, '1h': 2000 } });
  });

  it('finds an earlier checkpoint of a conversation that grew, up to twenty parts back', () => {
    const use = cacheAt();
    use([LONG]);
    const turns = Array.from({ length: 19 }, (_, index): PromptSegment => ({ text: `turn ${index}`, tokens: 1 }));
    const last: PromptSegment = { text: 'last', tokens: 1, checkpoint: '5m' };
    const { checkpoint: _, ...unmarked } = LONG;
    expect(use([unmarked, ...turns, last]).read).toBe(2000);
    const further = [...turns, { text: 'one more', tokens: 1 }];
    expect(cacheAt()([unmarked, ...further, last]).read).toBe(0);
  });

  it('is of one model', () => {
    const cache = new PromptCache();
    cache.use([LONG], { scope: 'a', leastTokens: 1024, nowMs: 0 });
    expect(cache.use([LONG], { scope: 'b', leastTokens: 1024, nowMs: 0 }).read).toBe(0);
  });
});

describe('findCheckpointProblem', () => {
  it('takes four checkpoints and refuses five', () => {
    expect(findCheckpointProblem(['5m', '5m', '5m', '5m'], CLAUDE)).toBeUndefined();
    expect(findCheckpointProblem(['5m', '5m', '5m', '5m', '5m'], CLAUDE)).toContain('Found 5');
  });

  it('takes an hour before five minutes, of a model that keeps an hour', () => {
    expect(findCheckpointProblem(['1h', '5m'], CLAUDE)).toBeUndefined();
    expect(findCheckpointProblem(['5m', '1h'], CLAUDE)).toContain('must not come after');
    expect(findCheckpointProblem(['1h'], 'anthropic.claude-3-7-sonnet-20250219-v1:0')).toContain('1h');
  });
});
