/**
 * What a trace says of a request, in the names of OpenTelemetry's semantic conventions (HTTP, GenAI and AWS, as of
 * version 1.45) and, where those have none, in ours. Pure, and free of OpenTelemetry's code. No key, no prompt, no
 * response, no query: what is said here leaves the machine.
 */
import { toUsd } from '../lib/usd.ts';
import { sumInput } from '../domain/usage.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { findFacts } from '../operations/find-facts.ts';
import { rowToAttributes } from '../domain/ledger-columns.ts';
import { describeRecord } from '../domain/ledger-row.ts';
import { findErrorCode, findModel, hideKeys } from '../domain/outcome.ts';

/** Attributes of a span; what is undefined is left out. */
export type SpanAttributes = Record<string, string | number | boolean | undefined>;

/** `chat us.amazon.nova-lite-v1:0`, or the operation, or the method where there is none. */
export function nameSpan(record: RequestRecord): string {
  const operation = findGenAiOperation(record);
  const model = findModel(record);
  if (operation !== undefined && model !== undefined) return `${operation} ${model}`;
  return record.route?.operation ?? record.method;
}

/** Of the span that stands for the whole request. */
export function describeRequest(record: RequestRecord): SpanAttributes {
  const row = describeRecord(record);
  const operation = findGenAiOperation(record);
  const provider = operation === undefined ? undefined : 'aws.bedrock';
  return {
    ...rowToAttributes(row),
    'http.request.method': record.method,
    'network.protocol.version': record.httpVersion,
    'url.path': hideKeys(record.path),
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': provider,
    // The name of the same before version 1.37: many back ends still look for it.
    'gen_ai.system': provider,
    // By the convention with those of caches, which our own count leaves out.
    'gen_ai.usage.input_tokens': sumInput(record.usage),
    'bedrock_proxy.cost_usd': row.costNanoUsd === undefined ? undefined : toUsd(row.costNanoUsd),
    'bedrock_proxy.overhead_ms': record.overheadMs,
  };
}

/** Of the span that stands for AWS's part. Without usage: who adds spans up must not count it twice. */
export function describeUpstream(record: RequestRecord): SpanAttributes {
  const { route, upstreamStatus } = record;
  return {
    'rpc.system': 'aws-api',
    'rpc.service': route?.service,
    'rpc.method': route?.operation,
    'http.request.method': record.method,
    'http.response.status_code': upstreamStatus,
    'aws.request_id': record.upstreamRequestId,
    'error.type': findErrorCode(record),
  };
}

/**
 * For a server, what the client did wrong is no error of the span (HTTP conventions); a broken answer is, and a failure
 * behind a good status.
 */
export function isFailedSpan({ error, status, upstreamErrorType }: RequestRecord): boolean {
  if (error !== undefined && error.fault !== 'client') return true;
  if (status === undefined || status >= 500) return true;
  return status < 400 && upstreamErrorType !== undefined;
}

function findGenAiOperation(record: RequestRecord): string | undefined {
  const { genAi } = findFacts(record.route?.service ?? '', record.route?.operation);
  return genAi === 'chat' && findModel(record)?.includes('embed') === true ? 'embeddings' : genAi;
}
