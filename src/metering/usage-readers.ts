/**
 * How each shape of response tells what was used: one plain function per shape, which gets a JSON object that is one
 * event or a whole body, and enters its counts in the tally. The shapes are AWS's (Converse and the runtime's services)
 * and the providers' own (InvokeModel, OpenAI's and Anthropic's routes). Upstream is not believed: members may be
 * missing or anything, and the tally checks every count. Pure.
 */
import { asObject, asObjects, isObject, type JsonObject } from '../lib/json.ts';
import type { Tally } from './usage-tally.ts';

/** Reads one event or body of one shape. Does not throw. */
export type UsageReader = (body: JsonObject, tally: Tally) => void;

/** The members that the functions below look at in a body. It may be large: nothing else of it is built. */
export const BODY_MEMBERS: readonly string[] = (
  'usage meta trace error service_tier serviceTier performanceConfig prompt_token_count generation_token_count ' +
  'inputTextTokenCount inputTokenCount totalOutputTextTokenCount'
).split(' ');

/** What a body of InvokeModel tells in parts, in arrays that may be large: its values are read as they pass. */
export const PART_PATHS: readonly string[] = [
  // Titan text
  'results[].tokenCount',
  // One picture each: Titan image, Nova Canvas, Stability now and formerly, OpenAI's shape
  'images[]',
  'artifacts[].base64',
  'data[].b64_json',
  'data[].url',
];

/** Reads a value at one of PART_PATHS. */
export function readInvokePart(path: string, value: unknown, tally: Tally): void {
  if (path === 'results[].tokenCount') tally.add('outputTokens', value);
  else if (value !== null) tally.add('images', 1);
}

/** Converse, and the metadata event of its stream. */
export function readConverse(body: JsonObject, tally: Tally): void {
  readTokenUsage(asObject(body['usage']), tally);
  tally.putServiceTier(asObject(body['serviceTier'])['type']);
  tally.putLatency(asObject(body['performanceConfig'])['latency']);
  const { promptRouter, guardrail } = asObject(body['trace']);
  tally.putModel(asObject(promptRouter)['invokedModelId']);
  const { inputAssessment, outputAssessments } = asObject(guardrail);
  const assessments = [inputAssessment, outputAssessments].flatMap((byId) => Object.values(asObject(byId)).flat());
  for (const assessment of assessments) readGuardrail(asObject(asObject(assessment)['invocationMetrics']), tally);
}

/** AWS's `TokenUsage`. Nova's own responses have it too, with other names for the caches. */
function readTokenUsage(usage: JsonObject, tally: Tally): void {
  tally.put('inputTokens', usage['inputTokens']);
  tally.put('outputTokens', usage['outputTokens']);
  tally.putTotal(usage['totalTokens']);
  tally.put('cacheReadTokens', usage['cacheReadInputTokens'] ?? usage['cacheReadInputTokenCount']);
  tally.put('cacheWriteTokens', usage['cacheWriteInputTokens'] ?? usage['cacheWriteInputTokenCount']);
  for (const { ttl, inputTokens } of asObjects(usage['cacheDetails'])) {
    const count = ttl === '1h' ? 'cacheWrite1hTokens' : 'cacheWrite5mTokens';
    // The class of a count, which does not make up for the count.
    if (typeof ttl === 'string') tally.addEarly(count, inputTokens);
  }
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_GuardrailUsage.html */
const POLICY_UNITS: ReadonlySet<string> = new Set([
  'topicPolicyUnits',
  'contentPolicyUnits',
  'contentPolicyImageUnits',
  'wordPolicyUnits',
  'sensitiveInformationPolicyUnits',
  'sensitiveInformationPolicyFreeUnits',
  'contextualGroundingPolicyUnits',
  'automatedReasoningPolicyUnits',
]);

/** ApplyGuardrail. What `assessments` tells is the same again, by policy. */
export function readGuardrail(body: JsonObject, tally: Tally): void {
  tally.addUnits(asObject(body['usage']), POLICY_UNITS);
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_GuardrailChecksUsageResults.html */
const CHECK_UNITS: ReadonlySet<string> = new Set([
  'contentFilter.textUnits',
  'promptAttack.textUnits',
  'sensitiveInformation.textUnits',
]);

/** InvokeGuardrailChecks. */
export function readGuardrailChecks(body: JsonObject, tally: Tally): void {
  for (const [check, usage] of Object.entries(asObject(body['usage']))) {
    const units = Object.entries(asObject(usage)).map(([name, value]) => [`${check}.${name}`, value]);
    tally.addUnits(Object.fromEntries(units), CHECK_UNITS);
  }
}

/**
 * InvokeModel, and its stream's events: every provider's own shape. A model cannot be told from every name it may have,
 * so that all are looked for.
 */
export function readInvoke(body: JsonObject, tally: Tally): void {
  const usage = asObject(body['usage']);
  readTokenUsage(usage, tally);
  readMessage(body, tally);
  readChat(body, tally);
  readBilledUnits(usage, tally);
  readBilledUnits(asObject(body['meta']), tally);
  // Llama
  tally.put('inputTokens', body['prompt_token_count']);
  tally.put('outputTokens', body['generation_token_count']);
  // Titan: text and embeddings, and its stream
  tally.put('inputTokens', body['inputTextTokenCount']);
  tally.put('inputTokens', body['inputTokenCount']);
  tally.put('outputTokens', body['totalOutputTextTokenCount']);
}

/** What is in a chunk of InvokeModelWithResponseStream: providers' own events, AWS's metrics in the last one. */
export function readInvokeChunk(body: JsonObject, tally: Tally): void {
  readInvoke(body, tally);
  readTokenUsage(asObject(asObject(body['metadata'])['usage']), tally);
  readBilledUnits(asObject(asObject(body['response'])['meta']), tally);
  readBilledUnits(asObject(asObject(body['delta'])['usage']), tally);
  const metrics = asObject(body['amazon-bedrock-invocationMetrics']);
  tally.putLast('awsInputTokens', metrics['inputTokenCount']);
  tally.putLast('awsOutputTokens', metrics['outputTokenCount']);
  tally.putLast('awsCacheReadTokens', metrics['cacheReadInputTokenCount']);
  tally.putLast('awsCacheWriteTokens', metrics['cacheWriteInputTokenCount']);
}

/** Cohere's. */
function readBilledUnits(meta: JsonObject, tally: Tally): void {
  const units = asObject(meta['billed_units']);
  tally.put('inputTokens', units['input_tokens']);
  tally.put('outputTokens', units['output_tokens']);
}

/**
 * Anthropic's message, or an event of one: `message_start` tells the input, `message_delta` the output so far.
 * `input_tokens` is without the caches. https://docs.anthropic.com/en/api/messages
 */
export function readMessage(body: JsonObject, tally: Tally): void {
  readMessageUsage(asObject(asObject(body['message'])['usage']), tally, (count, value) => tally.putEarly(count, value));
  readMessageUsage(asObject(body['usage']), tally, (count, value) => tally.put(count, value));
}

function readMessageUsage(usage: JsonObject, tally: Tally, put: Tally['put']): void {
  put('inputTokens', usage['input_tokens']);
  put('outputTokens', usage['output_tokens']);
  put('cacheReadTokens', usage['cache_read_input_tokens']);
  put('cacheWriteTokens', usage['cache_creation_input_tokens']);
  const classes = asObject(usage['cache_creation']);
  put('cacheWrite5mTokens', classes['ephemeral_5m_input_tokens']);
  put('cacheWrite1hTokens', classes['ephemeral_1h_input_tokens']);
  tally.putServiceTier(usage['service_tier']);
}

/**
 * OpenAI's chat completions, whole or a chunk: `prompt_tokens` is all of the input.
 * https://platform.openai.com/docs/api-reference/chat/object
 */
export function readChat(body: JsonObject, tally: Tally): void {
  const usage = asObject(body['usage']);
  tally.put('promptTokens', usage['prompt_tokens']);
  tally.put('outputTokens', usage['completion_tokens']);
  readTokenDetails(usage['prompt_tokens_details'], usage['completion_tokens_details'], tally);
  tally.putServiceTier(body['service_tier']);
}

/** OpenAI's response, whole. https://platform.openai.com/docs/api-reference/responses/object */
export function readResponse(body: JsonObject, tally: Tally): void {
  const usage = asObject(body['usage']);
  tally.put('promptTokens', usage['input_tokens']);
  tally.put('outputTokens', usage['output_tokens']);
  readTokenDetails(usage['input_tokens_details'], usage['output_tokens_details'], tally);
  tally.putServiceTier(body['service_tier']);
  if (isObject(body['error'])) tally.putErrorType(body['error']['code']);
}

/** An event of a response. */
export function readResponseEvent(event: JsonObject, tally: Tally): void {
  readResponse(asObject(event['response']), tally);
}

function readTokenDetails(input: unknown, output: unknown, tally: Tally): void {
  const { cached_tokens, cache_write_tokens, audio_tokens } = asObject(input);
  tally.put('promptCachedTokens', cached_tokens);
  tally.put('promptStoredTokens', cache_write_tokens);
  tally.put('inputAudioTokens', audio_tokens);
  tally.put('outputAudioTokens', asObject(output)['audio_tokens']);
}

/** What is in a chunk of Nova Sonic. Totals are those of the whole session so far. */
export function readSonicChunk(body: JsonObject, tally: Tally): void {
  const usage = asObject(asObject(body['event'])['usageEvent']);
  const { input, output } = asObject(asObject(usage['details'])['total']);
  tally.put('inputTokens', usage['totalInputTokens']);
  tally.put('outputTokens', usage['totalOutputTokens']);
  tally.put('inputAudioTokens', asObject(input)['speechTokens']);
  tally.put('outputAudioTokens', asObject(output)['speechTokens']);
}

const AGENT_TRACES = ['preProcessingTrace', 'orchestrationTrace', 'postProcessingTrace', 'routingClassifierTrace'];

/**
 * An agent's trace. One usage stands in several places of it, and is counted where the model answered: not in
 * observations, nor in final responses, which repeat it.
 */
export function readAgentTrace(body: JsonObject, tally: Tally): void {
  const trace = asObject(body['trace']);
  for (const name of AGENT_TRACES) {
    const { modelInvocationInput, modelInvocationOutput } = asObject(trace[name]);
    tally.putModel(asObject(modelInvocationInput)['foundationModel']);
    const usage = asObject(asObject(asObject(modelInvocationOutput)['metadata'])['usage']);
    tally.add('inputTokens', usage['inputTokens']);
    tally.add('outputTokens', usage['outputTokens']);
  }
}
