/**
 * Requests made to cost the proxy more than they cost their sender: whoever waits behind them must not notice.
 */
import { parseTarget } from '../../src/http/target.ts';
import { describe, expect } from 'vitest';
import { canonicalRequest, findLostHeader } from '../../src/protocol/sigv4/canonical.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { ask, dial, requestText } from '../helpers/raw-socket.ts';
import { signLines } from '../helpers/sigv4-signing.ts';

const { it, testbed } = proxyTest();

describe('a query', () => {
  it.each([
    { name: 'of thousands of names', query: Array.from({ length: 8000 }, (_, index) => `k${index}`).join('&') },
    { name: 'of one name thousands of times', query: 'a&'.repeat(30_000) },
  ])('refuses a query $name before it is signed', async ({ query }) => {
    const response = await ask(testbed.port, `GET /bedrock/foundation-models?${query} HTTP/1.1`, ['Host: localhost']);
    expect(response.status).toBe(400);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_BAD_TARGET');
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it('signs a query of hundreds of names as it is', async () => {
    const query = Array.from({ length: 500 }, (_, index) => `k${index}=v`).join('&');
    const response = await ask(testbed.port, `GET /bedrock/foundation-models?${query} HTTP/1.1`, ['Host: localhost']);
    expect(response.status).toBe(200);
  });
});

describe('a signature over thousands of headers', () => {
  it('looks through thousands of signed headers once', () => {
    const names = Array.from({ length: 8000 }, (_, index) => `n${index}`);
    const headers = Array.from({ length: 2000 }, (_, index) => [`h${index}`, ''] as const);
    let reads = 0;
    const counted = headers.map((pair) => {
      return new Proxy(pair, {
        get: (target, property, receiver) => {
          if (property === '0') reads += 1;
          return Reflect.get(target, property, receiver) as unknown;
        },
      });
    });
    const request = { method: 'POST', target: parseTarget('/'), headers: counted, authority: 'localhost' };
    expect(findLostHeader(request, names)).toBe('n0');
    canonicalRequest(request, names, 'hash');
    expect(reads).toBeLessThanOrEqual(3 * headers.length);
  });
});

describe('a large body behind a wrong signature', () => {
  const LINE = 'POST /bedrock/model/a/invoke HTTP/1.1';
  const toSign = { method: 'POST', path: '/bedrock/model/a/invoke', body: 'signed' };

  it('reads no body behind a wrong signature if the head says for which body it was signed', async () => {
    const headers = await signLines({ ...(await testbed.mint()), key: 'sk-guessed' }, toSign);
    await using raw = await dial(testbed.port);
    await raw.send(requestText(LINE, [...headers, 'Content-Length: 100000000']));
    // No byte of the body was sent.
    const response = await raw.readResponse();
    expect(response.status).toBe(401);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_SIGNATURE');
  });

  it('refuses another body with a right signature all the same', async () => {
    const headers = await signLines(await testbed.mint(), toSign);
    const swapped = await ask(testbed.port, LINE, [...headers, 'Content-Length: 6'], 'forged');
    expect(swapped.status).toBe(401);
    expect(testbed.upstream.requests).toHaveLength(0);
    expect((await ask(testbed.port, LINE, [...headers, 'Content-Length: 6'], 'signed')).status).toBe(200);
  });
});
