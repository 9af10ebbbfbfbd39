/**
 * One port, two protocols: the choice by the first bytes, at any split, and what happens where the choice never comes.
 */
import { once } from 'node:events';
import { queryObjects } from 'node:v8';
import { connect, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createListener, type Http2Times, type Listener } from '../../src/server/listener.ts';
import { openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import { dial, throwAt } from '../helpers/raw-socket.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const SETTINGS = Buffer.from('000000040000000000', 'hex');

let listener: Listener;
let port: number;
/** Streams of `/wait`, not answered yet. */
let waiting: ServerHttp2Stream[];

async function open(headersTimeoutMs?: number, http2Times?: Http2Times): Promise<void> {
  waiting = [];
  listener = createListener(
    {
      onHttp1: (_, response) => void response.end('one'),
      onHttp2: (stream, rawHeaders) => {
        if (rawHeaders.includes('/wait')) return void waiting.push(stream);
        stream.respond({ ':status': 200 });
        stream.end('two');
      },
      onUpgrade: (_, socket) => void socket.destroy(),
      onMalformed: (error, socket) => void socket.end(`malformed: ${error.code}`),
    },
    headersTimeoutMs,
    undefined,
    http2Times,
  );
  await new Promise<void>((resolve) => listener.http1.listen(0, '127.0.0.1', resolve));
  ({ port } = listener.http1.address() as AddressInfo);
}

afterEach(async () => {
  listener.stopAccepting();
  await listener.destroyAll();
});

describe('the choice of protocol', () => {
  beforeEach(() => open());

  it('chooses HTTP/1.1 for a request that comes byte by byte', async () => {
    await using raw = await dial(port);
    for (const byte of GET) await raw.send(byte);
    expect((await raw.readResponse()).body.toString()).toBe('one');
  });

  it.each(['POST', 'PUT', 'PATCH', 'PROPFIND'])(
    'chooses HTTP/1.1 for %s, which starts like the HTTP/2 preface',
    async (method) => {
      await using raw = await dial(port);
      await raw.send('P');
      await raw.send(`${method.slice(1)} / HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      expect((await raw.readResponse()).status).toBe(200);
    },
  );

  it('chooses HTTP/2 for a preface that comes byte by byte', async () => {
    await using raw = await dial(port);
    for (const byte of PREFACE) await raw.send(byte);
    await raw.send(SETTINGS);
    // The server's own settings come first (RFC 9113, section 3.4): frame type 4.
    await raw.until('\u0004');
    expect(raw.received.charCodeAt(3)).toBe(4);
  });

  it.each(Array.from({ length: PREFACE.length }, (_, at) => at))(
    'chooses HTTP/2 for a preface cut at byte %i',
    async (at) => {
      await using raw = await dial(port);
      await raw.send(PREFACE.slice(0, at));
      await raw.send(Buffer.concat([Buffer.from(PREFACE.slice(at)), SETTINGS]));
      await raw.until('\u0004');
    },
  );

  it('serves HTTP/1.1 and HTTP/2 at once on one port', async () => {
    await using client = openHttp2(port);
    const [one, two] = await Promise.all([
      dial(port).then(async (raw) => {
        await raw.send(GET);
        return raw.readResponse();
      }),
      client.ask({ ':path': '/' }),
    ]);
    expect([one.body.toString(), two.body]).toEqual(['one', 'two']);
  });

  it.each([
    { name: 'garbage', bytes: Buffer.alloc(100, 0xfe) },
    { name: 'a TLS greeting', bytes: Buffer.from('1603010200010001fc0303', 'hex') },
    { name: 'a preface with an error', bytes: Buffer.from('PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n') },
    { name: 'a line break', bytes: Buffer.from('\n\n\n\u0001') },
  ])('refuses a connection that begins with $name', async ({ bytes }) => {
    expect(await throwAt(port, bytes)).toMatch(/^malformed: HPE_/);
  });
});

describe('a connection that keeps us waiting', () => {
  beforeEach(() => open(150));

  it.each([
    { name: 'says nothing', bytes: '' },
    { name: 'stops in the preface', bytes: 'PRI * HT' },
    { name: 'stops in a method', bytes: 'P' },
  ])('closes a connection that $name', async ({ bytes }) => {
    await using raw = await dial(port);
    await raw.send(bytes);
    await raw.ended;
    expect(raw.received).toBe('');
  });

  it('answers and closes a connection that stops in its headers', async () => {
    expect(await throwAt(port, 'GET / HTTP/1.1\r\nHost: loc')).toBe('malformed: ERR_HTTP_REQUEST_TIMEOUT');
  });

  it('answers and closes a connection that trickles its headers, however busy it looks', async () => {
    await using raw = await dial(port);
    await raw.send('GET / HTTP/1.1\r\n');
    const trickle = setInterval(() => void raw.send('X-A: b\r\n'), 20);
    await raw.ended;
    clearInterval(trickle);
    expect(raw.received).toBe('malformed: ERR_HTTP_REQUEST_TIMEOUT');
  });

  it('keeps an idle connection that was served once', async () => {
    await using raw = await dial(port);
    await raw.send(GET);
    await raw.readResponse();
    await using silent = await dial(port);
    await silent.ended;
    await raw.send(GET);
    expect((await raw.readResponse()).body.toString()).toBe('one');
  });
});

describe('the end', () => {
  beforeEach(() => open());

  it('closes the connection of a client that half-closes after the choice of protocol', async () => {
    await using one = await dial(port);
    await one.send(GET);
    one.socket.end();
    await one.ended;
    await using two = await dial(port);
    await two.send(Buffer.concat([Buffer.from(PREFACE), SETTINGS]));
    two.socket.end();
    await two.ended;
    await using early = await dial(port);
    await early.send('PRI');
    early.socket.end();
    await early.ended;
  });

  it('ends HTTP/2 sessions in order, and takes no new connection', async () => {
    await using client = openHttp2(port);
    await client.ask({ ':path': '/' });
    const closed = new Promise((resolve) => client.session.once('close', resolve));
    listener.stopAccepting();
    await closed;
    await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

it('holds nothing of 1,000 HTTP/2 sessions that are gone', async () => {
  await open();
  const timer = setTimeout(() => {}, 0);
  await using first = openHttp2(port);
  first.open({ ':path': '/wait' });
  await vi.waitFor(() => expect(waiting).toHaveLength(1));
  // What they are made of: the session here, and its timer.
  const kinds = [waiting[0]?.session, timer].map((thing) => thing?.constructor as new () => object);
  const count = (): number[] => kinds.map((kind) => queryObjects(kind, { format: 'count' }));
  const before = count();
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const { session, ask } = openHttp2(port);
        const closed = once(session, 'close');
        if (index % 2 === 0) await ask({ ':path': '/' });
        else await once(session, 'connect');
        if (index % 3 === 0) session.destroy();
        else session.close();
        await closed;
      }),
    );
  }
  await vi.waitFor(() => {
    count().forEach((now, index) => expect(now).toBeLessThan((before[index] ?? 0) + 100));
  });
});

describe('an HTTP/2 session that does nothing', () => {
  beforeEach(() => open(undefined, { idleMs: 100, unreadMs: 100 }));

  it('closes an idle HTTP/2 session in order if nothing is open', async () => {
    await using client = openHttp2(port);
    const goneAway = once(client.session, 'goaway');
    await client.ask({ ':path': '/' });
    expect((await goneAway)[0]).toBe(0);
  });

  it('cuts an HTTP/2 session off if its client never reads, but not if it waits for a response', async () => {
    await using patient = openHttp2(port);
    const response = readHttp2Response(patient.open({ ':path': '/wait' }));
    const closed = new AbortController();
    patient.session.once('close', () => closed.abort());
    for (let turn = 0; turn < 2; turn += 1) {
      const silent = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
      silent.request({ ':path': '/' }).on('error', () => {});
      const [error] = await once(silent, 'error');
      expect(error).toMatchObject({ message: 'Session closed with error code 2' });
    }
    expect(closed.signal.aborted).toBe(false);
    waiting[0]?.respond({ ':status': 200 });
    waiting[0]?.end('at last');
    expect(await response).toMatchObject({ status: 200, body: 'at last', isComplete: true });
  });
});
