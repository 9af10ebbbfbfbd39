/**
 * Clients that sign with a virtual key's pair: verified in full, signed anew for AWS, and told in AWS's own words where
 * the signature is not good.
 */
import { BedrockClient, ListFoundationModelsCommand } from '@aws-sdk/client-bedrock';
import { BedrockAgentRuntimeClient, RetrieveCommand } from '@aws-sdk/client-bedrock-agent-runtime';
import { BedrockRuntimeClient, ConverseCommand, InvokeModelCommand } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { beforeEach, describe, expect, vi } from 'vitest';
import type { MintedKey } from '../../src/keys/mint.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { signWithSdk } from '../helpers/sigv4-signing.ts';

const { it, testbed } = proxyTest();
let key: MintedKey;
beforeEach(async () => {
  key = await testbed.mint('signer');
  testbed.upstream.respondWith((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{}');
  });
});

function settings(secretAccessKey = key.key, accessKeyId = key.accessKeyId) {
  return { region: 'eu-west-1', endpoint: testbed.url, maxAttempts: 1, credentials: { accessKeyId, secretAccessKey } };
}

describe('an AWS SDK with the pair', () => {
  const ARN = 'arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc1def2ghi3';

  it.each([
    ['HTTP/2', {}],
    ['HTTP/1.1', { requestHandler: new NodeHttpHandler() }],
  ])('accepts the signature of an AWS SDK with the pair over %s', async (_, handler) => {
    const client = new BedrockRuntimeClient({ ...settings(), ...handler });
    await client.send(new ConverseCommand({ modelId: ARN, messages: [{ role: 'user', content: [{ text: 'ü' }] }] }));
    client.destroy();
    const [one, other] = [await testbed.upstream.nextRequest(), await testbed.upstream.nextRequest()];
    // The profile is looked up beside the request.
    const arrived = one.method === 'POST' ? one : other;
    expect(arrived.rawTarget).toBe(`/model/${encodeURIComponent(ARN)}/converse`);
    expect(arrived.signature?.scope).toMatchObject({ region: 'eu-west-1', service: 'bedrock' });
    expect(arrived.signature?.accessKeyId).toBe('AKIDEXAMPLE');
    // Its row waits for that.
    const label = { principal: { kind: 'key', label: 'signer' }, status: 200 };
    await vi.waitFor(() => expect(testbed.records.at(-1)).toMatchObject(label));
  });

  it('accepts a signature for a service that takes no bearer tokens, and for a query that was sorted', async () => {
    const agents = new BedrockAgentRuntimeClient(settings());
    await agents.send(new RetrieveCommand({ knowledgeBaseId: 'KB12345678', retrievalQuery: { text: 'x' } }));
    const control = new BedrockClient(settings());
    await control.send(new ListFoundationModelsCommand({ byProvider: 'a b/ü', byOutputModality: 'TEXT' }));
    expect(testbed.records.map(({ status }) => status)).toEqual([200, 200]);
    agents.destroy();
    control.destroy();
  });

  it.each([
    ['SignatureDoesNotMatch', 'ERR_SIGNATURE', (): [string, string] => ['sk-not-the-key', key.accessKeyId]],
    [
      'UnrecognizedClientException',
      'ERR_REAL_AWS_CREDENTIALS',
      (): [string, string] => ['abc', 'AKIAIOSFODNN7EXAMPLE'],
    ],
    ['UnrecognizedClientException', 'ERR_KEY_UNKNOWN', (): [string, string] => [key.key, 'BRPXAAAAAAAAAAAAAAAA']],
  ])('makes the AWS SDK throw %s for %s', async (name, code, pair) => {
    const client = new BedrockRuntimeClient(settings(...pair()));
    const failure = await client
      .send(new InvokeModelCommand({ modelId: 'm', body: 'x' }))
      .catch((error: Error) => error);
    expect(failure).toMatchObject({ name, $metadata: { httpStatusCode: 401 } });
    expect(testbed.records.at(-1)).toMatchObject({ error: { code }, principal: undefined });
    expect(testbed.upstream.requests).toHaveLength(0);
    expect(JSON.stringify(failure)).not.toContain('AKIAIOSFODNN7EXAMPLE');
    client.destroy();
  });

  it('refuses a signature once the key is revoked', async () => {
    await testbed.store.revokeKey(key.id, Date.now());
    const client = new BedrockRuntimeClient(settings());
    await expect(client.send(new InvokeModelCommand({ modelId: 'm', body: 'x' }))).rejects.toMatchObject({
      name: 'UnrecognizedClientException',
      message: expect.stringContaining('was revoked'),
    });
    client.destroy();
  });
});

describe('a signature that does not hold', () => {
  const PATH = '/bedrock/model/anthropic.claude-v2%3A1/invoke';

  async function send(changes: { body?: string; path?: string; headers?: Record<string, string>; dateMs?: number }) {
    const { request } = await signWithSdk({
      method: 'POST',
      path: PATH,
      host: `127.0.0.1:${testbed.port}`,
      headers: { 'content-type': 'application/json', 'x-amz-signed': '1' },
      body: '{"a":1}',
      accessKeyId: key.accessKeyId,
      secretAccessKey: key.key,
      atMs: changes.dateMs ?? Date.now(),
    });
    return fetch(`http://127.0.0.1:${testbed.port}${changes.path ?? PATH}`, {
      method: 'POST',
      headers: { ...Object.fromEntries(request.headers.filter(([name]) => name !== 'host')), ...changes.headers },
      body: changes.body ?? '{"a":1}',
    });
  }

  it('accepts a signature in the query, which AWS never sees', async () => {
    const { request } = await signWithSdk({
      method: 'GET',
      path: '/bedrock/foundation-models',
      query: { byProvider: 'x' },
      host: `127.0.0.1:${testbed.port}`,
      accessKeyId: key.accessKeyId,
      secretAccessKey: key.key,
      presignSeconds: 60,
      atMs: Date.now(),
    });
    const response = await fetch(`http://127.0.0.1:${testbed.port}${request.target.raw}`);
    expect(response.status).toBe(200);
    expect((await testbed.upstream.nextRequest()).rawTarget).toBe('/foundation-models?byProvider=x');
  });

  it.each<[string, string]>([
    ['x-bedrock-proxy-region', 'eu-west-1'],
    ['x-amz-evil', '1'],
    ['x-amzn-bedrock-agentcore-runtime-user-id', 'victim'],
  ])('refuses %s beside a signed URL or a signed request that does not cover it', async (name, value) => {
    const { request } = await signWithSdk({
      method: 'GET',
      path: '/bedrock/foundation-models',
      host: `127.0.0.1:${testbed.port}`,
      accessKeyId: key.accessKeyId,
      secretAccessKey: key.key,
      presignSeconds: 60,
      atMs: Date.now(),
    });
    const url = `http://127.0.0.1:${testbed.port}${request.target.raw}`;
    const responses = [await fetch(url, { headers: { [name]: value } }), await send({ headers: { [name]: value } })];
    for (const response of responses) {
      expect(response.status).toBe(401);
      expect(response.headers.get('x-bedrock-proxy-error')).toBe('ERR_SIGNATURE');
      expect(await response.text()).toContain(`The header ${name} arrived`);
    }
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it('accepts a signed request that nobody changed', async () => {
    expect((await send({})).status).toBe(200);
  });

  it.each([
    ['another body', { body: '{"a":2}' }, 'SignatureDoesNotMatch'],
    ['a time long ago', { dateMs: Date.now() - 6 * 60_000 }, 'RequestExpired'],
    ['a time to come', { dateMs: Date.now() + 6 * 60_000 }, 'RequestInTheFuture'],
  ])('refuses a signed request with %s: %s', async (_, changes, type) => {
    const response = await send(changes);
    expect(response.status).toBe(401);
    expect(response.headers.get('x-amzn-errortype')).toBe(type);
    expect(response.headers.get('date')).not.toBeNull();
    expect(response.headers.get('x-should-retry')).toBe('false');
    expect(await response.json()).toMatchObject({ __type: type });
    expect(testbed.upstream.requests).toHaveLength(0);
  });
});
