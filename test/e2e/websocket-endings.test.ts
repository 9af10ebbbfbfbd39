/** How a WebSocket through the whole proxy ends, and what a slow reader does to it. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FakeWebSocketServer } from '../helpers/fake-websocket.ts';
import type { Testbed } from '../helpers/testbed.ts';
import { IS_SERVED, openWebSocketProxy, type WebSocketTestbed } from '../helpers/websocket-testbed.ts';

let rooms: WebSocketTestbed;
let aws: FakeWebSocketServer;
let testbed: Testbed;

beforeEach(async () => {
  rooms = await openWebSocketProxy();
  ({ aws, testbed } = rooms);
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
