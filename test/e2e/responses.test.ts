/** AWS's response on its way to the client: status, reason, headers and body as AWS sent them, whatever they are. */
import { describe, expect } from 'vitest';
import { proxyTest } from '../helpers/proxy-test.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { ask, dial, type RawResponse, requestText } from '../helpers/raw-socket.ts';

const { it, testbed } = proxyTest({ environment: { BEDROCK_PROXY_NO_RESPONSE_HEADERS: '1' } });

const TARGET = '/bedrock/model/amazon.nova-lite-v1%3A0/invoke';

/** Lets the fake AWS answer with these very bytes. */
function respondRaw(text: string, end = false): void {
  testbed.upstream.respondBeforeBody(({ socket }) => {
    socket.write(Buffer.from(text, 'latin1'));
    if (end) socket.end();
  });
}

function post(method = 'POST', version = '1.1'): Promise<RawResponse> {
  return ask(testbed.port, `${method} ${TARGET} HTTP/${version}`, ['Host: localhost']);
}

/** What Node's server adds about its own connection. */
const CONNECTION_HEADERS = /^(connection|keep-alive|transfer-encoding)$/i;

function passed(response: RawResponse): readonly (readonly [string, string])[] {
  return response.headers.filter(([name]) => !CONNECTION_HEADERS.test(name));
}

describe("AWS's response over HTTP/1.1", () => {
  it('keeps status, reason, header order, case, spelling and repeats of a response over HTTP/1.1', async () => {
    const headers = [
      ['Date', 'Tue, 01 Jan 2030 00:00:00 GMT'],
      ['Content-Type', 'application/json; charset=UTF-8'],
      ['x-amzn-RequestId', 'abc'],
      ['X-Amzn-Bedrock-Input-Token-Count', '12'],
      ['Set-Cookie', 'a=1; Path=/'],
      ['set-cookie', 'b=2'],
      ['ETag', '"x"'],
      ['X-Empty', ''],
      ['X-Latin', 'caf\u00e9'],
      ['retry-after', '7'],
      ['Retry-After', '8'],
      ['Content-Length', '2'],
    ] as const;
    respondRaw(requestText('HTTP/1.1 418 I am a Teapot', headers, '{}').toString('latin1'));
    const response = await post();
    expect(response).toMatchObject({ status: 418, reason: 'I am a Teapot' });
    expect(passed(response)).toEqual(headers);
    expect(response.body.toString()).toBe('{}');
  });

  it('drops headers of a response that belong to one connection', async () => {
    const headers = ['Connection: close, X-Hop', 'X-Hop: 1', 'Keep-Alive: timeout=9', 'Proxy-Authenticate: x'];
    respondRaw(requestText('HTTP/1.1 200 OK', [...headers, 'Content-Length: 0']).toString('latin1'), true);
    const response = await post();
    expect(response.all('x-hop')).toEqual([]);
    expect(response.all('proxy-authenticate')).toEqual([]);
    expect(response.header('keep-alive')).not.toContain('9');
  });

  it.each([
    { status: 400, type: 'ValidationException', extra: [] },
    { status: 403, type: 'AccessDeniedException', extra: [] },
    { status: 424, type: 'ModelErrorException', extra: [] },
    { status: 429, type: 'ThrottlingException', extra: ['retry-after: 3'] },
    { status: 503, type: 'ServiceUnavailableException', extra: ['x-amz-retry-after: 500'] },
    { status: 500, type: 'InternalServerException', extra: [] },
  ])('passes the error $status on untouched and marks nothing as ours', async ({ status, type, extra }) => {
    const body = '{"message":"no \\u00e9", "originalStatusCode" : 4}\n';
    const errorType = `x-amzn-ErrorType: ${type}:http://internal.amazon.com/coral/com.amazon.bedrock/`;
    const head = [errorType, 'Content-Type: application/json', ...extra, `Content-Length: ${body.length}`];
    respondRaw(requestText(`HTTP/1.1 ${status} Some Reason`, head, body).toString('latin1'));
    const response = await post();
    expect(response).toMatchObject({ status, reason: 'Some Reason' });
    expect(response.headers.map((pair) => pair.join(': '))).toEqual(expect.arrayContaining(head));
    expect(response.header('x-bedrock-proxy-error')).toBeUndefined();
    expect(response.body.toString()).toBe(body);
    expect(testbed.upstream.requests).toHaveLength(1);
  });

  it.each([
    { name: '204', head: 'HTTP/1.1 204 No Content\r\n\r\n', status: 204 },
    { name: '304 with a length', head: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n', status: 304 },
    { name: 'an empty 200', head: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', status: 200 },
    {
      name: 'an empty chunked 200',
      head: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      status: 200,
    },
    { name: 'an empty reason', head: 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', status: 200 },
    { name: 'a status nobody knows', head: 'HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n', status: 799 },
    { name: 'a reason in latin1', head: 'HTTP/1.1 200 \u00dcber\r\nContent-Length: 0\r\n\r\n', status: 200 },
    {
      name: 'an early hint before it',
      head: 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
      status: 200,
    },
  ])('passes a response on that is $name, and the connection goes on', async ({ head, status }) => {
    respondRaw(head);
    await using raw = await dial(testbed.port);
    await raw.send(requestText(`POST ${TARGET} HTTP/1.1`, ['Host: localhost']));
    const response = await raw.readResponse();
    expect(response.status).toBe(status);
    expect(response.body.length).toBe(0);
    await raw.send(requestText(`POST ${TARGET} HTTP/1.1`, ['Host: localhost']));
    expect((await raw.readResponse()).status).toBe(status);
  });

  it('answers HEAD over HTTP/1.1 with the length and no body', async () => {
    respondRaw('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\n');
    await using raw = await dial(testbed.port);
    for (let turn = 0; turn < 2; turn += 1) {
      await raw.send(requestText('HEAD /bedrock/bedrock/x HTTP/1.1', ['Host: localhost']));
      const response = await raw.readResponse('HEAD');
      expect(response.header('content-length')).toBe('5');
      expect(response.header('x-a')).toBe('b');
    }
    expect(raw.received).toBe('');
  });

  it('ends the connection of an HTTP/1.0 client with the response', async () => {
    respondRaw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n');
    await using raw = await dial(testbed.port);
    await raw.send(requestText(`POST ${TARGET} HTTP/1.0`, ['Host: localhost']));
    expect(await raw.ended).toBe('end');
    const response = await raw.readResponse();
    expect(response.header('transfer-encoding')).toBeUndefined();
    expect(response.body.toString()).toBe('abcde');
  });

  it('passes as many headers of a response as of a request', async () => {
    const value = 'a'.repeat(50_000);
    respondRaw(`HTTP/1.1 200 OK\r\nX-Large: ${value}\r\nContent-Length: 0\r\n\r\n`);
    expect((await post()).header('x-large')).toBe(value);
  });

  it('passes a response that ends with its connection to its end', async () => {
    respondRaw('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end', true);
    expect((await post()).body.toString()).toBe('until the end');
  });
});

describe("AWS's response over HTTP/2", () => {
  it('keeps status, header values and repeats over HTTP/2, also of headers that libraries think single', async () => {
    respondRaw(
      requestText(
        'HTTP/1.1 429 Whatever',
        [
          'Set-Cookie: a=1',
          'set-cookie: b=2',
          'Retry-After: 7',
          'ETag: "x"',
          'X-Latin: caf\u00e9',
          'Content-Length: 2',
        ],
        '{}',
      ).toString('latin1'),
    );
    await using client = openHttp2(testbed.port);
    const response = await client.ask({ ':method': 'POST', ':path': TARGET });
    expect(response).toMatchObject({ status: 429, body: '{}', isComplete: true });
    expect(response.headers).toMatchObject({
      'set-cookie': ['a=1', 'b=2'],
      'retry-after': '7',
      'x-latin': 'caf\u00e9',
    });
  });

  it.each(['Retry-After: 7\r\nRetry-After: 8', 'Content-Type: a\r\nContent-Type: b', 'ETag: 1\r\nETag: 2'])(
    'survives AWS repeating %j over HTTP/2',
    async (lines) => {
      respondRaw(`HTTP/1.1 200 OK\r\n${lines}\r\nContent-Length: 2\r\n\r\n{}`);
      await using client = openHttp2(testbed.port);
      expect(await client.ask({ ':method': 'POST', ':path': TARGET })).toMatchObject({ status: 200, body: '{}' });
    },
  );

  it.each([
    { name: '204', head: 'HTTP/1.1 204 No Content\r\n\r\n', status: 204 },
    { name: '304', head: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n', status: 304 },
    { name: 'an empty 200', head: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', status: 200 },
    {
      name: 'connection headers',
      head: 'HTTP/1.1 200 OK\r\nConnection: x\r\nUpgrade: h2c\r\nX: 1\r\nContent-Length: 0\r\n\r\n',
      status: 200,
    },
  ])('passes a response on over HTTP/2 that is $name', async ({ head, status }) => {
    respondRaw(head);
    await using client = openHttp2(testbed.port);
    expect(await client.ask({ ':method': 'POST', ':path': TARGET })).toMatchObject({
      status,
      body: '',
      isComplete: true,
    });
  });

  it('answers HEAD over HTTP/2 with the length and no body', async () => {
    respondRaw('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
    await using client = openHttp2(testbed.port);
    const response = await client.ask({ ':method': 'HEAD', ':path': '/bedrock/bedrock/x' });
    expect(response).toMatchObject({ status: 200, body: '', isComplete: true });
    expect(response.headers['content-length']).toBe('5');
  });
});
