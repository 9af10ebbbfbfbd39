/**
 * Where each shape of response tells what was used: paths into its JSON, and what the value there means. Data, and the
 * little that reads it. The shapes are AWS's (Converse and the runtime's services) and the providers' own (InvokeModel,
 * OpenAI's and Anthropic's routes).
 */
import { JsonPaths } from '../protocol/json-paths.ts';
import { JsonScanner, type JsonScalar } from '../protocol/json-scan.ts';
import type { Count, Tally } from './usage-tally.ts';

/** What to do with a value that stands at a path. */
type Sink = (tally: Tally, value: JsonScalar) => void;
type Table = Readonly<Record<string, Sink>>;

/** The places of one shape, ready to be scanned for. */
export interface Places {
  readonly paths: JsonPaths;
  readonly sinks: ReadonlyMap<string, Sink>;
}

/** A scanner that enters into the tally what it finds. */
export function openScanner(places: Places, tally: Tally): JsonScanner {
  return new JsonScanner(places.paths, (path, value) => places.sinks.get(path)?.(tally, value));
}

/** Scans one text. Returns whether it was well-formed; what was found before a fault stays in the tally. */
export function scanText(places: Places, text: Uint8Array, tally: Tally): boolean {
  const scanner = openScanner(places, tally);
  scanner.push(text);
  return scanner.finish();
}

/** A count in its final place. */
const put =
  (count: Count): Sink =>
  (tally, value) => {
    tally.put(count, value);
    tally.isFinal ||= value !== null;
  };
/** A count that a stream tells at its beginning. */
const early =
  (count: Count): Sink =>
  (tally, value) =>
    tally.put(count, value);
/** A count by AWS itself, which comes at the very end. */
const metric =
  (count: Count): Sink =>
  (tally, value) => {
    put(count)(tally, value);
    tally.isLast ||= value !== null;
  };
const add =
  (count: Count): Sink =>
  (tally, value) => {
    tally.add(count, value);
    tally.isFinal ||= value !== null;
  };
const image: Sink = (tally, value) => {
  if (value !== null) add('images')(tally, 1);
};
const model: Sink = (tally, value) => tally.putModel(value);
const serviceTier: Sink = (tally, value) => tally.putServiceTier(value);
const latency: Sink = (tally, value) => tally.putLatency(value);

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_GuardrailUsage.html */
const POLICY_UNITS = [
  'topicPolicyUnits',
  'contentPolicyUnits',
  'contentPolicyImageUnits',
  'wordPolicyUnits',
  'sensitiveInformationPolicyUnits',
  'sensitiveInformationPolicyFreeUnits',
  'contextualGroundingPolicyUnits',
  'automatedReasoningPolicyUnits',
];
/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_GuardrailChecksUsageResults.html */
const CHECK_UNITS = ['contentFilter.textUnits', 'promptAttack.textUnits', 'sensitiveInformation.textUnits'];

/** Units below `prefix`, by these names; `any` is the path of all of them. */
function unitsAt(prefix: string, names: readonly string[], any: string): Table {
  const units = names.map((name): [string, Sink] => [
    prefix + name,
    (tally, value) => {
      tally.addUnits(name, value);
      tally.isFinal ||= value !== null;
    },
  ]);
  return Object.fromEntries([...units, [prefix + any, (tally, value) => tally.addAnyUnits(value)]]);
}

/** AWS's `TokenUsage`. Nova's own responses have it too, with other names for the caches. */
const tokenUsageAt = (prefix: string): Table => ({
  [`${prefix}inputTokens`]: put('inputTokens'),
  [`${prefix}outputTokens`]: put('outputTokens'),
  [`${prefix}cacheReadInputTokens`]: put('cacheReadTokens'),
  [`${prefix}cacheReadInputTokenCount`]: put('cacheReadTokens'),
  [`${prefix}cacheWriteInputTokens`]: put('cacheWriteTokens'),
  [`${prefix}cacheWriteInputTokenCount`]: put('cacheWriteTokens'),
  [`${prefix}cacheDetails[].ttl`]: (tally, value) => tally.putClassTtl(value),
  [`${prefix}cacheDetails[].inputTokens`]: (tally, value) => tally.putClassTokens(value),
});

/** Anthropic's `Usage`: `input_tokens` is without the caches. https://docs.anthropic.com/en/api/messages */
const anthropicUsageAt = (prefix: string, at: (count: Count) => Sink): Table => ({
  [`${prefix}input_tokens`]: at('inputTokens'),
  [`${prefix}output_tokens`]: at('outputTokens'),
  [`${prefix}cache_read_input_tokens`]: at('cacheReadTokens'),
  [`${prefix}cache_creation_input_tokens`]: at('cacheWriteTokens'),
  [`${prefix}cache_creation.ephemeral_5m_input_tokens`]: at('cacheWrite5mTokens'),
  [`${prefix}cache_creation.ephemeral_1h_input_tokens`]: at('cacheWrite1hTokens'),
  [`${prefix}service_tier`]: serviceTier,
});

/**
 * OpenAI's `CompletionUsage`: `prompt_tokens` is all of the input.
 * https://platform.openai.com/docs/api-reference/chat/object
 */
const completionUsageAt = (prefix: string): Table => ({
  [`${prefix}prompt_tokens`]: put('promptTokens'),
  [`${prefix}completion_tokens`]: put('outputTokens'),
  [`${prefix}prompt_tokens_details.cached_tokens`]: put('promptCachedTokens'),
  [`${prefix}prompt_tokens_details.cache_write_tokens`]: put('promptStoredTokens'),
  [`${prefix}prompt_tokens_details.audio_tokens`]: put('inputAudioTokens'),
  [`${prefix}completion_tokens_details.audio_tokens`]: put('outputAudioTokens'),
});

/** OpenAI's `ResponseUsage`. https://platform.openai.com/docs/api-reference/responses/object */
const responseAt = (prefix: string): Table => ({
  [`${prefix}usage.input_tokens`]: put('promptTokens'),
  [`${prefix}usage.output_tokens`]: put('outputTokens'),
  [`${prefix}usage.input_tokens_details.cached_tokens`]: put('promptCachedTokens'),
  [`${prefix}usage.input_tokens_details.cache_write_tokens`]: put('promptStoredTokens'),
  [`${prefix}usage.input_tokens_details.audio_tokens`]: put('inputAudioTokens'),
  [`${prefix}usage.output_tokens_details.audio_tokens`]: put('outputAudioTokens'),
  [`${prefix}service_tier`]: serviceTier,
});

const cohereUsageAt = (prefix: string): Table => ({
  [`${prefix}billed_units.input_tokens`]: put('inputTokens'),
  [`${prefix}billed_units.output_tokens`]: put('outputTokens'),
});

/** Every provider's own shape. A model cannot be told from every name it may have, so that all are looked for. */
const PROVIDERS: Table = {
  ...tokenUsageAt('usage.'),
  ...anthropicUsageAt('usage.', put),
  ...completionUsageAt('usage.'),
  ...cohereUsageAt('usage.'),
  ...cohereUsageAt('meta.'),
  // Llama
  prompt_token_count: put('inputTokens'),
  generation_token_count: put('outputTokens'),
  // Titan: text and embeddings, and its stream
  inputTextTokenCount: put('inputTokens'),
  inputTokenCount: put('inputTokens'),
  'results[].tokenCount': add('outputTokens'),
  totalOutputTextTokenCount: put('outputTokens'),
  // Titan image, Nova Canvas, Stability now and formerly, OpenAI's shape
  'images[]': image,
  'artifacts[].base64': image,
  'data[].b64_json': image,
  'data[].url': image,
  service_tier: serviceTier,
};

const AGENT_STEPS = ['preProcessing', 'orchestration', 'postProcessing', 'routingClassifier'];

/** Converse, and the metadata event of its stream. */
export const CONVERSE = makePlaces({
  ...tokenUsageAt('usage.'),
  'serviceTier.type': serviceTier,
  'performanceConfig.latency': latency,
  'trace.promptRouter.invokedModelId': model,
  ...unitsAt('trace.guardrail.inputAssessment.*.invocationMetrics.usage.', POLICY_UNITS, '*'),
  ...unitsAt('trace.guardrail.outputAssessments.*[].invocationMetrics.usage.', POLICY_UNITS, '*'),
});

/** InvokeModel. */
export const INVOKE = makePlaces(PROVIDERS);

/** What is in the chunks of InvokeModelWithResponseStream: providers' own events, AWS's metrics in the last one. */
export const INVOKE_CHUNK = makePlaces({
  ...PROVIDERS,
  ...anthropicUsageAt('message.usage.', early),
  ...tokenUsageAt('metadata.usage.'),
  ...cohereUsageAt('response.meta.'),
  ...cohereUsageAt('delta.usage.'),
  'amazon-bedrock-invocationMetrics.inputTokenCount': metric('awsInputTokens'),
  'amazon-bedrock-invocationMetrics.outputTokenCount': metric('awsOutputTokens'),
  'amazon-bedrock-invocationMetrics.cacheReadInputTokenCount': metric('awsCacheReadTokens'),
  'amazon-bedrock-invocationMetrics.cacheWriteInputTokenCount': metric('awsCacheWriteTokens'),
});

/** What is in the chunks of Nova Sonic. Totals are those of the whole session so far. */
export const SONIC_CHUNK = makePlaces({
  'event.usageEvent.totalInputTokens': put('inputTokens'),
  'event.usageEvent.totalOutputTokens': put('outputTokens'),
  'event.usageEvent.details.total.input.speechTokens': put('inputAudioTokens'),
  'event.usageEvent.details.total.output.speechTokens': put('outputAudioTokens'),
});

/**
 * An agent's trace. One usage stands in several places of it, and is counted where the model answered: not in
 * observations, nor in final responses, which repeat it.
 */
export const AGENT_TRACE = makePlaces(
  Object.fromEntries(
    AGENT_STEPS.flatMap((step): [string, Sink][] => [
      [`trace.${step}Trace.modelInvocationOutput.metadata.usage.inputTokens`, add('inputTokens')],
      [`trace.${step}Trace.modelInvocationOutput.metadata.usage.outputTokens`, add('outputTokens')],
      [`trace.${step}Trace.modelInvocationInput.foundationModel`, model],
    ]),
  ),
);

/** Chat completions, whole or a chunk. */
export const CHAT = makePlaces({ ...completionUsageAt('usage.'), service_tier: serviceTier });

/** A response, whole. */
export const RESPONSE = makePlaces(responseAt(''));

/** An event of a response. */
export const RESPONSE_EVENT = makePlaces(responseAt('response.'));

/** A message, whole. */
export const MESSAGE = makePlaces(anthropicUsageAt('usage.', put));

/** An event of a message: `message_start` tells the input, `message_delta` the output so far. */
export const MESSAGE_EVENT = makePlaces({
  ...anthropicUsageAt('usage.', put),
  ...anthropicUsageAt('message.usage.', early),
});

/** ApplyGuardrail. What `assessments` tells is the same again, by policy. */
export const GUARDRAIL = makePlaces(unitsAt('usage.', POLICY_UNITS, '*'));

/** InvokeGuardrailChecks. */
export const GUARDRAIL_CHECKS = makePlaces(unitsAt('usage.', CHECK_UNITS, '*.*'));

function makePlaces(table: Table): Places {
  return { paths: new JsonPaths(Object.keys(table)), sinks: new Map(Object.entries(table)) };
}
