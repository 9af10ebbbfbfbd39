/**
 * Token counts of the offline Bedrock: no model's tokenizer, but near enough to look right, and always the same for the
 * same text.
 */
import { createHash } from 'node:crypto';

/** Up to four letters or digits, or one other character, with the whitespace before; or whitespace at the end. */
const TOKEN = /\s*(?:[\p{L}\p{N}]{1,4}|\S)|\s+$/gu;

/** The tokens of a text. Joined, they are the text again. */
export function splitTokens(text: string): string[] {
  return text.match(TOKEN) ?? [];
}

/** How many tokens a text has. */
export function countTokens(text: string): number {
  return splitTokens(text).length;
}

/** The time a model would have taken for so many output tokens. */
export function estimateLatencyMs(outputTokens: number): number {
  return 120 + 12 * outputTokens;
}

/** An id that follows from a text: the prefix and so many of its hash's characters. */
export function stableId(prefix: string, text: string, length: number): string {
  const digits = createHash('sha512').update(text).digest('base64url').replaceAll(/[-_]/g, '');
  return prefix + digits.slice(0, length);
}

/** A UUID that follows from a text. */
export function stableUuid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
