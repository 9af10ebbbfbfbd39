/**
 * DNS rebinding: a web page under the attacker's name makes that name resolve to 127.0.0.1 and then talks to us as to
 * its own server; its Host (or :authority) is what gives it away. Cross-site requests: a page simply posts to
 * localhost; its Origin gives it away. And targets that mean one thing to us and another to whoever reads them after
 * us.
 */
import { afterEach, describe, expect } from 'vitest';
import { proxyTest } from '../helpers/proxy-test.ts';
import { startProxy } from '../helpers/testbed.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { ask, dial, throwAt } from '../helpers/raw-socket.ts';

const { it, testbed } = proxyTest();

afterEach(async () => {
  const response = await ask(testbed.port, 'POST /bedrock/model/alive/invoke HTTP/1.1', ['Host: localhost']);
  expect(response.status).toBe(200);
});

const LINE = 'POST /bedrock/model/a/invoke HTTP/1.1';

describe('the host', () => {
  it('refuses a foreign host, and answers to its own', async () => {
    const response = await ask(testbed.port, LINE, ['Host: evil.example:4000']);
    expect(response.status).toBe(403);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_HOST_REFUSED');
    expect(testbed.upstream.requests).toHaveLength(0);
    expect((await ask(testbed.port, LINE, ['Host: app.localhost:4000'])).status).toBe(200);
  });

  it.each([
    { name: 'is missing', headers: [] },
    { name: 'is empty', headers: ['Host:'] },
    { name: 'comes twice', headers: ['Host: localhost', 'Host: localhost'] },
    { name: 'comes twice and differs', headers: ['Host: localhost', 'Host: evil.example'] },
  ])('refuses a host that $name', async ({ headers }) => {
    const response = await ask(testbed.port, LINE, headers);
    expect(response.status).toBe(400);
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it('guards the host on every path, the key API and health included', async () => {
    for (const target of ['/', '/health', '/key/generate', '/nowhere', '/bedrock']) {
      expect((await ask(testbed.port, `POST ${target} HTTP/1.1`, ['Host: evil.example'])).status).toBe(403);
    }
  });

  it('guards the host over HTTP/2 as well, which may not differ from :authority', async () => {
    const path = { ':method': 'POST', ':path': '/bedrock/model/a/invoke' };
    await using client = openHttp2(testbed.port);
    expect((await client.ask(path)).status).toBe(200);
    expect((await client.ask({ ...path, ':authority': 'evil.example' })).status).toBe(403);
    expect((await client.ask({ ...path, host: 'evil.example' })).status).toBe(400);
    expect((await client.ask({ ...path, ':authority': 'evil.example', host: 'localhost' })).status).not.toBe(200);
    expect(testbed.upstream.requests).toHaveLength(1);
  });
});

describe('the origin', () => {
  it('refuses a foreign origin without a word that its page could read, and lets pages of its own in', async () => {
    const response = await ask(testbed.port, LINE, ['Host: localhost:4000', 'Origin: http://localhost:3000']);
    expect(response.status).toBe(403);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_ORIGIN_REFUSED');
    expect(response.header('access-control-allow-origin')).toBeUndefined();
    expect(testbed.upstream.requests).toHaveLength(0);
    expect((await ask(testbed.port, LINE, ['Host: localhost:4000', 'Origin: http://localhost:4000'])).status).toBe(200);
  });

  it('takes the hosts and origins of --allowed-host and --allowed-origin', async () => {
    await using open = await startProxy({
      flags: { allowedHost: ['proxy.test'], allowedOrigin: ['https://tool.example'] },
    });
    const headers = ['Host: Proxy.Test:4000', 'Origin: https://tool.example', 'Sec-Fetch-Site: cross-site'];
    expect((await ask(open.port, LINE, headers)).status).toBe(200);
    expect((await ask(open.port, LINE, ['Host: other.test'])).status).toBe(403);
  });
});

describe('a target', () => {
  it.each([
    { name: 'in absolute form', target: 'http://localhost/bedrock/model/a/invoke' },
    { name: 'in authority form', target: 'localhost:4000' },
    { name: 'of an asterisk', target: '*' },
    { name: 'with an encoded dot segment', target: '/bedrock/model/%2e%2e/agents/x' },
    { name: 'that climbs out of the mount', target: '/bedrock/../key/generate' },
    { name: 'with an encoded null', target: '/bedrock/model/a%00/invoke' },
    { name: 'with raw high bytes', target: '/bedrock/model/caf\u00e9/invoke' },
    { name: 'with slashes before the mount', target: '//bedrock/model/a/invoke' },
  ])('refuses a target before AWS: $name', async ({ target }) => {
    const received = await throwAt(
      testbed.port,
      Buffer.from(
        `POST ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
        'latin1',
      ),
    );
    expect(received).toMatch(/^HTTP\/1\.1 40[04] /);
    expect(received).toContain('x-bedrock-proxy-error: ERR_');
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it.each(['\u0000', '\u0001', '\u007f', '\t'])(
    'refuses a target with the raw control character %j',
    async (character) => {
      const received = await throwAt(
        testbed.port,
        `POST /bedrock/model/a${character}b/invoke HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      );
      expect(received).toMatch(/^HTTP\/1\.1 400 /);
      expect(testbed.upstream.requests).toHaveLength(0);
    },
  );

  it.each(['..', '%2e%2e', 'a%00b', 'caf\u00e9'])('refuses a target with %j over HTTP/2', async (segment) => {
    await using client = openHttp2(testbed.port);
    const response = await client.ask({ ':method': 'POST', ':path': `/bedrock/model/${segment}/invoke` });
    expect(response.status === undefined || response.status === 400).toBe(true);
    expect(testbed.upstream.requests).toHaveLength(0);
  });
});

describe('a method', () => {
  it.each(['TRACE', 'PROPFIND', 'PURGE', 'M-SEARCH', 'SUBSCRIBE'])('refuses the method %s', async (method) => {
    const response = await ask(testbed.port, `${method} /bedrock/model/a/invoke HTTP/1.1`, ['Host: localhost']);
    expect(response.status).toBe(400);
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it.each(['FOO', 'post', ''])('refuses the method %j, which HTTP does not know', async (method) => {
    const received = await throwAt(
      testbed.port,
      `${method} /bedrock/model/a/invoke HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    );
    expect(received).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('opens no tunnel for CONNECT', async () => {
    await using raw = await dial(testbed.port);
    await raw.send(`CONNECT ${testbed.upstream.authority} HTTP/1.1\r\nHost: ${testbed.upstream.authority}\r\n\r\n`);
    await raw.ended;
    expect(raw.received).not.toMatch(/ 200 /);
    await using client = openHttp2(testbed.port);
    expect((await client.ask({ ':method': 'CONNECT' })).status).not.toBe(200);
    expect(testbed.upstream.connectionCount).toBe(0);
  });

  it('gives a page no permission by OPTIONS', async () => {
    const headers = ['Host: localhost', 'Origin: https://evil.example', 'Access-Control-Request-Method: POST'];
    const response = await ask(testbed.port, 'OPTIONS /bedrock/model/a/invoke HTTP/1.1', headers);
    expect(response.status).toBe(403);
    expect(response.headers.filter(([name]) => /^access-control-/i.test(name))).toEqual([]);
  });
});
