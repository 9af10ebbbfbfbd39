/**
 * The vectors of the offline Bedrock. They mean little, but not nothing: each word has a direction of its own, so texts
 * that share words lie near each other. Pure and deterministic.
 */
import { createHash } from 'node:crypto';

/** A vector of length one: the sum of the directions of the text's words. */
export function vectorOf(text: string, dimensions: number): number[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [text];
  const sum: number[] = Array.from({ length: dimensions }, () => 0);
  for (const word of words) {
    for (const [index, value] of directionOf(word, dimensions).entries()) sum[index] = (sum[index] ?? 0) + value;
  }
  const length = Math.hypot(...sum);
  return sum.map((value) => Number((value / length).toFixed(8)));
}

/** How near two vectors are: about 0 for texts without a common word, 1 if they have the same; never negative. */
export function similarityOf(one: readonly number[], other: readonly number[]): number {
  const product = one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
  return Number(Math.min(1, Math.max(0, product)).toFixed(6));
}

/** A direction for a word: bytes of SHAKE256, each read as a number around zero and never zero itself. */
function directionOf(word: string, dimensions: number): number[] {
  const bytes = createHash('shake256', { outputLength: dimensions }).update(word).digest();
  return Array.from(bytes, (byte) => (byte - 127.5) / 127.5);
}
