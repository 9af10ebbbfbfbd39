/**
 * Request smuggling: the attacker sends one connection's bytes such that two readers would cut them into requests in
 * two ways, and hides a second request in what the first reader takes for a body. Here the second reader would be AWS
 * (signed with the owner's credentials) or the proxy itself (without the guard). Whatever is ambiguous must be refused
 * as a whole and its connection closed; nothing that follows it on the connection may be served.
 */
import { afterEach, describe, expect } from 'vitest';
import { proxyTest } from '../helpers/proxy-test.ts';
import { ask, dial, requestText, throwAt } from '../helpers/raw-socket.ts';

const { it, testbed } = proxyTest();

afterEach(async () => {
  const response = await ask(testbed.port, 'POST /bedrock/model/alive/invoke HTTP/1.1', ['Host: localhost']);
  expect(response.status).toBe(200);
  expect(
    testbed.upstream.requests.map(({ rawTarget }) => rawTarget).filter((target) => target.includes('smuggled')),
  ).toEqual([]);
});

const POST = 'POST /bedrock/model/outer/invoke HTTP/1.1\r\nHost: localhost\r\n';
const SMUGGLED = 'POST /bedrock/model/smuggled/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n';
const CHUNKED = `0\r\n\r\n${SMUGGLED}`;

describe('an ambiguous request', () => {
  it.each([
    { name: 'length and chunks', bytes: `${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}` },
    { name: 'chunks and length', bytes: `${POST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${CHUNKED}` },
    {
      name: 'two different lengths',
      bytes: `${POST}Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
    },
    { name: 'the same length twice', bytes: `${POST}Content-Length: 0\r\nContent-Length: 0\r\n\r\n${SMUGGLED}` },
    { name: 'a list of lengths', bytes: `${POST}Content-Length: 0, 0\r\n\r\n${SMUGGLED}` },
    { name: 'a signed length', bytes: `${POST}Content-Length: +0\r\n\r\n${SMUGGLED}` },
    { name: 'a negative length', bytes: `${POST}Content-Length: -1\r\n\r\n${SMUGGLED}` },
    { name: 'a hexadecimal length', bytes: `${POST}Content-Length: 0x0\r\n\r\n${SMUGGLED}` },
    { name: 'two numbers as a length', bytes: `${POST}Content-Length: 0 0\r\n\r\n${SMUGGLED}` },
    { name: 'a length that overflows', bytes: `${POST}Content-Length: 18446744073709551616\r\n\r\n${SMUGGLED}` },
    { name: 'no chunked at all', bytes: `${POST}Transfer-Encoding: xchunked\r\n\r\n${CHUNKED}` },
    { name: 'chunked and then identity', bytes: `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${CHUNKED}` },
    {
      name: 'chunked twice',
      bytes: `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${CHUNKED}`,
    },
    { name: 'a vertical tab before chunked', bytes: `${POST}Transfer-Encoding: \u000bchunked\r\n\r\n${CHUNKED}` },
    { name: 'chunked in quotes', bytes: `${POST}Transfer-Encoding: "chunked"\r\n\r\n${CHUNKED}` },
    { name: 'a space before the colon', bytes: `${POST}Transfer-Encoding : chunked\r\n\r\n${CHUNKED}` },
    { name: 'a tab before the colon', bytes: `${POST}Content-Length\t: 4\r\n\r\n${CHUNKED}` },
    {
      name: 'a folded line',
      bytes: `${POST}X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${CHUNKED}`,
    },
    { name: 'a folded encoding', bytes: `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n${CHUNKED}` },
    {
      name: 'a space before the first header',
      bytes: `POST /bedrock/model/outer/invoke HTTP/1.1\r\n Host: localhost\r\n\r\n${SMUGGLED}`,
    },
    { name: 'line feeds alone', bytes: `${POST}Content-Length: 4\r\n\r\n${CHUNKED}`.replaceAll('\r\n', '\n') },
    {
      name: 'a line feed alone in a header',
      bytes: `${POST}X-A: b\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${CHUNKED}`,
    },
    {
      name: 'a carriage return alone in a header',
      bytes: `${POST}X-A: b\rTransfer-Encoding: chunked\r\n\r\n${SMUGGLED}`,
    },
    { name: 'a null in a header', bytes: `${POST}X-A: b\0c\r\nContent-Length: 0\r\n\r\n${SMUGGLED}` },
    { name: 'a null in a header name', bytes: `${POST}X\0A: b\r\nContent-Length: 0\r\n\r\n${SMUGGLED}` },
    { name: 'a header without a colon', bytes: `${POST}Content-Length 4\r\n\r\n${SMUGGLED}` },
    { name: 'a header without a name', bytes: `${POST}: 4\r\n\r\n${SMUGGLED}` },
    {
      name: 'a version from the future',
      bytes: `POST /bedrock/model/outer/invoke HTTP/9.9\r\nHost: localhost\r\n\r\n${SMUGGLED}`,
    },
    {
      name: 'a version in small letters',
      bytes: `POST /bedrock/model/outer/invoke http/1.1\r\nHost: localhost\r\n\r\n${SMUGGLED}`,
    },
  ])('refuses a request with $name and closes its connection', async ({ bytes }) => {
    const received = await throwAt(testbed.port, bytes);
    expect(received).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(received).toContain('x-bedrock-proxy-error: ERR_BAD_REQUEST\r\n');
    expect(received.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it.each([
    { name: 'a size that is no number', chunks: `x\r\n\r\n${SMUGGLED}` },
    { name: 'a size with a prefix', chunks: `0x0\r\n\r\n${SMUGGLED}` },
    { name: 'a negative size', chunks: `-1\r\n\r\n${SMUGGLED}` },
    { name: 'a size that overflows', chunks: `fffffffffffffffff\r\n${SMUGGLED}` },
    { name: 'a size that lies', chunks: `1\r\nabc\r\n0\r\n\r\n${SMUGGLED}` },
    { name: 'a line feed alone after a size', chunks: `3\nabc\r\n0\r\n\r\n${SMUGGLED}` },
    { name: 'a line feed alone after an extension', chunks: `3;a\nabc\r\n0\r\n\r\n${SMUGGLED}` },
    { name: 'a line feed alone after the data', chunks: `3\r\nabc\n0\r\n\r\n${SMUGGLED}` },
  ])('refuses a request whose chunks have $name and closes its connection', async ({ chunks }) => {
    const received = await throwAt(testbed.port, `${POST}Transfer-Encoding: chunked\r\n\r\n${chunks}`);
    expect(received).toMatch(/^(HTTP\/1\.1 400 Bad Request\r\n|$)/);
    expect(testbed.upstream.requests).toHaveLength(0);
  });
});

describe('a body that looks like a request', () => {
  it('takes a body that looks like a request for a body', async () => {
    const headers = ['Host: localhost', `Content-Length: ${SMUGGLED.length}`];
    const response = await ask(testbed.port, 'GET /bedrock/bedrock/outer HTTP/1.1', headers, SMUGGLED);
    expect(response.status).toBe(200);
    const request = await testbed.upstream.nextRequest();
    expect(request.rawTarget).toBe('/outer');
    expect(request.body.toString()).toBe(SMUGGLED);
  });

  it('takes no refused body that was announced with Expect for a request', async () => {
    await using raw = await dial(testbed.port);
    const head = ['Host: evil.example', 'Expect: 100-continue', `Content-Length: ${SMUGGLED.length}`];
    await raw.send(requestText('POST /bedrock/model/outer/invoke HTTP/1.1', head));
    expect((await raw.readResponse()).status).toBe(403);
    await raw.send(SMUGGLED);
    raw.socket.end();
    await raw.ended;
    expect(raw.received).toBe('');
  });
});

describe('a response under way', () => {
  it('breaks a response off, and mixes ours not in, if the client sends rubbish behind its request', async () => {
    const begun = new Promise<void>((resolve) => {
      testbed.upstream.respondWith((_, response) => {
        response.write('the response', () => resolve());
      });
    });
    await using raw = await dial(testbed.port);
    await raw.send(`${POST}Content-Length: 0\r\n\r\n`);
    await begun;
    await raw.until('the response');
    await raw.send('\u0000 rubbish\r\n\r\n');
    expect(await raw.ended).toBe('broken');
    expect(raw.received).not.toContain('ERR_BAD_REQUEST');
    expect(await (await testbed.upstream.nextRequest()).closed).toBe('broken');
    testbed.upstream.respondWith((_, response) => void response.end());
  });
});

describe('pipelined requests', () => {
  it('answers pipelined requests in their order, each with its own response, whatever AWS takes for each', async () => {
    const waiting: (() => void)[] = [];
    testbed.upstream.respondWith((request, response) => {
      waiting.push(() => response.end(request.body));
      // The last one to arrive is answered first.
      if (waiting.length === 3) waiting.toReversed().forEach((respond) => respond());
    });
    await using raw = await dial(testbed.port);
    const bodies = ['first', 'second', 'third'];
    await raw.send(
      Buffer.concat(
        bodies.map((body) =>
          requestText(
            'POST /bedrock/model/a/invoke HTTP/1.1',
            ['Host: localhost', `Content-Length: ${body.length}`],
            body,
          ),
        ),
      ),
    );
    for (const body of bodies) expect((await raw.readResponse()).body.toString()).toBe(body);
    testbed.upstream.respondWith((_, response) => void response.end());
  });

  it('cuts pipelined requests behind a refused one with a body at the right place', async () => {
    await using raw = await dial(testbed.port);
    const bytes = `POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`;
    await raw.send(`${bytes}${bytes}`);
    expect((await raw.readResponse()).status).toBe(404);
  });
});
