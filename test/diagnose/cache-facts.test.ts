import { describe, expect, it } from 'vitest';
import { CACHE_FACTS, findCacheFacts, readCacheFacts } from '../../src/diagnose/cache-facts.ts';
import { MODEL_ROWS } from '../../src/upstream/offline/model-table.ts';

describe('what is known of caches', () => {
  it.each([
    ['us.anthropic.claude-opus-5', 512],
    ['anthropic.claude-opus-4-20250514-v1:0', 1024],
    ['anthropic.claude-opus-4-1-20250805-v1:0', 1024],
    ['global.anthropic.claude-opus-4-7', 4096],
    ['arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-haiku-20241022-v1:0', 2048],
    ['amazon.nova-pro-v1:0', 1000],
    ['openai.gpt-oss-20b-1:0', undefined],
    ['meta.llama3-70b-instruct-v1:0', undefined],
  ])('of %s: %s tokens', (model, minTokens) => {
    expect(findCacheFacts(CACHE_FACTS, model)?.minTokens).toBe(minTokens);
  });

  it('is what the offline Bedrock goes by, of Claude and Nova', () => {
    for (const [id, , , , cacheTokens] of MODEL_ROWS) {
      if (cacheTokens === undefined || !/claude|nova/.test(id)) continue;
      expect([id, findCacheFacts(CACHE_FACTS, id)?.minTokens]).toEqual([id, cacheTokens]);
    }
  });
});

const read = (file: unknown) => readCacheFacts(JSON.stringify(file), 'facts.json');

describe('a file of facts', () => {
  it('is asked first, and has from the table what it leaves out', () => {
    const facts = read({
      as_of: '2026-12-24',
      lookback: 30,
      models: { 'anthropic.claude-opus-5*': { min_tokens: 1024 } },
    });
    expect(facts).toMatchObject({ asOf: '2026-12-24', lookback: 30, maxMarkers: 4 });
    expect(findCacheFacts(facts, 'us.anthropic.claude-opus-5')).toMatchObject({ minTokens: 1024, ttls: ['5m', '1h'] });
    expect(findCacheFacts(facts, 'anthropic.claude-sonnet-5')?.minTokens).toBe(1024);
    const none = read({ models: { 'amazon.nova-*': { min_tokens: null } } });
    expect(findCacheFacts(none, 'amazon.nova-lite-v1:0')?.minTokens).toBeUndefined();
  });

  it.each([
    [[], 'must hold a JSON object'],
    [{ lookahead: 3 }, '"lookahead"'],
    [{ as_of: 'today' }, 'as_of'],
    [{ lookback: 0 }, 'lookback'],
    [{ models: { a: { min_tokens: 'many' } } }, 'min_tokens'],
    [{ models: { a: { ttls: ['2h'] } } }, 'ttls'],
    [{ models: { a: { fields: ['tail'] } } }, 'fields'],
  ])('is refused if it is %j', (file, named) => {
    expect(() => read(file)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_OPTION', message: expect.stringContaining(named) }),
    );
  });

  it('is refused if it is no JSON', () => {
    expect(() => readCacheFacts('{', 'facts.json')).toThrow('is not JSON');
  });
});
