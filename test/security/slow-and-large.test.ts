/**
 * Exhaustion: connections that say nothing, heads and bodies that trickle (slow loris), and bodies or heads without
 * end. The attacker wants memory or sockets held for ever. Each must be refused by size or by silence, with the refusal
 * readable before the upload ends, and the connection gone soon after.
 * @module-tag slow
 */
import { afterEach, describe, expect, it } from 'vitest';
import { openProxy } from '../helpers/proxy-test.ts';
import type { Testbed } from '../helpers/testbed.ts';
import { openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import { ask, dial, requestText } from '../helpers/raw-socket.ts';

let testbed: Testbed;

afterEach(async () => {
  const response = await ask(testbed.port, 'POST /bedrock/model/alive/invoke HTTP/1.1', ['Host: localhost']);
  expect(response.status).toBe(200);
  expect(new Set(testbed.upstream.requests.map(({ rawTarget }) => rawTarget))).toEqual(
    new Set(['/model/alive/invoke']),
  );
});

const LINE = 'POST /bedrock/model/a/invoke HTTP/1.1';
const POST_HTTP2 = { ':method': 'POST', ':path': '/bedrock/model/a/invoke' };
const PIECE = Buffer.alloc(100_000, 'a');

describe('a body over --max-body-size', () => {
  it('refuses a large body that is announced with Expect without 100 Continue', async () => {
    testbed = await openProxy({ flags: { maxBodySize: '1mb' } });
    await using raw = await dial(testbed.port);
    await raw.send(requestText(LINE, ['Host: localhost', 'Content-Length: 1000001', 'Expect: 100-continue']));
    const response = await raw.readResponse();
    expect(response.status).toBe(413);
    // Whether the body follows is the client's choice, so nothing else may follow.
    expect(response.header('connection')).toBe('close');
    expect(await raw.ended).toBe('end');
  });

  it('refuses a body in chunks without end when it grows too large, and ends its connection', async () => {
    testbed = await openProxy({ flags: { maxBodySize: '1mb' } });
    await using raw = await dial(testbed.port);
    await raw.send(requestText(LINE, ['Host: localhost', 'Transfer-Encoding: chunked']));
    const head = `${PIECE.length.toString(16)}\r\n`;
    const answered = raw.readResponse();
    // Until the other side has gone.
    while (!raw.socket.destroyed) await raw.send(Buffer.concat([Buffer.from(head), PIECE, Buffer.from('\r\n')]));
    expect((await answered).status).toBe(413);
    await raw.ended;
  });

  it('refuses a large body over HTTP/2 while it is sent, and the session goes on', async () => {
    testbed = await openProxy({ flags: { maxBodySize: '1mb' } });
    await using client = openHttp2(testbed.port);
    const stream = client.open(POST_HTTP2, { endStream: false });
    const response = readHttp2Response(stream);
    const pump = (): void => {
      while (!stream.destroyed && !stream.closed && stream.write(PIECE));
      if (!stream.destroyed) stream.once('drain', pump);
    };
    pump();
    expect(await response).toMatchObject({ status: 413, rstCode: 0 });
    expect((await response).body).toContain('--max-body-size');
    expect(await client.ask({ ':method': 'GET', ':path': '/health' })).toMatchObject({ status: 200 });
  });
});

describe('a body that stops coming', () => {
  const STALLS = [
    { headers: ['Content-Length: 10'], part: 'abc' },
    { headers: ['Transfer-Encoding: chunked'], part: '3\r\nabc\r\n' },
    { headers: ['Transfer-Encoding: chunked'], part: '5\r\nabc' },
    { headers: ['Content-Length: 10'], part: '' },
    { headers: ['Content-Length: 10', 'Expect: 100-continue'], part: '' },
  ];

  it('answers 408 to a body that stops coming, however it is framed, and ends its connection', async () => {
    testbed = await openProxy({ config: { uploadIdleTimeoutMs: 100 } });
    // All at once, because each connection lingers for a while.
    await Promise.all(
      STALLS.map(async ({ headers, part }) => {
        await using raw = await dial(testbed.port);
        await raw.send(requestText(LINE, ['Host: localhost', ...headers], part));
        let response = await raw.readResponse();
        if (response.status === 100) response = await raw.readResponse();
        expect(response.status).toBe(408);
        expect(response.header('x-bedrock-proxy-error')).toBe('ERR_BODY_TIMEOUT');
        await raw.ended;
      }),
    );
  });

  it('answers 408 to a body over HTTP/2 that stops coming, and the session goes on', async () => {
    testbed = await openProxy({ config: { uploadIdleTimeoutMs: 100 } });
    await using client = openHttp2(testbed.port);
    const stream = client.open(POST_HTTP2, { endStream: false });
    stream.write('abc');
    expect(await readHttp2Response(stream)).toMatchObject({ status: 408 });
    expect(await client.ask({ ':method': 'GET', ':path': '/health' })).toMatchObject({ status: 200 });
  });
});

describe('a body that is not wanted', () => {
  it('reads past the body of a refused request, and the connection serves the next one', async () => {
    testbed = await openProxy();
    await using raw = await dial(testbed.port);
    await raw.send(requestText('POST /nowhere HTTP/1.1', ['Host: localhost', 'Content-Length: 300000'], PIECE));
    expect((await raw.readResponse()).status).toBe(404);
    await raw.send(Buffer.concat([PIECE, PIECE, requestText('GET /health HTTP/1.1', ['Host: localhost'])]));
    expect((await raw.readResponse()).status).toBe(200);
  });

  it('does not let the body of a refused request over HTTP/2 hold the stream', async () => {
    testbed = await openProxy();
    await using client = openHttp2(testbed.port);
    const stream = client.open({ ':method': 'POST', ':path': '/nowhere' }, { endStream: false });
    expect(await readHttp2Response(stream)).toMatchObject({ status: 404, rstCode: 0 });
  });
});

describe('a head that is too large', () => {
  it.each([
    { name: 'one long header', headers: [`X-A: ${'a'.repeat(70_000)}`] },
    { name: 'many headers', headers: Array.from({ length: 5000 }, (_, index) => `X-${index}: aaaaaaaaaaaaaaa`) },
    { name: 'a long name', headers: [`X-${'a'.repeat(70_000)}: a`] },
  ])('refuses a head that is too large by $name', async ({ headers }) => {
    testbed = await openProxy();
    const response = await ask(testbed.port, LINE, ['Host: localhost', ...headers]);
    expect(response.status).toBe(400);
    expect(response.body.toString()).toContain('64 KiB');
  });

  it('refuses a head of ten thousand tiny headers, and overlooks none of them', async () => {
    testbed = await openProxy();
    const headers = Array.from({ length: 10_000 }, () => 'a:');
    const response = await ask(testbed.port, LINE, ['Host: localhost', ...headers, 'Host: evil.example']);
    expect(response.status).toBe(400);
  });

  it('refuses a head with a long target', async () => {
    testbed = await openProxy();
    const response = await ask(testbed.port, `POST /bedrock/${'a'.repeat(70_000)} HTTP/1.1`, ['Host: localhost']);
    expect(response.status).toBe(400);
  });

  it('passes nothing on of a head over HTTP/2 that is too large', async () => {
    testbed = await openProxy();
    for (const headers of [
      { 'x-a': 'a'.repeat(70_000) },
      Object.fromEntries(
        Array.from({ length: 2000 }, (_, index) => [`x-${index}`, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']),
      ),
    ]) {
      await using client = openHttp2(testbed.port);
      expect((await client.ask({ ...POST_HTTP2, ...headers })).status).not.toBe(200);
    }
  });

  it('accepts a head just below the limit', async () => {
    testbed = await openProxy();
    const line = 'POST /bedrock/model/alive/invoke HTTP/1.1';
    expect((await ask(testbed.port, line, ['Host: localhost', `Cookie: ${'a'.repeat(60_000)}`])).status).toBe(200);
  });
});
