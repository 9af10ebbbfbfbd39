/** Whether the other side of a conversation is still there, and still speaks. */
import { once } from 'node:events';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { openHttp2Stream } from '../../../src/upstream/aws/http2-stream.ts';

const PING = { silenceMs: 20, answerMs: 60 };

async function open(server: Pick<Server, 'listen' | 'address' | 'close'>) {
  await once(server.listen(0, '127.0.0.1') as Server, 'listening');
  const { port } = server.address() as AddressInfo;
  const request = {
    method: 'POST',
    origin: `http://127.0.0.1:${port}`,
    target: '/',
    headers: [['host', 'aws']],
  } as const;
  const upstream = openHttp2Stream(request, { socket: connect(port, '127.0.0.1'), ping: PING });
  onTestFinished(() => {
    upstream.leave();
    upstream.session.destroy();
    server.close();
  });
  return upstream;
}

it('ends a session whose other side takes bytes and says nothing', async () => {
  const { session, stream } = await open(createServer((socket) => void socket.on('error', () => {}).resume()));
  stream.on('error', () => {});
  const [error] = await once(session, 'error');
  expect(error).toMatchObject({ code: 'ETIMEDOUT' });
});

it('leaves a silent session alone whose other side answers', async () => {
  const { session } = await open(createHttp2Server());
  await once(session, 'connect');
  await delay(300);
  expect(session.destroyed).toBe(false);
});
