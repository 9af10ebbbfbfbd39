/**
 * Patterns in which `*` stands for any characters, none included, and everything else for itself, case included.
 * Written by owners, held against text that clients choose: so there is no regular expression, and no text that takes
 * long.
 */

/**
 * Whether all of `text` is as `pattern` says. Each piece between two stars is looked for once, from left to right, and
 * never again: the time grows with the lengths, not with the number of ways to divide the text.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const [head = '', ...pieces] = pattern.split('*');
  const tail = pieces.pop();
  if (tail === undefined) return text === head;
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  const end = text.length - tail.length;
  let position = head.length;
  for (const piece of pieces) {
    const found = text.indexOf(piece, position);
    if (found === -1 || found + piece.length > end) return false;
    position = found + piece.length;
  }
  return true;
}

/** Whether one of the patterns says so. */
export function matchesAnyGlob(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => matchesGlob(pattern, text));
}

/** Whether a pattern matches every text there is: nothing but stars. */
export function matchesEverything(pattern: string): boolean {
  return /^\*+$/.test(pattern);
}
