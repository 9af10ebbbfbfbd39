/**
 * The first promise: what a client sends arrives at AWS as it was sent, and AWS's response arrives as AWS sent it. Raw
 * sockets on the client's side, a recording server on AWS's.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect } from 'vitest';
import type { HeaderPair } from '../../src/http/message.ts';
import { type UpstreamRequest } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { ask, dial, requestText } from '../helpers/raw-socket.ts';
import { hashHex } from '../helpers/sigv4-signing.ts';

const { it, testbed } = proxyTest();

const HOST = 'Host: localhost:4000';
const INVOKE = '/model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke';

async function sendThrough(
  line: string,
  headers: readonly (HeaderPair | string)[] = [],
  body: string | Buffer = '',
): Promise<UpstreamRequest> {
  const length = body.length > 0 ? [`Content-Length: ${Buffer.byteLength(body, 'latin1')}`] : [];
  const response = await ask(testbed.port, line, [HOST, ...headers, ...length], body);
  expect(response.status).toBe(200);
  return testbed.upstream.nextRequest();
}

describe('the target on its way to AWS', () => {
  it.each([
    { name: 'encoded colon', target: INVOKE },
    { name: 'raw colon', target: '/model/anthropic.claude-3-haiku-20240307-v1:0/invoke' },
    { name: 'lower-case hex', target: '/model/a%3a0/invoke' },
    { name: 'needless encoding', target: '/model/%61bc/invoke' },
    {
      name: 'an ARN with encoded slashes',
      target: '/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.a.b-v1%3A0/converse',
    },
    {
      name: 'an ARN with encoded slashes and raw colons',
      target: '/model/arn:aws:bedrock:us-east-1:123456789012:inference-profile%2Fabc/converse',
    },
    { name: 'an encoded percent sign', target: '/model/a%2525b/invoke' },
    { name: 'encoded UTF-8', target: '/model/%C3%A9t%c3%a9/invoke' },
    { name: 'sub-delimiters', target: "/model/a!$&'()*+,;=@~b/invoke" },
    { name: 'query order and repeats', target: `${INVOKE}?b=2&a=1&b=1&a=1` },
    { name: 'an empty query', target: `${INVOKE}?` },
    { name: 'empty pairs and valueless names', target: `${INVOKE}?&a&b=&&c==d=` },
    { name: 'a query with plus, percent and slashes', target: `${INVOKE}?q=a+b%2Bc%20d/e?f:@` },
    { name: 'a query in lower-case hex', target: `${INVOKE}?q=%c3%a9%2f` },
  ])('keeps a target on its way to AWS: $name', async ({ target }) => {
    const request = await sendThrough(`POST /bedrock${target} HTTP/1.1`);
    expect(request.rawTarget).toBe(target);
  });
});

describe('the headers on their way to AWS', () => {
  it('keeps order, case, spelling and repeats of headers to AWS', async () => {
    const kept: HeaderPair[] = [
      ['USER-agent', 'custom/1.0 (a; b)'],
      ['Content-Type', 'application/json; charset="utf-8"'],
      ['X-Amzn-Bedrock-Trace', 'ENABLED'],
      ['accept', 'application/json'],
      ['x-repeated', 'one'],
      ['X-Repeated', 'two, three'],
      ['x-repeated', ''],
      ['X-Latin', 'caf\u00e9 \u00ff'],
      ['x-inner', 'a  b\tc'],
      ['anthropic-beta', 'one,two'],
      ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
    ];
    const request = await sendThrough(`POST /bedrock${INVOKE} HTTP/1.1`, kept, '{}');
    expect(request.headers.filter(([name]) => !OURS.has(name))).toEqual(kept);
  });

  it('adds few headers to those of the client, ours alone', async () => {
    const request = await sendThrough(`POST /bedrock${INVOKE} HTTP/1.1`, [], '{}');
    expect(request.headers.map(([name]) => name).toSorted()).toEqual([...OURS].toSorted());
    expect(request.header('accept-encoding')).toBe('identity');
    expect(request.header('host')).toBe(testbed.upstream.authority);
    expect(request.header('via')).toMatch(/^1\.1 bedrock-proxy-[0-9a-f]{16}$/);
  });

  it('leaves out headers that belong to one connection, or that Connection names', async () => {
    const request = await sendThrough(`POST /bedrock${INVOKE} HTTP/1.1`, [
      'Connection: keep-alive, X-Private, close',
      'X-Private: 1',
      'Keep-Alive: timeout=5',
      'TE: trailers',
      'Trailer: x',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic eDp5',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
      'X-Bedrock-Proxy-Region: us-west-2',
      'Accept-Encoding: gzip, br',
    ]);
    const expected = [...OURS].filter((name) => name !== 'content-length' || request.header(name) !== undefined);
    expect(request.headers.map(([name]) => name).toSorted()).toEqual(expected.toSorted());
    expect(request.signature?.scope.region).toBe('us-west-2');
  });

  it('signs repeated and odd x-amz headers as AWS will read them', async () => {
    const request = await sendThrough(`POST /bedrock${INVOKE} HTTP/1.1`, [
      ['X-Amz-Meta', '  a   b '],
      ['x-amz-meta', 'c'],
      ['X-Amz-Latin', 'caf\u00c3\u00a9'],
      ['x-amz-empty', ''],
    ]);
    expect(request.signature?.signedHeaders).toEqual(
      expect.arrayContaining(['host', 'x-amz-date', 'x-amz-empty', 'x-amz-latin', 'x-amz-meta']),
    );
  });

  it('never adds a content type', async () => {
    const request = await sendThrough(`POST /bedrock${INVOKE} HTTP/1.1`, [], '{"a":1}');
    expect(request.header('content-type')).toBeUndefined();
    expect(request.body.toString()).toBe('{"a":1}');
  });
});

/** What the proxy adds, and the recording server sees, of every request with a body. */
const OURS = new Set([
  'accept-encoding',
  'authorization',
  'connection',
  'content-length',
  'host',
  'via',
  'x-amz-content-sha256',
  'x-amz-date',
]);

describe('the body on its way to AWS', () => {
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  it.each([
    { name: 'every byte there is', body: everyByte },
    { name: 'invalid UTF-8', body: Buffer.from([0xc3, 0x28, 0xff, 0xfe, 0x00]) },
    { name: 'JSON that a parser would rewrite', body: Buffer.from('{ "b":1.0,"a":1e2,  "a":"\\u00e9" }\n') },
    { name: 'broken JSON', body: Buffer.from('{"a":') },
    { name: 'a byte order mark', body: Buffer.from('\ufeff{}') },
    { name: '5 MB of noise', body: randomBytes(5_000_000) },
  ])('keeps a body on its way to AWS: $name', async ({ body }) => {
    const request = await sendThrough(`POST /bedrock${INVOKE} HTTP/1.1`, ['Content-Type: application/json'], body);
    expect(hashHex(request.body)).toBe(hashHex(body));
    expect(request.header('content-length')).toBe(String(body.length));
    expect(request.header('x-amz-content-sha256')).toBe(hashHex(body));
  });

  it('sends a chunked body to AWS with a length', async () => {
    await using raw = await dial(testbed.port);
    await raw.send(requestText(`POST /bedrock${INVOKE} HTTP/1.1`, [HOST, 'Transfer-Encoding: chunked']));
    for (const piece of ['5\r\nhe', 'llo\r\n', '1;ext=1\r\n \r', '\n6\r\nworld!\r\n0\r\nX-Trailer: 1\r\n\r\n']) {
      await raw.send(piece);
    }
    expect((await raw.readResponse()).status).toBe(200);
    const request = await testbed.upstream.nextRequest();
    expect(request.body.toString()).toBe('hello world!');
    expect(request.header('content-length')).toBe('12');
    expect(request.header('transfer-encoding')).toBeUndefined();
  });

  it.each([
    { name: 'an empty POST', line: 'POST', target: INVOKE, headers: ['Content-Length: 0'], length: '0' },
    { name: 'a POST without length', line: 'POST', target: INVOKE, headers: [], length: '0' },
    { name: 'a GET', line: 'GET', target: '/foundation-models', headers: [], length: undefined },
    { name: 'a DELETE', line: 'DELETE', target: '/guardrails/abc', headers: [], length: undefined },
  ])('sends an empty body for $name', async ({ line, target, headers, length }) => {
    const request = await sendThrough(`${line} /bedrock${target} HTTP/1.1`, headers);
    expect(request.body.length).toBe(0);
    expect(request.header('content-length')).toBe(length);
    expect(request.header('x-amz-content-sha256')).toBe(hashHex(''));
  });

  it.each(['GET', 'DELETE', 'PATCH'])('sends the body of a %s if there is one', async (method) => {
    const request = await sendThrough(`${method} /bedrock/bedrock/anything HTTP/1.1`, [], 'body');
    expect(request.body.toString()).toBe('body');
  });
});
