/**
 * ApplyGuardrail of the offline Bedrock: a guardrail with one rule, a forbidden word. Pure.
 */
import { BAD_WORD } from './conversation.ts';
import { asObject, asObjects, asText, parseJsonObject, type JsonObject } from '../../lib/json.ts';
import { jsonReply, serializationError, validationError, type OfflineCall, type Reply } from './reply.ts';

/** A text unit of a guardrail policy is up to this many characters (AWS's pricing). */
const UNIT_CHARACTERS = 1000;
const IDENTIFIER = /^([a-z0-9]+|arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail\/[a-z0-9]+)$/;
const VERSION = /^([1-9][0-9]{0,7}|DRAFT)$/;

/** Responds to an ApplyGuardrail call. */
export function applyGuardrail({ labels, body: bytes }: OfflineCall): Reply {
  if (!IDENTIFIER.test(labels['guardrailIdentifier'] ?? ''))
    return validationError('The guardrail identifier is invalid.');
  if (!VERSION.test(labels['guardrailVersion'] ?? '')) return validationError('The guardrail version is invalid.');
  const body = parseJsonObject(bytes);
  if (body === undefined) return serializationError();
  if (body['source'] !== 'INPUT' && body['source'] !== 'OUTPUT') {
    return validationError('source must be INPUT or OUTPUT.');
  }
  const texts = asObjects(body['content']).map((block) => asText(asObject(block['text'])['text']));
  if (texts.length === 0) return validationError('content must have a member.');
  return jsonReply(assessText(texts, body['outputScope'] === 'FULL'));
}

/** What ApplyGuardrail says of texts; `isFull` names the policies that found nothing, too. */
export function assessText(texts: readonly string[], isFull: boolean): JsonObject {
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  const isBad = texts.some((text) => text.toLowerCase().includes(BAD_WORD));
  const usage = {
    topicPolicyUnits: 0,
    contentPolicyUnits: 0,
    wordPolicyUnits: Math.ceil(characters / UNIT_CHARACTERS),
    sensitiveInformationPolicyUnits: 0,
    sensitiveInformationPolicyFreeUnits: 0,
    contextualGroundingPolicyUnits: 0,
  };
  const guardrailCoverage = { textCharacters: { guarded: characters, total: characters } };
  const customWords = isBad ? [{ match: BAD_WORD, action: 'BLOCKED', detected: true }] : [];
  const invocationMetrics = { guardrailProcessingLatency: 40, usage, guardrailCoverage };
  const words = isBad || isFull ? { wordPolicy: { customWords, managedWordLists: [] } } : {};
  return {
    usage,
    action: isBad ? 'GUARDRAIL_INTERVENED' : 'NONE',
    actionReason: isBad ? 'Guardrail blocked.' : 'No action.',
    outputs: isBad ? [{ text: 'The offline guardrail blocked this text.' }] : [],
    assessments: [{ ...words, invocationMetrics }],
    guardrailCoverage,
  };
}
