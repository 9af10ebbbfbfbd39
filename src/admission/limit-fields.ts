/**
 * The fields of a body that say how large its response may become, how it is to be served and how it is to arrive.
 * Which of them an operation reads is in its row (`operations/`). AWS may ignore a limit that stands elsewhere: such a
 * limit must not make a request look smaller or cheaper than it is.
 */
import { parseModelName, withoutGeography } from '../domain/model-name.ts';
import type { OperationFacts } from '../operations/facts.ts';

/**
 * All shapes in one list. Which of them limits a response is decided by `findLimitFields`; the others can only raise
 * it.
 */
export const MAX_TOKENS: readonly string[] = [
  ...['', 'inferenceConfig.', 'additionalModelRequestFields.', 'additionalModelRequestFields.inferenceConfig.'].flatMap(
    (prefix) => [
      `${prefix}maxTokens`,
      `${prefix}max_tokens`,
      `${prefix}max_new_tokens`,
      `${prefix}max_completion_tokens`,
      `${prefix}max_output_tokens`,
    ],
  ),
  ...['', 'additionalModelRequestFields.'].flatMap((prefix) => [
    `${prefix}max_tokens_to_sample`,
    `${prefix}max_gen_len`,
    `${prefix}maxOutputTokens`,
    `${prefix}textGenerationConfig.maxTokenCount`,
    `${prefix}parameters.max_new_tokens`,
    `${prefix}generationConfig.maxOutputTokens`,
  ]),
  'model.*.maxTokens',
  'promptOverrideConfiguration.promptConfigurations[].inferenceConfiguration.maximumLength',
  'collaborators[].promptOverrideConfiguration.promptConfigurations[].inferenceConfiguration.maximumLength',
  'retrieveAndGenerateConfiguration.*.*.inferenceConfig.textInferenceConfig.maxTokens',
];
const EVERYWHERE: ReadonlySet<string> = new Set(MAX_TOKENS);

/**
 * The bodies of InvokeModel are the providers' own. Providers that are not named use OpenAI's chat format, as all
 * newcomers do.
 */
const PROVIDER_LIMITS: ReadonlyMap<string, ReadonlySet<string>> = setsOf({
  amazon: ['inferenceConfig.maxTokens', 'inferenceConfig.max_new_tokens', 'textGenerationConfig.maxTokenCount'],
  anthropic: ['max_tokens', 'max_tokens_to_sample'],
  meta: ['max_gen_len'],
  ai21: ['maxTokens', 'max_tokens'],
  other: ['max_tokens', 'max_completion_tokens'],
});

/**
 * The paths of `MAX_TOKENS` that limit the response; all of them if the operation, or the provider behind InvokeModel,
 * is not known. `pathModel` is the model in the URL, percent-decoded.
 */
export function findLimitFields({ limits }: OperationFacts, pathModel: string | undefined): ReadonlySet<string> {
  if (limits === undefined) return EVERYWHERE;
  if (limits !== 'provider') return new Set(limits);
  const { priceName } = parseModelName(pathModel ?? '');
  if (priceName === undefined) return EVERYWHERE;
  const [provider = ''] = withoutGeography(priceName).split('.');
  return PROVIDER_LIMITS.get(provider) ?? PROVIDER_LIMITS.get('other') ?? EVERYWHERE;
}

/** How a request asks for a service tier or a latency: `path` in the body, or a header if `inHeader`. */
export interface ServingFields {
  readonly tierPaths: readonly string[];
  readonly latencyPaths: readonly string[];
  readonly inHeader: boolean;
}

/** Where bodies name a service tier: Converse's field, and OpenAI's and Anthropic's. */
export const TIER_PATHS = ['serviceTier.type', 'service_tier'] as const;
/** Where Converse's body asks for a latency. */
export const LATENCY_PATH = 'performanceConfig.latency';

const SERVING: Readonly<Record<NonNullable<OperationFacts['serving']> | 'anywhere', ServingFields>> = {
  headers: { tierPaths: [], latencyPaths: [], inHeader: true },
  converse: { tierPaths: ['serviceTier.type'], latencyPaths: [LATENCY_PATH], inHeader: false },
  openai: { tierPaths: ['service_tier'], latencyPaths: [], inHeader: false },
  anywhere: { tierPaths: TIER_PATHS, latencyPaths: [LATENCY_PATH], inHeader: true },
};

/** Where an operation reads tier and latency; anywhere, if it is none of those that have a field of their own. */
export function findServingFields({ serving }: OperationFacts): ServingFields {
  return SERVING[serving ?? 'anywhere'];
}

function setsOf(table: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(Object.entries(table).map(([name, paths]) => [name, new Set(paths)]));
}
