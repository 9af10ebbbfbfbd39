/**
 * The look-up of application inference profiles, which speaks with the owner's credentials about names that clients
 * choose: how often, where to, and what that may not become.
 */
import { expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { startProxy } from '../helpers/testbed.ts';

const profile = (id: string, region = 'us-east-1', partition = 'aws'): string =>
  `arn:${partition}:bedrock:${region}:123456789012:application-inference-profile/${id}`;

it('looks one name up once, whatever comes back, and never what cannot be one', async () => {
  await using testbed = await startProxy();
  testbed.upstream.respondWith((_request, response) => sendJson(response, 404, {}));
  const policy = { ...EMPTY_POLICY, models: ['amazon.nova-*'] };
  const { key } = await testbed.mint('limited', { policy });
  const converse = async (model: string): Promise<number> => {
    const response = await fetch(`${testbed.url}/model/${encodeURIComponent(model)}/converse`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: '{}',
    });
    await response.arrayBuffer();
    return response.status;
  };
  for (let turn = 0; turn < 5; turn += 1) expect(await converse(profile('abc1def2ghi3'))).toBe(403);
  expect(testbed.upstream.requests.map(({ method }) => method)).toEqual(['GET']);
  for (const name of [
    profile('a/../../guardrails'),
    profile('a%2Fb'),
    profile('a?b=c'),
    'arn:aws:bedrock:us-east-1:1:application-inference-profile/abc1def2ghi3',
    'arn:aws:iam:us-east-1:123456789012:application-inference-profile/abc1def2ghi3',
    'abcdefghijkl',
    'ABC1DEF2GHI3',
  ]) {
    expect([400, 403]).toContain(await converse(name));
  }
  expect(testbed.upstream.requests).toHaveLength(1);
});

it('looks up at AWS alone: the host is that of a region, the bearer key stays in its partition', async () => {
  await using testbed = await startProxy({
    realHosts: true,
    environment: { AWS_BEARER_TOKEN_BEDROCK: 'bedrock-api-key-SECRET' },
  });
  testbed.upstream.respondWith((_request, response) => sendJson(response, 404, {}));
  const { key } = await testbed.mint('limited', { policy: { ...EMPTY_POLICY, models: ['amazon.nova-*'] } });
  for (const region of [
    'us-east-1',
    'cn-north-1',
    'evil.example',
    'us-east-1.evil.example',
    'us-east-1#',
    '127.0.0.1',
  ]) {
    const response = await fetch(`${testbed.url}/model/abc1def2ghi3/converse`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'x-bedrock-proxy-region': region },
      body: '{}',
    });
    await response.arrayBuffer();
    expect([400, 403]).toContain(response.status);
  }
  for (const request of testbed.upstream.requests) {
    expect(request.header('host')).toMatch(/^bedrock\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?$/);
    if (request.header('host')?.endsWith('.cn') === true)
      expect(JSON.stringify(request.headers)).not.toContain('SECRET');
  }
});
