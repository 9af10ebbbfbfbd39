/**
 * CountTokens of the offline Bedrock: as many input tokens as the call itself would report. Pure.
 */
import { countConversationTokens } from './conversation.ts';
import { countMessageTokens } from './anthropic-request.ts';
import { asObject, asObjects, asText, isObject, parseJsonObject, type JsonObject } from '../../lib/json.ts';
import { findOfflineModel } from './models.ts';
import { invalidModel, jsonReply, serializationError, validationError, type OfflineCall, type Reply } from './reply.ts';
import { countTokens } from './tokens.ts';

/** Responds to a CountTokens call. */
export function countTokensOfCall(call: OfflineCall): Reply {
  if (findOfflineModel(call.labels['modelId'] ?? '', call.region) === undefined) return invalidModel();
  const body = parseJsonObject(call.body);
  if (body === undefined) return serializationError();
  const { converse, invokeModel } = asObject(body['input']);
  if (isObject(converse) === isObject(invokeModel)) {
    return validationError('input must have exactly one member, invokeModel or converse.');
  }
  if (isObject(converse)) return jsonReply({ inputTokens: countConversationTokens(converse) });
  const inner = parseJsonObject(Buffer.from(asText(asObject(invokeModel)['body']), 'base64'));
  if (inner === undefined) return validationError('input.invokeModel.body must be JSON.');
  return jsonReply({ inputTokens: countInvokeTokens(inner) });
}

/** The tokens of a body in whichever of the known shapes it is. */
function countInvokeTokens(body: JsonObject): number {
  if ('inputText' in body) return countTokens(asText(body['inputText']));
  const blocks = asObjects(body['messages']).flatMap((message) => asObjects(message['content']));
  const isNova = blocks.some((block) => !('type' in block));
  return isNova ? countConversationTokens(body) : countMessageTokens(body);
}
