/**
 * Small whole responses wait until all of them is there, so that their head can say what they cost: whatever the
 * upstream does meanwhile, the client gets AWS's very bytes, and never half a response for a whole one.
 */
import { describe, expect } from 'vitest';
import { proxyTest } from '../helpers/proxy-test.ts';
import { ask, type RawResponse } from '../helpers/raw-socket.ts';

const TARGET = '/bedrock/model/amazon.nova-lite-v1%3A0/converse';
const BODY = '{"output":{},"usage":{"inputTokens":1000,"outputTokens":50,"totalTokens":1050}}';

const { it, testbed } = proxyTest();

const post = (): Promise<RawResponse> => ask(testbed.port, `POST ${TARGET} HTTP/1.1`, ['Host: localhost']);

function respondInPieces(head: readonly string[], pieces: readonly string[], end: 'keep' | 'reset' = 'keep'): void {
  testbed.upstream.respondBeforeBody(({ socket }) => {
    socket.setNoDelay(true);
    socket.write(`${['HTTP/1.1 200 OK', ...head].join('\r\n')}\r\n\r\n`);
    const write = (index: number): void => {
      const piece = pieces[index];
      if (piece !== undefined) socket.write(piece, () => setImmediate(() => write(index + 1)));
      else if (end === 'reset') setImmediate(() => socket.resetAndDestroy());
    };
    write(0);
  });
}

describe('a small response', () => {
  it.each([1, 2, 7, 40, BODY.length])(
    'passes a small response in pieces of %i bytes whole, with its cost',
    async (size) => {
      const pieces = Array.from({ length: Math.ceil(BODY.length / size) }, (_, at) =>
        BODY.slice(at * size, (at + 1) * size),
      );
      respondInPieces([`Content-Length: ${BODY.length}`, 'X-Amzn-Odd:  kept '], pieces);
      const response = await post();
      expect(response.body.toString()).toBe(BODY);
      expect(response.header('x-bedrock-proxy-cost')).toBe('0.000072');
      expect(response.header('content-length')).toBe(String(BODY.length));
    },
  );

  it('passes what came of a small response that breaks off, and breaks the connection', async () => {
    respondInPieces([`Content-Length: ${BODY.length}`], [BODY.slice(0, 20)], 'reset');
    const over = testbed.nextRecord();
    const broken = await post().then(
      (response) => response.body.length < BODY.length,
      () => true,
    );
    expect(broken).toBe(true);
    expect(await over).toMatchObject({ error: { code: 'ERR_UPSTREAM_RESET' }, partial: true });
  });

  it("keeps AWS's headers in their order and spelling, and puts ours behind", async () => {
    const sent = ['x-amzn-RequestId: abc', 'Set-Cookie: a=1', 'set-cookie: b=2', `Content-Length: ${BODY.length}`];
    respondInPieces(sent, [BODY]);
    const response = await post();
    const lines = response.headers.map(([name, value]) => `${name}: ${value}`);
    expect(lines.slice(0, sent.length)).toEqual(sent);
    expect(response.headers.slice(sent.length).map(([name]) => name)).toEqual(
      expect.arrayContaining(['x-bedrock-proxy-request-id', 'x-bedrock-proxy-overhead-ms', 'x-bedrock-proxy-cost']),
    );
  });

  it('passes a response without a body by its head alone', async () => {
    respondInPieces(['Content-Length: 0'], []);
    const response = await post();
    expect(response).toMatchObject({ status: 200 });
    expect(response.body.length).toBe(0);
  });
});

/** In chunks of so many bytes, each with its size, as HTTP/1.1 has them. */
function chunked(body: string, size: number): string[] {
  const chunks = Array.from({ length: Math.ceil(body.length / size) }, (_, at) =>
    body.slice(at * size, (at + 1) * size),
  );
  return [...chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`), '0\r\n\r\n'];
}

const CHUNKED = 'Transfer-Encoding: chunked';
const JSON_TYPE = 'Content-Type: application/json';

describe('a response of unknown size', () => {
  it.each([1, 2, 7, 40, BODY.length])('passes whole, with its cost, in chunks of %i bytes', async (size) => {
    respondInPieces([CHUNKED, JSON_TYPE], chunked(BODY, size));
    const response = await post();
    expect(response.body.toString()).toBe(BODY);
    expect(response.header('x-bedrock-proxy-cost')).toBe('0.000072');
    expect(response.header('transfer-encoding')).toBe('chunked');
    expect(response.header('content-length')).toBeUndefined();
  });

  it.each([1, 3, 50, 4_000])('passes whole, with its cost, cut after every %i bytes of the wire', async (size) => {
    const long = JSON.stringify({ output: 'x'.repeat(5_000), usage: { inputTokens: 1000, outputTokens: 50 } });
    const wire = chunked(long, 1_009).join('');
    respondInPieces(
      [CHUNKED, JSON_TYPE],
      Array.from({ length: Math.ceil(wire.length / size) }, (_, at) => wire.slice(at * size, (at + 1) * size)),
    );
    const response = await post();
    expect(response.body.toString()).toBe(long);
    expect(response.header('x-bedrock-proxy-cost')).toBe('0.000072');
  });

  it('passes empty', async () => {
    respondInPieces([CHUNKED, JSON_TYPE], chunked('', 1));
    const response = await post();
    expect(response).toMatchObject({ status: 200 });
    expect(response.body.length).toBe(0);
  });

  it('breaks off where it broke off', async () => {
    respondInPieces([CHUNKED, JSON_TYPE], chunked(BODY, 20).slice(0, 1), 'reset');
    const over = testbed.nextRecord();
    await expect(post()).rejects.toThrow(/./);
    expect(await over).toMatchObject({ error: { code: 'ERR_UPSTREAM_RESET' }, partial: true });
  });

  it.each([
    { name: 'larger than 256 KiB', type: JSON_TYPE, begin: 'x'.repeat(256 * 1024) },
    { name: 'server-sent events', type: 'Content-Type: text/event-stream', begin: 'data: {}\n\n' },
    { name: 'an event stream', type: 'Content-Type: application/vnd.amazon.eventstream', begin: 'x' },
  ])('does not wait for its end: $name', async ({ type, begin }) => {
    const end = Promise.withResolvers<void>();
    testbed.upstream.respondBeforeBody(({ socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\n${CHUNKED}\r\n${type}\r\n\r\n${chunked(begin, begin.length)[0]}`);
      void end.promise.then(() => socket.write(`${chunked(BODY, BODY.length).join('')}`));
    });
    const response = await fetch(`http://127.0.0.1:${testbed.port}${TARGET}`, { method: 'POST' });
    expect(response.headers.has('x-bedrock-proxy-cost')).toBe(false);
    expect(response.headers.has('x-bedrock-proxy-request-id')).toBe(true);
    end.resolve();
    expect(await response.text()).toBe(begin + BODY);
  });
});

describe('a response that is slow to be complete', () => {
  const { it: slowly, testbed: slow } = proxyTest({ bufferMs: 30 });

  slowly.each([
    { name: 'of unknown size', head: CHUNKED, pieces: chunked(BODY, 30) },
    { name: 'of known size', head: `Content-Length: ${BODY.length}`, pieces: [BODY.slice(0, 30), BODY.slice(30)] },
  ])('is let go: $name', async ({ head, pieces }) => {
    const end = Promise.withResolvers<void>();
    slow.upstream.respondBeforeBody(({ socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n${JSON_TYPE}\r\n\r\n${pieces[0]}`);
      void end.promise.then(() => socket.write(pieces.slice(1).join('')));
    });
    const over = slow.nextRecord();
    const response = await fetch(`http://127.0.0.1:${slow.port}${TARGET}`, { method: 'POST' });
    expect(response.headers.has('x-bedrock-proxy-cost')).toBe(false);
    end.resolve();
    expect(await response.text()).toBe(BODY);
    expect(await over).toMatchObject({ costNanoUsd: 72_000, partial: false });
  });
});
