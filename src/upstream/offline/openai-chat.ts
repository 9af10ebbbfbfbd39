/**
 * The OpenAI shape of the offline Bedrock: chat completions, whole and as server-sent events, and the list of models,
 * as bedrock-runtime and bedrock-mantle serve them below /openai/v1. Failures too are in OpenAI's shape. Pure.
 */
import { chunksOf, completionOf, readChatTurn, segmentsOfChat } from './chat-shape.ts';
import { applyFault } from './faults.ts';
import { asObject, asObjects, asText, parseJsonObject, type JsonObject } from '../../lib/json.ts';
import { uncached } from './invoke-outcome.ts';
import { findNamedModel, LISTED_MODELS, type NamedModel } from './models.ts';
import { countSegments } from './prompt-cache.ts';
import { jsonReply, type OfflineCall, type Reply } from './reply.ts';
import { canConverse } from './shapes.ts';
import { reshapeFault, sseEvent, sseReply } from './sse.ts';
import { stableId } from './tokens.ts';

/**
 * Responds to a chat completion; `stream` sends it in pieces, the last one with the tokens if `stream_options` asks so.
 */
export function completeChat(call: OfflineCall): Reply {
  const read = readOpenAiCall(call);
  if ('refusal' in read) return read.refusal;
  const { body, model } = read;
  if (asObjects(body['messages']).length === 0) return openAiError(400, 'messages: at least one message is required');
  const response = call.scripted.respond(readChatTurn(body, model.id, uncached(countSegments(segmentsOfChat(body)))));
  const head = {
    id: stableId('chatcmpl-', model.id + call.body.toString(), 24),
    created: Math.floor(call.nowMs / 1000),
    model: asText(body['model']),
  };
  const asksForUsage = asObject(body['stream_options'])['include_usage'] === true;
  const reply =
    body['stream'] === true
      ? streamOf(chunksOf(head, response, asksForUsage))
      : jsonReply(completionOf(head, response));
  return reshapeFault(applyFault(model.id, reply, call.scripted.findFault()), reply, {
    refuse: openAiError,
    fail: failureEvent,
  });
}

/** Returns the list of models that write text. */
export function listOpenAiModels({ nowMs }: OfflineCall): Reply {
  const created = Math.floor(nowMs / 1000);
  const data = LISTED_MODELS.filter(isWriting).map(({ id, provider }) => ({
    id,
    object: 'model',
    created,
    owned_by: provider,
  }));
  return jsonReply({ object: 'list', data });
}

/** The body and the model of a call to OpenAI's API; or why it is refused. */
export function readOpenAiCall(
  call: OfflineCall,
): { readonly body: JsonObject; readonly model: NamedModel } | { readonly refusal: Reply } {
  const body = parseJsonObject(call.body);
  if (body === undefined) return { refusal: openAiError(400, 'The request body is not a JSON object.') };
  const name = asText(body['model']);
  const model = findNamedModel(name, call.region);
  if (model === undefined) return { refusal: openAiError(404, `The model '${name}' does not exist.`) };
  if (canConverse(model.shape)) return { body, model };
  return { refusal: openAiError(400, `The model '${name}' isn't supported on this route.`) };
}

/** An error as OpenAI writes it. */
export function openAiError(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return jsonReply(errorOf(status, message), headers, status);
}

function isWriting({ id, output }: { readonly id: string; readonly output: readonly string[] }): boolean {
  return output.includes('TEXT') && !/\brerank\b|sonic/.test(id);
}

function streamOf(chunks: readonly JsonObject[]): Reply {
  return sseReply([...chunks.map((chunk) => sseEvent(JSON.stringify(chunk))), sseEvent('[DONE]')]);
}

function failureEvent(message: string): Buffer {
  return sseEvent(JSON.stringify(errorOf(500, message)));
}

function errorOf(status: number, message: string): object {
  const type = status === 429 ? 'rate_limit_error' : status >= 500 ? 'server_error' : 'invalid_request_error';
  return { error: { code: type, message, param: null, type } };
}
