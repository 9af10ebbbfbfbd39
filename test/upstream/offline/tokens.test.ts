import { expect, it } from 'vitest';
import { countTokens, splitTokens, stableId, stableUuid } from '../../../src/upstream/offline/tokens.ts';

it.each([
  { text: '', count: 0 },
  { text: 'hi', count: 1 },
  { text: 'hello', count: 2 },
  { text: 'Hello, world!', count: 6 },
  { text: '  spaces \n', count: 3 },
  { text: '\u{1f600}\u{1f600}', count: 2 },
  { text: 'gr\u00fc\u00dfe', count: 2 },
])('splits $text into $count tokens that make it again', ({ text, count }) => {
  expect(countTokens(text)).toBe(count);
  expect(splitTokens(text).join('')).toBe(text);
});

it('makes ids that follow from their text alone', () => {
  expect(stableId('msg_', 'a', 24)).toMatch(/^msg_[A-Za-z0-9]{24}$/);
  expect(stableId('', 'a', 22)).toBe(stableId('', 'a', 22));
  expect(stableId('', 'a', 22)).not.toBe(stableId('', 'b', 22));
  expect(stableUuid('a')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
});
