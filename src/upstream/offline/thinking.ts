/**
 * Whether a request asks its model to reason, in each provider's words, and what AWS refuses about it. Pure.
 */
import { asObject, type JsonObject } from '../../lib/json.ts';

/** The least that Anthropic's models think (their documentation). */
const LEAST_BUDGET_TOKENS = 1024;

/** Models that reason whatever they are told. */
const ALWAYS = /^(deepseek\.r1|openai\.gpt-oss|moonshotai\.kimi-k2-thinking)/;

/**
 * True if the model reasons: always, or because the provider's own fields say so: `thinking` of Anthropic's models (and
 * its older name `reasoning_config`), `reasoningConfig` of Amazon's.
 */
export function isReasoning(modelId: string, fields: JsonObject): boolean {
  if (ALWAYS.test(modelId)) return true;
  const { type } = asObject(fields['thinking'] ?? fields['reasoning_config'] ?? fields['reasoningConfig']);
  return type === 'enabled' || type === 'adaptive';
}

/** Why Anthropic's models refuse to think; undefined if they do not. In their words. */
export function findThinkingProblem(
  fields: JsonObject,
  {
    maxTokens,
    temperature,
    isForced,
  }: {
    readonly maxTokens: number;
    readonly temperature: unknown;
    /** True if the request makes the model call a tool. */
    readonly isForced: boolean;
  },
): string | undefined {
  const thinking = asObject(fields['thinking'] ?? fields['reasoning_config']);
  if (thinking['type'] !== 'enabled' && thinking['type'] !== 'adaptive') return undefined;
  const { budget_tokens: budget } = thinking;
  if (thinking['type'] === 'enabled') {
    if (typeof budget !== 'number') return 'thinking.enabled.budget_tokens: Field required';
    if (budget < LEAST_BUDGET_TOKENS) {
      return `thinking.enabled.budget_tokens: Input should be greater than or equal to ${LEAST_BUDGET_TOKENS}`;
    }
    if (budget >= maxTokens) return '`max_tokens` must be greater than `thinking.budget_tokens`.';
  }
  if (isForced) return 'Thinking may not be enabled when tool_choice forces tool use.';
  if (temperature !== undefined && temperature !== null && temperature !== 1) {
    return '`temperature` may only be set to 1 when thinking is enabled.';
  }
  return undefined;
}
