import { describe, expect } from 'vitest';
import { proxyTest } from '../helpers/proxy-test.ts';

const { it, testbed } = proxyTest();

describe('the assembled testbed', () => {
  it.each([
    { path: '/bedrock/foundation-models', status: 200 },
    { path: '/bedrock', status: 404 },
    { path: '/bedrockx', status: 404 },
    { path: '/key/generate', status: 401 },
    { path: '/health/liveliness', status: 200 },
    { path: '/', status: 200 },
    { path: '/nowhere', status: 404 },
  ])('mounts what answers $path with $status', async ({ path, status }) => {
    expect((await fetch(`http://127.0.0.1:${testbed.port}${path}`)).status).toBe(status);
  });

  it('counts what the guard refuses as an error that costs nothing', async () => {
    const { port } = testbed;
    const refused = await fetch(`http://127.0.0.1:${port}/bedrock`, { headers: { origin: 'https://evil.example' } });
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(refused.status).toBe(403);
    expect(text).toContain('bedrock_proxy_errors_total{code="ERR_ORIGIN_REFUSED",fault="client"} 1');
    expect(text).not.toMatch(/^bedrock_proxy_unpriced_requests_total.* [1-9]/m);
  });

  it('reports each request to Bedrock once, with an id of its own', async () => {
    for (const _ of [1, 2]) {
      const told = testbed.nextRecord();
      await (await fetch(`${testbed.url}/foundation-models`)).arrayBuffer();
      await told;
    }
    expect(testbed.records.map(({ route, status }) => [route?.operation, status])).toEqual([
      ['ListFoundationModels', 200],
      ['ListFoundationModels', 200],
    ]);
    expect(new Set(testbed.records.map(({ id }) => id)).size).toBe(2);
  });

  it('reports what the guard refused as well', async () => {
    const told = testbed.nextRecord();
    const response = await fetch(`${testbed.url}/foundation-models`, { headers: { origin: 'https://evil.example' } });
    expect(response.headers.get('x-bedrock-proxy-error')).toBe('ERR_ORIGIN_REFUSED');
    expect(await told).toMatchObject({ status: 403, path: '/bedrock/foundation-models', principal: undefined });
    expect(testbed.upstream.requests).toHaveLength(0);
  });
});
