/** Streams from AWS to the client: nothing is reserved, nothing piles up, and bytes leave as they came at any split. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { ClientHttp2Session } from 'node:http2';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { eventFrame, exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import { ask, dial, requestText } from '../helpers/raw-socket.ts';
import { hashHex } from '../helpers/sigv4-signing.ts';

const { it, testbed } = proxyTest();

const TARGET = '/bedrock/model/amazon.nova-lite-v1%3A0/converse-stream';
const POST_HTTP1 = requestText(`POST ${TARGET} HTTP/1.1`, ['Host: localhost']);
const POST_HTTP2 = { ':method': 'POST', ':path': TARGET };
const FRAMES = Buffer.concat([
  eventFrame('messageStart', { role: 'assistant' }),
  eventFrame('contentBlockDelta', { delta: { text: 'h\u00e9llo' }, contentBlockIndex: 0 }),
  eventFrame('messageStop', { stopReason: 'end_turn' }),
  exceptionFrame('throttlingException', 'slow'),
]);

/** The response of the next request, begun as an event stream; the test writes the rest. */
function nextStream(): Promise<ServerResponse> {
  return new Promise((resolve) => {
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response);
      resolve(response);
    });
  });
}

describe('an event stream', () => {
  it('streams events to an HTTP/1.1 client one by one', async () => {
    const begun = nextStream();
    await using raw = await dial(testbed.port);
    await raw.send(POST_HTTP1);
    const response = await begun;
    // The headers come before there is any event.
    await raw.until('application/vnd.amazon.eventstream');
    for (const word of ['first-event', 'second-event']) {
      response.write(eventFrame('x', { word }));
      await raw.until(word);
    }
    response.end();
    expect((await raw.readResponse()).status).toBe(200);
  });

  it('streams events to an HTTP/2 client one by one', async () => {
    const begun = nextStream();
    await using client = openHttp2(testbed.port);
    const stream = client.open(POST_HTTP2);
    const headers = new Promise((resolve) => stream.once('response', resolve));
    const upstreamResponse = await begun;
    expect(await headers).toMatchObject({ ':status': 200, 'content-type': 'application/vnd.amazon.eventstream' });
    for (const word of ['first-event', 'second-event']) {
      const piece = new Promise((resolve) => stream.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1'))));
      upstreamResponse.write(eventFrame('x', { word }));
      expect(await piece).toContain(word);
    }
    const response = readHttp2Response(stream);
    upstreamResponse.end();
    expect((await response).isComplete).toBe(true);
  });

  it.each([1, 3, 7])('streams pieces of %i bytes as they were sent, over both versions', async (size) => {
    testbed.upstream.respondWith(async (_, response) => {
      response.socket?.setNoDelay(true);
      startEventStream(response);
      for (let at = 0; at < FRAMES.length; at += size) {
        response.write(FRAMES.subarray(at, at + size));
        await nextTurn();
      }
      response.end();
    });
    const overHttp1 = await ask(testbed.port, `POST ${TARGET} HTTP/1.1`, ['Host: localhost']);
    expect(overHttp1.body.equals(FRAMES)).toBe(true);
    await using client = openHttp2(testbed.port);
    const overHttp2 = await client.ask(POST_HTTP2);
    expect(overHttp2).toMatchObject({ isComplete: true, body: FRAMES.toString('latin1') });
  });

  it('mixes nothing up in streams of a hundred clients at once', async () => {
    testbed.upstream.respondWith(async (request, response) => {
      startEventStream(response);
      for (let turn = 0; turn < 5; turn += 1) {
        response.write(`${request.body.toString()};`);
        await nextTurn();
      }
      response.end();
    });
    await using client = openHttp2(testbed.port);
    const responses = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const body = `client-${index}`;
        const length = `Content-Length: ${body.length}`;
        return index % 2 === 0
          ? (await client.ask(POST_HTTP2, body)).body
          : (await ask(testbed.port, `POST ${TARGET} HTTP/1.1`, ['Host: localhost', length], body)).body.toString();
      }),
    );
    expect(responses).toEqual(responses.map((_, index) => `client-${index};`.repeat(5)));
  });
});

describe('a slow client', () => {
  const CHUNK = Buffer.alloc(256 * 1024, 'x');
  /** What the kernel's socket buffers, undici, and Node's streams may hold together between AWS and the client. */
  const IN_FLIGHT_LIMIT_BYTES = 24 * 1024 * 1024;

  /** Lets AWS send as fast as it is taken; `written` counts. */
  function pour(sizeBytes: number): { written: number } {
    const count = { written: 0 };
    testbed.upstream.respondWith((_, response) => {
      response.writeHead(200, { 'content-length': sizeBytes });
      const pump = (): void => {
        while (count.written < sizeBytes) {
          count.written += CHUNK.length;
          if (!response.write(CHUNK)) return void response.once('drain', pump);
        }
        response.end();
      };
      pump();
    });
    return count;
  }

  it('slows AWS down for a slow HTTP/1.1 client instead of filling memory with 200 MB', async () => {
    const size = 200 * 1024 * 1024;
    const count = pour(size);
    await using raw = await dial(testbed.port);
    raw.socket.removeAllListeners('data').setEncoding();
    raw.socket.pause();
    await raw.send(POST_HTTP1);
    const before = process.memoryUsage().arrayBuffers;
    const furthest = await drink(raw.socket.iterator({ destroyOnReturn: false }), size, count);
    expect(furthest).toBeLessThan(IN_FLIGHT_LIMIT_BYTES);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * IN_FLIGHT_LIMIT_BYTES);
  });

  it('slows AWS down for a slow HTTP/2 client as well', async () => {
    const size = 64 * 1024 * 1024;
    const count = pour(size);
    await using client = openHttp2(testbed.port);
    const furthest = await drink(client.open(POST_HTTP2), size, count);
    expect(furthest).toBeLessThan(IN_FLIGHT_LIMIT_BYTES);
  });

  it('ends a waiting AWS at once if a slow client leaves', async () => {
    pour(200 * 1024 * 1024);
    await using raw = await dial(testbed.port);
    await raw.send(POST_HTTP1);
    await raw.until('200 OK');
    raw.socket.pause();
    const request = await testbed.upstream.nextRequest();
    raw.socket.destroy();
    expect(await request.closed).toBe('broken');
  });
});

describe('a client that leaves', () => {
  it.each(['destroy', 'resetAndDestroy', 'end'] as const)(
    'ends a stream at AWS if an HTTP/1.1 client leaves by %s in its middle',
    async (way) => {
      const begun = nextStream();
      await using raw = await dial(testbed.port);
      await raw.send(POST_HTTP1);
      (await begun).write('x');
      const ended = testbed.nextRecord();
      raw.socket[way]();
      expect(await (await testbed.upstream.nextRequest()).closed).toBe('broken');
      expect((await ended).error?.code).toBe('ERR_CLIENT_GONE');
    },
  );

  it('ends the request at AWS if a client leaves before AWS has answered', async () => {
    testbed.upstream.respondWith(() => {});
    await using raw = await dial(testbed.port);
    await raw.send(POST_HTTP1);
    const request = await testbed.upstream.nextRequest();
    raw.socket.destroy();
    expect(await request.closed).toBe('broken');
  });

  it('ends everything that a client has pipelined if it leaves', async () => {
    testbed.upstream.respondWith(() => {});
    await using raw = await dial(testbed.port);
    await raw.send(Buffer.concat([POST_HTTP1, POST_HTTP1, POST_HTTP1]));
    const requests = [];
    for (let turn = 0; turn < 3; turn += 1) requests.push(await testbed.upstream.nextRequest());
    raw.socket.destroy();
    expect(await Promise.all(requests.map(({ closed }) => closed))).toEqual(['broken', 'broken', 'broken']);
  });

  it('ends one stream at AWS if an HTTP/2 client resets it, and the session goes on', async () => {
    const begun = nextStream();
    await using client = openHttp2(testbed.port);
    const stream = client.open(POST_HTTP2);
    (await begun).write('x');
    const ended = testbed.nextRecord();
    stream.close(8);
    expect(await (await testbed.upstream.nextRequest()).closed).toBe('broken');
    expect((await ended).error?.code).toBe('ERR_CLIENT_GONE');
    testbed.upstream.respondWith((_, response) => void response.end('fine'));
    expect(await client.ask(POST_HTTP2)).toMatchObject({ status: 200, body: 'fine' });
  });

  it("ends everything at AWS if a client's whole HTTP/2 connection ends", async () => {
    testbed.upstream.respondWith((_, response) => startEventStream(response));
    await using client = openHttp2(testbed.port);
    client.open(POST_HTTP2);
    client.open(POST_HTTP2);
    const requests = [await testbed.upstream.nextRequest(), await testbed.upstream.nextRequest()];
    client.session.destroy();
    expect(await Promise.all(requests.map(({ closed }) => closed))).toEqual(['broken', 'broken']);
  });

  it.each([
    // The AWS SDK for JavaScript does so with every response.
    { name: 'closes its session as the response comes', leave: (session: ClientHttp2Session) => session.close() },
    { name: 'says GOAWAY as the response comes', leave: (session: ClientHttp2Session) => session.goaway() },
  ])('goes on with a stream of an HTTP/2 client that $name', async ({ leave }) => {
    const begun = nextStream();
    await using client = openHttp2(testbed.port);
    const stream = client.open(POST_HTTP2);
    const read = readHttp2Response(stream);
    const response = await begun;
    await once(stream, 'response');
    leave(client.session);
    for (let written = 0; written < 20; written += 1) {
      response.write(FRAMES);
      await nextTurn();
    }
    response.end();
    const { isComplete, body } = await read;
    expect([isComplete, body]).toEqual([true, FRAMES.toString('latin1').repeat(20)]);
  });

  it('breaks nothing if a client leaves after the last byte', async () => {
    testbed.upstream.respondWith((_, response) => void response.end(FRAMES));
    await using raw = await dial(testbed.port);
    const ended = testbed.nextRecord();
    await raw.send(POST_HTTP1);
    expect(hashHex((await raw.readResponse()).body)).toBe(hashHex(FRAMES));
    raw.socket.destroy();
    expect((await ended).error).toBeUndefined();
  });
});

/** Takes one piece per few turns of the event loop, so that AWS would run ahead if it could. */
async function drink(source: AsyncIterable<Buffer>, until: number, count: { written: number }): Promise<number> {
  let taken = 0;
  let furthest = 0;
  for await (const chunk of source) {
    taken += chunk.length;
    furthest = Math.max(furthest, count.written - taken);
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    if (taken >= until) break;
  }
  expect(taken).toBeGreaterThanOrEqual(until);
  return furthest;
}
