/**
 * Which AWS service a host stands for, which operation a request means, and which handler it has. The table at the top
 * is what the offline Bedrock can do; every other operation of Bedrock is known by name and refused. Pure.
 */
import type { RequestTarget } from '../../http/target.ts';
import { findHeader, type HeaderPair } from '../../http/message.ts';
import { OPERATIONS, SERVICES, type Operation, type Service } from '../../operations/catalog.ts';
import { matchOperations } from '../../operations/matcher.ts';
import { findPartition } from '../../protocol/region.ts';
import { invokeAgentRuntime } from './agentcore.ts';
import { invokeAgent, retrieve, retrieveAndGenerate } from './agents.ts';
import { getFoundationModel, getInferenceProfile, listFoundationModels, listInferenceProfiles } from './control.ts';
import { getAsyncInvoke, listAsyncInvokes, startAsyncInvoke } from './async-invoke.ts';
import { converse, converseStream } from './converse.ts';
import { countTokensOfCall } from './count-tokens.ts';
import { anthropicError, countTokensOfMessage, createMessage } from './create-message.ts';
import { EMPTY_LISTS } from './empty-lists.ts';
import { applyFault } from './faults.ts';
import { applyGuardrail } from './guardrail.ts';
import { invokeModel, invokeModelStream } from './invoke-model.ts';
import { findOfflineModel } from './models.ts';
import { completeChat, listOpenAiModels, openAiError } from './openai-chat.ts';
import { createResponse } from './openai-responses.ts';
import { awsError, type OperationHandler, type Reply } from './reply.ts';
import { rerank } from './rerank.ts';
import { openScriptedCall } from './scripted-call.ts';
import type { Script } from './script.ts';
import type { OfflineState } from './state.ts';

const HANDLERS: Readonly<Record<string, OperationHandler>> = {
  ...EMPTY_LISTS,
  'bedrock.GetFoundationModel': getFoundationModel,
  'bedrock.GetInferenceProfile': getInferenceProfile,
  'bedrock.ListFoundationModels': listFoundationModels,
  'bedrock.ListInferenceProfiles': listInferenceProfiles,
  'bedrock-mantle.ChatCompletions': completeChat,
  'bedrock-mantle.CountMessageTokens': countTokensOfMessage,
  'bedrock-mantle.CreateMessage': createMessage,
  'bedrock-mantle.CreateResponse': createResponse,
  'bedrock-mantle.ListModels': listOpenAiModels,
  'bedrock-runtime.ApplyGuardrail': applyGuardrail,
  'bedrock-runtime.ChatCompletions': completeChat,
  'bedrock-runtime.Converse': converse,
  'bedrock-runtime.ConverseStream': converseStream,
  'bedrock-runtime.CountTokens': countTokensOfCall,
  'bedrock-runtime.CreateMessage': createMessage,
  'bedrock-runtime.CreateResponse': createResponse,
  'bedrock-runtime.GetAsyncInvoke': getAsyncInvoke,
  'bedrock-runtime.InvokeModel': invokeModel,
  'bedrock-runtime.InvokeModelWithResponseStream': invokeModelStream,
  'bedrock-runtime.ListAsyncInvokes': listAsyncInvokes,
  'bedrock-runtime.ListModels': listOpenAiModels,
  'bedrock-runtime.StartAsyncInvoke': startAsyncInvoke,
  'bedrock-agent-runtime.InvokeAgent': invokeAgent,
  'bedrock-agent-runtime.Rerank': rerank,
  'bedrock-agent-runtime.Retrieve': retrieve,
  'bedrock-agent-runtime.RetrieveAndGenerate': retrieveAndGenerate,
  'bedrock-agentcore.InvokeAgentRuntime': invokeAgentRuntime,
};

/** The names of all that it can do, each behind its service and a dot. */
export const PLAYED_OPERATIONS: readonly string[] = Object.keys(HANDLERS);

/** What the offline Bedrock plays for a host. */
export interface PlayedHost {
  readonly service: Service;
  readonly region: string;
  /** As ARNs name it. */
  readonly partition: string;
}

/** A request whose signature was right. */
export interface AdmittedRequest {
  readonly method: string;
  readonly target: RequestTarget;
  readonly headers: readonly HeaderPair[];
  readonly body: Buffer;
}

/**
 * The service and region of an AWS host name, with or without a port; undefined for hosts that are none of Bedrock's.
 */
export function findPlayedHost(authority: string): PlayedHost | undefined {
  const host = authority.replace(/:\d+$/, '').toLowerCase();
  const [, prefix = '', region = '', suffix] =
    /^((?:[a-z0-9-]+\.gateway\.)?[a-z-]+)\.([a-z0-9-]+)\.(.+)$/.exec(host) ?? [];
  const serviceId = prefix.includes('.gateway.') ? 'agentcore-gateway' : prefix.replace(/-fips$/, '');
  const service = SERVICES.get(serviceId);
  const partition = findPartition(region);
  if (service === undefined || partition === undefined) return undefined;
  if (suffix !== partition.dnsSuffix && suffix !== partition.dualStackDnsSuffix) return undefined;
  return { service, region, partition: partition.id };
}

/** What a server has beside a request. */
export interface RespondingWith {
  readonly nowMs: number;
  readonly state: OfflineState;
  /** Undefined: the model says what it says by itself. */
  readonly script: Script | undefined;
}

/**
 * The reply to a request, faults on demand included. What is not played is refused with a status that no SDK tries
 * again.
 */
export function respondToRequest(
  request: AdmittedRequest,
  played: PlayedHost,
  { nowMs, state, script }: RespondingWith,
): Reply {
  const { path, query = '' } = request.target;
  const operation = findOperation(request, path, played.service);
  if (operation === undefined) {
    return awsError(
      404,
      'UnknownOperationException',
      `${played.service.id} has no operation ${request.method} ${path}.`,
    );
  }
  const handler = HANDLERS[`${played.service.id}.${operation.name}`];
  if (handler === undefined) {
    const name = operation.name ?? `${request.method} ${path}`;
    return refuseLacking(path, `The offline Bedrock lacks ${played.service.id} ${name}.`);
  }
  const labels = readLabels(operation.template, path);
  const scripted = openScriptedCall(script);
  const reply = handler({
    operation: operation.name ?? '',
    region: played.region,
    partition: played.partition,
    labels,
    query: new Map(new URLSearchParams(query)),
    headers: request.headers,
    body: request.body,
    nowMs,
    state,
    scripted,
  });
  // An API that names the model in the body fails in a shape of its own, and has done so.
  if (labels['modelId'] === undefined) return reply;
  return applyFault(findOfflineModel(labels['modelId'], played.region)?.id ?? '', reply, scripted.findFault());
}

/** In the shape of the API that the path belongs to. */
function refuseLacking(path: string, message: string): Reply {
  if (path.startsWith('/anthropic/')) return anthropicError(400, message);
  if (/^\/(?:openai|v1)\//.test(path)) return openAiError(400, message);
  return awsError(400, 'UnsupportedOperationException', message);
}

function findOperation({ method, headers }: AdmittedRequest, path: string, service: Service): Operation | undefined {
  if (service.targetPrefix === undefined) return matchOperations(method, path, service.id)[0];
  const [prefix, name] = (findHeader(headers, 'x-amz-target') ?? '').split('.', 2);
  if (method !== 'POST' || path !== '/' || prefix !== service.targetPrefix) return undefined;
  return OPERATIONS.find((operation) => operation.service.id === service.id && operation.name === name);
}

function readLabels(template: string, path: string): Record<string, string> {
  const segments = path.split('/');
  const labels: Record<string, string> = {};
  for (const [index, part] of template.split('/').entries()) {
    const [, name] = /^\{(.+?)\+?\}$/.exec(part) ?? [];
    if (name !== undefined) labels[name] = decodeLabel(segments[index] ?? '');
  }
  return labels;
}

/** What is no UTF-8 stays as it was, and is refused later. */
function decodeLabel(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
