/**
 * What a model has responded: a whole body, told by what it has, or a stream that is put together. Pure, and never
 * throws.
 */
import { asObject, asObjects, asText, isObject, type JsonObject } from '../../lib/json.ts';
import { readErrorBody } from '../../metering/error-body.ts';
import type { Exchange } from '../exchange.ts';
import type { BlockView, MessagesView, MessageView } from '../wire.ts';
import { Assembly } from './assembly.ts';
import { mediaBlock, NO_PLACE, other, put, readAnthropicBlock, readConverseBlock } from './blocks.ts';
import { indexFrames } from './frame-index.ts';
import { contentTypeOf, responseOf } from './kept-body.ts';
import { readJson } from './payload.ts';
import { readPlainBody } from './plain-body.ts';
import { readChatMessage, readResponseItem, readMessageTurn } from './request-messages.ts';
import { readEvents } from './stream-events.ts';

/** What a response says. */
export interface ResponseMessages extends Pick<MessagesView, 'response' | 'stop'> {
  readonly problem: string | undefined;
}

/** Reads the response of an exchange, as far as it has come. */
export function readResponseMessages(exchange: Exchange): ResponseMessages {
  const found = responseOf(exchange);
  if (found === undefined) return { response: null, stop: null, problem: undefined };
  const index = indexFrames(exchange);
  const { status = 200 } = found.message;
  if (index.protocol !== 'chunks' && status < 400) {
    const assembly = new Assembly();
    for (const event of readEvents(exchange, index)) assembly.add(event);
    const problem = [assembly.problem, index.problem].filter((told) => told !== null && told !== undefined).join(' ');
    return { response: assembly.finish() ?? null, stop: assembly.stop, problem: problem === '' ? undefined : problem };
  }
  if (exchange.end === 'open') return { response: null, stop: null, problem: undefined };
  const plain = readPlainBody(found.message, found.body, "response's body");
  if ('problem' in plain) return { response: null, stop: null, problem: plain.problem };
  if (status >= 400) return { response: null, stop: null, problem: describeError(status, plain.bytes, exchange) };
  const json = readJson(plain.bytes);
  if (isObject(json)) return readWhole(json);
  const isJson = contentTypeOf(found.message) === 'application/json' && plain.bytes.length > 0;
  return { response: null, stop: null, problem: isJson ? "The response's body is no JSON object." : undefined };
}

function describeError(status: number, body: Buffer, { row }: Exchange): string {
  const { type, message } = readErrorBody(body);
  const name = row.errorCode ?? type;
  return [`HTTP ${status}`, name, message && `: ${message}`]
    .filter((part) => part !== undefined)
    .join(' ')
    .replace(' : ', ': ');
}

function readWhole(body: JsonObject): ResponseMessages {
  const known = [readConverse, readChat, readResponses, readMessage, readTexts, readEmbeddings, readImages];
  for (const read of known) {
    const found = read(body);
    if (found !== undefined) return { problem: undefined, ...found, stop: found.stop === '' ? null : found.stop };
  }
  const response: MessageView = { role: 'assistant', blocks: [other('response', body, NO_PLACE)] };
  return { response, stop: null, problem: undefined };
}

type Found = { readonly response: MessageView; readonly stop: string | null } | undefined;

function readConverse({ output, stopReason }: JsonObject): Found {
  const message = asObject(output)['message'];
  if (!isObject(message)) return undefined;
  const response = readMessageTurn(asText(message['role']) || 'assistant', message['content'], readConverseBlock);
  return { response, stop: asText(stopReason) };
}

function readChat({ choices }: JsonObject): Found {
  if (!Array.isArray(choices)) return undefined;
  const read = asObjects(choices).map((choice) =>
    typeof choice['text'] === 'string'
      ? { role: 'assistant', blocks: [textOf(choice['text'])] }
      : readChatMessage({ role: 'assistant', ...asObject(choice['message']) }, NO_PLACE),
  );
  const [first] = asObjects(choices);
  const response = { role: read[0]?.role ?? 'assistant', blocks: read.flatMap(({ blocks }) => blocks) };
  return { response, stop: asText(first?.['finish_reason'] ?? first?.['stop_reason']) };
}

function readResponses({ output, status, incomplete_details }: JsonObject): Found {
  if (!Array.isArray(output)) return undefined;
  const blocks = output.flatMap((item) => readResponseItem(item, NO_PLACE).blocks);
  return { response: { role: 'assistant', blocks }, stop: asText(asObject(incomplete_details)['reason'] ?? status) };
}

/** Anthropic's, and Cohere's newer shape: the content is a list of blocks with types. */
function readMessage(body: JsonObject): Found {
  const message = Array.isArray(body['content']) ? body : asObject(body['message']);
  if (!Array.isArray(message['content'])) return undefined;
  const response = readMessageTurn(asText(message['role']) || 'assistant', message['content'], readAnthropicBlock);
  return { response, stop: asText(body['stop_reason'] ?? body['finish_reason']) };
}

/** Titan, Llama, Claude 2, Mistral, Cohere, AI21. */
function readTexts(body: JsonObject): Found {
  const lists = ['results', 'outputs', 'generations', 'completions'].flatMap((name) => asObjects(body[name]));
  const inLists = lists.map((item) => item['outputText'] ?? item['text'] ?? asObject(item['data'])['text']);
  const texts = [body['generation'], body['completion'], body['text'], ...inLists].filter(
    (text) => typeof text === 'string',
  );
  if (texts.length === 0) return undefined;
  const [first = {}] = lists;
  const stops = [body, first].flatMap((part) => [part['completionReason'], part['stop_reason'], part['finish_reason']]);
  const stop = stops.find((reason) => typeof reason === 'string') ?? '';
  return { response: { role: 'assistant', blocks: texts.map(textOf) }, stop };
}

/** Of a vector its length and its beginning. */
const SHOWN_DIMENSIONS = 8;

function readEmbeddings(body: JsonObject): Found {
  const { embedding, embeddings, embeddingsByType, data } = body;
  const groups = [
    [embedding],
    embeddings,
    data,
    ...Object.values(asObject(embeddingsByType)),
    ...Object.values(asObject(embeddings)),
  ];
  const vectors = groups
    .flatMap((group): unknown[] => (Array.isArray(group) ? group : []))
    .map((item) => (isObject(item) ? item['embedding'] : item))
    .filter((item): item is unknown[] => Array.isArray(item));
  if (vectors.length === 0) return undefined;
  const blocks = vectors.map((vector) => {
    const beginning = vector.slice(0, SHOWN_DIMENSIONS);
    return other('embedding', { dimensions: vector.length, beginning }, NO_PLACE);
  });
  return { response: { role: 'assistant', blocks }, stop: null };
}

/** Pictures of Titan, Nova Canvas, Stability and OpenAI. What they are, none of them says: browsers find out. */
function readImages({ images, artifacts, data }: JsonObject): Found {
  const items = [images, artifacts, data].flatMap((list): unknown[] => (Array.isArray(list) ? list : []));
  const pictures = items
    .map((item) => (isObject(item) ? (item['base64'] ?? item['b64_json']) : item))
    .filter((item) => typeof item === 'string');
  if (pictures.length === 0) return undefined;
  const blocks = pictures.map((base64) => mediaBlock('image/png', base64, NO_PLACE));
  return { response: { role: 'assistant', blocks }, stop: null };
}

function textOf(text: string): BlockView {
  return put(NO_PLACE, { kind: 'text', text });
}
