import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import type { RequestRecord } from '../../src/domain/request-record.ts';
import { describeRequest, describeUpstream, isFailedSpan, nameSpan } from '../../src/telemetry/span.ts';
import { aFinishedRecord } from '../helpers/finished-record.ts';

describe('the name of a span', () => {
  const route = { service: 'bedrock', operation: 'ListFoundationModels', region: 'r', modelId: undefined };

  it.each<{ fields: Partial<RequestRecord>; name: string }>([
    { fields: {}, name: 'chat amazon.nova-lite-v1:0' },
    { fields: { model: 'amazon.titan-embed-text-v2:0' }, name: 'embeddings amazon.titan-embed-text-v2:0' },
    { fields: { route }, name: 'ListFoundationModels' },
    { fields: { route: { ...route, operation: 'InvokeAgent' } }, name: 'InvokeAgent' },
    { fields: { route: { ...route, operation: 'constructor', modelId: 'm' } }, name: 'constructor' },
    { fields: { route: undefined }, name: 'POST' },
  ])('names a span $name', ({ fields, name }) => {
    expect(nameSpan(aFinishedRecord(fields))).toBe(name);
  });
});

describe('attributes', () => {
  it('describes a request in the names of the conventions, and the rest in ours', () => {
    const usage = { inputTokens: 4, outputTokens: 310, cacheReadTokens: 80_000, cacheWriteTokens: 1_000 };
    expect(describeRequest(aFinishedRecord({ usage, partial: true }))).toEqual({
      'http.request.method': 'POST',
      'http.request.body.size': 321,
      'http.response.body.size': 45_678,
      'http.response.status_code': 200,
      'network.protocol.version': '1.1',
      'url.path': '/bedrock/model/amazon.nova-lite-v1%3A0/converse',
      'user_agent.name': 'curl',
      'error.type': undefined,
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'aws.bedrock',
      'gen_ai.system': 'aws.bedrock',
      'gen_ai.request.model': 'amazon.nova-lite-v1:0',
      'gen_ai.usage.input_tokens': 81_004,
      'gen_ai.usage.output_tokens': 310,
      'gen_ai.usage.cache_read.input_tokens': 80_000,
      'gen_ai.usage.cache_creation.input_tokens': 1_000,
      'aws.request_id': 'aws-1',
      'bedrock_proxy.request_id': 'id-1',
      'bedrock_proxy.key': 'alice',
      'bedrock_proxy.key_id': 'vk_1',
      'bedrock_proxy.service': 'bedrock-runtime',
      'bedrock_proxy.operation': 'Converse',
      'bedrock_proxy.region': 'us-east-1',
      'bedrock_proxy.service_tier': 'default',
      'bedrock_proxy.pricing': 'priced',
      'bedrock_proxy.cost_usd': 0.0042,
      'bedrock_proxy.partial': true,
      'bedrock_proxy.overhead_ms': 0.75,
    });
  });

  it('has no attributes for what nobody knows', () => {
    const unknown = describeRequest(aFinishedRecord({ usage: undefined, pricing: 'unpriced', principal: undefined }));
    const names = ['gen_ai.usage.input_tokens', 'bedrock_proxy.cost_usd', 'bedrock_proxy.key', 'bedrock_proxy.key_id'];
    expect(names.map((name) => unknown[name])).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('hides a key in the path of a span', () => {
    const { 'url.path': path } = describeRequest(aFinishedRecord({ path: '/key/sk-0123456789abcdef/regenerate' }));
    expect(path).toBe('/key/sk-…/regenerate');
  });

  it("describes AWS's part without usage, so that no sum counts it twice", () => {
    const upstream = describeUpstream(
      aFinishedRecord({ status: 429, upstreamStatus: 429, upstreamErrorType: 'ThrottlingException' }),
    );
    expect(upstream).toMatchObject({
      'rpc.method': 'Converse',
      'http.response.status_code': 429,
      'error.type': 'ThrottlingException',
      'aws.request_id': 'aws-1',
    });
    expect(Object.keys(upstream).filter((name) => name.startsWith('gen_ai'))).toEqual([]);
  });

  it('does not take the status of our own response for one of AWS', () => {
    const upstream = describeUpstream(aFinishedRecord({ status: 502, upstreamStatus: undefined }));
    expect(upstream['http.response.status_code']).toBeUndefined();
  });
});

it.each<{ name: string; fields: Partial<RequestRecord>; isFailed: boolean }>([
  { name: '200', fields: { status: 200 }, isFailed: false },
  { name: '429 of AWS', fields: { status: 429 }, isFailed: false },
  { name: '503 of AWS', fields: { status: 503 }, isFailed: true },
  { name: 'no response', fields: { status: undefined }, isFailed: true },
  {
    name: 'a spent budget',
    fields: { status: 402, error: new ProxyError('ERR_BUDGET_EXCEEDED', 'm') },
    isFailed: false,
  },
  {
    name: 'a failure of AWS behind a 200',
    fields: { status: 200, upstreamErrorType: 'ModelStreamErrorException' },
    isFailed: true,
  },
  {
    name: 'a stream that broke',
    fields: { status: 200, error: new ProxyError('ERR_UPSTREAM_RESET', 'm') },
    isFailed: true,
  },
])('marks a span as failed: $isFailed for $name', ({ fields, isFailed }) => {
  expect(isFailedSpan(aFinishedRecord(fields))).toBe(isFailed);
});
