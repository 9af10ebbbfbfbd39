import { request as openRequest, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeFrames, eventFrame, exceptionFrame, startEventStream } from './event-frames.ts';
import { cutConnection, sendAwsError, startFakeUpstream, type FakeUpstream } from './fake-upstream.ts';
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY, SIGNED_AT_MS, signWithSdk, type RequestToSign } from './sigv4-signing.ts';

let fake: FakeUpstream;

beforeEach(async () => {
  fake = await startFakeUpstream({ ...KEYS, nowMs: () => SIGNED_AT_MS });
});

afterEach(async () => {
  await fake.close();
  expect(fake.failures).toEqual([]);
});

const KEYS = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY };
const POST: RequestToSign = { method: 'POST', path: '/model/a%3A0/invoke', body: '{"a":1}' };

describe('the fake upstream', () => {
  it('records a request as it came and echoes it', async () => {
    const response = await send({ ...POST, query: { a: '1' } });
    expect(response.status).toBe(200);
    const request = await fake.nextRequest();
    expect(request).toMatchObject({ method: 'POST', rawTarget: '/model/a%3A0/invoke?a=1', failure: undefined });
    expect(request.body.toString()).toBe('{"a":1}');
    expect(request.header('host')).toBe(fake.authority);
    expect(request.canonicalRequest).toContain('/model/a%253A0/invoke\na=1\n');
    expect(request.signature?.scope.service).toBe('bedrock');
    expect(await request.closed).toBe('complete');
  });

  it.each([
    { name: 'a wrong secret', toSign: { secretAccessKey: 'other' }, failure: /^POST .*: signature: / },
    { name: 'a wrong access key id', toSign: { accessKeyId: 'AKIAOTHER' }, failure: /access key id AKIAOTHER/ },
    { name: 'a session token nobody expects', toSign: { sessionToken: 't' }, failure: /session token/ },
    { name: 'a wrong clock', toSign: { atMs: SIGNED_AT_MS - 600_000 }, failure: /: expired: / },
  ])('refuses and notes a request with $name', async ({ toSign, failure }) => {
    const response = await send({ ...POST, ...toSign });
    expect(response).toMatchObject({ status: 403 });
    expect(fake.failures).toEqual([expect.stringMatching(failure)]);
    fake.failures.length = 0;
  });

  it('refuses a request without a signature', async () => {
    const response = await fetch(`http://${fake.authority}/x`);
    expect(response.status).toBe(403);
    expect(fake.failures).toEqual(['GET /x: the request is not signed']);
    fake.failures.length = 0;
  });

  it('responds by the handler of the test', async () => {
    fake.respondWith((_, response) => {
      sendAwsError(response, {
        status: 429,
        type: 'ThrottlingException',
        message: 'slow',
        headers: { 'retry-after': '1' },
      });
    });
    const response = await send(POST);
    expect(response).toMatchObject({ status: 429, headers: { 'retry-after': '1' }, body: '{"message":"slow"}' });
    expect(response.headers['x-amzn-errortype']).toMatch(/^ThrottlingException:/);
  });

  it('hands out requests in order, before and after they came', async () => {
    await send({ ...POST, path: '/1' });
    const waiting = [fake.nextRequest(), fake.nextRequest()];
    await send({ ...POST, path: '/2' });
    expect((await Promise.all(waiting)).map((request) => request.rawTarget)).toEqual(['/1', '/2']);
  });

  it('writes frames that the codec of the SDK reads', async () => {
    fake.respondWith((_, response) => {
      startEventStream(response);
      response.write(eventFrame('messageStart', { role: 'assistant' }));
      response.end(exceptionFrame('throttlingException', 'slow'));
    });
    const { body } = await send(POST);
    const [first, second] = decodeFrames(Buffer.from(body, 'latin1'));
    expect(first?.headers[':event-type']?.value).toBe('messageStart');
    expect(Buffer.from(first?.body ?? []).toString()).toBe('{"role":"assistant"}');
    expect(second?.headers[':exception-type']?.value).toBe('throttlingException');
  });

  it('cuts the connection in the middle of a response', async () => {
    fake.respondWith((_, response) => {
      startEventStream(response);
      response.write('abc', () => cutConnection(response));
    });
    await expect(send(POST)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(await (await fake.nextRequest()).closed).toBe('broken');
  });

  it('stays silent, and says when the other side left', async () => {
    fake.respondWith(() => {});
    const abort = new AbortController();
    const sent = send(POST, abort.signal);
    const request = await fake.nextRequest();
    abort.abort();
    await expect(sent).rejects.toThrow();
    expect(await request.closed).toBe('broken');
  });

  it('responds before the body is there', async () => {
    fake.respondBeforeBody((_, response) => sendAwsError(response, { status: 413, type: 'X', message: 'big' }));
    expect(await send(POST)).toMatchObject({ status: 413 });
    expect((await fake.nextRequest()).body.length).toBe(7);
  });
});

interface Response {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** latin1 */
  readonly body: string;
}

async function send(toSign: RequestToSign, signal?: AbortSignal): Promise<Response> {
  const { request } = await signWithSdk({ ...toSign, host: fake.authority });
  return new Promise((resolve, reject) => {
    const outgoing = openRequest({
      port: fake.port,
      host: '127.0.0.1',
      method: request.method,
      path: request.target.raw,
      headers: request.headers.flat(),
      ...(signal === undefined ? {} : { signal }),
    });
    outgoing.once('error', reject);
    outgoing.once('response', (incoming) => {
      let body = '';
      incoming.setEncoding('latin1');
      incoming.on('data', (chunk: string) => (body += chunk));
      incoming.once('error', reject);
      incoming.once('end', () => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body }));
    });
    outgoing.end(toSign.body);
  });
}
