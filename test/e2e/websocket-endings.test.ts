/** How a WebSocket through the whole proxy ends, and what a slow reader does to it. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeFrame, type FakeWebSocketServer } from '../helpers/fake-websocket.ts';
import type { Testbed } from '../helpers/testbed.ts';
import { IS_SERVED, startWebSocketProxy, type WebSocketTestbed } from '../helpers/websocket-testbed.ts';

let rooms: WebSocketTestbed;
let aws: FakeWebSocketServer;
let testbed: Testbed;

beforeEach(async () => {
  rooms = await startWebSocketProxy();
  ({ aws, testbed } = rooms);
});

afterEach(async () => {
  await rooms[Symbol.asyncDispose]();
  expect(aws.failures).toEqual([]);
});

/** Settles when the other side has ended or broken its connection. */
function whenOver(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.resume().once('end', resolve).once('close', resolve);
  });
}

describe.runIf(IS_SERVED)('an ending', () => {
  it("passes the client's end of a WebSocket on, and AWS may still speak", async () => {
    const upgrading = aws.nextUpgrade();
    await using raw = await rooms.dialWebSocket();
    const upgrade = await upgrading;
    upgrade.accept();
    await raw.until('101');
    const record = testbed.nextRecord();
    raw.socket.end('bye');
    await once(upgrade.socket.resume(), 'end');
    upgrade.socket.end('and good night');
    await raw.until('and good night');
    expect(await raw.ended).toBe('end');
    expect(await record).toMatchObject({ status: 101, error: undefined, requestBytes: 3, responseBytes: 14 });
  });

  it("passes AWS's end of a WebSocket on, and the client may still speak", async () => {
    const upgrading = aws.nextUpgrade();
    await using raw = await rooms.dialWebSocket();
    const upgrade = await upgrading;
    upgrade.accept();
    upgrade.socket.end(encodeFrame(0x88, Buffer.alloc(0)));
    expect(await raw.ended).toBe('end');
    const record = testbed.nextRecord();
    const heard = once(upgrade.socket, 'data');
    raw.socket.end('late');
    expect(String((await heard)[0])).toBe('late');
    expect(await record).toMatchObject({ status: 101, error: undefined });
  });

  it('resets the client if AWS resets a WebSocket, and reports it as such', async () => {
    const upgrading = aws.nextUpgrade();
    await using raw = await rooms.dialWebSocket();
    const upgrade = await upgrading;
    upgrade.accept([], 'half a frame');
    await raw.until('half a frame');
    const record = testbed.nextRecord();
    upgrade.socket.resetAndDestroy();
    expect(await raw.ended).toBe('broken');
    expect(await record).toMatchObject({ status: 101, error: { code: 'ERR_UPSTREAM_RESET' } });
  });

  it('resets AWS if the client resets a WebSocket', async () => {
    const upgrading = aws.nextUpgrade();
    await using raw = await rooms.dialWebSocket();
    const upgrade = await upgrading;
    upgrade.accept();
    await raw.until('101');
    const record = testbed.nextRecord();
    const broken = once(upgrade.socket.resume(), 'error');
    raw.socket.resetAndDestroy();
    expect((await broken)[0]).toMatchObject({ code: 'ECONNRESET' });
    expect(await record).toMatchObject({ status: 101, error: { code: 'ERR_CLIENT_GONE' } });
  });

  it.each([{ leave: 'end' }, { leave: 'resetAndDestroy' }] as const)(
    'ends the attempt at AWS if the client leaves before the 101 ($leave)',
    async ({ leave }) => {
      const upgrading = aws.nextUpgrade();
      await using raw = await rooms.dialWebSocket();
      const { socket } = await upgrading;
      const over = whenOver(socket);
      const record = testbed.nextRecord();
      raw.socket[leave]();
      await over;
      expect(await record).toMatchObject({ error: { code: 'ERR_CLIENT_GONE' } });
    },
  );
});

it.runIf(IS_SERVED)('waits for a slow WebSocket client: AWS cannot send more than the buffers hold', async () => {
  const upgrading = aws.nextUpgrade();
  await using raw = await rooms.dialWebSocket();
  const { accept, socket } = await upgrading;
  accept();
  await raw.until('101');
  raw.socket.pause();
  const total = 64 * 1024 * 1024;
  const piece = Buffer.alloc(256 * 1024, 'x');
  let written = 0;
  const pump = (): void => {
    while (written < total) {
      written += piece.length;
      if (!socket.write(piece)) return void socket.once('drain', pump);
    }
    socket.end();
  };
  pump();
  let still = 0;
  for (let last = -1; still < 5; last = written) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    still = written === last ? still + 1 : 0;
  }
  expect(written).toBeLessThan(total / 2);
  const record = testbed.nextRecord();
  let receivedBytes = 0;
  raw.socket.removeAllListeners('data').on('data', (chunk: string) => (receivedBytes += chunk.length));
  raw.socket.resume();
  await raw.ended;
  raw.socket.end();
  expect((await record).responseBytes).toBe(total);
  expect(receivedBytes).toBe(total);
});

describe.runIf(IS_SERVED)('when the proxy ends', () => {
  it('gives an open WebSocket the grace time when the proxy ends, then cuts both sides', async () => {
    const upgrading = aws.nextUpgrade();
    await using raw = await rooms.dialWebSocket();
    const { accept, socket } = await upgrading;
    accept();
    await raw.until('101');
    const over = whenOver(socket);
    const record = testbed.nextRecord();
    expect(await testbed.drain(50)).toBe(1);
    await over;
    await raw.ended;
    expect(await record).toMatchObject({ status: 101 });
  });

  it('waits for a WebSocket that ends in time when the proxy ends', async () => {
    const upgrading = aws.nextUpgrade();
    await using raw = await rooms.dialWebSocket();
    const { accept, socket } = await upgrading;
    accept();
    await raw.until('101');
    const drained = testbed.drain(10_000);
    socket.end('last');
    await raw.until('last');
    raw.socket.end();
    expect(await drained).toBe(0);
  });
});
