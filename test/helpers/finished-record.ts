/**
 * An exchange as a plain value, for whatever is told of exchanges at their end: one Converse call of a key that went
 * well.
 */
import { describeHead } from '../../src/http/message.ts';
import { type RequestRecord, openRecord } from '../../src/domain/request-record.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { aClientRequest } from './client-request.ts';

export const STARTED_AT_MS = Date.UTC(2026, 2, 14, 15, 9, 26, 535);

/** A principal for a key without limits. */
export function aKeyPrincipal(fields: Partial<Extract<Principal, { kind: 'key' }>> = {}): Principal {
  return {
    kind: 'key',
    keyId: 'vk_1',
    label: 'alice',
    policy: EMPTY_POLICY,
    tags: {},
    ...fields,
  };
}

/** The exchange, with the given fields in place of its own. */
export function aFinishedRecord(fields: Partial<RequestRecord> = {}): RequestRecord {
  const headers = [['User-Agent', 'curl/8.14.1']] as const;
  const rawTarget = '/bedrock/model/amazon.nova-lite-v1%3A0/converse';
  return {
    ...openRecord('id-1', STARTED_AT_MS, describeHead(aClientRequest({ method: 'POST', rawTarget, headers }))),
    principal: aKeyPrincipal({ tags: { team: 'blue' } }),
    route: { service: 'bedrock-runtime', operation: 'Converse', region: 'us-east-1', modelId: 'amazon.nova-lite-v1:0' },
    phase: 'ended',
    status: 200,
    upstreamStatus: 200,
    upstreamRequestId: 'aws-1',
    usage: { inputTokens: 1_200, outputTokens: 310 },
    serviceTier: 'default',
    pricing: 'priced',
    costNanoUsd: 4_200_000,
    chargedNanoUsd: 4_200_000,
    firstByteMs: 12.5,
    totalMs: 1_500,
    overheadMs: 0.75,
    sentMs: 0.75,
    requestBytes: 321,
    responseBytes: 45_678,
    ...fields,
  };
}
