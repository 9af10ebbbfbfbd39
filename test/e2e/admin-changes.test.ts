/**
 * What the admin API changes, seen from the other side: by the next call to Bedrock through the same running proxy.
 */
import { expect } from 'vitest';
import { proxyTest } from '../helpers/proxy-test.ts';
import { type Json, MASTER_KEY } from '../helpers/open-admin.ts';

const { it, testbed } = proxyTest({ environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY } });

async function post(path: string, body: object): Promise<Json> {
  const response = await fetch(`http://127.0.0.1:${testbed.port}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${MASTER_KEY}` },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Json;
}

async function use(key: string): Promise<[number, string | null]> {
  const response = await fetch(`${testbed.url}/foundation-models`, { headers: { authorization: `Bearer ${key}` } });
  await response.arrayBuffer();
  return [response.status, response.headers.get('x-bedrock-proxy-error')];
}

it('applies a change of the admin API to the next request', async () => {
  const { key } = await post('/key/generate', {});
  expect(await use(key)).toEqual([200, null]);
  await post('/key/block', { key });
  expect(await use(key)).toEqual([401, 'ERR_KEY_BLOCKED']);
  await post('/key/unblock', { key });
  expect(await use(key)).toEqual([200, null]);
  await post('/key/update', { key, regions: ['eu-*'] });
  expect(await use(key)).toEqual([403, 'ERR_REGION_NOT_ALLOWED']);
  await post('/key/update', { key, regions: null });
  const fresh = await post('/key/regenerate', { key, grace_period: '1h' });
  expect([await use(key), await use(fresh['key'])]).toEqual([
    [200, null],
    [200, null],
  ]);
  await post('/key/delete', { keys: [key] });
  expect([await use(key), await use(fresh['key'])]).toEqual([
    [401, 'ERR_KEY_UNKNOWN'],
    [200, null],
  ]);
});
