/**
 * The relay of bidirectional streams: frames both ways, back-pressure, and what it refuses.
 * @module-tag slow
 */
import { readFileSync } from 'node:fs';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { describe, expect, it } from 'vitest';
import {
  EVENT_STREAM_TYPE,
  FRAME,
  nextBytes,
  openRelay,
  openStream,
  streamHeaders,
  untilStill,
  writeAll,
} from '../../helpers/bidirectional-relay.ts';
import { ECHO, startEvents } from '../../helpers/bidirectional-upstream.ts';
import { ProxyError } from '../../../src/lib/errors.ts';
import { eventFrame } from '../../helpers/event-frames.ts';
import { readHttp2Response } from '../../helpers/http2-client.ts';

const TLS = JSON.parse(readFileSync(new URL('../../fixtures/bidirectional-tls.json', import.meta.url), 'utf8')) as {
  readonly key: string;
  readonly cert: string;
};

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

  it('counts the memory of frames that are not complete, and gives it back however the stream ends', async () => {
    let held = 0;
    const { promise: isHeld, resolve } = Promise.withResolvers<void>();
    const holdBytes = (sizeBytes: number): void => {
      held += sizeBytes;
      if (held >= 900_000) resolve();
    };
    const { client, outcome } = await openRelay({ holdBytes });
    const stream = openStream(client);
    stream.on('error', () => {});
    const frame = eventFrame('chunk', { bytes: 'x'.repeat(1_000_000) });
    stream.write(frame.subarray(0, 950_000));
    await isHeld;
    stream.close(8);
    expect((await outcome)?.code).toBe('ERR_CLIENT_GONE');
    expect(held).toBe(0);
  });

  it('ends a stream whose frames have no room in memory', async () => {
    const tooMany = new ProxyError('ERR_TOO_MANY_UPLOADS', 'full');
    const { client, outcome } = await openRelay({
      holdBytes: (sizeBytes) => {
        if (sizeBytes > 0) throw tooMany;
      },
    });
    const stream = openStream(client);
    stream.on('error', () => {});
    stream.write(FRAME.subarray(0, 20));
    expect(await outcome).toBe(tooMany);
  });

  it('takes a part of a million bytes, the most that AWS takes, and refuses a frame that announces much more', async () => {
    const { client, outcome } = await openRelay();
    const stream = openStream(client);
    stream.on('error', () => {});
    const largest = eventFrame('chunk', { bytes: Buffer.alloc(1_000_000).toString('base64') });
    stream.write(largest);
    expect(await nextBytes(stream, largest.length)).toEqual(largest);
    stream.write(eventFrame('chunk', { bytes: 'x'.repeat(2_000_000) }).subarray(0, 100));
    expect(await outcome).toMatchObject({ code: 'ERR_BAD_REQUEST' });
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
    const response = client.ask(streamHeaders(), Buffer.from('ffffffff00000000a3a7a1ce', 'hex'));
    expect(await response).toMatchObject({ status: 400 });
    expect(await outcome).toMatchObject({ code: 'ERR_BAD_REQUEST' });
  });

  it('refuses a request that is not announced as an event stream', async () => {
    const { client, upstream } = await openRelay();
    const response = await client.ask({ ...streamHeaders(), 'content-type': 'application/json' }, FRAME);
    expect(response).toMatchObject({ status: 400, body: expect.stringContaining(EVENT_STREAM_TYPE) });
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
