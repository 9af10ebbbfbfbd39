/**
 * InvokeModel in the shape of Anthropic's models: their Messages API, with `anthropic_version` in place of the model's
 * name; and their text completions, which Claude 2 took. Pure.
 */
import { findMessagesProblem, readMessagesTurn, segmentsOfMessages } from './anthropic-request.ts';
import { eventsOf, messageOf } from './anthropic-response.ts';
import type { InvokeContext, InvokeOutcome } from './invoke-outcome.ts';
import type { JsonObject } from '../../lib/json.ts';
import { stableId } from './tokens.ts';

/** Responds to a body of the Messages API. */
export function invokeAnthropic(body: JsonObject, { modelId, useCache, respond }: InvokeContext): InvokeOutcome {
  if (typeof body['anthropic_version'] !== 'string') return { problem: 'anthropic_version: Field required' };
  const problem = findMessagesProblem(body, modelId);
  if (problem !== undefined) return { problem };
  const response = respond(readMessagesTurn(body, modelId, useCache(segmentsOfMessages(body))));
  const message = messageOf(response, {
    id: stableId('msg_bdrk_', JSON.stringify(body) + modelId, 24),
    model: modelId.replace(/^anthropic\./, '').replace(/-v\d+(?::\d+)?$/, ''),
  });
  const { tokens, outputTokens, latencyMs } = response;
  return { content: message, streamed: eventsOf(message, response), tokens, outputTokens, latencyMs };
}
