/**
 * Asynchronous invocations of the offline Bedrock: they are remembered, run for three seconds and write nothing to the
 * bucket that they name. Deterministic, by the clock of the server.
 */
import { asObject, asText, isObject, parseJsonObject, type JsonObject } from '../../lib/json.ts';
import { ACCOUNT_ID, findOfflineModel } from './models.ts';
import {
  awsError,
  invalidModel,
  jsonReply,
  profileOnly,
  serializationError,
  validationError,
  type OfflineCall,
  type Reply,
} from './reply.ts';
import type { AsyncInvocation } from './state.ts';
import { stableId } from './tokens.ts';

const RUNNING_MS = 3000;
/** Of one server; the oldest goes first. */
const MAX_INVOCATIONS = 1000;
const DEFAULT_RESULTS = 100;

/** Models that run so: they make videos, or vectors of long media. */
const ASYNCHRONOUS = /^(amazon\.nova-reel|amazon\.nova-.*embeddings|luma\.|twelvelabs\.marengo)/;

/** Responds to a StartAsyncInvoke call; the same `clientRequestToken` starts nothing anew. */
export function startAsyncInvoke(call: OfflineCall): Reply {
  const body = parseJsonObject(call.body);
  if (body === undefined) return serializationError();
  const model = findOfflineModel(asText(body['modelId']), call.region);
  if (model === undefined) return invalidModel();
  if (model.needsProfile) return profileOnly(model.id);
  if (!ASYNCHRONOUS.test(model.id)) return validationError(`The model ${model.id} does not support async invocation.`);
  if (!isObject(body['modelInput'])) return validationError('modelInput must be an object.');
  const outputDataConfig = asObject(body['outputDataConfig']);
  const s3Uri = asText(asObject(outputDataConfig['s3OutputDataConfig'])['s3Uri']);
  if (!/^s3:\/\/[a-z0-9][.a-z0-9-]{1,61}[a-z0-9](\/.*)?$/.test(s3Uri)) {
    return validationError('outputDataConfig.s3OutputDataConfig.s3Uri must name a bucket.');
  }
  const { invocations } = call.state;
  const token = asText(body['clientRequestToken']) || undefined;
  const earlier = [...invocations.values()].find((one) => token !== undefined && one.clientRequestToken === token);
  if (earlier !== undefined) return jsonReply({ invocationArn: earlier.invocationArn });
  const id = stableId('', `${invocations.size} ${call.nowMs} ${call.body.toString()}`, 40).toLowerCase().slice(0, 12);
  const prefix = `arn:${call.partition}:bedrock:${call.region}`;
  const invocation: AsyncInvocation = {
    invocationArn: `${prefix}:${ACCOUNT_ID}:async-invoke/${id}`,
    modelArn: `${prefix}::foundation-model/${model.id}`,
    clientRequestToken: token,
    outputDataConfig: { s3OutputDataConfig: { ...asObject(outputDataConfig['s3OutputDataConfig']), s3Uri } },
    submittedAtMs: call.nowMs,
  };
  invocations.set(invocation.invocationArn, invocation);
  const [oldest] = invocations.keys();
  if (invocations.size > MAX_INVOCATIONS && oldest !== undefined) invocations.delete(oldest);
  return jsonReply({ invocationArn: invocation.invocationArn });
}

/** Responds to a GetAsyncInvoke call. */
export function getAsyncInvoke(call: OfflineCall): Reply {
  const invocation = call.state.invocations.get(call.labels['invocationArn'] ?? '');
  if (invocation !== undefined) return jsonReply(describe(invocation, call.nowMs));
  return awsError(400, 'ValidationException', 'The provided invocation ARN does not exist.');
}

/** Responds to a ListAsyncInvokes call, with status, time, order and pages. */
export function listAsyncInvokes(call: OfflineCall): Reply {
  const { query, nowMs } = call;
  const maxResults = Number(query.get('maxResults') ?? DEFAULT_RESULTS);
  if (!Number.isInteger(maxResults) || maxResults < 1 || maxResults > 1000) {
    return validationError('maxResults must be between 1 and 1000.');
  }
  const status = query.get('statusEquals');
  const [after, before] = ['submitTimeAfter', 'submitTimeBefore'].map((name) => Date.parse(query.get(name) ?? ''));
  const found = [...call.state.invocations.values()].filter(
    (one) =>
      one.invocationArn.includes(`:${call.region}:`) &&
      (status === undefined || statusOf(one, nowMs) === status) &&
      !(one.submittedAtMs <= Number(after)) &&
      !(one.submittedAtMs >= Number(before)),
  );
  const ordered = query.get('sortOrder') === 'Ascending' ? found : found.toReversed();
  const start = Number(/^offline-(\d{1,6})$/.exec(query.get('nextToken') ?? 'offline-0')?.[1] ?? Number.NaN);
  if (Number.isNaN(start)) return validationError('nextToken is invalid.');
  const next = start + maxResults;
  return jsonReply({
    asyncInvokeSummaries: ordered.slice(start, next).map((one) => describe(one, nowMs)),
    ...(next < ordered.length ? { nextToken: `offline-${next}` } : {}),
  });
}

function statusOf({ submittedAtMs }: AsyncInvocation, nowMs: number): string {
  return nowMs - submittedAtMs < RUNNING_MS ? 'InProgress' : 'Completed';
}

function describe(invocation: AsyncInvocation, nowMs: number): JsonObject {
  const { submittedAtMs, ...rest } = invocation;
  const endedAtMs = submittedAtMs + RUNNING_MS;
  const isDone = nowMs >= endedAtMs;
  const [submitTime, endTime] = [submittedAtMs, endedAtMs].map((atMs) => new Date(atMs).toISOString());
  return {
    ...rest,
    status: statusOf(invocation, nowMs),
    submitTime,
    lastModifiedTime: isDone ? endTime : submitTime,
    ...(isDone ? { endTime } : {}),
  };
}
