/**
 * InvokeModel of the models that take OpenAI's chat completions: gpt-oss, Qwen, DeepSeek V3, newer Mistral, Jamba, …;
 * and of models that an ARN does not name, which go by what their body holds. Pure.
 */
import { chunksOf, completionOf, readChatTurn, segmentsOfChat } from './chat-shape.ts';
import { invokeAnthropic } from './invoke-anthropic.ts';
import { embedText } from './invoke-embedding.ts';
import { invokeNova } from './invoke-nova.ts';
import { uncached, type InvokeContext, type InvokeOutcome } from './invoke-outcome.ts';
import { invokeText } from './invoke-text.ts';
import { asObjects, type JsonObject } from '../../lib/json.ts';
import { countSegments } from './prompt-cache.ts';
import { stableId } from './tokens.ts';

/** Responds to a body of OpenAI's shape. */
export function invokeChat(body: JsonObject, { modelId, respond }: InvokeContext): InvokeOutcome {
  if (asObjects(body['messages']).length === 0) return { problem: 'messages: at least one message is required' };
  const response = respond(readChatTurn(body, modelId, uncached(countSegments(segmentsOfChat(body)))));
  const head = { id: stableId('chatcmpl-', modelId + JSON.stringify(body), 24), created: 0, model: modelId };
  const { tokens, outputTokens, latencyMs } = response;
  const streamed = chunksOf(head, response, false);
  return { content: completionOf(head, response), streamed, tokens, outputTokens, latencyMs };
}

/** Responds to a body in the shape that its members show. */
export function invokeUnknown(body: JsonObject, context: InvokeContext): InvokeOutcome {
  if ('anthropic_version' in body) return invokeAnthropic(body, context);
  if ('inputText' in body)
    return 'textGenerationConfig' in body ? invokeText('titan-text', body, context) : embedText(body, context);
  if ('prompt' in body) return invokeText('max_gen_len' in body ? 'llama' : 'mistral-text', body, context);
  const blocks = asObjects(body['messages']).flatMap(({ content }) => asObjects(content));
  return blocks.some((block) => !('type' in block)) ? invokeNova(body, context) : invokeChat(body, context);
}
