/**
 * Whoever is over a limit uploads nothing: slot, rate, scope and region are asked before the body is read. And who has
 * not proved yet which key it is takes nothing of that key.
 */
import { afterEach, describe, expect } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { dial, type RawSocket } from '../helpers/raw-socket.ts';
import { signLines } from '../helpers/sigv4-signing.ts';

const { it, testbed } = proxyTest();

afterEach(() => void (testbed.upstream.failures.length = 0));

const PATH = '/bedrock/model/amazon.nova-lite-v1%3A0/converse';

async function call(key: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${testbed.port}${PATH}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: '{}',
  });
  await response.arrayBuffer();
  return response.status;
}

/** Sends a head that announces a body, and waits to be asked for it. */
async function announce(headers: readonly string[], path = PATH): Promise<RawSocket> {
  const raw = await dial(testbed.port);
  const lines = [`POST ${path} HTTP/1.1`, ...headers, 'Content-Length: 1000000', 'Expect: 100-continue', '', ''];
  await raw.send(lines.join('\r\n'));
  return raw;
}

const bearer = (key: string): string[] => ['Host: localhost', `Authorization: Bearer ${key}`];

describe('before the body', () => {
  it('refuses a key that sent all the requests of its minute', async () => {
    const { key } = await testbed.mint('fast', { policy: { ...EMPTY_POLICY, requestsPerMinute: 1 } });
    expect(await call(key)).toBe(200);
    await using raw = await announce(bearer(key));
    const response = await raw.readResponse();
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([429, 'ERR_REQUEST_RATE']);
  });

  it('takes the slot of a key, and frees it if the client leaves', async () => {
    const { key } = await testbed.mint('one', { policy: { ...EMPTY_POLICY, maxParallel: 1 } });
    await using raw = await announce(bearer(key));
    await raw.until('100 Continue');
    await using second = await announce(bearer(key));
    expect((await second.readResponse()).header('x-bedrock-proxy-error')).toBe('ERR_TOO_MANY_PARALLEL');
    const over = testbed.nextRecord();
    raw.socket.destroy();
    expect((await over).error?.code).toBe('ERR_CLIENT_GONE');
    expect(await call(key)).toBe(200);
  });

  it('counts a request whose client leaves in the middle of its body', async () => {
    const { key } = await testbed.mint('gone', { policy: { ...EMPTY_POLICY, requestsPerMinute: 1 } });
    const raw = await announce(bearer(key));
    await raw.until('100 Continue');
    const over = testbed.nextRecord();
    raw.socket.destroy();
    await over;
    expect(await call(key)).toBe(429);
  });

  it('does not count a request whose body is refused', async () => {
    const { key } = await testbed.mint('large', { policy: { ...EMPTY_POLICY, requestsPerMinute: 1, maxParallel: 1 } });
    await using raw = await dial(testbed.port);
    await raw.send([`POST ${PATH} HTTP/1.1`, ...bearer(key), 'Content-Length: 999999999999', '', ''].join('\r\n'));
    expect((await raw.readResponse()).status).toBe(413);
    expect([await call(key), await call(key)]).toEqual([200, 429]);
  });

  it('refuses an operation that the key may not use, whichever of two it is', async () => {
    const { key } = await testbed.mint('reader');
    await using raw = await announce(bearer(key), '/bedrock/tagResource');
    expect((await raw.readResponse()).header('x-bedrock-proxy-error')).toBe('ERR_SCOPE');
  });

  it('refuses a region that the key may not use', async () => {
    const { key } = await testbed.mint('home', { policy: { ...EMPTY_POLICY, regions: ['us-*'] } });
    await using raw = await announce([...bearer(key), 'x-bedrock-proxy-region: eu-west-1']);
    expect((await raw.readResponse()).header('x-bedrock-proxy-error')).toBe('ERR_REGION_NOT_ALLOWED');
  });
});

describe('a signature over the body', () => {
  it('lets a stranger who knows the access key id take no slot and no request of the key', async () => {
    const policy = { ...EMPTY_POLICY, maxParallel: 1, requestsPerMinute: 1 };
    const minted = await testbed.mint('known', { policy });
    const toSign = { method: 'POST', path: PATH, body: 'x' };
    const signed = await signLines({ ...minted, key: 'sk-guessed' }, toSign);
    const withoutHash = signed.filter((line) => !line.toLowerCase().startsWith('x-amz-content-sha256'));
    const headers = withoutHash.map((line) => line.replace('x-amz-content-sha256;', ''));
    await using raw = await announce(headers);
    await raw.until('100 Continue');
    expect(await call(minted.key)).toBe(200);
    await using second = await announce(headers);
    await second.until('100 Continue');
  });
});
