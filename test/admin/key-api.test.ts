import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hashKey, unsealKey } from '../../src/auth/virtual-key.ts';
import { loadServerSecret, serverSecretPath } from '../../src/store/server-secret.ts';
import { type House, openHouse } from '../helpers/house.ts';

const MASTER_KEY = 'sk-master-of-the-house';

async function openWithMaster(masterKey: string | undefined = MASTER_KEY): Promise<House> {
  const house = await openHouse({
    environment: masterKey === undefined ? {} : { BEDROCK_PROXY_MASTER_KEY: masterKey },
  });
  onTestFinished(() => house[Symbol.asyncDispose]());
  return house;
}

interface Call {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Record<string, unknown> & { error?: { message: string; type: string; param: null; code: string } };
}

async function call(
  house: House,
  { path = '/key/generate', method = 'POST', headers, body = '{}' }: Call = {},
): Promise<Answer> {
  const answer = await fetch(`http://127.0.0.1:${house.port}${path}`, {
    method,
    headers: headers ?? { authorization: `Bearer ${MASTER_KEY}` },
    ...(method === 'GET' ? {} : { body }),
  });
  return { status: answer.status, headers: answer.headers, json: (await answer.json()) as Answer['json'] };
}

const ofSize = (sizeBytes: number): string => `{${' '.repeat(sizeBytes - 2)}}`;

describe('POST /key/generate', () => {
  it('answers the fields that LiteLLM has, and those of our own', async () => {
    const house = await openWithMaster();
    const { status, headers, json } = await call(house, { body: '{"key_alias":"alice"}' });
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.get('cache-control')).toBe('no-store');
    const key = String(json['key']);
    expect(json).toEqual({
      key: expect.stringMatching(/^sk-[\w-]{43}$/),
      key_name: `sk-...${key.slice(-4)}`,
      key_alias: 'alice',
      token: hashKey(key),
      token_id: hashKey(key),
      key_id: expect.stringMatching(/^vk_[a-z2-7]{16}$/),
      access_key_id: expect.stringMatching(/^BRPX[A-Z2-7]{16}$/),
      secret_access_key: key,
      expires: null,
      blocked: false,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      updated_at: json['created_at'],
    });
  });

  it('makes a key that works at once, sealed under the secret beside the database', async () => {
    const house = await openWithMaster();
    const { json } = await call(house);
    const answer = await fetch(`${house.url}/foundation-models`, {
      headers: { authorization: `Bearer ${String(json['key'])}` },
    });
    expect(answer.status).toBe(200);
    const [row] = await house.store.listKeys();
    const secret = loadServerSecret(serverSecretPath(house.databasePath));
    expect(unsealKey(row?.sealedKey ?? randomBytes(40), row?.id ?? '', secret)).toBe(json['key']);
  });

  it.each([
    { name: 'nothing', body: '' },
    { name: 'white space', body: ' \n' },
    { name: 'an empty object', body: '{}' },
    { name: 'an alias of null', body: '{"key_alias":null}' },
    { name: 'fields that ask for nothing', body: '{"models":[],"metadata":{},"duration":null,"max_budget":null}' },
  ])('takes $name for a key without an alias', async ({ body }) => {
    const { status, json } = await call(await openWithMaster(), { body });
    expect([status, json['key_alias']]).toEqual([200, null]);
  });

  it.each([
    {
      name: 'a limit we cannot keep',
      body: '{"max_budget":10,"key_alias":"a","models":["x"]}',
      says: 'max_budget, models',
    },
    { name: 'a field of value false', body: '{"blocked":false}', says: 'blocked' },
    { name: 'a field of value zero', body: '{"rpm_limit":0}', says: 'rpm_limit' },
    { name: 'a field named like a part of every object', body: '{"__proto__":{"x":1}}', says: '__proto__' },
    { name: 'a typo', body: '{"keyalias":"a"}', says: 'keyalias' },
  ])('refuses by name: $name', async ({ body, says }) => {
    const house = await openWithMaster();
    const { status, json } = await call(house, { body });
    expect(status).toBe(400);
    expect(json.error).toEqual({
      message: `The proxy does not support these fields: ${says}. It knows key_alias.`,
      type: 'bad_request_error',
      param: null,
      code: '400',
    });
    expect(await house.store.hasAnyKey()).toBe(false);
  });

  it.each([
    { name: 'a list', body: '[]' },
    { name: 'a string', body: '"x"' },
    { name: 'null', body: 'null' },
    { name: 'half an object', body: '{"key_alias":' },
    { name: 'bytes that are no UTF-8', body: Buffer.of(0xff, 0xfe) },
  ])('refuses a body that is $name', async ({ body }) => {
    const { status, json } = await call(await openWithMaster(), { body });
    expect([status, json.error?.message]).toEqual([400, 'The body must be a JSON object.']);
  });

  it.each(['""', '"sk-x"', '"a\\nb"', '7', '["a"]', '{"x":1}'])('refuses the alias %s', async (alias) => {
    const { status, json } = await call(await openWithMaster(), { body: `{"key_alias":${alias}}` });
    expect(status).toBe(400);
    expect(json.error?.message).toContain('key_alias must be a name');
  });

  it('refuses an alias that an active key has', async () => {
    const house = await openWithMaster();
    await call(house, { body: '{"key_alias":"alice"}' });
    const { status, json } = await call(house, { body: '{"key_alias":"alice"}' });
    expect([status, json.error?.code]).toEqual([400, '400']);
    expect(json.error?.message).toContain('"alice"');
  });

  it('takes a megabyte and not a byte more', async () => {
    const house = await openWithMaster();
    expect((await call(house, { body: ofSize(1_000_000) })).status).toBe(200);
    const { status, json } = await call(house, { body: ofSize(1_000_001) });
    expect([status, json.error?.type, json.error?.code]).toEqual([413, 'bad_request_error', '413']);
  });
});

describe('whoever calls the key API', () => {
  it.each<{ name: string; headers: Record<string, string> }>([
    { name: 'no key', headers: {} },
    { name: 'a wrong one', headers: { authorization: 'Bearer sk-wrong' } },
    { name: 'two different ones', headers: { authorization: `Bearer ${MASTER_KEY}`, 'x-api-key': 'sk-wrong' } },
  ])('with $name gets a 401 in the envelope of LiteLLM', async ({ headers }) => {
    const house = await openWithMaster();
    const { status, json } = await call(house, { headers });
    expect([status, json.error?.type, json.error?.code, json.error?.param]).toEqual([401, 'auth_error', '401', null]);
    expect(JSON.stringify(json)).not.toContain(MASTER_KEY);
    expect(await house.store.hasAnyKey()).toBe(false);
  });

  it('with a virtual key is no master', async () => {
    const house = await openWithMaster();
    const { key } = await house.mint();
    expect((await call(house, { headers: { authorization: `Bearer ${key}` } })).status).toBe(401);
  });

  it('may show the master key in x-api-key', async () => {
    expect((await call(await openWithMaster(), { headers: { 'x-api-key': MASTER_KEY } })).status).toBe(200);
  });

  it('finds it closed where the proxy has no master key', async () => {
    const house = await openHouse();
    onTestFinished(() => house[Symbol.asyncDispose]());
    for (const authorization of ['Bearer sk-x', 'Bearer undefined', 'Bearer ']) {
      const { status, json } = await call(house, { headers: { authorization } });
      expect(status).toBe(401);
      expect(json.error?.message).toContain('BEDROCK_PROXY_MASTER_KEY');
    }
  });

  it.each([
    { method: 'GET', path: '/key/generate', status: 400 },
    { method: 'GET', path: '/key/list', status: 404 },
    { method: 'POST', path: '/key', status: 404 },
    { method: 'POST', path: '/key/generate/', status: 404 },
    { method: 'POST', path: '/key/delete?key=x', status: 404 },
    { method: 'POST', path: '/key/generate?x=y', status: 200 },
  ])('gets $status for $method $path', async ({ method, path, status }) => {
    const answer = await call(await openWithMaster(), { method, path });
    expect(answer.status).toBe(status);
    if (status !== 200)
      expect(answer.json.error).toMatchObject({ type: 'bad_request_error', param: null, code: String(status) });
  });

  it('is not told which paths exist before the key is right', async () => {
    const { status } = await call(await openWithMaster(), { path: '/key/list', method: 'GET', headers: {} });
    expect(status).toBe(401);
  });

  it('is refused before the body is asked for', async () => {
    const { port } = await openWithMaster();
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write(
      'POST /key/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
    );
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  });
});
