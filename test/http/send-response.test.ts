import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { answerError, sendAnswer, sendJson } from '../../src/http/send-response.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import { type Handler, startServer } from '../../src/server/server.ts';

async function serve(handle: Handler): Promise<number> {
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    guard: { listenHost: '127.0.0.1', allowedHosts: [], allowedOrigins: [] },
    mounts: [{ prefix: '/', handle }],
    onRefused: () => {},
  });
  onTestFinished(async () => {
    server.destroy();
    await server.drain(0);
  });
  return server.port;
}

describe('sendAnswer', () => {
  it('sends status, headers and body as they are', async () => {
    const port = await serve(async (_request, response) =>
      sendAnswer({ status: 418, headers: [['X-Tea', 'yes']], body: Buffer.from('short and stout') }, response),
    );
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    expect([answer.status, answer.headers.get('x-tea'), await answer.text()]).toEqual([418, 'yes', 'short and stout']);
  });

  it('gets through to a client that still sends its body', async () => {
    const port = await serve(async (_request, response) => sendJson(200, 'enough', response));
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void socket.destroy());
    socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n');
    const timer = setInterval(() => socket.write(Buffer.alloc(1_000)), 1);
    onTestFinished(() => clearInterval(timer));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\n"enough"\n$/);
  });
});

describe('sendJson', () => {
  it('counts bytes, ends in a newline and is not to be stored', async () => {
    const port = await serve(async (_request, response) => sendJson(201, { name: 'Zoë' }, response));
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    expect(answer.status).toBe(201);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength('{"name":"Zoë"}\n')),
      'cache-control': 'no-store',
    });
    expect(await answer.text()).toBe('{"name":"Zoë"}\n');
  });
});

describe('answerError', () => {
  const error = new ProxyError('ERR_LOOP', 'Round and round.');

  it('answers in the AWS shape', async () => {
    const port = await serve(async (_request, response) => answerError(error, response, 'id-1'));
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    expect([
      answer.status,
      answer.headers.get('x-bedrock-proxy-error'),
      answer.headers.get('x-amzn-requestid'),
    ]).toEqual([400, 'ERR_LOOP', 'id-1']);
    expect(await answer.json()).toEqual({ message: 'Round and round.', __type: 'ValidationException' });
  });

  it('breaks off an answer that has begun: nobody may take what came for complete', async () => {
    const port = await serve(async (_request, response) => {
      response.start(200, [['content-type', 'text/plain']]).write('the first half');
      await new Promise((resolve) => setImmediate(resolve));
      answerError(error, response, 'id-1');
    });
    // What a client library makes of it counts: libuv may report an RST that arrives with the last bytes as a plain end.
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    await expect(answer.text()).rejects.toThrow('terminated');
  });

  it('breaks off where the answer cannot be written at all', async () => {
    const calls: string[] = [];
    answerError(
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
