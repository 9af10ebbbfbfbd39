import { describe, expect, it } from 'vitest';
import {
  clip,
  clipModel,
  compactCount,
  formatAge,
  formatCount,
  formatMs,
  formatSpan,
  formatTime,
  isoTime,
} from '../../src/cli/format.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

describe('counts', () => {
  it.each([
    [0, '0', '0'],
    [999, '999', '999'],
    [1_000, '1.00k', '1,000'],
    [9_994, '9.99k', '9,994'],
    [9_996, '10.0k', '9,996'],
    [99_960, '100k', '99,960'],
    [999_499, '999k', '999,499'],
    [999_500, '1.00M', '999,500'],
    [12_345_678, '12.3M', '12,345,678'],
    [3_200_000_000, '3.20G', '3,200,000,000'],
  ])('%i is %s, in full %s', (count, compact, full) => {
    expect([compactCount(count), formatCount(count)]).toEqual([compact, full]);
    expect(compactCount(count).length).toBeLessThanOrEqual(5);
  });
});

describe('times', () => {
  it.each([
    [undefined, 'never', null],
    [0, '1970-01-01 00:00Z', '1970-01-01T00:00:00.000Z'],
    [1_700_000_000_123, '2023-11-14 22:13Z', '2023-11-14T22:13:20.123Z'],
  ])('%j is %s', (epochMs, shown, iso) => {
    expect([formatTime(epochMs), isoTime(epochMs)]).toEqual([shown, iso]);
  });

  it.each([
    [1, '1 min', 'just now'],
    [9 * MINUTE_MS + 1, '10 min', '9 min ago'],
    [119 * MINUTE_MS, '119 min', '119 min ago'],
    [2 * HOUR_MS, '2 h', '2 h ago'],
    [47 * HOUR_MS, '47 h', '47 h ago'],
    [3 * DAY_MS - 1, '3 d', '2 d ago'],
  ])('%i ms are %s, and %s', (ms, span, age) => {
    expect([formatSpan(ms), formatAge(1_000, 1_000 + ms)]).toEqual([span, age]);
  });

  it('tells of a time that never was', () => expect(formatAge(undefined, 0)).toBe('never'));

  it.each([
    [undefined, '-'],
    [0.4, '0ms'],
    [9_999, '9999ms'],
    [12_345, '12.3s'],
  ])('%j ms', (ms, shown) => expect(formatMs(ms)).toBe(shown));
});

describe('names that are too long', () => {
  it.each([
    ['alice', 5, 'alice'],
    ['alice', 4, 'ali…'],
  ])('%s in %i columns', (text, width, shown) => expect(clip(text, width)).toBe(shown));

  const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';

  it.each([
    [SONNET, 44, SONNET],
    [SONNET, 43, 'us.anthropic.claude-sonnet-4-5'],
    [SONNET, 29, 'anthropic.claude-sonnet-4-5'],
    [SONNET, 26, 'claude-sonnet-4-5'],
    [SONNET, 10, 'claude-so…'],
    [`arn:aws:bedrock:us-east-1::foundation-model/${SONNET}`, 60, SONNET],
    ['arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef123456', 20, 'abcdef123456'],
    ['amazon.titan-embed-text-v2:0', 24, 'amazon.titan-embed-text'],
    ['anthropic.claude-3-haiku-20240307-v1:0:48k', 26, 'anthropic.claude-3-haiku'],
    ['mistral.mistral-large-2402-v1:0', 20, 'mistral-large-2402'],
  ])('%s in %i columns is %s', (model, width, shown) => expect(clipModel(model, width)).toBe(shown));
});
