/**
 * When AWS fails: unreachable, silent, or gone in the middle. Before the response has begun the client gets one of
 * ours; after that its connection breaks. It must never see a clean end of something that is not whole.
 */
import type { Socket } from 'node:net';
import { describe, expect } from 'vitest';
import { cutConnection } from '../helpers/fake-upstream.ts';
import { findClosedPort } from '../helpers/ports.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { startProxy } from '../helpers/testbed.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { ask, dial, type RawResponse, requestText } from '../helpers/raw-socket.ts';

const { it, testbed } = proxyTest({ flags: { idleTimeout: '1' } });

const TARGET = '/bedrock/model/amazon.nova-lite-v1%3A0/invoke';

function post(port = testbed.port): Promise<RawResponse> {
  return ask(port, `POST ${TARGET} HTTP/1.1`, ['Host: localhost']);
}

/** The sockets of Node 22 tell a reset that comes right behind data as an orderly end: there a test cannot see it. */
const BLIND_TO_RESETS = process.version.startsWith('v22.');

/** Ways in which AWS's response can stop short. */
const BREAKS = [
  { name: 'resets a chunked answer', head: {}, stop: cutConnection },
  { name: 'resets a response of known length', head: { 'content-length': '100' }, stop: cutConnection },
  {
    name: 'closes a chunked answer',
    head: {},
    stop: (response: { socket: Socket | null }) => void response.socket?.end(),
  },
  {
    name: 'closes a response of known length',
    head: { 'content-length': '100' },
    stop: (response: { socket: Socket | null }) => void response.socket?.end(),
  },
];

describe('the end of a response that is not whole', () => {
  it.each(BREAKS)('breaks the HTTP/1.1 connection if AWS $name', async ({ head, stop }) => {
    testbed.upstream.respondWith((_, response) => {
      response.writeHead(200, head);
      response.write('part', () => stop(response));
    });
    await using raw = await dial(testbed.port);
    const ended = testbed.nextRecord();
    await raw.send(requestText(`POST ${TARGET} HTTP/1.1`, ['Host: localhost']));
    await raw.ended;
    await expect(raw.readResponse()).rejects.toThrow('before a whole response');
    expect((await ended).error?.code).toBe('ERR_UPSTREAM_RESET');
    await survives();
  });

  it.skipIf(BLIND_TO_RESETS).each(BREAKS)(
    'breaks the connection of an HTTP/1.0 client if AWS $name',
    async ({ head, stop }) => {
      testbed.upstream.respondWith((_, response) => {
        response.writeHead(200, head);
        response.write('part', () => stop(response));
      });
      await using raw = await dial(testbed.port);
      await raw.send(requestText(`POST ${TARGET} HTTP/1.0`, ['Host: localhost']));
      expect(await raw.ended).toBe('broken');
      await survives();
    },
  );

  it.each(BREAKS)('resets the HTTP/2 stream if AWS $name', async ({ head, stop }) => {
    testbed.upstream.respondWith((_, response) => {
      response.writeHead(200, head);
      response.write('part', () => stop(response));
    });
    await using client = openHttp2(testbed.port);
    const response = await client.ask({ ':method': 'POST', ':path': TARGET });
    expect(response).toMatchObject({ status: 200, isComplete: false });
    expect(response.rstCode).not.toBe(0);
    await survives();
  });

  it('breaks the connection if AWS falls silent in the middle', async () => {
    testbed.upstream.respondWith((_, response) => {
      response.writeHead(200);
      response.write('part');
    });
    await using raw = await dial(testbed.port);
    const ended = testbed.nextRecord();
    await raw.send(requestText(`POST ${TARGET} HTTP/1.1`, ['Host: localhost']));
    expect(await raw.ended).toBe('broken');
    expect((await ended).error).toMatchObject({ code: 'ERR_UPSTREAM_RESET', detail: 'UND_ERR_BODY_TIMEOUT' });
  });
});

describe('without a response', () => {
  it('answers 504 if AWS stays silent', async () => {
    testbed.upstream.respondWith(() => {});
    const response = await post();
    expect(response.status).toBe(504);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_UPSTREAM_TIMEOUT');
    expect(JSON.parse(response.body.toString())).toMatchObject({ __type: 'GatewayTimeoutException' });
    expect(await (await testbed.upstream.nextRequest()).closed).toBe('broken');
    await survives();
  });

  it('answers 502 if AWS hangs up, and asks once', async () => {
    testbed.upstream.respondWith((_, response) => cutConnection(response));
    const response = await post();
    expect(response.status).toBe(502);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_UPSTREAM_RESET');
    expect(testbed.upstream.requests).toHaveLength(1);
    await survives();
  });

  it.each([
    { name: 'is no HTTP', bytes: 'SSH-2.0-OpenSSH_9.0\r\n' },
    { name: 'has a broken header', bytes: 'HTTP/1.1 200 OK\r\nbro ken: 1\r\n\r\n' },
    {
      name: 'has a length and chunks',
      bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}',
    },
  ])('answers 502 if the response of AWS $name', async ({ bytes }) => {
    testbed.upstream.respondBeforeBody(({ socket }) => void socket.write(bytes));
    const response = await post();
    expect(response.status).toBe(502);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_UPSTREAM_RESET');
    testbed.upstream.respondBeforeBody(undefined);
    await survives();
  });

  it('answers 502 that names no secret if nobody listens on the port', async () => {
    await using lonely = await startProxy({
      flags: { endpointUrl: [`http://127.0.0.1:${await findClosedPort()}`] },
    });
    const response = await post(lonely.port);
    expect(response.status).toBe(502);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_UPSTREAM_UNREACHABLE');
    expect(response.body.toString()).toMatch(/ECONNREFUSED.*--endpoint-url/);
  });

  it('answers 502 if nobody has the host name', async () => {
    await using lonely = await startProxy({ flags: { endpointUrl: ['http://nowhere.invalid'] } });
    expect((await post(lonely.port)).status).toBe(502);
  });
});

describe('a response before the request was read to its end', () => {
  const body = Buffer.alloc(8_000_000, 'a');
  const refusal = 'HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n';

  it.each([
    { name: 'and keeps reading', bytes: `${refusal}\r\nbig`, end: false },
    { name: 'and closes', bytes: `${refusal}Connection: close\r\n\r\nbig`, end: true },
  ])('passes on a response before the request was read to its end, if AWS answers $name', async ({ bytes, end }) => {
    testbed.upstream.respondBeforeBody((incoming) => {
      incoming.socket.write(bytes, () => end && incoming.socket.end());
    });
    const headers = ['Host: localhost', `Content-Length: ${body.length}`];
    const response = await ask(testbed.port, `POST ${TARGET} HTTP/1.1`, headers, body);
    expect(response).toMatchObject({ status: 413, reason: 'Too Large' });
    expect(response.body.toString()).toBe('big');
    testbed.upstream.respondBeforeBody(undefined);
    await survives();
  });
});

async function survives(): Promise<void> {
  testbed.upstream.respondWith((_, response) => void response.end('fine'));
  expect((await post()).body.toString()).toBe('fine');
}
