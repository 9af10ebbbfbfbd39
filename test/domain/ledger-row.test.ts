import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import { INTERRUPTED, rowIfLost, rowOf } from '../../src/domain/ledger-row.ts';
import { aFinishedRecord, aKeyPrincipal, STARTED_AT_MS } from '../helpers/finished-record.ts';

const KEY = aKeyPrincipal({ tags: { team: 'blue' } });

describe('the row of a finished exchange', () => {
  it('writes everything that was found of a finished exchange', () => {
    expect(rowOf(aFinishedRecord({ partial: true }), KEY)).toEqual({
      id: 'id-1',
      requests: 1,
      startedAtMs: STARTED_AT_MS,
      principal: 'key',
      keyId: 'vk_1',
      keyLabel: 'alice',
      service: 'bedrock-runtime',
      operation: 'Converse',
      region: 'us-east-1',
      model: 'amazon.nova-lite-v1:0',
      status: 200,
      errorCode: undefined,
      errorMessage: undefined,
      method: undefined,
      path: undefined,
      upstreamRequestId: 'aws-1',
      usage: { inputTokens: 1_200, outputTokens: 310 },
      serviceTier: 'default',
      pricing: 'priced',
      costNanoUsd: 4_200_000,
      chargedNanoUsd: 4_200_000,
      partial: true,
      firstByteMs: 12.5,
      totalMs: 1_500,
      requestBytes: 321,
      responseBytes: 45_678,
      tags: { team: 'blue' },
      userAgent: 'curl',
    });
  });

  it('writes method and path of what failed, bounded and without keys, and of nothing else', () => {
    const path = `/bedrock/nowhere/sk-${'a'.repeat(30)}/${'x'.repeat(1_000)}`;
    const failed = rowOf(aFinishedRecord({ method: 'POST', path, status: 404 }), KEY);
    expect(failed).toMatchObject({ method: 'POST', path: expect.stringMatching(/^\/bedrock\/nowhere\/sk-…\/x+$/) });
    expect(failed.path).toHaveLength(512);
    expect(rowOf(aFinishedRecord({ path }), KEY).path).toBeUndefined();
  });

  it('writes no key and no tags if none was used', () => {
    const row = rowOf(aFinishedRecord(), { kind: 'master', label: 'master' });
    expect([row.principal, row.keyId, row.keyLabel, row.tags]).toEqual(['master', undefined, 'master', {}]);
  });

  it("writes the tags of the request beside the key's own, which it cannot change", () => {
    const requestTags = { team: 'red', repo: 'proxy' };
    expect(rowOf(aFinishedRecord({ requestTags }), KEY).tags).toEqual({ team: 'blue', repo: 'proxy' });
    expect(rowOf(aFinishedRecord({ requestTags }), { kind: 'master', label: 'master' }).tags).toEqual(requestTags);
    expect(rowIfLost(aFinishedRecord({ requestTags, session: 's', agent: 'a' }), KEY)).toMatchObject({
      session: 's',
      agent: 'a',
      tags: { team: 'blue', repo: 'proxy' },
    });
  });

  it('writes no cost if nobody knows it, and the charge all the same', () => {
    const row = rowOf(aFinishedRecord({ pricing: 'unpriced', costNanoUsd: undefined, chargedNanoUsd: 77 }), KEY);
    expect([row.pricing, row.costNanoUsd, row.chargedNanoUsd]).toEqual(['unpriced', undefined, 77]);
  });

  it("writes the proxy's code for what the proxy refused", () => {
    const error = new ProxyError('ERR_BUDGET_EXCEEDED', 'm');
    const refused = aFinishedRecord({
      status: 402,
      error,
      pricing: undefined,
      costNanoUsd: undefined,
      phase: 'received',
    });
    const row = rowOf(refused, KEY);
    expect([row.errorCode, row.pricing, row.costNanoUsd]).toEqual(['ERR_BUDGET_EXCEEDED', 'free', 0]);
  });

  it('cuts a name that is longer than any model has', () => {
    expect(rowOf(aFinishedRecord({ model: 'm'.repeat(10_000) }), KEY).model).toHaveLength(2_048);
  });
});

it('writes of an exchange that never ended what was known before the response, and nothing else', () => {
  expect(rowIfLost(aFinishedRecord(), KEY)).toEqual({
    id: 'id-1',
    requests: 1,
    startedAtMs: STARTED_AT_MS,
    principal: 'key',
    keyId: 'vk_1',
    keyLabel: 'alice',
    service: 'bedrock-runtime',
    operation: 'Converse',
    region: 'us-east-1',
    model: 'amazon.nova-lite-v1:0',
    status: undefined,
    errorCode: INTERRUPTED,
    errorMessage: 'The proxy died before the request had ended.',
    upstreamRequestId: undefined,
    usage: undefined,
    serviceTier: undefined,
    pricing: 'unpriced',
    costNanoUsd: undefined,
    chargedNanoUsd: 0,
    partial: true,
    firstByteMs: undefined,
    totalMs: undefined,
    requestBytes: 321,
    responseBytes: 0,
    tags: { team: 'blue' },
    userAgent: 'curl',
  });
});
