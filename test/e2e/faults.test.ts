/**
 * Faults through the whole proxy: what the client gets, byte for byte, and that header, ledger and record say that it
 * was injected. The upstream is asked, and is well.
 */
import { once } from 'node:events';
import { request } from 'node:http';
import { describe, expect } from 'vitest';
import { FrameSplitter, parseFrameHeaders } from '../../src/protocol/event-stream.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import { openProxy, proxyTest } from '../helpers/proxy-test.ts';

const { it, testbed } = proxyTest({ flags: { fault: ['empty where model:never'] } });

const MODEL = 'amazon.nova-lite-v1%3A0';
const EVENTS = [
  eventFrame('messageStart', { role: 'assistant' }),
  ...['one', 'two', 'three'].map((text) => eventFrame('contentBlockDelta', { delta: { text }, contentBlockIndex: 0 })),
  eventFrame('messageStop', { stopReason: 'end_turn' }),
  eventFrame('metadata', { usage: { inputTokens: 10, outputTokens: 4, totalTokens: 14 } }),
];
const SENT = Buffer.concat(EVENTS);
const WHOLE = JSON.stringify({ output: { message: {} }, usage: { inputTokens: 10, outputTokens: 4, totalTokens: 14 } });

interface Got {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
  /** `end`: in order. */
  readonly ending: 'end' | 'broken' | 'silent';
  readonly firstMs: number;
  readonly totalMs: number;
}

interface Asking {
  readonly port?: number;
  readonly fault?: string;
  readonly path?: string;
  /** The client leaves so long after the last byte. */
  readonly patienceMs?: number;
}

/** Sends one request over HTTP/1.1, and takes what comes until it ends, breaks, or falls silent. */
function send({
  port = testbed.port,
  fault,
  path = `/model/${MODEL}/converse-stream`,
  patienceMs = 5000,
}: Asking): Promise<Got> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      ...(fault !== undefined && { 'x-bedrock-proxy-fault': fault }),
    };
    const sent = request({ host: '127.0.0.1', port, method: 'POST', path: `/bedrock${path}`, headers }, (response) => {
      sent.off('error', reject).on('error', () => finish('broken'));
      const chunks: Buffer[] = [];
      const { statusCode: status = 0, headers: got } = response;
      const firstMs = performance.now() - begun;
      const finish = (ending: Got['ending']): void => {
        clearTimeout(timer);
        resolve({
          status,
          headers: got,
          body: Buffer.concat(chunks),
          ending,
          firstMs,
          totalMs: performance.now() - begun,
        });
        sent.destroy();
      };
      const timer = setTimeout(() => finish('silent'), patienceMs);
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        timer.refresh();
      });
      response.on('end', () => finish('end'));
      response.on('error', () => finish('broken'));
    });
    sent.on('error', reject);
    sent.end('{"messages":[{"role":"user","content":[{"text":"hi"}]}]}');
  });
}

function respondWithStream(): void {
  testbed.upstream.respondWith((_, response) => {
    startEventStream(response);
    for (const frame of EVENTS) response.write(frame);
    response.end();
  });
}

function respondWhole(): void {
  testbed.upstream.respondWith((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(WHOLE.length) }).end(WHOLE);
  });
}

/** Sends it, and gives the record of it as well. */
async function sendAndSettle(asking: Asking) {
  const next = testbed.nextRecord();
  const got = await send(asking);
  return { got, record: await next };
}

describe('a refusal', () => {
  it.each([
    { fault: 'throttle retry-after=2', status: 429, type: 'ThrottlingException' },
    { fault: 'unavailable', status: 503, type: 'ServiceUnavailableException' },
    { fault: 'internal', status: 500, type: 'InternalServerException' },
    { fault: 'not-ready', status: 429, type: 'ModelNotReadyException' },
    { fault: 'timeout', status: 408, type: 'ModelTimeoutException' },
    { fault: 'denied', status: 403, type: 'AccessDeniedException' },
    { fault: 'model-error', status: 424, type: 'ModelErrorException' },
    { fault: 'expired-token', status: 403, type: 'ExpiredTokenException' },
    { fault: 'status=409', status: 409, type: 'ConflictException' },
  ])('$fault is made as AWS makes it, and AWS is not called', async ({ fault, status, type }) => {
    const { got, record } = await sendAndSettle({ fault });
    expect(got).toMatchObject({ status, headers: { 'x-amzn-errortype': type, 'x-amzn-requestid': record.id } });
    expect(JSON.parse(got.body.toString())).toMatchObject({ message: expect.any(String) });
    const mark = fault.split(/[ =]/)[0];
    expect(got.headers['x-bedrock-proxy-fault']).toBe(mark);
    expect(got.headers['x-bedrock-proxy-request-id']).toBe(record.id);
    expect(got.headers['retry-after']).toBe(fault.startsWith('throttle') ? '2' : undefined);
    expect(record).toMatchObject({ fault: mark, status, upstreamErrorType: type, pricing: 'free', costNanoUsd: 0 });
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it.each([
    { path: '/anthropic/v1/messages', body: { type: 'error', error: { type: 'rate_limit_error' } } },
    { path: '/openai/v1/chat/completions', body: { error: { type: 'rate_limit_error' } } },
  ])('has the shape of $path', async ({ path, body }) => {
    const got = await send({ fault: 'throttle', path });
    expect(got.status).toBe(429);
    expect(JSON.parse(got.body.toString())).toMatchObject(body);
  });

  it.each([
    { fault: 'connect', status: 502, code: 'ERR_UPSTREAM_UNREACHABLE' },
    { fault: 'budget', status: 402, code: 'ERR_BUDGET_EXCEEDED' },
  ])("$fault is the proxy's own error", async ({ fault, status, code }) => {
    const { got, record } = await sendAndSettle({ fault });
    expect(got).toMatchObject({ status, headers: { 'x-bedrock-proxy-error': code, 'x-bedrock-proxy-fault': fault } });
    expect(record).toMatchObject({ fault, error: { code } });
    expect(testbed.upstream.requests).toHaveLength(0);
  });
});

describe('slowness', () => {
  it('lets a request wait before it is sent', async () => {
    respondWithStream();
    const got = await send({ fault: 'slow-accept=150ms' });
    expect(got).toMatchObject({ status: 200, ending: 'end', headers: { 'x-bedrock-proxy-fault': 'slow-accept' } });
    expect(got.body.equals(SENT)).toBe(true);
    expect(got.firstMs).toBeGreaterThan(140);
  });

  it('delays the first byte', async () => {
    respondWithStream();
    const got = await send({ fault: 'first-byte=150ms' });
    expect(got.body.equals(SENT)).toBe(true);
    expect(got.firstMs).toBeGreaterThan(140);
  });

  it.each(['slow-accept=60s', 'first-byte=60s', 'gap=60s', 'rate=1b/s'])(
    'ends with its client, however long it would last: %s',
    async (fault) => {
      respondWithStream();
      const next = testbed.nextRecord();
      const headers = { 'content-type': 'application/json', 'x-bedrock-proxy-fault': fault, expect: '100-continue' };
      const path = `/bedrock/model/${MODEL}/converse-stream`;
      const sent = request({ host: '127.0.0.1', port: testbed.port, method: 'POST', path, headers });
      sent.on('error', () => {}).flushHeaders();
      // The proxy wants the body: it has seen the request.
      await once(sent, 'continue');
      sent.end('{"messages":[]}', () => setTimeout(() => sent.destroy(), 50));
      expect(await next).toMatchObject({ error: { code: 'ERR_CLIENT_GONE' } });
    },
  );

  it('pauses between frames', async () => {
    respondWithStream();
    const got = await send({ fault: 'gap=30ms..40ms' });
    expect(got.body.equals(SENT)).toBe(true);
    expect(got.totalMs).toBeGreaterThan(5 * 29);
  });

  it('sends so many bytes in a second', async () => {
    respondWithStream();
    const got = await send({ fault: `rate=${SENT.length * 4}b/s` });
    expect(got.body.equals(SENT)).toBe(true);
    expect(got.totalMs).toBeGreaterThan(220);
  });
});

describe('a stream', () => {
  it('falls silent, and stays open', async () => {
    respondWithStream();
    const { got, record } = await sendAndSettle({ fault: 'stall at=frame:3', patienceMs: 300 });
    expect(got).toMatchObject({ ending: 'silent', headers: { 'x-bedrock-proxy-fault': 'stall' } });
    expect(got.body.equals(Buffer.concat(EVENTS.slice(0, 3)))).toBe(true);
    expect(record.fault).toBe('stall');
  });

  it('ends with a proper exception frame, and costs what it costs', async () => {
    respondWithStream();
    const { got, record } = await sendAndSettle({ fault: 'exception=throttlingException at=frame:3' });
    expect(got.ending).toBe('end');
    const splitter = new FrameSplitter();
    const frames = [...splitter.push(got.body)].map(({ headers, payload }) => [
      Object.fromEntries([...parseFrameHeaders(headers)].map(([name, { value }]) => [name, value])),
      JSON.parse(payload.toString()),
    ]);
    splitter.finish();
    expect(frames).toHaveLength(4);
    expect(frames[3]).toEqual([
      { ':exception-type': 'throttlingException', ':content-type': 'application/json', ':message-type': 'exception' },
      { message: 'Too many requests, please wait.' },
    ]);
    expect(record).toMatchObject({ fault: 'exception', usage: { inputTokens: 10, outputTokens: 4 }, partial: false });
  });

  it('is cut inside a frame, and ends in order for HTTP', async () => {
    respondWithStream();
    const { got, record } = await sendAndSettle({ fault: 'cut at=frame:2+20b' });
    expect(got.ending).toBe('end');
    expect(got.body).toEqual(SENT.subarray(0, Buffer.concat(EVENTS.slice(0, 2)).length + 20));
    expect(record).toMatchObject({ fault: 'cut', usage: { outputTokens: 4 } });
  });

  it('is reset', async () => {
    respondWithStream();
    const { got, record } = await sendAndSettle({ fault: 'reset at=100b' });
    expect(got.ending).toBe('broken');
    expect(got.body.length).toBeLessThanOrEqual(100);
    expect(record.fault).toBe('reset');
  });

  it.each(['message', 'prelude'])('has a wrong checksum of its %s', async (which) => {
    respondWithStream();
    const got = await send({ fault: `crc at=frame:2 which=${which}` });
    const differing = [...got.body.keys()].filter((at) => got.body[at] !== SENT[at]);
    expect(got.body).toHaveLength(SENT.length);
    expect(differing).toHaveLength(1);
    const frames: number[] = [];
    expect(() => {
      for (const { bytes } of new FrameSplitter().push(got.body)) frames.push(bytes.length);
    }).toThrow(which === 'prelude' ? 'prelude checksum' : 'wrong checksum');
    expect(frames).toHaveLength(2);
  });

  it('has JSON that is none, in a frame that is one', async () => {
    respondWithStream();
    const got = await send({ fault: 'body=malformed' });
    const [first, second] = new FrameSplitter().push(got.body);
    expect(first?.payload.toString()).toBe('}"role":"assistant"}');
    expect(second?.payload[0]).toBe('{'.codePointAt(0));
  });

  it('is empty', async () => {
    respondWithStream();
    expect(await send({ fault: 'empty' })).toMatchObject({ status: 200, ending: 'end', body: Buffer.alloc(0) });
  });

  it('meets the same fate over HTTP/2', async () => {
    respondWithStream();
    await using client = openHttp2(testbed.port);
    const headers = { ':method': 'POST', ':path': `/bedrock/model/${MODEL}/converse-stream` };
    const stream = client.open({ ...headers, 'x-bedrock-proxy-fault': 'cut at=100b' });
    const got = await readHttp2Response(stream);
    expect(got.headers).toMatchObject({ ':status': 200, 'x-bedrock-proxy-fault': 'cut' });
    expect(got.body).toBe(SENT.toString('latin1', 0, 100));
  });
});

describe('a whole response', () => {
  const path = `/model/${MODEL}/converse`;

  it.each([
    { fault: 'cut', ending: 'end', body: WHOLE.slice(0, Math.floor(WHOLE.length / 2)) },
    { fault: 'stall', ending: 'silent', body: WHOLE.slice(0, Math.floor(WHOLE.length / 2)) },
    { fault: 'body=malformed', ending: 'end', body: `}${WHOLE.slice(1)}` },
    { fault: 'empty', ending: 'end', body: '' },
    { fault: 'cut at=5b', ending: 'end', body: WHOLE.slice(0, 5) },
  ])('$fault', async ({ fault, ending, body }) => {
    respondWhole();
    const got = await send({ fault, path, patienceMs: ending === 'silent' ? 300 : 5000 });
    expect(got).toMatchObject({ status: 200, ending });
    expect(got.body.toString()).toBe(body);
  });

  it('is broken off in the middle', async () => {
    respondWhole();
    expect(await send({ fault: 'reset', path })).toMatchObject({ ending: 'broken' });
  });

  it('is a refusal where a stream has an exception', async () => {
    respondWhole();
    const { got, record } = await sendAndSettle({ fault: 'exception=throttlingException', path });
    expect(got).toMatchObject({ status: 429, headers: { 'x-amzn-errortype': 'ThrottlingException' } });
    expect(record).toMatchObject({ fault: 'exception', usage: { outputTokens: 4 } });
  });

  it('has no checksums, and passes unmarked', async () => {
    respondWhole();
    const got = await send({ fault: 'crc', path });
    expect(got.body.toString()).toBe(WHOLE);
    expect(got.headers['x-bedrock-proxy-fault']).toBeUndefined();
  });
});

describe('rules', () => {
  it('strike those that they choose, and are marked with how often', async () => {
    const proxy = await openProxy({ flags: { fault: ['throttle every=2 where op:converse'], faultSeed: '1' } });
    const { port } = proxy;
    proxy.upstream.respondWith((_, response) => void response.end('{}'));
    const marks = [];
    for (const path of ['converse', 'converse-stream', 'converse', 'converse', 'converse']) {
      const got = await send({ port, path: `/model/${MODEL}/${path}` });
      marks.push(got.headers['x-bedrock-proxy-fault']);
    }
    expect(marks).toEqual([undefined, undefined, 'throttle#1', undefined, 'throttle#2']);
  });

  it('may go by what the response is', async () => {
    const proxy = await openProxy({ flags: { fault: ['empty where status:200'] } });
    proxy.upstream.respondWith((_, response) => void response.writeHead(400).end('{"message":"no"}'));
    expect((await send({ port: proxy.port })).body.toString()).toContain('no');
    proxy.upstream.respondWith((_, response) => void response.writeHead(200).end('{}'));
    expect((await send({ port: proxy.port })).body).toHaveLength(0);
  });

  it('are not taken from requests by a proxy that has none', async () => {
    const proxy = await openProxy();
    const got = await send({ port: proxy.port, fault: 'throttle' });
    expect(got.status).toBe(400);
    expect(got.body.toString()).toContain('This proxy takes no faults from requests.');
    expect(proxy.upstream.requests).toHaveLength(0);
  });

  it.each([
    { fault: 'throtle', says: 'Did you mean throttle?' },
    { fault: 'throttle p=0.5', says: 'The fault of one request has no p' },
  ])('of a request are refused if they make no sense: $fault', async ({ fault, says }) => {
    const got = await send({ fault });
    expect(got.status).toBe(400);
    expect(got.body.toString()).toContain(says);
  });

  it.each([
    { flags: { fault: ['throttle'], host: ['0.0.0.0'] }, says: 'without --fault-in-shared' },
    { flags: { fault: ['throttle'], workers: '2' }, says: 'leave --workers out' },
    { flags: { fault: ['throtle'] }, says: '--fault: There is no kind of fault "throtle".' },
  ])('are refused at the start: $says', async ({ flags, says }) => {
    await expect(openProxy({ flags })).rejects.toThrow(says);
  });

  it('never reach the upstream as a header', async () => {
    respondWithStream();
    await send({ fault: 'gap=0ms' });
    expect(testbed.upstream.requests.map(({ headers }) => Object.keys(headers))).not.toContainEqual(
      expect.arrayContaining(['x-bedrock-proxy-fault']),
    );
  });
});
