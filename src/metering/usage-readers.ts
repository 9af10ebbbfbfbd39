/**
 * How each shape of response tells what was used: one plain function per shape, which gets a JSON object that is one
 * event or a whole body, and enters its counts in the tally. The shapes are AWS's (Converse and the runtime's services)
 * and the providers' own (InvokeModel, OpenAI's and Anthropic's routes). Upstream is not believed: members may be
 * missing or anything, and the tally checks every count. Pure.
 */
import { asObject, asObjects, isObject, type JsonObject } from '../lib/json.ts';
import { hasCount, readToolUse, readTrace } from './usage-extras.ts';
import type { PartialCounts, Tally } from './usage-tally.ts';

/** Reads one event or body of one shape. Does not throw. */
export type UsageReader = (body: JsonObject, tally: Tally) => void;

/**
 * The members that the functions below look at in a body or an event, those within others after a dot. It may be large:
 * nothing else of it is built.
 */
export const MEMBERS: readonly string[] = (
  'usage meta trace error service_tier serviceTier performanceConfig prompt_token_count generation_token_count ' +
  'inputTextTokenCount inputTokenCount totalOutputTextTokenCount tool_usage amazon-bedrock-trace ' +
  'amazon-bedrock-invocationMetrics message.usage metadata.usage delta.usage event.usageEvent response.meta ' +
  'response.usage response.tool_usage response.service_tier response.error'
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
  // Stability has a null for a picture that its filter took; nothing is billed for it.
  else if (path === 'images[]') tally.add('images', value === null ? 0 : 1);
  else if (value !== null) tally.add('images', 1);
}

/** Converse, and the metadata event of its stream. */
export function readConverse(body: JsonObject, tally: Tally): void {
  readTokenUsage(asObject(body['usage']), tally);
  tally.putServiceTier(asObject(body['serviceTier'])['type']);
  tally.putLatency(asObject(body['performanceConfig'])['latency']);
  readTrace(body['trace'], tally);
}

/** AWS's `TokenUsage`. Nova's own responses have it too, with other names for the caches. */
function readTokenUsage(usage: JsonObject, tally: Tally): void {
  tally.put('inputTokens', usage['inputTokens']);
  tally.put('outputTokens', usage['outputTokens']);
  tally.putTotal(usage['totalTokens']);
  tally.put('cacheReadTokens', usage['cacheReadInputTokens'] ?? usage['cacheReadInputTokenCount']);
  tally.put('cacheWriteTokens', usage['cacheWriteInputTokens'] ?? usage['cacheWriteInputTokenCount']);
  for (const { ttl, inputTokens } of asObjects(usage['cacheDetails'])) {
    // A time that nobody knows yet counts as the more expensive of the two.
    const count = typeof ttl === 'string' && SHORT_TTL.test(ttl) ? 'cacheWrite5mTokens' : 'cacheWrite1hTokens';
    // The class of a count, which does not make up for the count.
    if (typeof ttl === 'string') tally.addEarly(count, inputTokens);
  }
  readToolUse(usage['serverToolUsage'], tally);
}

/** Below an hour: what AWS sells at the plain price of a cache write (Claude's 5m, GPT's 30m). */
const SHORT_TTL = /^[0-5]?\dm$/;

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
  readTrace(body['amazon-bedrock-trace'], tally);
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
  tally.putPieces('searchQueries', units['search_units']);
  tally.putPieces('inputImages', units['images']);
}

/**
 * Anthropic's message, or an event of one: `message_start` tells the input, `message_delta` the output so far.
 * `input_tokens` is without the caches. https://docs.anthropic.com/en/api/messages
 */
export function readMessage(body: JsonObject, tally: Tally): void {
  readMessageUsage(asObject(asObject(body['message'])['usage']), tally, (count, value) => tally.putEarly(count, value));
  readMessageUsage(asObject(body['usage']), tally, (count, value) => tally.put(count, value));
}

const MESSAGE_COUNTS = [
  ['inputTokens', 'input_tokens'],
  ['outputTokens', 'output_tokens'],
  ['cacheReadTokens', 'cache_read_input_tokens'],
  ['cacheWriteTokens', 'cache_creation_input_tokens'],
] as const;
/** Below `cache_creation`. */
const MESSAGE_CLASSES = [
  ['cacheWrite5mTokens', 'ephemeral_5m_input_tokens'],
  ['cacheWrite1hTokens', 'ephemeral_1h_input_tokens'],
] as const;

function readMessageUsage(usage: JsonObject, tally: Tally, put: Tally['put']): void {
  for (const [count, name] of MESSAGE_COUNTS) put(count, usage[name]);
  const classes = usage['cache_creation'];
  if (isObject(classes)) for (const [count, name] of MESSAGE_CLASSES) put(count, classes[name]);
  tally.putServiceTier(usage['service_tier']);
  readToolUse(usage['server_tool_use'], tally);
  // Sold at another price.
  tally.hasUnknownPart ||= usage['speed'] === 'fast';
  const iterations = asObjects(usage['iterations']);
  if (iterations.length === 0) return;
  tally.putSteps(iterations.map(countStep));
  const models = new Set(iterations.map(({ model }) => model).filter((model) => typeof model === 'string'));
  tally.hasUnknownPart ||= models.size > 1 || !iterations.every(({ type }) => OWN_STEPS.has(type));
}

/**
 * What `usage.iterations` calls the steps of the model that was called. Another model's (an advisor, a fallback) have
 * another price. The usage around them has neither those of a compaction nor another model's: all that is billed is
 * their sum. https://platform.claude.com/docs/en/build-with-claude/compaction
 */
const OWN_STEPS: ReadonlySet<unknown> = new Set(['message', 'compaction']);

function countStep(step: JsonObject): PartialCounts {
  const classes = asObject(step['cache_creation']);
  return Object.fromEntries([
    ...MESSAGE_COUNTS.map(([count, name]) => [count, step[name]]),
    ...MESSAGE_CLASSES.map(([count, name]) => [count, classes[name]]),
  ]);
}

/**
 * OpenAI's chat completions, whole or a chunk: `prompt_tokens` is all of the input.
 * https://platform.openai.com/docs/api-reference/chat/object
 */
export function readChat(body: JsonObject, tally: Tally): void {
  const usage = asObject(body['usage']);
  tally.put('promptTokens', usage['prompt_tokens']);
  tally.put('outputTokens', usage['completion_tokens']);
  readTokenDetails(usage, { input: 'prompt_tokens_details', output: 'completion_tokens_details' }, tally);
  tally.putServiceTier(body['service_tier']);
}

/** OpenAI's response, whole. https://platform.openai.com/docs/api-reference/responses/object */
export function readResponse(body: JsonObject, tally: Tally): void {
  const usage = asObject(body['usage']);
  tally.put('promptTokens', usage['input_tokens']);
  tally.put('outputTokens', usage['output_tokens']);
  readTokenDetails(usage, { input: 'input_tokens_details', output: 'output_tokens_details' }, tally);
  // Searches that are billed; pages that were opened besides are not in it.
  const { web_search, ...tools } = asObject(body['tool_usage']);
  tally.putPieces('webSearches', asObject(web_search)['num_requests']);
  tally.hasUnknownPart ||= hasCount(tools);
  tally.putServiceTier(body['service_tier']);
  // Its usage is all there is, as that of one that succeeded.
  if (isObject(body['error'])) tally.putError(body['error']['code'], body['error']['message']);
}

/** An event of a response. */
export function readResponseEvent(event: JsonObject, tally: Tally): void {
  readResponse(asObject(event['response']), tally);
}

function readTokenDetails(usage: JsonObject, names: { input: string; output: string }, tally: Tally): void {
  const { cached_tokens, cache_write_tokens, audio_tokens } = asObject(usage[names.input]);
  const output = asObject(usage[names.output]);
  tally.put('promptCachedTokens', cached_tokens);
  tally.put('promptStoredTokens', cache_write_tokens);
  tally.put('inputAudioTokens', audio_tokens);
  tally.put('outputAudioTokens', output['audio_tokens']);
  tally.putEarly('reasoningTokens', output['reasoning_tokens']);
  tally.putTotal(usage['total_tokens']);
  // xAI's.
  tally.hasUnknownPart ||= hasCount(usage['server_side_tool_usage_details']);
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
    tally.addStep({ inputTokens: usage['inputTokens'] });
  }
}
