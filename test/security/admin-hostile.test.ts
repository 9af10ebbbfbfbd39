/**
 * The admin API, `/metrics` and `/openapi.json` against web pages, holders of ordinary keys, other machines and odd
 * JSON: who has not the master key learns and changes nothing, and who has it breaks nothing.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProxy, type Testbed } from '../helpers/testbed.ts';
import { ask, type RawResponse } from '../helpers/raw-socket.ts';

const MASTER_KEY = 'sk-master-of-the-testbed-000';

let testbed: Testbed;
let key: string;
let otherSha256: string;

beforeAll(async () => {
  testbed = await startProxy({ environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY } });
  key = (await testbed.mint('mine')).key;
  otherSha256 = (await testbed.mint('theirs')).keySha256;
});

afterAll(async () => {
  await testbed[Symbol.asyncDispose]();
});

function send(line: string, headers: readonly string[] = [], body: string | Buffer = ''): Promise<RawResponse> {
  const all = [
    `Host: 127.0.0.1:${testbed.port}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...headers,
  ];
  return ask(testbed.port, `${line} HTTP/1.1`, all, body);
}

const asMaster = [`Authorization: Bearer ${MASTER_KEY}`];
const post = (path: string, body: string | Buffer, more: readonly string[] = []): Promise<RawResponse> =>
  send(`POST ${path}`, [...asMaster, ...more], body);
const errorOf = (response: RawResponse): string | undefined => response.header('x-bedrock-proxy-error');

describe('a web page', () => {
  it.each([
    {
      name: 'posts as a form would',
      line: 'POST /key/generate',
      headers: ['Origin: https://evil.example', 'Content-Type: text/plain'],
    },
    { name: 'posts from nowhere', line: 'POST /key/generate', headers: ['Origin: null'] },
    {
      name: 'asks before it posts',
      line: 'OPTIONS /key/generate',
      headers: ['Origin: https://evil.example', 'Access-Control-Request-Method: POST'],
    },
    { name: 'loads the metrics as a script', line: 'GET /metrics', headers: ['Sec-Fetch-Site: cross-site'] },
    { name: 'loads the document', line: 'GET /openapi.json', headers: ['Sec-Fetch-Site: same-site'] },
  ])('refuses the admin API to a web page that $name', async ({ line, headers }) => {
    const response = await send(line, [...asMaster, ...headers]);
    expect([response.status, errorOf(response)]).toEqual([403, 'ERR_ORIGIN_REFUSED']);
    expect(response.header('access-control-allow-origin')).toBeUndefined();
  });
});

const mine = (): string[] => [`Authorization: Bearer ${key}`];

describe('who has a key of their own', () => {
  it.each([
    'GET /key/list',
    'GET /spend/logs',
    'GET /global/spend',
    'GET /global/spend/keys',
    'POST /key/generate',
    'POST /key/update',
    'POST /key/delete',
    'POST /key/unblock',
    'POST /key/regenerate',
    'GET /key',
    'GET /key/',
    'GET /key/whatever',
    'PUT /key/info',
    'POST /key//regenerate',
    'POST /key/%2e%2e/regenerate',
    'POST /key/a%2fb/regenerate',
    'GET //key/list',
    'GET /key//list',
    'GET /key/list/',
    'GET /KEY/LIST',
    'GET /key/info/../list',
    'GET /key%2flist',
  ])('does nothing for a virtual key at %s', async (line) => {
    const { status, header } = await send(line, mine());
    expect([400, 401, 403, 404, 405]).toContain(status);
    expect(header('x-bedrock-proxy-error')).toBeDefined();
  });

  it('does not take a second header for the master key', async () => {
    const twice = await send('GET /key/list', [...mine(), 'x-api-key: sk-something-else-entirely']);
    expect(twice.status).toBe(401);
  });
});

describe('another machine', () => {
  it('says nothing of keys in the document of the API to another machine', async () => {
    const text = (await send('GET /openapi.json')).body.toString();
    for (const secret of [MASTER_KEY, key, otherSha256, testbed.databasePath]) expect(text).not.toContain(secret);
  });
});

describe('odd JSON', () => {
  it.each([
    { name: 'an array', body: '[]', status: 400 },
    { name: 'a deep nest', body: '['.repeat(200_000), status: 400 },
    {
      name: 'a deep nest in metadata',
      body: `{"metadata":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
      status: 400,
    },
    { name: 'too much', body: `{"note":"${'x'.repeat(1_100_000)}"}`, status: 413 },
    {
      name: 'twenty thousand fields',
      body: `{${Array.from({ length: 20_000 }, (_, at) => `"f${at}":1`).join()}}`,
      status: 400,
    },
    { name: 'a budget beyond numbers', body: '{"max_budget":1e400}', status: 400 },
    { name: 'a limit that is no whole number', body: '{"rpm_limit":1.5}', status: 400 },
    { name: 'a limit of nothing', body: '{"max_parallel_requests":0}', status: 400 },
    { name: 'a limit as text', body: '{"tpm_limit":"1"}', status: 400 },
    { name: 'a prototype', body: '{"__proto__":{"scope":"all"}}', status: 400 },
    { name: 'a constructor', body: '{"constructor":{"prototype":{"scope":"all"}}}', status: 400 },
    { name: 'UTF-16', body: Buffer.from('{"note":"x"}', 'utf16le'), status: 400 },
  ])('refuses odd JSON, and the server goes on: $name', async ({ body, status }) => {
    const response = await post('/key/generate', body, ['Content-Type: application/json']);
    expect(response.status).toBe(status);
    expect(response.body.length).toBeLessThan(2_000);
    expect(JSON.parse(response.body.toString())).toHaveProperty('error.message');
  });

  it('makes no prototype of a tag or of metadata', async () => {
    const body = '{"tags":["__proto__=x","constructor=y"],"metadata":{"__proto__":{"scope":"all"}}}';
    const made = JSON.parse((await post('/key/generate', body)).body.toString());
    expect(made).toMatchObject({ scope: 'default', tags: ['__proto__=x', 'constructor=y'] });
    const bearer = [`Authorization: Bearer ${made.key}`, 'Content-Length: 0', `Host: 127.0.0.1:${testbed.port}`];
    await ask(testbed.port, 'POST /bedrock/model/amazon.nova-lite-v1:0/converse HTTP/1.1', bearer);
    const { groups } = await testbed.store.sumUsage({ filter: {}, by: ['tag'] });
    expect(groups.map(({ names: [name] }) => name).toSorted()).toEqual(['__proto__=x', 'constructor=y']);
    expect(({} as Record<string, unknown>)['scope']).toBeUndefined();
    const logs = JSON.parse((await send('GET /spend/logs', asMaster)).body.toString());
    expect(JSON.stringify(logs)).toContain('__proto__=x');
  });

  it.each([
    '/key/list?page=1&page=2',
    '/key/list?size=1e9',
    '/key/list?__proto__=1',
    '/key/list?page=99999999999999999999',
    '/spend/logs?limit=-1',
    '/spend/logs?start_date=0000-00-00&end_date=9999-99-99',
    "/spend/logs?api_key=' OR 1=1 --".replaceAll(' ', '%20'),
    "/spend/logs?request_id='%20OR%20'1'='1",
    '/key/info?key=%00',
  ])('makes no prototype of a query: %s', async (path) => {
    const response = await send(`GET ${path}`, asMaster);
    if (response.status === 200) expect(JSON.parse(response.body.toString())).toEqual([]);
    else expect([400, 404]).toContain(response.status);
  });
});
