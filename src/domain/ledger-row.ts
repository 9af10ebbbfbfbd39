/**
 * A request's record as a row of the ledger. Pure: the ledger writes it, a reservation carries it in case this process
 * dies before the ledger can, and log lines and spans take their values from it.
 */
import type { RecordRow } from './ledger-columns.ts';
import type { RequestRecord } from './request-record.ts';
import type { Principal } from './principal.ts';
import type { LedgerRow } from './ledger.ts';
import { MAX_MODEL_LENGTH } from './model-name.ts';
import { findCostNanoUsd, findErrorCode, findErrorMessage, findModel, findPricing, hideKeys } from './outcome.ts';
import { findUserAgentFamily } from './user-agent.ts';

/**
 * Error code of a row whose request was under way when the proxy died. Never on the wire: no process was left to send
 * it.
 */
export const INTERRUPTED = 'ERR_INTERRUPTED';

/** Longer paths are none of AWS's: the longest has a model's ARN in it. */
const MAX_PATH_LENGTH = 512;

/**
 * The row of a request that has ended. `principal` is the record's: a request without one has no row. Method and path
 * are kept of what failed: all else has an operation.
 */
export function rowOf(record: RequestRecord, principal: Principal): LedgerRow {
  const row = describe(record, principal);
  const hasFailed = row.errorCode !== undefined || row.status === undefined || row.status >= 400;
  const way = hasFailed ? {} : { method: undefined, path: undefined };
  return { ...row, ...way, principal: principal.kind, keyLabel: principal.label };
}

/** What any record says of its request, at any time. */
export function describeRecord(record: RequestRecord): RecordRow {
  return describe(record, record.principal);
}

function describe(record: RequestRecord, principal: Principal | undefined): RecordRow {
  return {
    ...factsOf(record, principal),
    status: record.status,
    errorCode: findErrorCode(record),
    errorMessage: findErrorMessage(record),
    method: record.method,
    path: hideKeys(record.path).slice(0, MAX_PATH_LENGTH),
    upstreamRequestId: record.upstreamRequestId,
    usage: record.usage,
    serviceTier: record.serviceTier,
    pricing: findPricing(record),
    priceSource: record.priceSource,
    costNanoUsd: findCostNanoUsd(record),
    chargedNanoUsd: record.chargedNanoUsd,
    partial: record.partial,
    firstByteMs: record.firstByteMs,
    totalMs: record.totalMs,
    responseBytes: record.responseBytes,
    source: record.recording === undefined ? undefined : 'cassette',
    fault: record.fault,
    cacheVerdict: record.cache?.verdict,
    cacheLostNanoUsd: record.cache?.lostNanoUsd,
  };
}

/**
 * What the ledger is to say of a request that is about to be sent, if this process dies before it settles: unpriced
 * and partial, with INTERRUPTED. It charges nothing; the store charges what the reservation holds.
 */
export function rowIfLost(record: RequestRecord, principal: Principal): LedgerRow {
  return {
    ...factsOf(record, principal),
    principal: principal.kind,
    keyLabel: principal.label,
    status: undefined,
    errorCode: INTERRUPTED,
    errorMessage: 'The proxy died before the request had ended.',
    method: undefined,
    path: undefined,
    upstreamRequestId: undefined,
    usage: undefined,
    serviceTier: undefined,
    pricing: 'unpriced',
    priceSource: undefined,
    costNanoUsd: undefined,
    chargedNanoUsd: 0,
    partial: true,
    firstByteMs: undefined,
    totalMs: undefined,
    responseBytes: 0,
    source: undefined,
    fault: undefined,
    cacheVerdict: undefined,
    cacheLostNanoUsd: undefined,
  };
}

/** What is known before the response. */
function factsOf(record: RequestRecord, principal: Principal | undefined) {
  const { id, startedAtMs, route, requestBytes } = record;
  return {
    id,
    requests: 1,
    startedAtMs,
    principal: principal?.kind,
    keyId: principal?.kind === 'key' ? principal.keyId : undefined,
    keyLabel: principal?.label,
    service: route?.service,
    operation: route?.operation,
    region: route?.region,
    upstream: record.upstream,
    attempts: record.attempts,
    session: record.session,
    agent: record.agent,
    model: findModel(record)?.slice(0, MAX_MODEL_LENGTH),
    modelAlias: route?.modelAlias,
    inferenceProfile: route?.inferenceProfile,
    requestBytes,
    tags: tagsOf(record, principal),
    userAgent: findUserAgentFamily(record.userAgentHeader),
  };
}

/** The key's own count where both have a name: a client cannot take a request out of its owner's sums. */
function tagsOf({ requestTags }: RequestRecord, principal: Principal | undefined): LedgerRow['tags'] {
  const tags = principal?.kind === 'key' ? principal.tags : {};
  return requestTags === undefined ? tags : { ...requestTags, ...tags };
}
