/**
 * Anthropic's Messages API of the offline Bedrock, as bedrock-runtime and bedrock-mantle serve it below /anthropic:
 * CreateMessage, whole and as server-sent events, and the counting of tokens. Failures are in Anthropic's shape. Pure.
 */
import {
  countMessageTokens,
  findMessagesProblem,
  findPromptProblem,
  readMessagesTurn,
  segmentsOfMessages,
} from './anthropic-request.ts';
import { eventsOf, messageOf } from './anthropic-response.ts';
import { ANTHROPIC_ERROR_TYPES } from '../../faults/refusals.ts';
import { applyFault } from './faults.ts';
import { asText, parseJsonObject, type JsonObject } from '../../lib/json.ts';
import { findNamedModel, type NamedModel } from './models.ts';
import { jsonReply, type OfflineCall, type Reply } from './reply.ts';
import { reshapeFault, sseEvent, sseReply } from './sse.ts';
import { useCacheOf } from './state.ts';
import { stableId } from './tokens.ts';

/** Responds to a CreateMessage call; `stream` sends it in events. */
export function createMessage(call: OfflineCall): Reply {
  const read = readCall(call);
  if ('refusal' in read) return read.refusal;
  const { body, model } = read;
  const problem = findMessagesProblem(body, model.id);
  if (problem !== undefined) return anthropicError(400, problem);
  const tokens = useCacheOf(call, model, segmentsOfMessages(body));
  const response = call.scripted.respond(readMessagesTurn(body, model.id, tokens));
  const id = stableId('msg_bdrk_', call.body.toString(), 24);
  const message = messageOf(response, { id, model: asText(body['model']) });
  const reply = body['stream'] === true ? streamOf(eventsOf(message, response)) : jsonReply(message);
  return reshapeFault(applyFault(model.id, reply, call.scripted.findFault()), reply, {
    refuse: anthropicError,
    fail: failureEvent,
  });
}

/** Responds to a call that counts the tokens of a CreateMessage call. */
export function countTokensOfMessage(call: OfflineCall): Reply {
  const read = readCall(call);
  if ('refusal' in read) return read.refusal;
  const problem = findPromptProblem(read.body, read.model.id);
  return problem === undefined
    ? jsonReply({ input_tokens: countMessageTokens(read.body) })
    : anthropicError(400, problem);
}

/** An error as Anthropic writes it. */
export function anthropicError(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return jsonReply(errorOf(status, message), headers, status);
}

function readCall(call: OfflineCall): { readonly body: JsonObject; readonly model: NamedModel } | { refusal: Reply } {
  const body = parseJsonObject(call.body);
  if (body === undefined) return { refusal: anthropicError(400, 'The request body is not a JSON object.') };
  if (typeof body['model'] !== 'string') return { refusal: anthropicError(400, 'model: Field required') };
  const model = findNamedModel(body['model'], call.region);
  if (model === undefined) return { refusal: anthropicError(404, `model: ${body['model']}`) };
  if (model.shape === 'anthropic' || model.shape === 'unknown') return { body, model };
  return { refusal: anthropicError(400, `The model '${body['model']}' isn't supported on this route.`) };
}

function streamOf(events: readonly JsonObject[]): Reply {
  const chunks = events.map((event) => sseEvent(JSON.stringify(event), asText(event['type'])));
  const ping = sseEvent('{"type":"ping"}', 'ping');
  return sseReply([...chunks.slice(0, 1), ping, ...chunks.slice(1)]);
}

function failureEvent(message: string): Buffer {
  return sseEvent(JSON.stringify(errorOf(500, message)), 'error');
}

function errorOf(status: number, message: string): object {
  const type = ANTHROPIC_ERROR_TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  return { type: 'error', error: { type, message } };
}
