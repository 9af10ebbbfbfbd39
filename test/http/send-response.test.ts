import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sendError, sendResponse, sendJson } from '../../src/http/send-response.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import { type Handler, startServer } from '../../src/server/server.ts';

async function serve(handle: Handler): Promise<number> {
  const server = await startServer({
    hosts: ['127.0.0.1'],
    port: 0,
    guard: { listenHosts: ['127.0.0.1'], allowedHosts: [], allowedOrigins: [] },
    mounts: [{ prefix: '/', handle }],
    onRefused: () => {},
  });
  onTestFinished(async () => {
    server.destroy();
    await server.drain(0);
  });
  return server.port;
}

describe('sendResponse', () => {
  it('sends status, headers and body as they are', async () => {
    const port = await serve(async (_request, response) =>
      sendResponse({ status: 418, headers: [['X-Tea', 'yes']], body: Buffer.from('short and stout') }, response),
    );
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect([response.status, response.headers.get('x-tea'), await response.text()]).toEqual([
      418,
      'yes',
      'short and stout',
    ]);
  });

  it('sends a response to a client that still sends its body', async () => {
    const port = await serve(async (_request, response) => sendJson(200, 'enough', response));
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void socket.destroy());
    socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n');
    const timer = setInterval(() => socket.write(Buffer.alloc(1_000)), 1);
    onTestFinished(() => clearInterval(timer));
    const [response] = (await once(socket, 'data')) as [Buffer];
    expect(response.toString()).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\n"enough"\n$/);
  });
});

describe('sendJson', () => {
  it('sends JSON with its length, a newline and no-store', async () => {
    const port = await serve(async (_request, response) => sendJson(201, { name: 'Zoë' }, response));
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(response.status).toBe(201);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength('{"name":"Zoë"}\n')),
      'cache-control': 'no-store',
    });
    expect(await response.text()).toBe('{"name":"Zoë"}\n');
  });
});

describe('sendError', () => {
  const error = new ProxyError('ERR_LOOP', 'Round and round.');

  it('sends an error in the AWS shape', async () => {
    const port = await serve(async (_request, response) => sendError(error, response, 'id-1'));
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect([
      response.status,
      response.headers.get('x-bedrock-proxy-error'),
      response.headers.get('x-amzn-requestid'),
    ]).toEqual([400, 'ERR_LOOP', 'id-1']);
    expect(await response.json()).toEqual({ message: 'Round and round.', __type: 'ValidationException' });
  });

  it('breaks off a response that has begun, so that nobody takes it for complete', async () => {
    const port = await serve(async (_request, response) => {
      response.start(200, [['content-type', 'text/plain']]).write('the first half');
      await new Promise((resolve) => setImmediate(resolve));
      sendError(error, response, 'id-1');
    });
    // What a client library makes of it counts: libuv may report an RST that arrives with the last bytes as a plain
    // end.
    const response = await fetch(`http://127.0.0.1:${port}/`);
    await expect(response.text()).rejects.toThrow('terminated');
  });

  it('breaks off a response that cannot be written at all', async () => {
    const calls: string[] = [];
    sendError(
      error,
      {
        headersSent: false,
        start: () => {
          throw new Error('the connection is in no state for it');
        },
        dropRequestBody: () => {},
        breakOff: () => void calls.push('breakOff'),
      } as never,
      'id-1',
    );
    expect(calls).toEqual(['breakOff']);
  });
});
