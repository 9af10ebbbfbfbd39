/**
 * Who gets in, at the wire: every place in which a client may show a key, over both HTTP versions; what is refused and
 * how; and that nothing a client proved itself with ever leaves for AWS.
 */
import { once } from 'node:events';
import { type IncomingMessage, request as openRequest } from 'node:http';
import { networkInterfaces } from 'node:os';
import { beforeEach, describe, expect } from 'vitest';
import { ERROR_KINDS } from '../../src/lib/errors.ts';
import type { MintedKey } from '../../src/keys/mint.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { startProxy } from '../helpers/testbed.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { ask, dial, type RawResponse, requestText } from '../helpers/raw-socket.ts';

const MASTER_KEY = 'sk-master-0123456789abcdef';
const TARGET = '/bedrock/model/amazon.nova-lite-v1%3A0/invoke';

/** An address of this machine by which a connection does not come from loopback. */
const OWN_ADDRESS = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address;

const { it, testbed } = proxyTest({ environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY } });
let key: MintedKey;

beforeEach(async () => {
  key = await testbed.mint('alice');
});

function post(headers: readonly HeaderPair[], port = testbed.port): Promise<RawResponse> {
  return ask(port, `POST ${TARGET} HTTP/1.1`, [['Host', 'localhost'], ...headers]);
}

function sigV4(accessKeyId: string): string {
  const scope = '20260101/us-east-1/bedrock/aws4_request';
  return `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`;
}

/** Every place, as a function of the key. */
const PLACES: readonly { readonly name: string; readonly show: (key: string) => HeaderPair }[] = [
  { name: 'Authorization: Bearer', show: (shown) => ['Authorization', `Bearer ${shown}`] },
  { name: 'a bearer in small letters', show: (shown) => ['authorization', `bearer ${shown}`] },
  { name: 'a BEARER with spaces', show: (shown) => ['AUTHORIZATION', `BEARER   ${shown}`] },
  { name: 'x-api-key', show: (shown) => ['X-Api-Key', shown] },
  { name: 'x-api-key with Bearer', show: (shown) => ['x-api-key', `Bearer ${shown}`] },
  { name: 'api-key', show: (shown) => ['api-key', shown] },
  { name: 'litellm_user_api_key', show: (shown) => ['litellm_user_api_key', shown] },
  { name: 'litellm_user_api_key with Bearer', show: (shown) => ['litellm_user_api_key', `Bearer ${shown}`] },
  { name: 'x-litellm-api-key', show: (shown) => ['x-litellm-api-key', `Bearer ${shown}`] },
  { name: 'the access-key slot of SigV4', show: (shown) => ['Authorization', sigV4(shown)] },
  { name: 'the access-key slot after Bearer', show: (shown) => ['Authorization', sigV4(`Bearer ${shown}`)] },
];

describe('a key', () => {
  it.each(PLACES)('takes a key in $name', async ({ show }) => {
    const ended = testbed.nextRecord();
    expect((await post([show(key.key)])).status).toBe(200);
    expect((await ended).principal).toMatchObject({ kind: 'key', keyId: key.id, label: 'alice' });
    expect(JSON.stringify((await testbed.upstream.nextRequest()).headers)).not.toContain(key.key);
  });

  it('takes a key over HTTP/2', async () => {
    await using client = openHttp2(testbed.port);
    const response = await client.ask({ ':method': 'POST', ':path': TARGET, authorization: `Bearer ${key.key}` });
    expect(response.status).toBe(200);
    expect(JSON.stringify((await testbed.upstream.nextRequest()).headers)).not.toContain(key.key);
  });

  it('takes the master key', async () => {
    const ended = testbed.nextRecord();
    expect((await post([['Authorization', `Bearer ${MASTER_KEY}`]])).status).toBe(200);
    expect((await ended).principal).toEqual({ kind: 'master', label: 'master' });
  });

  it.each([
    { name: 'an unknown key', shown: ['sk-wrong'], code: 'ERR_KEY_UNKNOWN' },
    { name: 'two different keys', shown: ['sk-one', 'sk-other'], code: 'ERR_KEYS_DIFFER' },
    { name: 'no key', shown: [], code: 'ERR_KEY_MISSING' },
  ] as const)('refuses a request with $name, and asks nobody to try again', async ({ shown, code }) => {
    const response = await post(shown.map((value) => ['x-api-key', value]));
    expect(response.status).toBe(401);
    expect(response.header('x-bedrock-proxy-error')).toBe(code);
    expect(response.header('x-amzn-errortype')).toBe(ERROR_KINDS[code].awsType);
    expect(response.header('x-should-retry')).toBe('false');
    expect(response.body.toString()).not.toMatch(/sk-(?:wrong|one|other)/);
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it('takes a key beside the dummy signature of an SDK', async () => {
    const headers: HeaderPair[] = [
      ['Authorization', sigV4('AKIAIOSFODNN7EXAMPLE')],
      ['X-Amz-Date', '20260101T000000Z'],
      ['X-Amz-Security-Token', 'dummy-session'],
      ['litellm_user_api_key', `Bearer ${key.key}`],
    ];
    expect((await post(headers)).status).toBe(200);
    const request = await testbed.upstream.nextRequest();
    expect(JSON.stringify(request.headers)).not.toMatch(/AKIAIOSFODNN7EXAMPLE|dummy-session|20260101/);
  });
});

describe('open mode', () => {
  it.skipIf(OWN_ADDRESS === undefined)(
    'lets no other machine in while no key exists, whatever host it names (skipped without a network)',
    async () => {
      await using open = await startProxy({ flags: { host: '0.0.0.0' } });
      for (const host of ['localhost', `${OWN_ADDRESS}`]) {
        const outgoing = openRequest({
          host: OWN_ADDRESS,
          port: open.port,
          method: 'POST',
          path: TARGET,
          headers: { host },
        });
        outgoing.end();
        const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
        response.resume();
        expect(response.headers['x-bedrock-proxy-error']).toBe('ERR_OPEN_MODE_REMOTE');
      }
      expect(open.upstream.requests).toHaveLength(0);
    },
  );

  it('ends open mode with the first key, at once', async () => {
    await using open = await startProxy();
    await using raw = await dial(open.port);
    const bytes = requestText(`POST ${TARGET} HTTP/1.1`, ['Host: localhost', 'Authorization: Bearer anything']);
    await raw.send(bytes);
    expect((await raw.readResponse()).status).toBe(200);
    await open.mint();
    await raw.send(bytes);
    expect((await raw.readResponse()).status).toBe(401);
  });
});

describe('what a client proved itself with', () => {
  const SECRETS: readonly HeaderPair[] = [
    ['Authorization', 'Bearer SECRET-key'],
    ['AUTHORIZATION', 'Basic SECRET-key'],
    ['X-Api-Key', 'SECRET-key'],
    ['Api-Key', 'SECRET-key'],
    ['litellm_user_api_key', 'SECRET-key'],
    ['x-litellm-api-key', 'SECRET-key'],
    ['X-Amz-Security-Token', 'SECRET-token'],
    ['X-Amz-Date', '20200101T000000Z-SECRET'],
    ['X-Amz-Content-Sha256', 'SECRET-hash'],
    ['Cookie', 'session=SECRET-cookie'],
    ['Proxy-Authorization', 'Basic SECRET-proxy'],
    ['x-bedrock-proxy-anything', 'SECRET-instruction'],
  ];

  it('never sends AWS what a client proved itself with, in any header', async () => {
    await using open = await startProxy();
    expect((await post(SECRETS, open.port)).status).toBe(200);
    const request = await open.upstream.nextRequest();
    expect(JSON.stringify([request.rawTarget, request.headers])).not.toContain('SECRET');
    expect(request.headers.filter(([name]) => /^authorization$/i.test(name))).toHaveLength(1);
    expect(open.upstream.failures).toEqual([]);
  });

  it('never sends AWS over HTTP/2 what a client proved itself with', async () => {
    await using open = await startProxy();
    await using client = openHttp2(open.port);
    const singles = SECRETS.filter(([name]) => !/^(AUTHORIZATION)$/.test(name)).map(([name, value]) => [
      name.toLowerCase(),
      value,
    ]);
    const response = await client.ask({ ':method': 'POST', ':path': TARGET, ...Object.fromEntries(singles) });
    expect(response.status).toBe(200);
    expect(JSON.stringify((await open.upstream.nextRequest()).headers)).not.toContain('SECRET');
    expect(open.upstream.failures).toEqual([]);
  });

  it('never sends AWS in the query what a client proved itself with', async () => {
    await using open = await startProxy();
    const query =
      'a=1&X-Amz-Signature=SECRET&x-amz-credential=SECRET&X%2DAmz-Security-Token=SECRET&b=2&%58-amz-date=SECRET';
    const response = await ask(open.port, `POST ${TARGET}?${query} HTTP/1.1`, ['Host: localhost']);
    expect(response.status).toBe(200);
    expect((await open.upstream.nextRequest()).rawTarget).toBe(`${TARGET.slice('/bedrock'.length)}?a=1&b=2`);
    expect(open.upstream.failures).toEqual([]);
  });

  it('never logs what a client proved itself with', async () => {
    await post([['Authorization', `Bearer ${key.key}`]]);
    await post([['x-api-key', 'sk-SECRET-unknown']]);
    expect(JSON.stringify(testbed.records)).not.toMatch(/SECRET|sk-[A-Za-z0-9_-]{20}/);
    expect(JSON.stringify(testbed.records)).not.toContain(key.key.slice(3));
  });
});
