/**
 * A proxy whose system gives it few file descriptors: who is refused is told why, whoever runs it is told once, and
 * afterwards everything works.
 */
import { expect, it } from 'vitest';
import { dial } from '../helpers/raw-socket.ts';
import { launchServer, openProgramTest } from '../helpers/program.ts';

const HEAD =
  'POST /bedrock/model/amazon.nova-lite-v1%3A0/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}';

async function ask(port: number): Promise<number | undefined> {
  await using socket = await dial(port);
  socket.socket.on('error', () => {});
  await socket.send(HEAD);
  return await socket.readResponse().then(
    ({ status }) => status,
    () => undefined,
  );
}

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
  await server.untilStderr('no file descriptor left');
  await server.untilStderr('ulimit -n');
  release();
  // Some connections found no descriptor themselves, and are closed.
  const ended = await Promise.allSettled(sockets.map((socket) => socket.readResponse()));
  const responses = ended.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
  const refused = responses.filter(({ status }) => status !== 200);
  expect([refused.length > 0, responses.length > refused.length]).toEqual([true, true]);
  expect(new Set(refused.map((response) => response.header('x-bedrock-proxy-error')))).toEqual(
    new Set(['ERR_DESCRIPTORS']),
  );
  for (const { socket } of sockets) socket.destroy();
  await expect.poll(() => ask(server.port), { timeout: 10_000 }).toBe(200);
  server.child.kill('SIGTERM');
  const { stderr } = await server.ended;
  expect(stderr.split('no file descriptor left')).toHaveLength(2);
});
