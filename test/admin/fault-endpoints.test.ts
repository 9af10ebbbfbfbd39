/** `/faults`: rules are put, told and ended, by whoever has the master key. */
import { describe, expect, it } from 'vitest';
import { openAdmin } from '../helpers/open-admin.ts';
import { openProxy } from '../helpers/proxy-test.ts';

describe('/faults', () => {
  it('puts rules in the place of others, tells them, and ends them', async () => {
    const { call } = await openAdmin();
    expect((await call('/faults')).json).toEqual({ seed: 1, faults: [] });
    const put = await call('/faults', { method: 'PUT', body: { faults: ['throttle p=0.5', 'empty'], seed: 7 } });
    const faults = ['throttle p=0.5', 'empty'].map((fault) => ({ fault, matched: 0, injected: 0 }));
    expect(put).toMatchObject({ status: 200, json: { seed: 7, faults } });
    expect((await call('/faults')).json).toEqual({ seed: 7, faults });
    expect((await call('/faults', { method: 'DELETE' })).json).toEqual({ seed: 1, faults: [] });
  });

  it.each([
    { body: { faults: ['empty', 'throtle'] }, says: 'Did you mean throttle?' },
    { body: { faults: 'throttle' }, says: 'faults is not valid' },
    { body: {}, says: 'faults is not valid' },
    { body: { faults: [], where: 'x' }, says: 'where' },
    { body: { faults: [], seed: -1 }, says: 'seed is not valid' },
  ])('refuses $body, and leaves what is in force', async ({ body, says }) => {
    const { call } = await openAdmin();
    await call('/faults', { method: 'PUT', body: { faults: ['gap=1s'] } });
    const refused = await call('/faults', { method: 'PUT', body });
    expect(refused.status).toBe(400);
    expect(JSON.stringify(refused.json)).toContain(says);
    expect((await call('/faults')).json).toMatchObject({ faults: [{ fault: 'gap=1s' }] });
  });

  it.each(['GET', 'PUT', 'DELETE'])('wants the master key: %s', async (method) => {
    const { call } = await openAdmin();
    const headers = { authorization: 'Bearer sk-of-somebody-else' };
    expect((await call('/faults', { method, headers, ...(method === 'PUT' && { body: {} }) })).status).toBe(401);
  });
});

it('strikes the next request, until it is ended', async () => {
  const masterKey = 'sk-a-long-master-key';
  const proxy = await openProxy({ environment: { BEDROCK_PROXY_MASTER_KEY: masterKey } });
  const headers = { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' };
  const base = `http://127.0.0.1:${proxy.port}`;
  const converse = async (): Promise<number> => {
    const url = `${proxy.url}/model/amazon.nova-lite-v1%3A0/converse`;
    return (await fetch(url, { method: 'POST', headers, body: '{"messages":[]}' })).status;
  };
  expect(await converse()).toBe(200);
  const body = JSON.stringify({ faults: ['unavailable'] });
  await fetch(`${base}/faults`, { method: 'PUT', headers, body });
  expect(await converse()).toBe(503);
  const told = await (await fetch(`${base}/faults`, { headers })).json();
  expect(told).toMatchObject({ faults: [{ fault: 'unavailable', matched: 1, injected: 1 }] });
  await fetch(`${base}/faults`, { method: 'DELETE', headers });
  expect(await converse()).toBe(200);
});

it('takes no rules if the proxy listens to a network', async () => {
  const masterKey = 'sk-a-long-master-key';
  const environment = { BEDROCK_PROXY_MASTER_KEY: masterKey };
  const proxy = await openProxy({ environment, flags: { host: ['0.0.0.0'] } });
  const headers = { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ faults: ['unavailable'] });
  const refused = await fetch(`http://127.0.0.1:${proxy.port}/faults`, { method: 'PUT', headers, body });
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain('--fault-in-shared');
});
