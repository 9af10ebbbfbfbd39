/**
 * Regular expressions out of a cassette, which may come from a stranger: one that would take for ever is ended. Keeps
 * nothing of the texts.
 */
import { createContext, Script } from 'node:vm';
import { ProxyError } from '../lib/errors.ts';
import { quote } from '../lib/printable.ts';

/** What it works with: one for all, because a new one costs a millisecond. Empty in between. */
const GIVEN = createContext(Object.create(null));

/** A part of a text: from, and up to where. */
export type Span = readonly [start: number, end: number];

/** For all texts of a request together. */
const TIMEOUT_MS = 1_000;

/** V8 looks at the limit while an expression runs back and forth, which no check around it could. */
const FIND = new Script(
  'texts.map((text) => Array.from(text.matchAll(pattern), ({ index, 0: found }) => [index, found.length]))',
);

/**
 * What a pattern, which has the flag `g`, matches in each of the texts; matches of nothing are left out. Throws
 * ERR_CASSETTE_MISS if it takes more than a second: SDKs do not try that again.
 */
export function findSpans(pattern: RegExp, texts: readonly string[]): readonly (readonly Span[])[] {
  if (texts.length === 0) return [];
  try {
    Object.assign(GIVEN, { pattern, texts });
    const found: unknown = FIND.runInContext(GIVEN, { timeout: TIMEOUT_MS });
    return (found as [number, number][][]).map((spans) =>
      spans.filter(([, length]) => length > 0).map(([start, length]) => [start, start + length] as const),
    );
  } catch (error) {
    throw new ProxyError('ERR_CASSETTE_MISS', `A pattern of cassette.json takes too long: ${quote(pattern.source)}.`, {
      hint: 'Write it without repetitions of repetitions.',
      cause: error,
    });
  } finally {
    Object.assign(GIVEN, { pattern: undefined, texts: undefined });
  }
}

/** The text with each of the spans replaced, which stand in order. */
export function replaceSpans(
  text: string,
  spans: readonly Span[],
  replace: (part: string, span: Span) => string,
): string {
  let at = 0;
  let result = '';
  for (const span of spans) {
    result += text.slice(at, span[0]) + replace(text.slice(...span), span);
    at = span[1];
  }
  return result + text.slice(at);
}
