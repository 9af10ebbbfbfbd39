/** Text as PostgreSQL takes it. Pure. */

/** Whatever holds, as JSON, what PostgreSQL refuses: NUL, or half a character. */
const REFUSED = /\\u(?:0000|d[89a-f])/i;

/** NUL and halves of characters become U+FFFD. */
export function toStorableText(text: string): string {
  return text.replaceAll('\0', '\u{fffd}').toWellFormed();
}

/** The same for all texts in a value, names of fields included. Returns the value itself if it has none of them. */
export function toStorable<T>(value: T): T {
  if (!REFUSED.test(JSON.stringify(value))) return value;
  // Of the same shape as the value.
  return replaceTexts(value) as T;
}

function replaceTexts(value: unknown): unknown {
  if (typeof value === 'string') return toStorableText(value);
  if (Array.isArray(value)) return value.map(replaceTexts);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [toStorableText(name), replaceTexts(item)]));
}
