/**
 * How a bidirectional stream ends through the relay, if a client leaves or AWS fails, at every moment and in every way.
 * @module-tag slow
 */
import { createServer as createHttp1Server } from 'node:http';
import { type ClientHttp2Stream, constants, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer, type Server } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FRAME, nextBytes, openRelay, openStream, untilStill, writeAll } from '../../helpers/bidirectional-relay.ts';
import { ECHO } from '../../helpers/bidirectional-upstream.ts';
import { decodeFrames, eventFrame } from '../../helpers/event-frames.ts';
import { readHttp2Response } from '../../helpers/http2-client.ts';
import { findClosedPort, listen } from '../../helpers/ports.ts';

describe('a client that leaves', () => {
  const WAYS: readonly { readonly name: string; readonly leave: (stream: ClientHttp2Stream) => void }[] = [
    { name: 'resets its stream', leave: (stream) => stream.close(constants.NGHTTP2_CANCEL) },
    { name: 'resets its stream without an error', leave: (stream) => stream.close(constants.NGHTTP2_NO_ERROR) },
    { name: 'drops its stream', leave: (stream) => void stream.destroy() },
    { name: 'ends its connection', leave: (stream) => stream.session?.socket.destroySoon() },
    { name: 'resets its connection', leave: (stream) => void stream.session?.socket.resetAndDestroy() },
    { name: 'ends its session at once', leave: (stream) => void stream.session?.destroy() },
  ];

  it.each(WAYS)('resets AWS if a client leaves in the middle of a response: it $name', async ({ leave }) => {
    const { client, upstream, outcome } = await openRelay();
    const stream = openStream(client);
    stream.write(FRAME);
    await nextBytes(stream, FRAME.length);
    leave(stream);
    expect(await upstream.calls[0]?.over).toBe('reset');
    expect((await outcome)?.code).toBe('ERR_CLIENT_GONE');
    expect(upstream.calls[0]?.inner).toEqual([FRAME]);
  });

  it.each(WAYS)('resets AWS if a client leaves before there is a response: it $name', async ({ leave }) => {
    const { client, upstream, outcome } = await openRelay({ handler: {} });
    const called = upstream.nextCall();
    const stream = openStream(client);
    stream.write(FRAME);
    const call = await called;
    leave(stream);
    expect(await call.over).toBe('reset');
    expect((await outcome)?.code).toBe('ERR_CLIENT_GONE');
  });

  it('counts as one who leaves if it takes nothing of its response for long', async () => {
    const { client, upstream, outcome } = await openRelay({ unreadMs: 300, handler: {} });
    const called = upstream.nextCall();
    const stream = openStream(client);
    stream.pause().write(FRAME);
    const { stream: response } = await called;
    response.respond({ ':status': 200, 'content-type': 'application/vnd.amazon.eventstream' });
    writeAll(response, eventFrame('chunk', { bytes: 'A'.repeat(1024 * 1024) }), 20);
    expect((await outcome)?.code).toBe('ERR_CLIENT_GONE');
    expect(await upstream.calls[0]?.over).toBe('reset');
    const received = readHttp2Response(stream);
    stream.resume();
    expect((await received).isComplete).toBe(false);
  });

  // Without an error code `close` waits until everything is written, and nothing is.
  const AT_ONCE = WAYS.filter(({ name }) => name !== 'resets its stream without an error');

  it.each(AT_ONCE)('resets AWS if a client leaves while AWS does not read: it $name', async ({ leave }) => {
    const { client, upstream, outcome } = await openRelay();
    const called = upstream.nextCall();
    const stream = openStream(client);
    const call = await called;
    call.stream.pause();
    const written = writeAll(stream, eventFrame('chunk', { bytes: 'A'.repeat(1024 * 1024) }), 20);
    await untilStill(() => written.bytes);
    leave(stream);
    expect((await outcome)?.code).toBe('ERR_CLIENT_GONE');
    call.stream.resume();
    expect(await call.over).toBe('reset');
  });
});

describe('an upstream that fails', () => {
  const CUT = /CANCEL|ECONNRESET|EPIPE/;
  const WAYS: readonly {
    readonly name: string;
    readonly says: RegExp;
    readonly fail: (stream: ServerHttp2Stream) => void;
  }[] = [
    { name: 'refuses the stream', says: /REFUSED_STREAM/, fail: (stream) => stream.close(7) },
    { name: 'resets the stream', says: /INTERNAL_ERROR/, fail: (stream) => void stream.destroy(new Error('cut')) },
    { name: 'resets without an error', says: /NO_ERROR/, fail: (stream) => void stream.destroy() },
    { name: 'ends the connection', says: CUT, fail: (stream) => stream.session?.socket.destroySoon() },
    { name: 'resets the connection', says: CUT, fail: (stream) => void stream.session?.socket.resetAndDestroy() },
    {
      name: 'says GOAWAY with an error',
      says: /SESSION_ERROR|INTERNAL_ERROR/,
      fail: (stream) => stream.session?.goaway(2),
    },
  ];

  it.each(WAYS)('answers 502 if AWS fails before its response: it $name', async ({ fail, says }) => {
    const { client, outcome } = await openRelay({ handler: { onFrame: ({ stream }) => fail(stream) } });
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    stream.write(FRAME);
    expect(await response).toMatchObject({ status: 502, isComplete: true });
    expect(await outcome).toMatchObject({ code: 'ERR_UPSTREAM_RESET', message: expect.stringMatching(says) });
  });

  /** Node's `close` would send END_STREAM first where a response has begun. */
  const CUTS = WAYS.filter(({ name }) => name !== 'refuses the stream');

  it.each(CUTS)('gives no clean end if AWS fails in the middle of its response: it $name', async ({ fail }) => {
    const { client, outcome } = await openRelay({
      handler: { ...ECHO, onFrame: ({ stream }, inner) => void stream.write(inner, () => fail(stream)) },
    });
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    stream.write(FRAME);
    expect(await response).toMatchObject({ status: 200, isComplete: false });
    expect(await outcome).toMatchObject({ code: 'ERR_UPSTREAM_RESET' });
  });

  it.each(CUTS.filter(({ name }) => name !== 'resets without an error'))(
    'gives no clean end if AWS fails in its response after the whole request: it $name',
    async ({ fail }) => {
      const { client, outcome } = await openRelay({
        handler: { ...ECHO, onEnd: ({ stream }) => void stream.write(FRAME, () => fail(stream)) },
      });
      const stream = openStream(client);
      const response = readHttp2Response(stream);
      stream.end(FRAME);
      expect(await response).toMatchObject({ status: 200, isComplete: false });
      expect(await outcome).toMatchObject({ code: 'ERR_UPSTREAM_RESET' });
    },
  );

  it.each([
    { name: 'nobody listens', server: undefined, scheme: 'http', code: 'ERR_UPSTREAM_UNREACHABLE', status: 502 },
    { name: 'it is cut off', server: cuttingServer, scheme: 'http', code: 'ERR_UPSTREAM_RESET', status: 502 },
    { name: 'it speaks HTTP/1.1', server: http1Server, scheme: 'http', code: 'ERR_UPSTREAM_RESET', status: 502 },
    { name: 'it is silent', server: silentServer, scheme: 'http', code: 'ERR_UPSTREAM_TIMEOUT', status: 504 },
    { name: 'no TLS comes', server: silentServer, scheme: 'https', code: 'ERR_UPSTREAM_UNREACHABLE', status: 502 },
    { name: 'TLS fails', server: http1Server, scheme: 'https', code: 'ERR_UPSTREAM_UNREACHABLE', status: 502 },
  ])('answers $status if AWS fails: $name', async ({ server, scheme, code, status }) => {
    const port = server === undefined ? await findClosedPort() : await listen(server());
    const origin = `${scheme}://127.0.0.1:${port}`;
    const { client, outcome } = await openRelay({ origin, idleTimeoutMs: 300, connectTimeoutMs: 200 });
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    stream.write(FRAME);
    expect(await response).toMatchObject({ status, isComplete: true });
    expect(await outcome).toMatchObject({ code });
  });

  it('breaks a response off if both sides are silent for too long', async () => {
    const { client, upstream, outcome } = await openRelay({ idleTimeoutMs: 200 });
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    stream.write(FRAME);
    expect(await response).toMatchObject({ status: 200, isComplete: false, body: FRAME.toString('latin1') });
    expect(await outcome).toMatchObject({ code: 'ERR_UPSTREAM_TIMEOUT' });
    expect(await upstream.calls[0]?.over).toBe('reset');
  });
});

describe('a limit to silence within a stream', () => {
  it('ends the stream with a frame that says an exception if both sides are silent', async () => {
    const { client, upstream, outcome } = await openRelay({ streamIdleTimeoutMs: 200 });
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    stream.write(FRAME);
    const { status, isComplete, body } = await response;
    expect({ status, isComplete }).toEqual({ status: 200, isComplete: true });
    const [echo, last] = decodeFrames(Buffer.from(body, 'latin1'));
    expect(echo?.headers[':event-type']?.value).toBe('chunk');
    expect(last?.headers[':exception-type']?.value).toBe('modelStreamErrorException');
    expect(await outcome).toMatchObject({ code: 'ERR_UPSTREAM_TIMEOUT' });
    expect(await upstream.calls[0]?.over).toBe('reset');
  });

  it('does not cut a client that goes on to speak', async () => {
    const { client, outcome } = await openRelay({ streamIdleTimeoutMs: 300 });
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    for (let said = 0; said < 4; said += 1) {
      stream.write(FRAME);
      await setTimeout(150);
    }
    stream.end();
    expect(await response).toMatchObject({ status: 200, isComplete: true });
    expect(await outcome).toBeUndefined();
  });
});

function silentServer(): Server {
  return createTcpServer((socket) => void socket.on('error', () => {}).resume());
}

function cuttingServer(): Server {
  return createTcpServer((socket) => void socket.on('error', () => {}).once('data', () => socket.resetAndDestroy()));
}

function http1Server(): Server {
  return createHttp1Server((_request, response) => response.end());
}
