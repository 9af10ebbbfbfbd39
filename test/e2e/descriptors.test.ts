/**
 * A proxy whose system gives it few file descriptors: who is refused is told why, whoever runs it is told once, and
 * afterwards everything works.
 */
import { expect, it } from 'vitest';
import { dial } from '../helpers/raw-socket.ts';
import { launchServer, openProgramTest } from '../helpers/program.ts';

const HEAD =
  'POST /bedrock/model/amazon.nova-lite-v1%3A0/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}';

it.skipIf(process.platform === 'win32')('names the shortage of descriptors, tells it once, and goes on', async () => {
  const { upstream, environment } = await openProgramTest();
  await using server = await launchServer([], environment, { descriptors: 64 });
  const { promise: isReleased, resolve: release } = Promise.withResolvers<void>();
  upstream.respondWith(async (_request, response) => {
    await isReleased;
    response.end('{}');
  });
  const sockets = await Promise.all(Array.from({ length: 26 }, () => dial(server.port)));
  for (const { socket } of sockets) socket.on('error', () => {});
  await Promise.all(sockets.map((socket) => socket.send(HEAD)));
  const talk = await server.untilStderr('no file descriptor left');
  expect(talk).toContain('ulimit -n');
  const isRefused = ({ received }: (typeof sockets)[number]): boolean => received.includes('HTTP/1.1 503');
  const refused = sockets.filter(isRefused);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]?.received).toContain('x-bedrock-proxy-error: ERR_DESCRIPTORS');
  release();
  await Promise.all(sockets.filter((socket) => !isRefused(socket)).map((socket) => socket.readResponse()));
  for (const { socket } of sockets) socket.destroy();
  await using last = await dial(server.port);
  await last.send(HEAD);
  expect((await last.readResponse()).status).toBe(200);
  server.child.kill('SIGTERM');
  const { stderr } = await server.ended;
  expect(stderr.split('no file descriptor left')).toHaveLength(2);
});
