/**
 * Text that a client or an upstream chose, on its way to a terminal, a log or a message: it must not move the cursor,
 * forge a line or hide. Pure.
 */

/**
 * Controls, format characters (direction overrides, zero-width ones), lone surrogates and line separators of Unicode.
 */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Characters of such a text that a message repeats. */
const MAX_SHOWN = 120;

/** Whether a text holds nothing that a terminal would not show as itself. */
export function isPrintable(text: string): boolean {
  return text.search(UNPRINTABLE) === -1;
}

/** For people: with `?` for what is not printable, and cut at `maxLength`. */
export function printable(text: string, maxLength = MAX_SHOWN): string {
  const clean = text.replaceAll(UNPRINTABLE, '?');
  // Half of a character is not printable.
  return clean.length <= maxLength ? clean : `${clean.slice(0, maxLength - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** The same in quotes, for a message: `"us-east-9"`. */
export function quote(text: string, maxLength = MAX_SHOWN): string {
  return JSON.stringify(printable(text, maxLength));
}

/** Of JSON text: escapes what JSON lets stand and a terminal would act on. */
export function escapeUnprintable(json: string): string {
  return json.replaceAll(UNPRINTABLE, escapeUnits);
}

function escapeUnits(text: string): string {
  return text
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
