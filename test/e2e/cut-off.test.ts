/**
 * Whatever cuts a response off, no client can take what it has for all of it: judged by the bytes on the wire, for
 * every protocol and every way in which the proxy ends things. A response that has not begun becomes an error instead.
 */
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import type { UpstreamRequest } from '../helpers/fake-upstream.ts';
import { CANCEL, END_HEADERS, END_STREAM, FRAME_TYPE, http2Frame, PREFACE } from '../helpers/http2-frames.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { dial, type RawSocket, requestText } from '../helpers/raw-socket.ts';
import type { Testbed } from '../helpers/testbed.ts';
import { IS_SERVED, openWebSocketProxy } from '../helpers/websocket-testbed.ts';

const STREAM = '/bedrock/model/amazon.nova-lite-v1:0/converse-stream';
const TEXT = eventFrame('contentBlockDelta', { delta: { text: 'the first part' }, contentBlockIndex: 0 });

function beginStream(_: UpstreamRequest, response: ServerResponse): void {
  startEventStream(response);
  response.write(TEXT);
}

/** How the proxy ends what is under way. */
const ENDS = [
  { end: 'the end of the grace', cut: async (testbed: Testbed) => void (await testbed.drain(20)) },
  {
    end: 'a second signal',
    cut: async (testbed: Testbed) => {
      void testbed.drain(20_000);
      // The clients of HTTP/2 know by now that their session ends: that they get GOAWAY, and then a reset of the
      // connection, is an end in order to Node's.
      await delay(50);
      await testbed.destroy();
    },
  },
] as const;

async function ask1(testbed: Testbed, version: '1.0' | '1.1'): Promise<RawSocket> {
  const raw = await dial(testbed.port);
  await raw.send(requestText(`POST ${STREAM} HTTP/${version}`, ['Host: localhost', 'Content-Length: 2'], '{}'));
  return raw;
}

/** A literal header field without indexing (RFC 7541, section 6.2.2), without Huffman coding. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0, name.length), Buffer.from(name), Buffer.of(value.length), Buffer.from(value)]);
}

/** On one session, so many streams. */
async function ask2(testbed: Testbed, count = 1): Promise<RawSocket> {
  const raw = await dial(testbed.port);
  const head = Buffer.concat([
    literal(':method', 'POST'),
    literal(':scheme', 'http'),
    literal(':path', STREAM),
    literal(':authority', 'localhost'),
  ]);
  await raw.send(
    Buffer.concat([
      Buffer.from(PREFACE),
      http2Frame(FRAME_TYPE.settings, 0, 0),
      ...Array.from({ length: count }, (_, index) => [
        http2Frame(FRAME_TYPE.headers, END_HEADERS, 2 * index + 1, head),
        http2Frame(FRAME_TYPE.data, END_STREAM, 2 * index + 1, Buffer.from('{}')),
      ]).flat(),
    ]),
  );
  return raw;
}

/** What the server said of its streams in its frames, and with which error it ended the session, if with any. */
function readFrames(received: string): { hasEnd: boolean; errors: number[]; goodbye: number } {
  const bytes = Buffer.from(received, 'latin1');
  const errors: number[] = [];
  let hasEnd = false;
  let goodbye = 0;
  for (let at = 0; at + 9 <= bytes.length;) {
    const size = bytes.readUIntBE(at, 3);
    const type = bytes[at + 3];
    const carriesEnd = type === FRAME_TYPE.data || type === FRAME_TYPE.headers;
    if (carriesEnd && ((bytes[at + 4] ?? 0) & END_STREAM) === END_STREAM) hasEnd = true;
    if (type === FRAME_TYPE.reset && at + 13 <= bytes.length) errors.push(bytes.readUInt32BE(at + 9));
    if (type === FRAME_TYPE.goaway && at + 17 <= bytes.length) goodbye = bytes.readUInt32BE(at + 13);
    at += 9 + size;
  }
  return { hasEnd, errors, goodbye };
}

describe.each(ENDS)('after $end', ({ cut }) => {
  it.each([{ version: '1.0' }, { version: '1.1' }] as const)(
    'a stream over HTTP/$version is reset, not closed, and its row says why',
    async ({ version }) => {
      const testbed = await openProxy();
      testbed.upstream.respondWith(beginStream);
      await using raw = await ask1(testbed, version);
      await raw.until('the first part');
      const record = testbed.nextRecord();
      void cut(testbed);
      expect(await raw.ended).toBe('broken');
      expect(raw.received.endsWith('0\r\n\r\n')).toBe(false);
      expect(await record).toMatchObject({ status: 200, error: { code: 'ERR_SHUTTING_DOWN' }, partial: true });
    },
  );

  it('a stream over HTTP/2 is reset with an error, and its row says why', async () => {
    const testbed = await openProxy();
    testbed.upstream.respondWith(beginStream);
    await using raw = await ask2(testbed);
    await raw.until('the first part');
    const record = testbed.nextRecord();
    void cut(testbed);
    const ending = await raw.ended;
    const { hasEnd, errors, goodbye } = readFrames(raw.received);
    expect(hasEnd).toBe(false);
    expect(errors).not.toContain(0);
    // Without a reset of the stream, the session must end with an error, or the connection be reset.
    if (errors.length === 0 && goodbye === 0) expect(ending).toBe('broken');
    expect(await record).toMatchObject({ status: 200, error: { code: 'ERR_SHUTTING_DOWN' }, partial: true });
  });

  it('every one of three streams on a session over HTTP/2 is reset with an error', async () => {
    const testbed = await openProxy();
    testbed.upstream.respondWith(beginStream);
    await using raw = await ask2(testbed, 3);
    await expect.poll(() => raw.received.split('the first part').length).toBe(4);
    await cut(testbed);
    await raw.ended;
    const { hasEnd, errors, goodbye } = readFrames(raw.received);
    expect(hasEnd).toBe(false);
    expect(errors).not.toContain(0);
    expect(goodbye === 0 ? errors.length : 3).toBe(3);
  });

  it.runIf(IS_SERVED)('a WebSocket is reset on both sides, and its row says why', async () => {
    const { aws, testbed, dialWebSocket } = await openWebSocketProxy();
    const upgrading = aws.nextUpgrade();
    await using raw = await dialWebSocket();
    const upgrade = await upgrading;
    upgrade.accept();
    await raw.until('101');
    const record = testbed.nextRecord();
    const awsEnd = new Promise((resolve) => upgrade.socket.resume().once('end', resolve).once('error', resolve));
    void cut(testbed);
    expect(await raw.ended).toBe('broken');
    expect(await awsEnd).toMatchObject({ code: 'ECONNRESET' });
    expect(await record).toMatchObject({ status: 101, error: { code: 'ERR_SHUTTING_DOWN' } });
  });
});

it.each([
  { protocol: 'HTTP/1.0', ask: (testbed: Testbed) => ask1(testbed, '1.0') },
  { protocol: 'HTTP/1.1', ask: (testbed: Testbed) => ask1(testbed, '1.1') },
])('tells a client over $protocol whose response has not begun why it gets none', async ({ ask }) => {
  const testbed = await openProxy();
  const asked = testbed.upstream.nextRequest();
  testbed.upstream.respondWith(() => {});
  await using raw = await ask(testbed);
  await asked;
  const record = testbed.nextRecord();
  const draining = testbed.drain(20);
  const response = await raw.readResponse();
  expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([503, 'ERR_SHUTTING_DOWN']);
  expect(await draining).toBe(1);
  expect(await record).toMatchObject({ status: 503, error: { code: 'ERR_SHUTTING_DOWN' } });
});

it('reports a client that resets its stream as gone, not as cut off', async () => {
  const testbed = await openProxy();
  testbed.upstream.respondWith(beginStream);
  await using raw = await ask2(testbed);
  await raw.until('the first part');
  const record = testbed.nextRecord();
  await raw.send(http2Frame(FRAME_TYPE.reset, 0, 1, CANCEL));
  expect((await record).error?.code).toBe('ERR_CLIENT_GONE');
});
