/**
 * A body to be edited: JSON of one line is shown in several, and gets its own spacing again when it is sent, so that
 * what was not edited keeps its bytes, as a cache of prompts wants. Numbers and escapes stay as they were written.
 * Anything else is edited as it came. Pure.
 */

/** What is shown of a body, and how an edited text becomes a body again. */
export interface ShownBody {
  readonly text: string;
  readonly restore: (edited: string) => string;
}

interface Token {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const STEP = '  ';

/** `escape`: writes characters of a text that one does not see. */
export function showBody(original: string, escape: (text: string) => string): ShownBody {
  if (!isJson(original) || original.trim().includes('\n')) {
    const hasReturns = original.includes('\r\n') && !/(?<!\r)\n/.test(original);
    // A field of a page knows one end of lines only.
    return {
      text: original.replaceAll('\r\n', '\n'),
      restore: (edited) => (hasReturns ? edited.replaceAll('\n', '\r\n') : edited),
    };
  }
  const tokens = readTokens(original);
  const shown = tokens.map(({ text }) => escape(text));
  return { text: print(shown), restore: (edited) => restore(original, { tokens, shown, edited }) };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function readTokens(text: string): Token[] {
  return [...text.matchAll(TOKEN)].map(({ 0: token, index }) => ({
    text: token,
    start: index,
    end: index + token.length,
  }));
}

function print(tokens: readonly string[]): string {
  let indent = '';
  let printed = '';
  for (const [at, token] of tokens.entries()) {
    const before = tokens[at - 1] ?? '';
    const isClosing = token === '}' || token === ']';
    const isEmpty = isClosing && (before === '{' || before === '[');
    if (isClosing) indent = indent.slice(STEP.length);
    if (!isEmpty && (isClosing || ['{', '[', ','].includes(before))) printed += `\n${indent}`;
    else if (before === ':') printed += ' ';
    if (token === '{' || token === '[') indent += STEP;
    printed += token;
  }
  return printed;
}

/** What is the same at the beginning and at the end is taken from the original; between, spacing is as it is there. */
function restore(
  original: string,
  { tokens, shown, edited }: { tokens: readonly Token[]; shown: readonly string[]; edited: string },
): string {
  const now = readTokens(edited).map(({ text }) => text);
  const shorter = Math.min(shown.length, now.length);
  let first = 0;
  while (first < shorter && shown[first] === now[first]) first += 1;
  let last = 0;
  while (last < shorter - first && shown.at(-1 - last) === now.at(-1 - last)) last += 1;
  if (first === shown.length && first === now.length) return original;
  const written = new Map(shown.map((text, at) => [text, tokens[at]?.text ?? text]));
  const spaces = readSpaces(original, tokens);
  let middle = '';
  let before = shown[first - 1];
  for (const token of now.slice(first, now.length - last)) {
    middle += (spaces[before ?? ''] ?? '') + (written.get(token) ?? token);
    before = token;
  }
  const head = original.slice(0, first === 0 ? tokens[0]?.start : tokens[first - 1]?.end);
  const after = tokens[tokens.length - last];
  const tail = after === undefined ? original.slice(tokens.at(-1)?.end) : original.slice(after.start);
  return head + middle + (after === undefined ? '' : (spaces[before ?? ''] ?? '')) + tail;
}

/** What stands behind the first comma, and behind the first colon. */
function readSpaces(original: string, tokens: readonly Token[]): Readonly<Record<string, string>> {
  const behind = (sign: string): string => {
    const at = tokens.findIndex(({ text }) => text === sign);
    return at === -1 ? '' : original.slice(tokens[at]?.end, tokens[at + 1]?.start);
  };
  return { ',': behind(','), ':': behind(':') };
}
