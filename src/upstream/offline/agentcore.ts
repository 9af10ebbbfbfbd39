/**
 * InvokeAgentRuntime of the offline Bedrock: an agent in AgentCore that repeats its prompt, whole or as server-sent
 * events as its client accepts. What goes in and out is the agent's own affair, so this is one shape among many. Pure.
 */
import { findHeader } from '../../http/message.ts';
import { asText, parseJsonObject } from '../../lib/json.ts';
import { jsonReply, validationError, type OfflineCall, type Reply } from './reply.ts';
import { splitTokens, stableUuid } from './tokens.ts';

const RUNTIME_ARN =
  /^arn:aws(?:-[^:]+)?:bedrock-agentcore:[a-z0-9-]{1,20}:[0-9]{12}:runtime\/([a-zA-Z][a-zA-Z0-9_-]{0,63})$/;
const SESSION_HEADER = 'x-amzn-bedrock-agentcore-runtime-session-id';

/** Responds to an InvokeAgentRuntime call whose payload is JSON with a `prompt`. */
export function invokeAgentRuntime({ labels, headers, body }: OfflineCall): Reply {
  const [, name] = RUNTIME_ARN.exec(labels['agentRuntimeArn'] ?? '') ?? [];
  if (name === undefined) return validationError('The agent runtime ARN is invalid.');
  const payload = parseJsonObject(body);
  if (payload === undefined) return validationError('The offline agent reads a JSON object with a prompt.');
  const text = `Offline answer of the runtime ${name}: you said: ${asText(payload['prompt'])}`;
  const session = findHeader(headers, SESSION_HEADER) ?? stableUuid(`runtime session ${text}`);
  if (!/text\/event-stream/i.test(findHeader(headers, 'accept') ?? '')) {
    return jsonReply({ result: text }, { [SESSION_HEADER]: session });
  }
  const chunks = splitTokens(text).map((piece) => Buffer.from(`data: ${JSON.stringify(piece)}\n\n`));
  const streamHeaders = { 'content-type': 'text/event-stream', [SESSION_HEADER]: session };
  return { status: 200, headers: streamHeaders, chunks, isStream: true, ending: 'end', isSlow: false };
}
