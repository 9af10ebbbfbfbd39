import { describe, expect, it } from 'vitest';
import {
  clip,
  clipModel,
  compactBytes,
  compactCount,
  formatAge,
  formatCount,
  formatMs,
  formatSpan,
  formatTag,
  formatTime,
  isoTime,
} from '../../src/lib/format.ts';

it.each([
  [0, '0'],
  [999, '999'],
  [1_000, '1.00k'],
  [9_994, '9.99k'],
  [9_996, '10.0k'],
  [99_960, '100k'],
  [999_499, '999k'],
  [999_500, '1.00M'],
  [12_345_678, '12.3M'],
  [3_200_000_000, '3.20G'],
])('writes the count %i as %s', (count, compact) => {
  expect([compactCount(count), compactBytes(count)]).toEqual([compact, `${compact}B`]);
  expect(compactCount(count).length).toBeLessThanOrEqual(5);
});

it.each([
  [undefined, '-'],
  [0, '0.0ms'],
  [0.44, '0.4ms'],
  [9.94, '9.9ms'],
  [9.96, '10ms'],
  [9_999, '9999ms'],
  [9_999.6, '10.0s'],
  [12_345, '12.3s'],
])('writes %j ms as %s', (ms, shown) => expect(formatMs(ms)).toBe(shown));

describe('names that are too long', () => {
  it.each([
    ['alice', 5, 'alice'],
    ['alice', 4, 'ali…'],
  ])('cuts the name %s for %i columns', (text, width, shown) => expect(clip(text, width)).toBe(shown));

  it('shows what a terminal would act on as `?`', () => {
    expect(clip('\u001b[2J\u202eevil', 40)).toBe('?[2J?evil');
    expect(clip('\u001b[2J\u202eevil', 4)).toBe('?[2…');
  });

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
    ['a\u001b[2J\u202eevil\n', 40, 'a?[2J?evil?'],
    ['anthropic.\u001b[2J-20240307-v1:0', 12, '?[2J'],
  ])('shows the model %s in %i columns as %s', (model, width, shown) => expect(clipModel(model, width)).toBe(shown));
});

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

it('writes a count in full', () => expect(formatCount(12_345_678)).toBe('12,345,678'));

describe('times', () => {
  it.each([
    [undefined, 'never', null],
    [0, '1970-01-01 00:00Z', '1970-01-01T00:00:00.000Z'],
    [1_700_000_000_123, '2023-11-14 22:13Z', '2023-11-14T22:13:20.123Z'],
  ])('writes the time %j as %s', (epochMs, shown, iso) => {
    expect([formatTime(epochMs), isoTime(epochMs)]).toEqual([shown, iso]);
  });

  it.each([
    [1, '1 min', 'just now'],
    [9 * MINUTE_MS + 1, '10 min', '9 min ago'],
    [119 * MINUTE_MS, '119 min', '119 min ago'],
    [2 * HOUR_MS, '2 h', '2 h ago'],
    [47 * HOUR_MS, '47 h', '47 h ago'],
    [3 * DAY_MS - 1, '3 d', '2 d ago'],
  ])('writes the length of %i ms as %s, and as %s', (ms, span, age) => {
    expect([formatSpan(ms), formatAge(1_000, 1_000 + ms)]).toEqual([span, age]);
  });

  it('says that a time never was', () => expect(formatAge(undefined, 0)).toBe('never'));
});

it('writes a tag without a value as its name', () => {
  expect([formatTag(['team', 'search']), formatTag(['ci', ''])]).toEqual(['team=search', 'ci']);
});
