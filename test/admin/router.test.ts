import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createEndpoints } from '../../src/admin/router.ts';
import { mintKey } from '../../src/keys/mint.ts';
import { type Admin, MASTER_KEY, openAdmin } from '../helpers/open-admin.ts';

const manyParameters = (count: number): string => Array.from({ length: count }, (_, at) => `p${at}=`).join('&');
const ofSize = (sizeBytes: number): string => `{${' '.repeat(sizeBytes - 2)}}`;

async function mint({ options }: Admin): Promise<string> {
  const { store, nowMs, randomBytes } = options;
  const serverSecret = options.loadServerSecret();
  return (await mintKey({ store, serverSecret, alias: undefined, nowMs: nowMs(), randomBytes })).key;
}

describe('whoever calls the admin API', () => {
  it.each<{ name: string; headers: Record<string, string> }>([
    { name: 'no key', headers: {} },
    { name: 'a wrong one', headers: { authorization: 'Bearer sk-wrong' } },
    { name: 'two different ones', headers: { authorization: `Bearer ${MASTER_KEY}`, 'x-api-key': 'sk-wrong' } },
  ])('answers a 401 in the envelope of LiteLLM to a caller with $name, wherever it asks', async ({ headers }) => {
    const admin = await openAdmin();
    const guarded = createEndpoints(admin.options).filter(({ access }) => access === 'master key');
    expect(guarded.length).toBeGreaterThan(8);
    for (const { method, path } of guarded) {
      const { status, json } = await admin.call(path, { method, headers });
      expect([path, status, json['error'].type, json['error'].code]).toEqual([path, 401, 'auth_error', '401']);
      expect(JSON.stringify(json)).not.toContain(MASTER_KEY);
    }
    for (const path of ['/key/nothing', '/team/list', '/key/health']) {
      const { status, json } = await admin.call(path, { headers, method: 'POST', body: {} });
      expect([path, status, json['error'].code]).toEqual([path, 401, '401']);
    }
    expect(await admin.store.hasAnyKey()).toBe(false);
  });

  it('does not take a virtual key for a master', async () => {
    const admin = await openAdmin();
    const headers = { authorization: `Bearer ${await mint(admin)}` };
    for (const path of ['/key/list', '/spend/logs', '/global/spend']) {
      expect((await admin.call(path, { headers })).status).toBe(401);
    }
    expect((await admin.call('/key/generate', { headers, body: {} })).status).toBe(401);
  });

  it.each(['/key/nothing', '/team/list', '/user/info', '/model/info', '/budget/new'])(
    'tells a good key of either kind that nothing is at %s, in the envelope of LiteLLM',
    async (path) => {
      const admin = await openAdmin();
      for (const key of [MASTER_KEY, await mint(admin)]) {
        const { status, json } = await admin.call(path, { headers: { authorization: `Bearer ${key}` } });
        expect([status, json['error'].type, json['error'].code]).toEqual([404, 'not_found_error', '404']);
      }
    },
  );

  it('says where teams and users are', async () => {
    const { call } = await openAdmin();
    const { json } = await call('/team/list');
    expect(json['error'].message).toContain('user_id and team_id of a key are tags');
  });

  it('takes the master key in x-api-key', async () => {
    const { call } = await openAdmin();
    expect((await call('/key/generate', { headers: { 'x-api-key': MASTER_KEY }, body: {} })).status).toBe(200);
  });

  it('closes the admin API if there is no master key, but for the document and a key that asks about itself', async () => {
    const admin = await openAdmin('');
    const closed = { ...admin, options: { ...admin.options, masterKey: undefined } };
    for (const authorization of ['Bearer sk-x', 'Bearer undefined', 'Bearer ']) {
      const { status } = await admin.call('/key/list', { headers: { authorization } });
      expect(status).toBe(401);
    }
    const key = await mint(closed);
    const own = await admin.call('/key/info', { headers: { authorization: `Bearer ${key}` } });
    expect(own.status).toBe(200);
    expect((await admin.call('/openapi.json', { headers: {} })).status).toBe(200);
  });

  it('slows a caller down after too many wrong keys', async () => {
    const { call } = await openAdmin();
    const headers = { authorization: 'Bearer sk-wrong' };
    for (let index = 0; index < 60; index += 1) expect((await call('/key/info', { headers })).status).toBe(401);
    const response = await call('/key/info', { headers });
    expect([response.status, response.json['error'].code]).toEqual([429, '429']);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await call('/key/list')).status).toBe(200);
  });

  it('refuses a caller before the body is asked for', async () => {
    const { port } = await openAdmin();
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write(
      'POST /key/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
    );
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 401 /);
  });
});

describe('paths and methods', () => {
  it.each([
    { method: 'POST', path: '/key/generate/', status: 200 },
    { method: 'POST', path: '/key/generate?', status: 200 },
    { method: 'GET', path: '/key/list/?size=5', status: 200 },
    { method: 'GET', path: '/key/generate', status: 405, allow: 'POST' },
    { method: 'DELETE', path: '/key/delete', status: 405, allow: 'POST' },
    { method: 'POST', path: '/key/info', status: 405, allow: 'GET' },
    { method: 'PUT', path: '/key/sk-x/regenerate', status: 405, allow: 'POST' },
    { method: 'POST', path: '/openapi.json', status: 405, allow: 'GET' },
    { method: 'GET', path: '/key', status: 404 },
    { method: 'GET', path: '/key/', status: 404 },
    { method: 'GET', path: '/key/list//', status: 404 },
    { method: 'GET', path: '/key/healthy', status: 404 },
    { method: 'GET', path: '/spend', status: 404 },
    { method: 'GET', path: '/global/spend/nothing', status: 404 },
    { method: 'GET', path: '/openapi.json/x', status: 404 },
    { method: 'POST', path: '/key//regenerate', status: 404 },
    { method: 'POST', path: '/key/a/b/regenerate', status: 404 },
    { method: 'POST', path: '/key/%ff/regenerate', status: 400 },
  ])('answers $method $path with $status', async ({ method, path, status, allow }) => {
    const { call } = await openAdmin();
    const response = await call(path, { method });
    expect([response.status, response.headers.get('allow')]).toEqual([status, allow ?? null]);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('content-type')).toBe('application/json');
  });

  it('takes at most fifty query parameters, and none of them twice', async () => {
    const { call } = await openAdmin();

    expect((await call(`/openapi.json?${manyParameters(50)}`)).status).toBe(200);
    const tooMany = await call(`/openapi.json?${manyParameters(51)}`);
    expect([tooMany.status, tooMany.json['error'].message]).toEqual([400, 'There are more than 50 query parameters.']);
    const twice = await call('/openapi.json?a=1&b=2&a=3');
    expect([twice.status, twice.json['error'].message]).toEqual([400, 'The query parameter a is given twice.']);
  });

  it('answers HEAD of the admin API without a body', async () => {
    const { url } = await openAdmin();
    const headers = { authorization: `Bearer ${MASTER_KEY}` };
    const response = await fetch(`${url}/key/list`, { method: 'HEAD', headers });
    expect([response.status, response.headers.get('allow'), await response.text()]).toEqual([405, 'GET', '']);
  });
});

describe('a body', () => {
  it.each([
    { name: 'a list', body: '[]' },
    { name: 'a string', body: '"x"' },
    { name: 'null', body: 'null' },
    { name: 'half an object', body: '{"key_alias":' },
    { name: 'bytes that are no UTF-8', body: Buffer.of(0xff, 0xfe) },
  ])('refuses a body that is $name', async ({ body }) => {
    const { call } = await openAdmin();
    const { status, json } = await call('/key/generate', { body });
    expect([status, json['error'].message]).toEqual([400, 'The body must be a JSON object.']);
  });

  it.each([
    { name: 'nothing', body: '' },
    { name: 'white space', body: ' \n' },
    { name: 'an empty object', body: '{}' },
  ])('takes a body of $name for no fields', async ({ body }) => {
    const { call } = await openAdmin();
    expect((await call('/key/generate', { body, method: 'POST' })).status).toBe(200);
  });

  it.each([
    { name: 'a hundred times', body: nested(98), status: 200 },
    { name: 'more than a hundred times', body: nested(99), status: 400 },
    { name: 'a hundred thousand times', body: nested(100_000), status: 400 },
  ])('takes a body that is nested $name: $status', async ({ body, status }) => {
    const { call } = await openAdmin();
    expect((await call('/key/generate', { body })).status).toBe(status);
  });

  it.each([
    { name: 'numbers where texts should be', body: `{"models":[${'1,'.repeat(120_000)}1]}` },
    { name: 'members', body: `{${'"":1,'.repeat(50_000)}"":1}` },
  ])('refuses a body of very many $name before it is parsed', async ({ body }) => {
    const { call } = await openAdmin();
    const { status, json } = await call('/key/generate', { body });
    expect([status, json['error'].message]).toEqual([400, 'The body has more than 10000 values.']);
  });

  it('takes a delete of as many keys as one may name', async () => {
    const { call } = await openAdmin();
    const names = Array.from({ length: 1_000 }, (_, at) => at.toString(16).padStart(64, '0'));
    const { json } = await call('/key/delete', { body: { keys: names, key_aliases: names } });
    expect(json['error'].message).toContain('There is no key');
  });

  it('takes a body of 256 KB and not a byte more', async () => {
    const { call } = await openAdmin();
    expect((await call('/key/generate', { body: ofSize(256_000) })).status).toBe(200);
    const { status, json } = await call('/key/generate', { body: ofSize(256_001) });
    expect([status, json['error'].type, json['error'].code]).toEqual([413, 'bad_request_error', '413']);
  });

  it('takes the last of two members of one name, and nothing from __proto__', async () => {
    const { call, post } = await openAdmin();
    expect(await post('/key/generate', '{"rpm_limit":1,"rpm_limit":7}')).toMatchObject({ rpm_limit: 7 });
    const { status, json } = await call('/key/generate', { body: '{"__proto__":{"rpm_limit":1}}' });
    expect([status, json['error'].param]).toEqual([400, '__proto__']);
    expect(await post('/key/generate', '{"__proto__":{},"metadata":{"__proto__":{"a":1}}}')).toMatchObject({
      rpm_limit: null,
    });
    expect(Object.hasOwn(Object.prototype, 'a')).toBe(false);
  });
});

describe('a query', () => {
  it.each([
    { query: 'page=1&page=2', param: 'page' },
    { query: 'page=one', param: 'page' },
    { query: 'page=0', param: 'page' },
    { query: 'page=-1', param: 'page' },
    { query: 'size=101', param: 'size' },
    { query: 'size=1.5', param: 'size' },
    { query: 'organization_id=x', param: 'organization_id' },
    { query: 'expand=user', param: 'expand' },
    { query: 'status=deleted', param: 'status' },
    { query: 'sort_by=token', param: 'sort_by' },
    { query: 'return_full_object=maybe', param: 'return_full_object' },
    { query: '__proto__=x', param: '__proto__' },
  ])('refuses the query $query and names $param', async ({ query, param }) => {
    const { call } = await openAdmin();
    const { status, json } = await call(`/key/list?${query}`);
    expect([status, json['error'].type, json['error'].param]).toEqual([400, 'bad_request_error', param]);
    expect(json['error'].message).toContain(param);
  });

  it('takes parameters without values for none', async () => {
    const { call } = await openAdmin();
    expect((await call('/key/list?organization_id=&user_id=&page=')).status).toBe(200);
  });
});

describe('a store that cannot answer', () => {
  it('answers 503 if the store cannot answer, without its path', async () => {
    const { call, store, databasePath } = await openAdmin();
    await store.close();
    const { status, json } = await call('/key/list');
    expect(status).toBeGreaterThanOrEqual(500);
    expect(json['error'].type).toBe('internal_server_error');
    expect(JSON.stringify(json)).not.toContain(databasePath);
  });
});

/** Lists in the metadata of a body. */
function nested(depth: number): string {
  return `{"metadata":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
}
