/**
 * Behind the inspector's page stand somebody's prompts and AWS account. Who might want them: a web page in the same
 * browser, another user or program of this machine, the holder of a virtual key, whoever reaches a port that listens on
 * the network. Raw bytes are thrown at it; without the token nothing comes back but the bytes of the page itself.
 */
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect } from 'vitest';
import { makeLinkCode } from '../../src/auth/link-code.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { openProxy, proxyTest } from '../helpers/proxy-test.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { ask, dial, type RawResponse, requestText } from '../helpers/raw-socket.ts';

const MASTER_KEY = 'sk-master-0123456789abcdef';
const SECRET = 'the prompt that nobody else may see';
const API = '/inspect/api/v1';
const JSON_TYPE: HeaderPair = ['Content-Type', 'application/json'];

const { it, testbed } = proxyTest({
  config: { inspect: true },
  environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY },
});
let id: string;
let virtualKey: string;

const bearer = (token: string | undefined): HeaderPair => ['Authorization', `Bearer ${token ?? ''}`];

beforeEach(async () => {
  virtualKey = (await testbed.mint('alice')).key;
  const body = JSON.stringify({ messages: [{ role: 'user', content: [{ text: SECRET }] }] });
  const ended = testbed.nextRecord();
  const line = 'POST /bedrock/model/amazon.nova-lite-v1%3A0/converse HTTP/1.1';
  await ask(testbed.port, line, ['Host: localhost', bearer(virtualKey), `Content-Length: ${body.length}`], body);
  ({ id } = await ended);
});

function get(path: string, headers: readonly (HeaderPair | string)[] = [], method = 'GET'): Promise<RawResponse> {
  return ask(testbed.port, `${method} ${path} HTTP/1.1`, ['Host: localhost', ...headers]);
}

const owner = (): HeaderPair => bearer(testbed.inspectToken);

/** Paths that tell something to whoever has the token. */
const PATHS = [
  'state',
  'exchanges',
  'exchanges/{id}',
  'exchanges/{id}/body/client_request',
  'exchanges/{id}/frames',
  'exchanges/{id}/messages',
  'exchanges/{id}/events',
  'exchanges/{id}/replay',
  'exchanges/{id}/snippet',
  'events',
  'export',
  'faults',
  'cassette',
  'nowhere',
];

describe('without the token', () => {
  it.each(PATHS)('tells nothing: %s', async (path) => {
    for (const credential of [
      [],
      [bearer('')],
      [bearer('x')],
      [bearer(virtualKey)],
      [bearer(`${testbed.inspectToken}x`)],
      [bearer(testbed.inspectToken?.slice(0, -1))],
      [['X-Api-Key', virtualKey] as const],
      [['X-Api-Key', testbed.inspectToken ?? ''] as const],
      [['Authorization', `Basic ${testbed.inspectToken}`] as const],
      [['Cookie', `token=${testbed.inspectToken}; t=${testbed.inspectToken}`] as const],
    ]) {
      const response = await get(`${API}/${path.replace('{id}', id)}`, credential);
      expect(response.status).toBe(401);
      expect(response.header('x-bedrock-proxy-error')).toBe('ERR_INSPECT_TOKEN');
      expect(response.header('set-cookie')).toBeUndefined();
      expect(response.header('access-control-allow-origin')).toBeUndefined();
      expect(response.body.toString()).not.toContain('nova');
    }
  });

  it('does not take the token from the address', async () => {
    for (const query of [`?t=${testbed.inspectToken}`, `?token=${testbed.inspectToken}`]) {
      expect((await get(`${API}/state${query}`)).status).toBe(401);
    }
  });

  it('serves the page, which holds nothing of anybody, under a strict policy', async () => {
    const { inspectToken } = testbed;
    const page = await get('/inspect/');
    expect(page.status).toBe(200);
    expect(page.header('content-type')).toBe('text/html; charset=utf-8');
    expect(page.body.toString()).not.toContain(inspectToken);
    const policy = page.header('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe|\*|https?:|data:/);
    expect(page.header('x-content-type-options')).toBe('nosniff');
    expect(page.header('referrer-policy')).toBe('no-referrer');
    expect(page.header('cross-origin-opener-policy')).toBe('same-origin');
    expect(page.header('cross-origin-resource-policy')).toBe('same-origin');
    expect((await get('/inspect')).header('location')).toBe('/inspect/');
  });

  it.each([
    '/inspect/../key/list',
    '/inspect/..%2fkey%2flist',
    '/inspect/%2e%2e/%2e%2e/package.json',
    '/inspect/..%5c..%5cpackage.json',
    '/inspect/assets/../../../package.json',
    '/inspect/assets/..%2f..%2f..%2fpackage.json',
    '/inspect/assets/%252e%252e/package.json',
    '/inspect/assets/page.js%00',
    '/inspect/assets/',
    '/inspect/assets',
    '/inspect/assets/constructor',
    '/inspect/__proto__',
    '/inspect/toString',
    '/inspect//etc/passwd',
    '/inspect/index.html',
    '/inspect/api',
    '/inspect/API/v1/exchanges',
    '/inspect/api/v1/../v1/exchanges',
    '/inspect/api/v1//exchanges',
    '/inspect/api/v1/%65xchanges',
    '/inspectapi/v1/exchanges',
  ])('finds no other file and no other way: %s', async (path) => {
    const response = await get(path);
    expect([400, 401, 404]).toContain(response.status);
    expect(response.body.toString()).not.toMatch(/dependencies|root:|nova/);
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND', 'get'])(
    'is no other with the method %s',
    async (method) => {
      for (const path of ['/inspect/', `${API}/exchanges`, `${API}/exchanges/${id}`]) {
        const response = await get(path, ['X-HTTP-Method-Override: GET', 'Content-Length: 0'], method);
        expect(response.header('access-control-allow-methods')).toBeUndefined();
        if (method === 'HEAD' && path === '/inspect/')
          expect([response.status, response.body.length]).toEqual([200, 0]);
        else expect(response.status).toBeGreaterThanOrEqual(400);
      }
    },
  );

  it('slows guessing down, and lets the right token in meanwhile', async () => {
    const seen = new Set<number>();
    for (let count = 0; count < 62; count += 1)
      seen.add((await get(`${API}/state`, [bearer(`guess-${count}`)])).status);
    expect(seen).toEqual(new Set([401, 429]));
    expect((await get(`${API}/state`, [bearer(testbed.inspectToken)])).status).toBe(200);
    expect((await get('/inspect/')).status).toBe(200);
  });

  it('tells nothing over HTTP/2 either', async () => {
    await using client = openHttp2(testbed.port);
    const asked = { ':method': 'GET', ':path': `${API}/exchanges` };
    expect((await client.ask(asked)).status).toBe(401);
    expect((await client.ask({ ...asked, authorization: `Bearer ${virtualKey}` })).status).toBe(401);
    expect((await client.ask({ ...asked, authorization: `Bearer ${testbed.inspectToken}` })).status).toBe(200);
  });
});

const exchange = (code: string, headers: readonly HeaderPair[] = [JSON_TYPE]): Promise<RawResponse> =>
  ask(
    testbed.port,
    `POST ${API}/token HTTP/1.1`,
    ['Host: localhost', bearer(code), ...headers, 'Content-Length: 2'],
    '{}',
  );

describe('the code of a link', () => {
  it('is good for the token once, and for nothing else', async () => {
    const code = makeLinkCode(testbed.inspectToken ?? '', Date.now(), randomBytes(16));
    expect((await get(`${API}/state`, [bearer(code)])).status).toBe(401);
    const given = await exchange(code);
    expect([given.status, JSON.parse(given.body.toString())]).toEqual([200, { token: testbed.inspectToken }]);
    expect(given.header('cache-control')).toBe('no-store');
    expect((await exchange(code)).status).toBe(401);
  });

  it('is not what somebody makes up', async () => {
    for (const code of ['', 'x', virtualKey, makeLinkCode('guess', Date.now(), randomBytes(16))]) {
      const response = await exchange(code);
      expect([response.status, response.body.toString().includes(testbed.inspectToken ?? '')]).toEqual([401, false]);
    }
  });
});

describe('another web page', () => {
  it.each([
    { name: 'a foreign host', headers: ['Host: evil.example'] },
    { name: 'a foreign origin', headers: ['Host: localhost', 'Origin: https://evil.example'] },
    { name: 'another port of this machine', headers: ['Host: localhost:4000', 'Origin: http://localhost:3000'] },
    { name: 'an opaque origin', headers: ['Host: localhost', 'Origin: null'] },
    { name: 'a link in another site', headers: ['Host: localhost', 'Sec-Fetch-Site: cross-site'] },
    { name: 'a page of another port', headers: ['Host: localhost', 'Sec-Fetch-Site: same-site'] },
  ])('is refused before the token is looked at: $name', async ({ headers }) => {
    for (const path of ['/inspect/', '/inspect/assets/page.js', `${API}/exchanges`]) {
      const response = await ask(testbed.port, `GET ${path} HTTP/1.1`, [...headers, bearer(testbed.inspectToken)]);
      expect(response.status).toBe(403);
      expect(response.header('access-control-allow-origin')).toBeUndefined();
    }
  });

  it.each([
    { method: 'DELETE', path: 'exchanges' },
    { method: 'DELETE', path: 'exchanges/{id}' },
    { method: 'PATCH', path: 'exchanges/{id}' },
    { method: 'POST', path: 'exchanges/{id}/replay' },
    { method: 'PUT', path: 'capture' },
    { method: 'PUT', path: 'faults' },
    { method: 'DELETE', path: 'faults' },
  ])('cannot change anything by a form: $method $path', async ({ method, path }) => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; application/json']) {
      const line = `${method} ${API}/${path.replace('{id}', id)} HTTP/1.1`;
      const headers = ['Host: localhost', bearer(testbed.inspectToken), ['Content-Type', type] as const];
      const response = await ask(testbed.port, line, [...headers, 'Content-Length: 2'], '{}');
      expect(response.status).toBe(400);
    }
    expect((await get(`${API}/exchanges/${id}`, [bearer(testbed.inspectToken)])).status).toBe(200);
  });
});

describe('with the token', () => {
  it.each([
    'exchanges?before=99999999999999999999',
    'exchanges?limit=-1',
    'exchanges?limit=1e9',
    'events?after=NaN',
    'events?after=-5',
    'exchanges/{id}/frames?from=1.5',
    'exchanges?filter=nonsense:x',
    'exchanges?filter=(',
    'export?format=exe',
  ])('refuses what is no number, no filter, no format: %s', async (path) => {
    expect((await get(`${API}/${path.replace('{id}', id)}`, [owner()])).status).toBe(400);
  });

  it('starts anew at a cursor that it never gave', async () => {
    await using raw = await dial(testbed.port);
    await raw.send(requestText(`GET ${API}/events?after=999999999999999 HTTP/1.1`, ['Host: localhost', owner()]));
    await raw.until('event: reset');
  });

  it('gives bodies to be saved and not to be shown, by ranges too', async () => {
    const path = `${API}/exchanges/${id}/body/client_request`;
    const whole = await get(path, [owner()]);
    expect(whole.body.toString()).toContain(SECRET);
    expect(whole.header('content-disposition')).toMatch(/^attachment; filename="[\w.-]+"$/);
    expect(whole.header('content-type')).toBe('application/octet-stream');
    expect(whole.header('cache-control')).toBe('no-store');
    const text = whole.body.toString();
    const part = await get(path, [owner(), 'Range: bytes=2-5']);
    expect([part.status, part.body.toString()]).toEqual([206, text.slice(2, 6)]);
    const last = await get(path, [owner(), 'Range: bytes=-3']);
    expect([last.status, last.body.toString()]).toEqual([206, text.slice(-3)]);
    for (const range of ['bytes=5-2', 'bytes=99999999999-', 'bytes=0-1,3-4', 'bytes=a-b', 'lines=1-2', 'bytes=-0']) {
      const ignored = await get(path, [owner(), `Range: ${range}`]);
      expect([range, ignored.status, ignored.body.length]).toEqual([range, 200, text.length]);
    }
  });

  it.each(['__proto__', 'constructor', 'toString', '..', 'client_request%00', 'client_request/more'])(
    'has no layer of the name %s',
    async (layer) => {
      expect([400, 404]).toContain((await get(`${API}/exchanges/${id}/body/${layer}`, [owner()])).status);
    },
  );

  it.each([
    { name: 'no JSON', body: '[' },
    { name: 'nothing', body: '' },
    { name: 'a list', body: '[]' },
    { name: 'a string', body: '"text"' },
    { name: 'another type', body: '{"pinned":1}' },
    { name: 'a note that is too long', body: `{"note":"${'x'.repeat(3_000)}"}` },
    { name: 'nests too deep', body: `${'{"a":'.repeat(60)}1${'}'.repeat(60)}` },
  ])('refuses a change that is $name', async ({ body }) => {
    const line = `PATCH ${API}/exchanges/${id} HTTP/1.1`;
    const headers = ['Host: localhost', owner(), JSON_TYPE, `Content-Length: ${body.length}`];
    expect((await ask(testbed.port, line, headers, body)).status).toBe(400);
  });

  it('never shows a key or a credential of AWS in what was kept', async () => {
    for (const path of [`exchanges/${id}`, 'exchanges', `exchanges/${id}/messages`, `exchanges/${id}/frames`]) {
      const text = (await get(`${API}/${path}`, [owner()])).body.toString();
      expect(text).not.toContain(virtualKey);
      expect(text).not.toContain('wJalrXUtnFEMI');
      expect(text).not.toContain('AKIDEXAMPLE');
    }
  });

  it('is let in by the master key too, as the owner', async () => {
    const states = [owner(), bearer(MASTER_KEY)].map(async (header) =>
      JSON.parse((await get(`${API}/state`, [header])).body.toString()),
    );
    expect(await Promise.all(states)).toMatchObject([{ is_master: false }, { is_master: true }]);
  });
});

describe('on the network', () => {
  const NETWORK = { host: '0.0.0.0' } as const;
  const environment = { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY, BEDROCK_PROXY_INSPECT_TOKEN: 'a'.repeat(43) };

  it('is off unless it was asked for', async () => {
    const remote = await openProxy({ flags: NETWORK, environment });
    for (const path of ['/inspect/', `${API}/state`, `${API}/exchanges`]) {
      const response = await ask(remote.port, `GET ${path} HTTP/1.1`, ['Host: localhost', bearer('a'.repeat(43))]);
      expect(response.status).toBe(404);
    }
  });

  it('lets the token look, and only the master key change', async () => {
    const remote = await openProxy({
      flags: NETWORK,
      config: { inspect: true, inspectRemote: true },
      environment,
    });
    const change = (token: string): Promise<RawResponse> =>
      ask(
        remote.port,
        `DELETE ${API}/exchanges HTTP/1.1`,
        ['Host: localhost', bearer(token), JSON_TYPE, 'Content-Length: 2'],
        '{}',
      );
    const state = await ask(remote.port, `GET ${API}/state HTTP/1.1`, ['Host: localhost', bearer('a'.repeat(43))]);
    expect([state.status, JSON.parse(state.body.toString()).may_replay]).toEqual([200, false]);
    expect((await change('a'.repeat(43))).status).toBe(401);
    expect((await change(MASTER_KEY)).status).toBe(200);
  });
});
