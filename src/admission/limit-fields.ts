/**
 * Where a request says how large its response may become, how it is to be served and how it is to arrive: for each operation
 * the places that AWS reads. Data, and small look-ups. What stands in other places AWS may ignore: it must not make a request
 * look smaller or cheaper than it is.
 */
import { withoutGeography, parseModelName } from '../domain/model-name.ts';

/** `whole`: in one piece, when all of it is made. `stream`: as it is made. `later`: the client asks for it some other time. */
export type Delivery = 'unary' | 'streaming' | 'background';

/** All shapes in one list. Which of them limits a response is decided by `findLimitFields`; the others can only raise it. */
export const MAX_TOKENS: readonly string[] = [
  ...['', 'inferenceConfig.', 'additionalModelRequestFields.', 'additionalModelRequestFields.inferenceConfig.'].flatMap(
    (place) => [
      `${place}maxTokens`,
      `${place}max_tokens`,
      `${place}max_new_tokens`,
      `${place}max_completion_tokens`,
      `${place}max_output_tokens`,
    ],
  ),
  'max_tokens_to_sample',
  'max_gen_len',
  'maxOutputTokens',
  'textGenerationConfig.maxTokenCount',
  'parameters.max_new_tokens',
  'generationConfig.maxOutputTokens',
  'model.*.maxTokens',
  'promptOverrideConfiguration.promptConfigurations[].inferenceConfiguration.maximumLength',
  'collaborators[].promptOverrideConfiguration.promptConfigurations[].inferenceConfiguration.maximumLength',
  'retrieveAndGenerateConfiguration.*.*.inferenceConfig.textInferenceConfig.maxTokens',
];
const EVERYWHERE: ReadonlySet<string> = new Set(MAX_TOKENS);

const CHAT = ['max_tokens', 'max_completion_tokens'];
const LIMITS: ReadonlyMap<string, ReadonlySet<string>> = setsOf({
  Converse: ['inferenceConfig.maxTokens'],
  ConverseStream: ['inferenceConfig.maxTokens'],
  ChatCompletions: CHAT,
  CreateResponse: ['max_output_tokens'],
  CreateMessage: ['max_tokens'],
});

/** The bodies of InvokeModel are the providers' own. Those that are not named speak OpenAI's chat, as all newcomers do. */
const PROVIDER_LIMITS: ReadonlyMap<string, ReadonlySet<string>> = setsOf({
  amazon: ['inferenceConfig.maxTokens', 'inferenceConfig.max_new_tokens', 'textGenerationConfig.maxTokenCount'],
  anthropic: ['max_tokens', 'max_tokens_to_sample'],
  meta: ['max_gen_len'],
  ai21: ['maxTokens', 'max_tokens'],
  other: CHAT,
});

const INVOKE = new Set(['InvokeModel', 'InvokeModelWithResponseStream', 'InvokeModelWithBidirectionalStream']);
const CONVERSE = new Set(['Converse', 'ConverseStream']);
const SHARED_SHAPE = new Set(['ChatCompletions', 'CreateResponse', 'CreateMessage']);
/** The agents too: what one does before it answers is not in its stream. */
const WHOLE = new Set([
  'Converse',
  'InvokeModel',
  'InvokeAgent',
  'InvokeInlineAgent',
  'ApplyGuardrail',
  'InvokeGuardrailChecks',
]);

/**
 * The paths of `MAX_TOKENS` that limit the response; all of them where the operation, or the provider behind InvokeModel, cannot
 * be told. `pathModel` is the model in the URL, percent-decoded.
 */
export function findLimitFields(operation: string | undefined, pathModel: string | undefined): ReadonlySet<string> {
  if (operation === undefined) return EVERYWHERE;
  if (!INVOKE.has(operation)) return LIMITS.get(operation) ?? EVERYWHERE;
  const { priceName } = parseModelName(pathModel ?? '');
  if (priceName === undefined) return EVERYWHERE;
  const [provider = ''] = withoutGeography(priceName).split('.');
  return PROVIDER_LIMITS.get(provider) ?? PROVIDER_LIMITS.get('other') ?? EVERYWHERE;
}

/** How a request asks for a service tier or a latency: `path` in the body, or a header where `inHeader`. */
export interface ServingFields {
  readonly tierPaths: readonly string[];
  readonly latencyPaths: readonly string[];
  readonly inHeader: boolean;
}

export const TIER_PATHS = ['serviceTier.type', 'service_tier'] as const;
export const LATENCY_PATH = 'performanceConfig.latency';

/** Anywhere, where the operation is none of those that have a place of their own. */
export function findServingFields(operation: string | undefined): ServingFields {
  const name = operation ?? '';
  if (INVOKE.has(name)) return { tierPaths: [], latencyPaths: [], inHeader: true };
  if (CONVERSE.has(name)) return { tierPaths: ['serviceTier.type'], latencyPaths: [LATENCY_PATH], inHeader: false };
  if (SHARED_SHAPE.has(name)) return { tierPaths: ['service_tier'], latencyPaths: [], inHeader: false };
  return { tierPaths: TIER_PATHS, latencyPaths: [LATENCY_PATH], inHeader: true };
}

/** How the response of a metered operation arrives; `asked` is what the body says. Undefined where nobody knows. */
export function findDelivery(
  operation: string | undefined,
  asked: { readonly stream: boolean; readonly background: boolean },
): Delivery | undefined {
  if (operation === undefined) return undefined;
  if (operation === 'CreateResponse' && asked.background) return 'background';
  if (SHARED_SHAPE.has(operation)) return asked.stream ? 'streaming' : 'unary';
  return WHOLE.has(operation) ? 'unary' : 'streaming';
}

function setsOf(table: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(Object.entries(table).map(([name, paths]) => [name, new Set(paths)]));
}
