/** WebSockets of AgentCore through the whole proxy: signed upgrades, bytes both ways, and every kind of refusal. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { constants } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'undici';
import { acceptKey, type FakeWebSocketServer } from '../helpers/fake-websocket.ts';
import { makeAuthority } from '../helpers/forward-proxy.ts';
import type { Testbed } from '../helpers/testbed.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { ask, dial, requestText } from '../helpers/raw-socket.ts';
import { signLines } from '../helpers/sigv4-signing.ts';
import { IS_SERVED, openWebSocketProxy, type WebSocketTestbed, WS_KEY, WS_PATH } from '../helpers/websocket-testbed.ts';

const SESSION_HEADER = 'X-Amzn-Bedrock-AgentCore-Runtime-Session-Id';

let rooms: WebSocketTestbed;
let aws: FakeWebSocketServer;
let testbed: Testbed;

beforeEach(async () => {
  rooms = await openWebSocketProxy();
  ({ aws, testbed } = rooms);
});

async function openWebSocket(protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${testbed.port}/bedrock${WS_PATH}`, {
    protocols,
    headers: { authorization: `Bearer ${rooms.key}`, [SESSION_HEADER]: 's'.repeat(33) },
  });
  socket.binaryType = 'arraybuffer';
  await once(socket, 'open');
  return socket;
}

describe.runIf(IS_SERVED)('a real WebSocket client', () => {
  it.each([
    { name: 'a text', message: 'h\u00e4llo' },
    { name: 'a text of 1 MB', message: 'x'.repeat(1_000_000) },
    { name: 'bytes', message: Uint8Array.from([0, 255, 10, 13]) },
    { name: 'bytes of 1 MB', message: new Uint8Array(1_000_000).map((_, index) => index % 251) },
  ])('gets $name back as it was from a real WebSocket client', async ({ message }) => {
    const socket = await openWebSocket();
    const answered = once(socket, 'message') as Promise<[MessageEvent]>;
    socket.send(message);
    const [{ data }] = await answered;
    if (typeof message === 'string') expect(data).toBe(message);
    else expect(Buffer.from(data as ArrayBuffer).equals(message)).toBe(true);
    const record = testbed.nextRecord();
    socket.close(1000);
    await once(socket, 'close');
    const size = typeof message === 'string' ? Buffer.byteLength(message) : message.length;
    const { status, requestBytes, responseBytes, error, route, totalMs } = await record;
    expect({ status, error, operation: route?.operation }).toEqual({
      status: 101,
      error: undefined,
      operation: 'InvokeAgentRuntimeWithWebSocketStream',
    });
    expect(requestBytes).toBeGreaterThan(size);
    expect(responseBytes).toBeGreaterThan(size);
    expect(totalMs).toBeGreaterThan(0);
  });

  it('keeps the subprotocol of a WebSocket client: a token there is not ours', async () => {
    const socket = await openWebSocket(['base64UrlBearerAuthorization.abc', 'base64UrlBearerAuthorization']);
    expect(socket.protocol).toBe('base64UrlBearerAuthorization.abc');
    socket.close();
    await once(socket, 'close');
  });
});

describe.runIf(IS_SERVED)('the upgrade', () => {
  it.each([
    { name: 'agent', target: `${WS_PATH}?qualifier=DEFAULT` },
    { name: 'shell', target: `${WS_PATH}/shells?qualifier=DEFAULT&shellId=a%2Fb` },
    { name: 'browser', target: '/browser-streams/aws.browser.v1/sessions/01ABC/automation' },
  ])('signs the upgrade of a $name, and passes the rest of it untouched', async ({ target }) => {
    const upgrading = aws.nextUpgrade();
    await using raw = await rooms.dialWebSocket(target, [
      `${SESSION_HEADER}: session-1`,
      'Sec-WebSocket-Protocol: base64UrlBearerAuthorization.abc, other',
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
    ]);
    const upgrade = await upgrading;
    expect(upgrade.rawTarget).toBe(target);
    expect(upgrade.signature).toMatchObject({ scope: { service: 'bedrock-agentcore', region: 'us-east-1' } });
    expect(upgrade.signature.signedHeaders).toEqual(
      expect.arrayContaining(['host', 'x-amz-date', SESSION_HEADER.toLowerCase()]),
    );
    expect(upgrade.headers).toEqual(
      expect.arrayContaining([
        ['Sec-WebSocket-Key', WS_KEY],
        ['Sec-WebSocket-Version', '13'],
        ['Sec-WebSocket-Protocol', 'base64UrlBearerAuthorization.abc, other'],
        ['Sec-WebSocket-Extensions', 'permessage-deflate; client_max_window_bits'],
        [SESSION_HEADER, 'session-1'],
      ]),
    );
    expect(upgrade.headers.filter(([, value]) => value.includes(rooms.key))).toEqual([]);
    expect(upgrade.header('connection')?.toLowerCase()).toBe('upgrade');
    expect(upgrade.header('upgrade')).toBe('websocket');
    raw.socket.destroy();
  });

  it('drops query authentication of an upgrade and keeps the rest of the query', async () => {
    const upgrading = aws.nextUpgrade();
    const query = `?X-Amz-Algorithm=AWS4-HMAC-SHA256&${SESSION_HEADER}=s-1&X-Amz-Signature=abc&qualifier=a%20b`;
    await using raw = await rooms.dialWebSocket(`${WS_PATH}${query}`);
    expect((await upgrading).rawTarget).toBe(`${WS_PATH}?${SESSION_HEADER}=s-1&qualifier=a%20b`);
    raw.socket.destroy();
  });

  it("brings AWS's 101 back with its headers, and bytes that came in the same packet", async () => {
    aws.onUpgrade(({ accept, socket }) => {
      accept(['Sec-WebSocket-Protocol: x', 'x-amzn-RequestId: r-1'], 'first bytes');
      socket.resume().once('end', () => socket.end());
    });
    const record = testbed.nextRecord();
    await using raw = await rooms.dialWebSocket();
    const text = await raw.until('first bytes');
    expect(text).toBe(
      [
        'HTTP/1.1 101 Switching Protocols',
        'Connection: Upgrade',
        'Upgrade: websocket',
        `Sec-WebSocket-Accept: ${acceptKey(WS_KEY)}`,
        'Sec-WebSocket-Protocol: x',
        'x-amzn-RequestId: r-1',
        '',
        'first bytes',
      ].join('\r\n'),
    );
    raw.socket.destroy();
    expect(await record).toMatchObject({ upstreamRequestId: 'r-1', status: 101 });
  });

  it('brings bytes along that the client sent together with its upgrade', async () => {
    const upgrading = aws.nextUpgrade();
    await using raw = await rooms.dialWebSocket(WS_PATH, [], 'early bird');
    const upgrade = await upgrading;
    expect(upgrade.socket.readableLength).toBe(0);
    upgrade.accept();
    const [chunk] = (await once(upgrade.socket, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('early bird');
    raw.socket.destroy();
  });

  it('leaves out a header of an upgrade that Connection names', async () => {
    const upgrading = aws.nextUpgrade();
    await using raw = await dial(testbed.port);
    const headers = rooms.handshake(['Connection: X-Secret', 'X-Secret: 1']);
    await raw.send(requestText(`GET /bedrock${WS_PATH} HTTP/1.1`, headers));
    expect((await upgrading).header('x-secret')).toBeUndefined();
    raw.socket.destroy();
  });
});

describe.runIf(IS_SERVED)("AWS's own recipe: a client that adds the headers of an upgrade to its own", () => {
  it('upgrades with two equal hosts, by the first key', async () => {
    const host = `localhost:${testbed.port}`;
    const path = `/bedrock${WS_PATH}`;
    const toSign = { method: 'GET', path, service: 'bedrock-agentcore', host };
    const lines = await signLines(await testbed.mint('agentcore'), { ...toSign, headers: {} });
    const own = rooms.handshake().filter((line) => !line.startsWith('Authorization'));
    const again = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='];
    const upgrading = aws.nextUpgrade();
    await using raw = await dial(testbed.port);
    await raw.send(requestText(`GET ${path} HTTP/1.1`, [...own, ...lines, ...again, 'Sec-WebSocket-Version: 13']));
    const upgrade = await upgrading;
    expect(upgrade.rawTarget).toBe(WS_PATH);
    const keys = upgrade.headers.filter(([name]) => name.toLowerCase() === 'sec-websocket-key');
    expect(keys.map(([, value]) => value)).toEqual([WS_KEY]);
    upgrade.accept();
    upgrade.socket.end();
  });
});

describe('is refused before anything reaches AWS', () => {
  const WRONG_KEY = `sk-${'0'.repeat(40)}`;
  const FOREIGN = 'Origin: https://evil.example';
  const refusals = [
    { name: 'a wrong key', status: 401, code: 'ERR_KEY_UNKNOWN', bearer: WRONG_KEY },
    { name: 'a foreign web page', status: 403, code: 'ERR_ORIGIN_REFUSED', extra: [FOREIGN] },
    { name: 'a page of another site', status: 403, code: 'ERR_ORIGIN_REFUSED', extra: ['Sec-Fetch-Site: cross-site'] },
    { name: 'a host that is not ours', status: 403, code: 'ERR_HOST_REFUSED', host: 'evil.example' },
    { name: 'two hosts', status: 400, code: 'ERR_BAD_REQUEST', extra: ['Host: localhost'] },
    { name: 'a path without WebSocket', status: 400, code: 'ERR_BAD_REQUEST', target: '/foundation-models' },
    { name: 'a path outside the mount', status: 404, code: 'ERR_UNKNOWN_PATH', target: '/../ws' },
  ];

  it.each(refusals.filter(({ target }) => IS_SERVED || target !== '/foundation-models'))(
    'refuses an upgrade before anything reaches AWS: $name',
    async ({ status, code, bearer, extra, host, target = WS_PATH }) => {
      const record = testbed.nextRecord();
      const headers = rooms.handshake(extra, bearer);
      if (host !== undefined) headers[0] = `Host: ${host}`;
      const path = code === 'ERR_UNKNOWN_PATH' ? '/elsewhere/ws' : `/bedrock${target}`;
      const response = await ask(testbed.port, `GET ${path} HTTP/1.1`, headers);
      expect(response.status).toBe(status);
      expect(response.header('x-bedrock-proxy-error')).toBe(code);
      expect(response.header('content-type')).toBe('application/json');
      expect(JSON.parse(response.body.toString())).toHaveProperty('__type');
      expect(await record).toMatchObject({ status, error: { code } });
      expect(aws.requestCount).toBe(0);
    },
  );

  it('refuses a request without an upgrade where there is a WebSocket', async () => {
    const headers = ['Host: localhost', `Authorization: Bearer ${rooms.key}`, 'Content-Length: 3'];
    const response = await ask(testbed.port, `GET /bedrock${WS_PATH} HTTP/1.1`, headers, 'abc');
    expect(response.status).toBe(400);
    expect(response.body.toString()).toContain('This path is a WebSocket');
    expect(aws.requestCount).toBe(0);
  });

  it.skipIf(IS_SERVED)('refuses every WebSocket on a Node that cannot tell upgrades apart', async () => {
    const response = await ask(testbed.port, `GET /bedrock${WS_PATH} HTTP/1.1`, rooms.handshake());
    expect(response.status).toBe(400);
    expect(response.body.toString()).toContain('the proxy needs Node 22.21, 24.9 or later');
    expect(aws.requestCount).toBe(0);
  });

  it('refuses a GET over HTTP/2 where there is a WebSocket', async () => {
    await using client = openHttp2(testbed.port);
    const response = await client.ask({ ':path': `/bedrock${WS_PATH}`, authorization: `Bearer ${rooms.key}` });
    expect(response.status).toBe(400);
    expect(response.body).toContain('over HTTP/1.1');
    expect(aws.requestCount).toBe(0);
  });

  it('refuses an extended CONNECT over HTTP/2 (RFC 8441), which was never offered', async () => {
    await using client = openHttp2(testbed.port);
    const [settings] = (await once(client.session, 'remoteSettings')) as [{ enableConnectProtocol?: boolean }];
    expect(settings.enableConnectProtocol).toBe(false);
    const response = await client.ask({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': `/bedrock${WS_PATH}`,
    });
    expect(response).toMatchObject({ status: undefined, rstCode: constants.NGHTTP2_PROTOCOL_ERROR });
    expect(aws.requestCount).toBe(0);
  });
});

describe.runIf(IS_SERVED)("AWS's refusal", () => {
  it.each([
    { name: 'with a length', framing: 'Content-Length: 25', body: '{"message":"not allowed"}' },
    { name: 'in chunks', framing: 'Transfer-Encoding: chunked', body: '19\r\n{"message":"not allowed"}\r\n0\r\n\r\n' },
    { name: 'until the connection ends', framing: 'Connection: close', body: '{"message":"not allowed"}' },
  ])("passes AWS's refusal of an upgrade on as it is: $name", async ({ framing, body }) => {
    aws.onUpgrade(({ socket }) => {
      const head = ['HTTP/1.1 403 Go Away', 'x-amzn-ErrorType: AccessDeniedException', framing, '', ''].join('\r\n');
      socket.end(head + body);
    });
    const record = testbed.nextRecord();
    const response = await ask(testbed.port, `GET /bedrock${WS_PATH} HTTP/1.1`, rooms.handshake());
    expect(response).toMatchObject({ status: 403, reason: 'Go Away' });
    expect(response.header('x-amzn-errortype')).toBe('AccessDeniedException');
    expect(response.header('x-bedrock-proxy-error')).toBeUndefined();
    expect(response.body.toString()).toBe('{"message":"not allowed"}');
    expect(await record).toMatchObject({ status: 403, error: undefined });
  });

  it("breaks off for the client an upgrade's refusal that AWS breaks off", async () => {
    const upgrading = aws.nextUpgrade();
    await using raw = await rooms.dialWebSocket();
    const { socket } = await upgrading;
    socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf');
    await raw.until('half');
    socket.resetAndDestroy();
    expect(await raw.ended).toBe('broken');
  });

  it("answers 502 of ours if AWS's refusal of an upgrade never came", async () => {
    aws.onUpgrade(({ socket }) => socket.resetAndDestroy());
    const response = await ask(testbed.port, `GET /bedrock${WS_PATH} HTTP/1.1`, rooms.handshake());
    expect(response.status).toBe(502);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_UPSTREAM_RESET');
  });
});

it.runIf(IS_SERVED)('carries a WebSocket over TLS in both directions', async () => {
  await using authority = await makeAuthority([]);
  const secure = await openWebSocketProxy({ tls: authority.material });
  const upgrading = secure.aws.nextUpgrade();
  const ca = await readFile(authority.caFile);
  const socket = connectTls({ port: secure.testbed.port, host: '127.0.0.1', servername: 'localhost', ca });
  let received = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
  const headers = secure.handshake([`Origin: https://localhost:${secure.testbed.port}`]);
  socket.write(requestText(`GET /bedrock${WS_PATH} HTTP/1.1`, headers));
  const upgrade = await upgrading;
  upgrade.accept([], 'first');
  await expect.poll(() => received).toMatch(/^HTTP\/1\.1 101 [^]*\r\n\r\nfirst$/);
  const arrived = once(upgrade.socket, 'data');
  socket.write('hello');
  expect(String((await arrived)[0])).toBe('hello');
  const left = once(upgrade.socket, 'end');
  socket.end();
  upgrade.socket.resume();
  await left;
  const ended = once(socket, 'end');
  upgrade.socket.end('last');
  await ended;
  expect(received.endsWith('firstlast')).toBe(true);
});
