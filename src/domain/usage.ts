/**
 * What a request used, as AWS reports it. Unknown is undefined, never 0.
 */
import type { PieceUnit } from './units.ts';

/** Counts of one request, or of several added up. Whole numbers, not negative; undefined if nothing reported them. */
export interface Usage {
  /**
   * Input tokens that no cache served or took: without `cacheReadTokens` and `cacheWriteTokens`. Audio tokens included.
   */
  readonly inputTokens?: number | undefined;
  /** Audio tokens included. */
  readonly outputTokens?: number | undefined;
  readonly cacheReadTokens?: number | undefined;
  /** Written to a prompt cache, of whatever time to live. */
  readonly cacheWriteTokens?: number | undefined;
  /** The part of `cacheWriteTokens` that stays for an hour, which AWS sells at another price. */
  readonly cacheWrite1hTokens?: number | undefined;
  /** The part of `inputTokens` that was speech. */
  readonly inputAudioTokens?: number | undefined;
  /** The part of `outputTokens` that was speech. */
  readonly outputAudioTokens?: number | undefined;
  /**
   * The input of the longest step, caches included, if there were several: each has a context of its own, and its price
   * goes by that.
   */
  readonly longestInputTokens?: number | undefined;
  /** Images that were made. */
  readonly images?: number | undefined;
  /** What is sold by the piece, as far as it was told. */
  readonly units?: Readonly<Partial<Record<PieceUnit, number>>> | undefined;
  /** Policy units of guardrails, by AWS's names (`contentPolicyUnits`, `topicPolicyUnits`, …). */
  readonly guardrailUnits?: Readonly<Record<string, number>> | undefined;
}

/** Input of every kind, what caches served and took included; undefined if none was reported. */
export function sumInput(usage: Usage | undefined): number | undefined {
  const { inputTokens, cacheReadTokens, cacheWriteTokens } = usage ?? {};
  const reported = [inputTokens, cacheReadTokens, cacheWriteTokens].filter((count) => count !== undefined);
  return reported.length === 0 ? undefined : reported.reduce((sum, count) => sum + count, 0);
}
