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

it('does not wait for the end of a response of unknown size', async () => {
  respondInPieces(['Transfer-Encoding: chunked'], [`${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`]);
  const over = testbed.nextRecord();
  const response = await post();
  expect(response.body.toString()).toBe(BODY);
  expect(response.header('x-bedrock-proxy-cost')).toBeUndefined();
  expect(response.header('x-bedrock-proxy-request-id')).toBeDefined();
  expect(await over).toMatchObject({ costNanoUsd: 72_000 });
});
