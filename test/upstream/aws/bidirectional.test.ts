/**
 * The relay of bidirectional streams between real sockets: a client over HTTP/2 on one side, an upstream that verifies
 * every signature on the other.
 * @module-tag slow
 */
import { readFileSync } from 'node:fs';
import { createServer as createHttp1Server } from 'node:http';
import { type ClientHttp2Stream, constants, createServer, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { sendError } from '../../../src/http/send-response.ts';
import { type ProxyError, toProxyError } from '../../../src/lib/errors.ts';
import { adaptHttp2 } from '../../../src/server/client-http2.ts';
import { EVENT_STREAM_BODY } from '../../../src/http/body.ts';
import { IDLE_OBSERVER, PASS_ON } from '../../helpers/idle-observer.ts';
import { type BidirectionalOptions, createBidirectionalForwarder } from '../../../src/upstream/aws/bidirectional.ts';
import { signRequest } from '../../../src/upstream/aws/sign.ts';
import {
  type BidirectionalUpstream,
  type CallHandler,
  ECHO,
  startBidirectionalUpstream,
  startEvents,
} from '../../helpers/bidirectional-upstream.ts';
import { eventFrame } from '../../helpers/event-frames.ts';
import { type Http2Client, openHttp2, readHttp2Response } from '../../helpers/http2-client.ts';

const CREDENTIALS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const TARGET = '/model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream';
const TYPE = 'application/vnd.amazon.eventstream';
const FRAME = eventFrame('chunk', { bytes: 'aGVsbG8=' });
const TLS = JSON.parse(readFileSync(new URL('../../fixtures/bidirectional-tls.json', import.meta.url), 'utf8')) as {
  readonly key: string;
  readonly cert: string;
};

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

describe('a stream in both directions', () => {
  it('responds while the request goes on, frame by frame, and ends in order', async () => {
    const { client, upstream, outcome } = await openRelay();
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    const status = await new Promise((resolve) => stream.once('response', (received) => resolve(received[':status'])));
    expect(status).toBe(200);
    const frames = ['one', 'two', 'three'].map((text) => eventFrame('chunk', { bytes: text }));
    for (const frame of frames) {
      stream.write(frame);
      expect(await nextBytes(stream, frame.length)).toEqual(frame);
    }
    stream.end();
    expect(await response).toMatchObject({ isComplete: true, body: Buffer.concat(frames).toString('latin1') });
    expect(await upstream.calls[0]?.over).toBe('ended');
    expect(upstream.calls[0]?.inner).toHaveLength(4);
    expect(await outcome).toBeUndefined();
  });

  it.each([1, 5, 12, 13, 64, 100_000])('keeps each frame what it is if bytes come in writes of %i', async (size) => {
    const { client, upstream } = await openRelay();
    const frames = ['', 'a', 'bb'.repeat(40)].map((text) => eventFrame('chunk', { bytes: text }));
    const bytes = Buffer.concat(frames);
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    for (let at = 0; at < bytes.length; at += size) {
      await new Promise((resolve) => stream.write(bytes.subarray(at, at + size), resolve));
    }
    stream.end();
    expect(await response).toMatchObject({ isComplete: true, body: bytes.toString('latin1') });
    expect(upstream.calls[0]?.inner).toEqual([...frames, Buffer.alloc(0)]);
  });

  it('passes a response that AWS gives before it has read the request, whatever its status', async () => {
    const { client, upstream, outcome } = await openRelay({
      handler: {
        onFrame: ({ stream }) => {
          stream.respond({ ':status': 400, 'x-amzn-errortype': 'ValidationException', 'content-type': 'text/plain' });
          stream.end('no');
        },
      },
    });
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    stream.write(FRAME);
    expect(await response).toMatchObject({ status: 400, body: 'no', isComplete: true });
    expect((await response).headers['x-amzn-errortype']).toBe('ValidationException');
    expect(await outcome).toBeUndefined();
    expect(await upstream.calls[0]?.over).toBe('reset');
  });

  it('goes on with a stream after a GOAWAY that lets streams end', async () => {
    const { client } = await openRelay({
      handler: { ...ECHO, onOpen: ({ stream }) => void (stream.session?.close(), startEvents(stream)) },
    });
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    stream.write(FRAME);
    stream.end(FRAME);
    expect(await response).toMatchObject({ isComplete: true, body: FRAME.toString('latin1').repeat(2) });
  });

  it('reaches AWS over TLS with a stream in both directions', async () => {
    const before = getCACertificates();
    setDefaultCACertificates([...before, TLS.cert]);
    try {
      const { client, upstream } = await openRelay({ tls: TLS });
      const called = upstream.nextCall();
      const stream = openStream(client);
      const response = readHttp2Response(stream);
      expect((await called).stream.session).toMatchObject({ encrypted: true, alpnProtocol: 'h2' });
      stream.end(FRAME);
      expect(await response).toMatchObject({ isComplete: true, body: FRAME.toString('latin1') });
    } finally {
      setDefaultCACertificates(before);
    }
  });
});

describe('back-pressure', () => {
  const BIG = eventFrame('chunk', { bytes: 'A'.repeat(256 * 1024) });
  const COUNT = 200;

  it('holds the client back while AWS does not read, and loses nothing', async () => {
    const { client, upstream } = await openRelay({ handler: { ...ECHO, onFrame: () => {} } });
    const called = upstream.nextCall();
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    const call = await called;
    call.stream.pause();
    const written = writeAll(stream, BIG, COUNT);
    await untilStill(() => written.bytes);
    const underWay = written.bytes - call.bytesRead;
    expect(underWay).toBeLessThan(8 * 1024 * 1024);
    expect(written.bytes).toBeLessThan((COUNT * BIG.length) / 4);
    call.stream.resume();
    expect(await call.over).toBe('ended');
    expect(call.inner).toHaveLength(COUNT + 1);
    expect(call.inner.slice(0, -1).every((inner) => inner.equals(BIG))).toBe(true);
    expect(await response).toMatchObject({ isComplete: true });
  });

  it('holds AWS back while the client does not read, and loses nothing', async () => {
    const { client, upstream } = await openRelay({ handler: { onOpen: ({ stream }) => startEvents(stream) } });
    const called = upstream.nextCall();
    const stream = openStream(client);
    stream.end();
    const call = await called;
    await new Promise((resolve) => stream.once('response', resolve));
    const written = writeAll(call.stream, BIG, COUNT);
    await untilStill(() => written.bytes);
    expect(written.bytes).toBeLessThan(8 * 1024 * 1024);
    const response = await readHttp2Response(stream);
    expect(response.isComplete).toBe(true);
    expect(response.body.length).toBe(COUNT * BIG.length);
  });
});

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
  ])('answers $status if $name', async ({ server, scheme, code, status }) => {
    const port = await listenAndForget(server?.());
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

describe('a malformed stream', () => {
  const BROKEN = Buffer.from(FRAME);
  BROKEN.writeUInt8(0, BROKEN.length - 1);
  const ROWS: readonly { readonly name: string; readonly bytes: Buffer; readonly ends: boolean }[] = [
    { name: 'a wrong checksum', bytes: BROKEN, ends: false },
    { name: 'no frames at all', bytes: Buffer.from('{"inputText":"hello"}'), ends: false },
    { name: 'an end within a frame', bytes: FRAME.subarray(0, 30), ends: true },
  ];

  it.each(ROWS)('answers 400 to a malformed stream before there is a response: $name', async ({ bytes, ends }) => {
    const { client, upstream, outcome } = await openRelay({ handler: {} });
    const called = upstream.nextCall();
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    stream.write(FRAME);
    const call = await called;
    stream.write(bytes);
    if (ends) stream.end();
    expect(await response).toMatchObject({ status: 400, isComplete: true });
    expect((await response).headers['x-amzn-errortype']).toBe('ValidationException');
    expect(await call.over).toBe('reset');
    expect(await outcome).toMatchObject({ code: 'ERR_BAD_REQUEST' });
  });

  it.each(ROWS)(
    'resets both sides of a malformed stream in the middle of a response: $name',
    async ({ bytes, ends }) => {
      const { client, upstream, outcome } = await openRelay();
      const stream = openStream(client);
      stream.write(FRAME);
      await nextBytes(stream, FRAME.length);
      const response = readHttp2Response(stream);
      stream.write(bytes);
      if (ends) stream.end();
      expect(await response).toMatchObject({ isComplete: false });
      expect(await upstream.calls[0]?.over).toBe('reset');
      expect(await outcome).toMatchObject({ code: 'ERR_BAD_REQUEST' });
    },
  );

  it('refuses a frame that announces four gigabytes before any of it is kept', async () => {
    const { client, outcome } = await openRelay({ handler: {} });
    const response = client.ask(headers(), Buffer.from('ffffffff00000000a3a7a1ce', 'hex'));
    expect(await response).toMatchObject({ status: 400 });
    expect(await outcome).toMatchObject({ code: 'ERR_BAD_REQUEST' });
  });

  it('refuses a request that is not announced as an event stream', async () => {
    const { client, upstream } = await openRelay();
    const response = await client.ask({ ...headers(), 'content-type': 'application/json' }, FRAME);
    expect(response).toMatchObject({ status: 400, body: expect.stringContaining(TYPE) });
    expect(upstream.calls).toEqual([]);
  });

  it('ends the stream if the check of frames says so', async () => {
    let count = 0;
    const checkFrame = (): void => {
      count += 1;
      if (count === 2) throw new Error('not this one');
    };
    const { client, upstream, outcome } = await openRelay({ handler: {}, checkFrame });
    const called = upstream.nextCall();
    const stream = openStream(client);
    const response = readHttp2Response(stream);
    stream.write(FRAME);
    const call = await called;
    stream.write(FRAME);
    expect(await response).toMatchObject({ status: 500 });
    expect(await call.over).toBe('reset');
    expect(call.inner.length).toBeLessThan(2);
    expect(await outcome).toMatchObject({ code: 'ERR_INTERNAL' });
  });
});

interface RelayOptions extends Partial<BidirectionalOptions> {
  readonly handler?: CallHandler;
  /** Instead of the fake upstream. */
  readonly origin?: string;
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly checkFrame?: () => void;
}

interface Relay {
  readonly client: Http2Client;
  readonly upstream: BidirectionalUpstream;
  /** How the first exchange ended: undefined where it was complete. */
  readonly outcome: Promise<ProxyError | undefined>;
}

/** Client, relay and upstream, each on sockets of its own; the clean-up demands that every signature was right. */
async function openRelay(options: RelayOptions = {}): Promise<Relay> {
  const { tls } = options;
  const upstream = await startBidirectionalUpstream({ ...CREDENTIALS, ...(tls === undefined ? {} : { tls }) });
  cleanUps.push(() => upstream[Symbol.asyncDispose]());
  if (options.handler !== undefined) upstream.respondWith(options.handler);
  const timeouts = { connectTimeoutMs: 10_000, idleTimeoutMs: 60_000 };
  const relay = createBidirectionalForwarder({ ...timeouts, nowMs: Date.now, ...options });
  const server = createServer();
  const outcome = new Promise<ProxyError | undefined>((resolve) => {
    server.on('stream', (stream, _headers, _flags, rawHeaders) => {
      stream.on('error', () => {});
      void serve(stream, rawHeaders as unknown as readonly string[]).then(resolve);
    });
  });
  const serve = async (stream: ServerHttp2Stream, rawHeaders: readonly string[]): Promise<ProxyError | undefined> => {
    const [clientRequest, clientResponse] = adaptHttp2(stream, rawHeaders);
    const origin = options.origin ?? upstream.origin;
    try {
      const request = await signFor(origin);
      const client = { clientRequest, clientResponse, checkFrame: options.checkFrame };
      await relay.relay(request, client, IDLE_OBSERVER, PASS_ON);
      return undefined;
    } catch (thrown) {
      const error = toProxyError(thrown);
      sendError(error, clientResponse, '00000000-0000-4000-8000-000000000009');
      return error;
    }
  };
  server.on('session', (session) => cleanUps.push(() => session.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  cleanUps.push(() => expect(upstream.failures).toEqual([]));
  const client = openHttp2((server.address() as AddressInfo).port);
  cleanUps.push(() => client[Symbol.asyncDispose]());
  return { client, upstream, outcome };
}

async function signFor(
  origin: string,
): Promise<Parameters<ReturnType<typeof createBidirectionalForwarder>['relay']>[0]> {
  const signedWith = { credentials: CREDENTIALS, region: 'us-east-1', signingName: 'bedrock' };
  const signedHeaders = await signRequest({
    ...signedWith,
    method: 'POST',
    host: new URL(origin).host,
    target: { path: TARGET, query: undefined },
    headers: [['content-type', TYPE]],
    bodySha256: EVENT_STREAM_BODY.sha256,
    signingDate: new Date(),
  });
  return { method: 'POST', origin, target: TARGET, headers: signedHeaders, signedWith };
}

function headers(): Record<string, string> {
  return { ':method': 'POST', ':path': TARGET, 'content-type': TYPE };
}

function openStream(client: Http2Client): ClientHttp2Stream {
  return client.open(headers(), { endStream: false });
}

/** The next bytes of a stream, exactly so many. */
function nextBytes(stream: ClientHttp2Stream, count: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      if (bytes.length < count) return;
      stream.off('data', onData);
      resolve(bytes);
    };
    stream.on('data', onData);
  });
}

/** Writes `count` frames one after the other and ends; `bytes` counts what the stream has taken off our hands. */
function writeAll(stream: ClientHttp2Stream | ServerHttp2Stream, frame: Buffer, count: number): { bytes: number } {
  const written = { bytes: 0 };
  const writeNext = (left: number): void => {
    if (left === 0) return void stream.end();
    stream.write(frame, (error) => {
      if (error) return;
      written.bytes += frame.length;
      writeNext(left - 1);
    });
  };
  writeNext(count);
  return written;
}

/** Resolves when a figure has stopped growing: nothing else tells that everybody waits for somebody. */
async function untilStill(read: () => number): Promise<void> {
  let before = -1;
  for (let unchanged = 0; unchanged < 5;) {
    await new Promise((resolve) => setTimeout(resolve, 40));
    unchanged = read() === before ? unchanged + 1 : 0;
    before = read();
  }
}

function silentServer(): Server {
  return createTcpServer((socket) => void socket.on('error', () => {}).resume());
}

function cuttingServer(): Server {
  return createTcpServer((socket) => void socket.on('error', () => {}).once('data', () => socket.resetAndDestroy()));
}

function http1Server(): Server {
  return createHttp1Server((_request, response) => response.end());
}

/** The port of a server that is closed with the test; of nobody where none is given. */
async function listenAndForget(given: Server | undefined): Promise<number> {
  const server = given ?? createTcpServer();
  const sockets = new Set<{ destroy(): unknown }>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  if (given === undefined) await close();
  else cleanUps.push(close);
  return port;
}
