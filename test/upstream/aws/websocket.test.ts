/** Two connections made one: bytes, back-pressure and every kind of ending pass from each side to the other. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { splice, type SpliceBreak } from '../../../src/upstream/aws/websocket.ts';

/** `client` and `upstream` are the far ends; the near ends are what is spliced. */
interface Line {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly near: { readonly client: Socket; readonly upstream: Socket };
  readonly counted: { client: number; upstream: number };
  start(times?: { halfOpenMs?: number; unreadMs?: number }): Promise<SpliceBreak>;
}

const server = createServer({ allowHalfOpen: true });
let line: Line;

beforeEach(async () => {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening');
  const [client, nearClient] = await socketPair();
  const [upstream, nearUpstream] = await socketPair();
  const counted = { client: 0, upstream: 0 };
  line = {
    client,
    upstream,
    near: { client: nearClient, upstream: nearUpstream },
    counted,
    start: (times) =>
      splice(
        nearClient,
        nearUpstream,
        {
          onClientBytes: (chunk) => (counted.client += chunk.length),
          onUpstreamBytes: (chunk) => (counted.upstream += chunk.length),
        },
        times,
      ),
  };
});

afterEach(() => {
  for (const socket of [line.client, line.upstream, line.near.client, line.near.upstream]) socket.destroy();
});

afterAll(() => void server.close());

async function socketPair(): Promise<[far: Socket, near: Socket]> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  far.on('error', () => {});
  const [near] = await accepted;
  return [far, near];
}

/** Everything until the end, without closing the socket as an async iteration would. */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).resume();
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

/** The error that a reset gives; undefined where the connection closed without one. */
async function closing(socket: Socket): Promise<string | undefined> {
  let code: string | undefined;
  socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code)).resume();
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return code;
}

const SIDES = [
  { name: 'the client', from: 'client', to: 'upstream' },
  { name: 'the upstream', from: 'upstream', to: 'client' },
] as const;

describe.each(SIDES)('what comes from $name', ({ from, to }) => {
  it('passes bytes on as they are, and counts them', async () => {
    const ended = line.start();
    const sent = Buffer.alloc(3_000_000, 'any bytes \u00ff ');
    line[from].end(sent);
    line[to].end();
    expect((await readAll(line[to])).equals(sent)).toBe(true);
    line[from].resume();
    expect(await ended).toBeUndefined();
    expect(line.counted).toEqual({ client: 0, upstream: 0, [from]: sent.length });
  });

  it('passes bytes on that were there before the two sides were joined', async () => {
    line.near[from].unshift(Buffer.from('early, '));
    void line.start();
    line[from].end('late');
    expect((await readAll(line[to])).toString()).toBe('early, late');
  });

  it('passes an end on, and the other direction goes on until it ends too', async () => {
    const ended = line.start();
    line[from].end('last words');
    expect((await readAll(line[to])).toString()).toBe('last words');
    line[to].end('a response after the end');
    expect((await readAll(line[from])).toString()).toBe('a response after the end');
    expect(await ended).toBeUndefined();
    expect(line.near.client.destroyed && line.near.upstream.destroyed).toBe(true);
  });

  it('turns a reset into a reset', async () => {
    const ended = line.start();
    line[from].write('half a mess');
    await once(line[to], 'data');
    line[from].resetAndDestroy();
    expect(await closing(line[to])).toBe('ECONNRESET');
    expect(await ended).toMatchObject({ side: from, cause: { code: 'ECONNRESET' } });
  });

  it("turns a reset after the other side's end into a reset", async () => {
    const ended = line.start();
    line[to].end();
    await readAll(line[from]);
    line[from].resetAndDestroy();
    expect(await closing(line[to])).toBe('ECONNRESET');
    expect(await ended).toMatchObject({ side: from });
  });

  it('waits for a slow reader, and loses nothing', async () => {
    void line.start();
    const total = 48 * 1024 * 1024;
    const piece = Buffer.alloc(256 * 1024, 'x');
    let written = 0;
    const pump = (): void => {
      while (written < total) {
        written += piece.length;
        if (!line[from].write(piece)) return void line[from].once('drain', pump);
      }
      line[from].end();
    };
    line[to].pause();
    pump();
    const stalledAt = await untilStill(() => line.counted[from]);
    expect(stalledAt).toBeLessThan(total / 2);
    // In our own memory: no more than the buffer of each of the two sockets, and the piece that filled it.
    const held = line.near[from].readableLength + line.near[to].writableLength;
    expect(held).toBeLessThan(512 * 1024);
    expect((await readAll(line[to])).length).toBe(total);
  });
});

describe('a side that takes nothing', () => {
  const pump = (socket: Socket): void => {
    while (socket.write(Buffer.alloc(256 * 1024, 'x')));
    socket.once('drain', () => pump(socket));
  };

  it('breaks both if it is the client, after a while', async () => {
    const ended = line.start({ unreadMs: 200 });
    line.client.pause();
    pump(line.upstream);
    const upstreamOver = closing(line.upstream);
    expect(await ended).toMatchObject({ side: 'client', cause: { code: 'ETIMEDOUT' } });
    expect(await upstreamOver).toBe('ECONNRESET');
  });

  it('is waited for if it is AWS, or if there is nothing to take', async () => {
    let isOver = false;
    void line.start({ unreadMs: 100 }).then(() => (isOver = true));
    line.client.resume();
    line.upstream.write('one message');
    line.upstream.pause();
    pump(line.client);
    await delay(400);
    expect(isOver).toBe(false);
  });
});

it('breaks the other side if one was closed before', async () => {
  line.near.client.destroy();
  await once(line.near.client, 'close');
  expect(await line.start()).toEqual({ side: 'client', cause: undefined });
  expect(await closing(line.upstream)).toBe('ECONNRESET');
});

it('breaks both sides if the proxy cuts one itself', async () => {
  const ended = line.start();
  line.near.client.destroy();
  expect(await closing(line.upstream)).toBe('ECONNRESET');
  expect(await ended).toMatchObject({ side: 'client' });
});

/** The value of a counter once it has stopped moving: there is no event for something that does not happen. */
async function untilStill(read: () => number): Promise<number> {
  let last = -1;
  for (let still = 0; still < 5;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = read();
    still = now === last && now > 0 ? still + 1 : 0;
    last = now;
  }
  return last;
}

describe.each(SIDES)('after the end of $name', ({ from, to }) => {
  it('both are reset if the other side is silent for too long', async () => {
    const ended = line.start({ halfOpenMs: 50 });
    line[from].end('bye');
    const over = closing(line[from]);
    expect((await readAll(line[to])).toString()).toBe('bye');
    expect(await ended).toMatchObject({ side: to, cause: { code: 'ETIMEDOUT' } });
    expect(await over).toBe('ECONNRESET');
  });

  it('the other side may speak as long as it likes, and end', async () => {
    const ended = line.start({ halfOpenMs: 200 });
    line[from].end();
    await once(line[to].resume(), 'end');
    for (let nth = 0; nth < 6; nth += 1) {
      await delay(50);
      line[to].write('more');
    }
    line[to].end();
    expect((await readAll(line[from])).toString()).toBe('more'.repeat(6));
    expect(await ended).toBeUndefined();
  });
});
