/**
 * Requests and responses in the shapes of every API, for the test of what a budget may lose: a body for a size, and the
 * bytes in which a response tells a usage. The usage is told as AWS tells it, and counted nowhere here.
 */
import { eventFrame } from '../helpers/event-frames.ts';

/** What a request asks for. */
export interface BoundRequest {
  readonly model: string;
  readonly text: string;
  readonly maxTokens: number | undefined;
  readonly tier: string | undefined;
}

/** What its response used. Input is without what caches served and took. */
export interface BoundUsage {
  readonly input: number;
  readonly read: number;
  readonly written: number;
  readonly output: number;
}

/** What a response says. */
export interface BoundResponse {
  readonly usage: BoundUsage;
  /** What the model shows of what it writes. */
  readonly shown: string;
  readonly tier: string | undefined;
}

/** One API. */
export interface BoundShape {
  readonly name: string;
  readonly operation: string;
  /** Undefined: the body names the model. */
  readonly path: string | undefined;
  readonly contentType: string;
  /** Its request cannot ask for a tier in its body, and has none here. */
  readonly hasTier: boolean;
  /** It does not say what it used. */
  readonly isSilent?: boolean;
  /** It cannot tell what was written to a cache. */
  readonly hasNoWrites?: boolean;
  body(request: BoundRequest): object;
  bytes(response: BoundResponse): Buffer;
}

const EVENT_STREAM = 'application/vnd.amazon.eventstream';
const SSE = 'text/event-stream';
const JSON_TYPE = 'application/json';

const json = (body: object): Buffer => Buffer.from(JSON.stringify(body));
const sse = (...events: readonly (object | string)[]): Buffer =>
  Buffer.from(events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join(''));
const named = (...events: readonly (readonly [string, object])[]): Buffer =>
  Buffer.from(events.map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join(''));
const chunk = (event: object): Buffer => eventFrame('chunk', { bytes: json(event).toString('base64') });

const converseBody = ({ text, maxTokens, tier }: BoundRequest): object => ({
  messages: [{ role: 'user', content: [{ text }] }],
  ...(maxTokens === undefined ? {} : { inferenceConfig: { maxTokens } }),
  ...(tier === undefined ? {} : { serviceTier: { type: tier } }),
});
const converseTail = ({ usage, tier }: BoundResponse): object => ({
  usage: {
    inputTokens: usage.input,
    outputTokens: usage.output,
    cacheReadInputTokens: usage.read,
    cacheWriteInputTokens: usage.written,
    totalTokens: usage.input + usage.read + usage.written + usage.output,
  },
  ...(tier === undefined ? {} : { serviceTier: { type: tier } }),
});
const messageBody = ({ model, text, maxTokens, tier }: BoundRequest, names: boolean): object => ({
  ...(names ? { model } : {}),
  messages: [{ role: 'user', content: text }],
  ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
  ...(tier === undefined ? {} : { service_tier: tier }),
});
const messageUsage = ({ usage, tier }: BoundResponse): object => ({
  input_tokens: usage.input,
  output_tokens: usage.output,
  cache_read_input_tokens: usage.read,
  cache_creation_input_tokens: usage.written,
  ...(tier === undefined ? {} : { service_tier: tier }),
});
const chatUsage = ({ usage }: BoundResponse): object => ({
  prompt_tokens: usage.input + usage.read,
  completion_tokens: usage.output,
  prompt_tokens_details: { cached_tokens: usage.read },
});
const responseBody = ({ model, text, maxTokens, tier }: BoundRequest): object => ({
  model,
  input: text,
  ...(maxTokens === undefined ? {} : { max_output_tokens: maxTokens }),
  ...(tier === undefined ? {} : { service_tier: tier }),
});
const responseOf = ({ usage, tier }: BoundResponse): object => ({
  usage: {
    input_tokens: usage.input + usage.read,
    output_tokens: usage.output,
    input_tokens_details: { cached_tokens: usage.read },
  },
  ...(tier === undefined ? {} : { service_tier: tier }),
});
const withoutTier = (request: BoundRequest): BoundRequest => ({ ...request, tier: undefined });
const messageStart = (response: BoundResponse): object => ({
  type: 'message_start',
  message: { usage: { ...messageUsage(response), output_tokens: 1 } },
});
const textDelta = (text: string): object => ({ type: 'content_block_delta', delta: { type: 'text_delta', text } });

/** Converse, InvokeModel of Claude and Nova, OpenAI's and Anthropic's API; each whole and as a stream. */
export const BOUND_SHAPES: readonly BoundShape[] = [
  {
    name: 'Converse',
    operation: 'Converse',
    path: 'converse',
    contentType: JSON_TYPE,
    hasTier: true,
    body: converseBody,
    bytes: (response) => json({ output: { text: response.shown }, ...converseTail(response) }),
  },
  {
    name: 'ConverseStream',
    operation: 'ConverseStream',
    path: 'converse-stream',
    contentType: EVENT_STREAM,
    hasTier: true,
    body: converseBody,
    bytes: (response) =>
      Buffer.concat([
        eventFrame('messageStart', { role: 'assistant' }),
        eventFrame('contentBlockDelta', { delta: { text: response.shown } }),
        eventFrame('messageStop', { stopReason: 'end_turn' }),
        eventFrame('metadata', converseTail(response)),
      ]),
  },
  {
    name: 'InvokeModel of Claude',
    operation: 'InvokeModel',
    path: 'invoke',
    contentType: JSON_TYPE,
    hasTier: false,
    body: (request) => messageBody(withoutTier(request), false),
    bytes: (response) => json({ content: [{ text: response.shown }], usage: messageUsage(response) }),
  },
  {
    name: 'its stream',
    operation: 'InvokeModelWithResponseStream',
    path: 'invoke-with-response-stream',
    contentType: EVENT_STREAM,
    hasTier: false,
    body: (request) => messageBody(withoutTier(request), false),
    bytes: (response) =>
      Buffer.concat([
        chunk(messageStart(response)),
        chunk(textDelta(response.shown)),
        chunk({ type: 'message_delta', usage: { output_tokens: response.usage.output } }),
        chunk({
          type: 'message_stop',
          'amazon-bedrock-invocationMetrics': {
            inputTokenCount: response.usage.input,
            outputTokenCount: response.usage.output,
            cacheReadInputTokenCount: response.usage.read,
            cacheWriteInputTokenCount: response.usage.written,
          },
        }),
      ]),
  },
  {
    name: 'chat completions',
    operation: 'ChatCompletions',
    path: undefined,
    contentType: JSON_TYPE,
    hasTier: true,
    hasNoWrites: true,
    body: (request) => messageBody(request, true),
    bytes: (response) => json({ choices: [], usage: chatUsage(response), service_tier: response.tier }),
  },
  {
    name: 'their stream with its usage',
    operation: 'ChatCompletions',
    path: undefined,
    contentType: SSE,
    hasTier: true,
    hasNoWrites: true,
    body: (request) => ({ ...messageBody(request, true), stream: true }),
    bytes: (response) =>
      sse(
        { choices: [{ delta: { content: response.shown } }] },
        { choices: [], usage: chatUsage(response), service_tier: response.tier },
        '[DONE]',
      ),
  },
  {
    name: 'their stream without its usage',
    operation: 'ChatCompletions',
    path: undefined,
    contentType: SSE,
    hasTier: true,
    hasNoWrites: true,
    isSilent: true,
    body: (request) => ({ ...messageBody(request, true), stream: true }),
    bytes: ({ shown }) => sse({ choices: [{ delta: { content: shown } }] }, '[DONE]'),
  },
  {
    name: 'responses',
    operation: 'CreateResponse',
    path: undefined,
    contentType: JSON_TYPE,
    hasTier: true,
    hasNoWrites: true,
    body: responseBody,
    bytes: (response) => json({ output: [], ...responseOf(response) }),
  },
  {
    name: 'their stream',
    operation: 'CreateResponse',
    path: undefined,
    contentType: SSE,
    hasTier: true,
    hasNoWrites: true,
    body: (request) => ({ ...responseBody(request), stream: true }),
    bytes: (response) =>
      named(
        ['response.output_text.delta', { delta: response.shown }],
        ['response.completed', { response: responseOf(response) }],
      ),
  },
  {
    name: 'the stream of messages',
    operation: 'CreateMessage',
    path: undefined,
    contentType: SSE,
    hasTier: true,
    body: (request) => ({ ...messageBody(request, true), stream: true }),
    bytes: (response) =>
      named(
        ['message_start', messageStart(response)],
        ['content_block_delta', textDelta(response.shown)],
        ['message_delta', { type: 'message_delta', usage: { output_tokens: response.usage.output } }],
        ['message_stop', { type: 'message_stop' }],
      ),
  },
];
