import { describe, expect, it } from 'vitest';
import { countQuotaTokens, findBurndownRate } from '../../src/admission/burndown.ts';

describe('findBurndownRate', () => {
  it.each([
    ['us.anthropic.claude-3-7-sonnet-20250219-v1:0', 5],
    ['anthropic.claude-sonnet-4-20250514-v1:0', 5],
    ['global.anthropic.claude-haiku-4-5-20251001-v1:0', 5],
    ['arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-7', 5],
    ['anthropic.claude-fable-5-1', 5],
    ['claude-opus-5-5', 5],
    ['anthropic.claude-3-5-sonnet-20241022-v2:0', 1],
    ['anthropic.claude-3-haiku-20240307-v1:0', 1],
    ['anthropic.claude-instant-v1', 1],
    ['anthropic.claude-v2:1', 1],
    ['us.amazon.nova-pro-v1:0', 1],
    ['openai.gpt-oss-120b-1:0', 1],
    ['custom.my-claude-4', 1],
    ['', 1],
  ])('counts a token of output of %s as %i', (model, rate) => expect(findBurndownRate(model)).toBe(rate));
});

describe('countQuotaTokens', () => {
  const claude = ['us.anthropic.claude-sonnet-4-5-20250929-v1:0'];

  it.each([
    ['leaves out what caches served', { inputTokens: 900, outputTokens: 400, cacheReadTokens: 150_000 }, [], 1_300],
    ['counts what was written to caches', { inputTokens: 9, outputTokens: 4, cacheWriteTokens: 500 }, [], 513],
    ['weighs the output by the rate of the model', { inputTokens: 900, outputTokens: 400 }, claude, 2_900],
    ['takes the highest rate of several models', { outputTokens: 10 }, ['amazon.nova-lite-v1:0', ...claude], 50],
    ['counts a request that caches served in full as nothing', { cacheReadTokens: 70 }, claude, 0],
    ['knows nothing if nothing was reported', {}, claude, undefined],
    ['knows nothing without usage', undefined, claude, undefined],
  ])('%s', (_name, usage, models, tokens) => expect(countQuotaTokens(usage, models)).toBe(tokens));
});
