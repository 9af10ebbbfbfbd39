/**
 * How many tokens of a quota per minute a request has used when it is over, as AWS counts them: input, what was written
 * to caches, and output times the burndown rate of the model; what caches served does not count. Pure. At the beginning
 * AWS counts the input and `max_tokens`, without a rate: that is the estimate. Source:
 * https://docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html
 */
import { parseModelName, withoutGeography } from '../domain/model-name.ts';
import type { Usage } from '../domain/usage.ts';

/** AWS's list: Claude 3.7 and all that came later. Every other model burns one token for one. */
const BURNDOWN_RATES: readonly (readonly [models: RegExp, rate: number])[] = [
  [/^(?:anthropic\.)?claude-(?!v\d|instant|3-(?!7))/, 5],
];

/** Undefined if neither input nor output was reported. Of several models, the one with the highest rate counts. */
export function countQuotaTokens(usage: Usage | undefined, models: readonly string[]): number | undefined {
  const { inputTokens, cacheReadTokens, cacheWriteTokens, outputTokens } = usage ?? {};
  const reported = [inputTokens, cacheReadTokens, cacheWriteTokens, outputTokens];
  if (reported.every((count) => count === undefined)) return undefined;
  const rate = outputTokens === undefined ? 1 : Math.max(1, ...models.map(findBurndownRate));
  return (inputTokens ?? 0) + (cacheWriteTokens ?? 0) + (outputTokens ?? 0) * rate;
}

/** How many tokens of the quota one token of output takes. `model` as a request or AWS names it. */
export function findBurndownRate(model: string): number {
  const id = withoutGeography(parseModelName(model).priceName ?? model);
  return BURNDOWN_RATES.find(([models]) => models.test(id))?.[1] ?? 1;
}
