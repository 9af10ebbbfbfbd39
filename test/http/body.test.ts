import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request as http1Request } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { ClientRequest, HeaderPair } from '../../src/http/message.ts';
import { adaptHttp1 } from '../../src/server/client-http1.ts';
import { adaptHttp2 } from '../../src/server/client-http2.ts';
import { type Body, type BodyLimits, MAX_ANNOUNCED_IN_MEMORY, readBody } from '../../src/http/body.ts';
import { BodyQuota } from '../../src/http/body-quota.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { failureOf } from '../helpers/failure.ts';
import { CANCEL, END_HEADERS, END_STREAM, FRAME_TYPE, http2Frame, PREFACE } from '../helpers/http2-frames.ts';
import { listen } from '../helpers/ports.ts';
import { createRandom } from '../helpers/random.ts';

const LIMITS: BodyLimits = { maxSizeBytes: 1000, idleTimeoutMs: 60_000 };
const sha256 = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');
const textOf = (body: Body): string => Buffer.concat(body.chunks).toString();

/** A server that reads the body of its first request, and a raw connection to it. */
async function openHttp1(
  limits = LIMITS,
): Promise<{ socket: Socket; read: Promise<Body>; port: number; request: Promise<ClientRequest> }> {
  const read = Promise.withResolvers<Body>();
  const arrived = Promise.withResolvers<ClientRequest>();
  const serve: Parameters<typeof createServer>[1] = (incoming, response) => {
    const [clientRequest] = adaptHttp1(incoming, response as never);
    arrived.resolve(clientRequest);
    readBody(clientRequest, limits).then(read.resolve, read.reject);
    read.promise.then(
      () => response.end(),
      () => response.destroy(),
    );
  };
  const server = createServer(serve).on('checkContinue', serve as never);
  const port = await listen(server);
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  read.promise.catch(() => {});
  return { socket, read: read.promise, port, request: arrived.promise };
}

describe('a body over HTTP/1.1', () => {
  it('keeps and hashes an HTTP/1.1 body as it came', async () => {
    const { socket, read } = await openHttp1();
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"a":');
    socket.write('  12}');
    const body = await read;
    expect(body.sizeBytes).toBe(10);
    expect(textOf(body)).toBe('{"a":  12}');
    expect(body.sha256).toBe(sha256('{"a":  12}'));
  });

  it('reads the content of the chunks of a chunked body', async () => {
    const { socket, read } = await openHttp1();
    socket.write(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n',
    );
    const body = await read;
    expect([textOf(body), body.sizeBytes, body.sha256]).toEqual(['abcde', 5, sha256('abcde')]);
  });

  it.each(['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'])(
    'reads an empty body with the hash of nothing: %j',
    async (head) => {
      const { socket, read } = await openHttp1();
      socket.write(head);
      const empty = { chunks: [], sizeBytes: 0, sha256: sha256('') };
      expect(await read).toEqual(empty);
    },
  );

  it('accepts a body exactly as large as the limit', async () => {
    const { port, read } = await openHttp1();
    http1Request({ port, host: '127.0.0.1', method: 'POST' })
      .on('error', () => {})
      .end(Buffer.alloc(1000));
    expect((await read).sizeBytes).toBe(1000);
  });

  it('sends 100 Continue only when the body is wanted', async () => {
    const { socket, read } = await openHttp1();
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n');
    const [response] = (await once(socket, 'data')) as [Buffer];
    expect(response.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    socket.write('ok');
    expect(textOf(await read)).toBe('ok');
  });

  it('refuses a body over the limit by its announced length, before a byte of it is asked for', async () => {
    const { socket, read } = await openHttp1();
    let seen = '';
    socket.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n');
    const error = await failureOf(() => read);
    expect([error.code, error.status]).toEqual(['ERR_BODY_TOO_LARGE', 413]);
    expect(error.message).toContain('1000 bytes');
    expect(error.hint).toContain('--max-body-size');
    await once(socket, 'close');
    expect(seen).not.toContain('100 Continue');
  });

  it('refuses a body of unknown length as soon as it is over the limit', async () => {
    const { socket, read } = await openHttp1();
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    socket.write(`3e9\r\n${'x'.repeat(1001)}\r\n`);
    expect((await failureOf(() => read)).code).toBe('ERR_BODY_TOO_LARGE');
  });

  it.each([
    { name: 'in the middle of a counted body', head: 'Content-Length: 10\r\n\r\nabc' },
    { name: 'in the middle of a chunk', head: 'Transfer-Encoding: chunked\r\n\r\n5\r\nabc' },
    { name: 'before the last chunk', head: 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n' },
  ])('never takes a body for complete if the client leaves $name', async ({ head }) => {
    const { socket, read, request } = await openHttp1();
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\n${head}`);
    await request;
    socket.destroy();
    const error = await failureOf(() => read);
    expect([error.code, error.status]).toEqual(['ERR_CLIENT_GONE', 499]);
  });
});

const H2_OPENING = Buffer.concat([
  Buffer.from(PREFACE),
  http2Frame(FRAME_TYPE.settings, 0, 0),
  // POST http / with the authority "a", from the static table of RFC 7541.
  http2Frame(FRAME_TYPE.headers, END_HEADERS, 1, Buffer.of(0x83, 0x86, 0x84, 0x41, 1, 0x61)),
]);
const h2Data = (flags: number, text = ''): Buffer => http2Frame(FRAME_TYPE.data, flags, 1, Buffer.from(text));

async function openHttp2(): Promise<{ socket: Socket; read: Promise<Body>; request: Promise<ClientRequest> }> {
  const read = Promise.withResolvers<Body>();
  const arrived = Promise.withResolvers<ClientRequest>();
  const server = createHttp2Server().on('sessionError', () => {});
  server.on('stream', (stream, _headers, _flags, rawHeaders) => {
    stream.on('error', () => {});
    const [clientRequest] = adaptHttp2(stream, rawHeaders as unknown as string[]);
    readBody(clientRequest, LIMITS).then(read.resolve, read.reject);
    stream.once('data', () => arrived.resolve(clientRequest));
  });
  const socket = connect(await listen(server), '127.0.0.1').on('error', () => {});
  onTestFinished(() => void socket.destroy());
  socket.resume();
  read.promise.catch(() => {});
  return { socket, read: read.promise, request: arrived.promise };
}

describe('a body over HTTP/2', () => {
  it('keeps and hashes an HTTP/2 body as it came', async () => {
    const { socket, read } = await openHttp2();
    socket.write(Buffer.concat([H2_OPENING, h2Data(0, 'over '), h2Data(END_STREAM, 'h2')]));
    const body = await read;
    expect([textOf(body), body.sha256]).toEqual(['over h2', sha256('over h2')]);
  });

  it('reads an empty body if an HTTP/2 request ends with its headers', async () => {
    const { socket, read } = await openHttp2();
    socket.write(Buffer.concat([H2_OPENING, h2Data(END_STREAM)]));
    expect((await read).sizeBytes).toBe(0);
  });

  it('never takes an HTTP/2 body for complete if the client resets its stream', async () => {
    const { socket, read, request } = await openHttp2();
    socket.write(Buffer.concat([H2_OPENING, h2Data(0, 'half of it')]));
    await request;
    socket.write(http2Frame(FRAME_TYPE.reset, 0, 1, CANCEL));
    expect((await failureOf(() => read)).code).toBe('ERR_CLIENT_GONE');
  });

  it('never takes an HTTP/2 body for complete if the connection breaks', async () => {
    const { socket, read, request } = await openHttp2();
    socket.write(Buffer.concat([H2_OPENING, h2Data(0, 'half of it')]));
    await request;
    socket.resetAndDestroy();
    expect((await failureOf(() => read)).code).toBe('ERR_CLIENT_GONE');
  });
});

/** A body that a test feeds by hand: the clock is a fake one, so the bytes must not wait for a real socket. */
function feed(): { source: Readable; request: ClientRequest } {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const source = new Readable({ read() {} });
  return { source, request: aClientRequest({ method: 'POST', openBody: () => source }) };
}

const taken = (source: Readable): Promise<void> =>
  new Promise((resolve) => {
    source.once('data', () => resolve());
  });

describe('a body that comes slowly', () => {
  it('lets a body take longer than the longest silence, as long as it is never silent for that long', async () => {
    const { source, request } = feed();
    const read = readBody(request, { ...LIMITS, idleTimeoutMs: 1_000 });
    for (let piece = 0; piece < 5; piece += 1) {
      vi.advanceTimersByTime(900);
      const arrival = taken(source);
      source.push('x');
      await arrival;
    }
    source.push(null);
    expect((await read).sizeBytes).toBe(5);
  });

  it('gives a body up after the longest silence, and leaves it alone from then on', async () => {
    const { source, request } = feed();
    const failing = failureOf(() => readBody(request, { ...LIMITS, idleTimeoutMs: 1_500 }));
    const arrival = taken(source);
    source.push('x');
    await arrival;
    vi.advanceTimersByTime(1_500);
    const error = await failing;
    expect([error.code, error.status]).toEqual(['ERR_BODY_TIMEOUT', 408]);
    expect(error.message).toContain('1.5 seconds');
    expect(source.isPaused()).toBe(true);
    const closed = new Promise((resolve) => source.once('close', resolve));
    source.destroy(new Error('a later fault of the stream concerns nobody'));
    await closed;
  });
});

describe('a body too large for memory', () => {
  const size = MAX_ANNOUNCED_IN_MEMORY + 1_500_000;
  const bytes = Buffer.alloc(size, 'spooled body; ');

  async function readLarge(headers: readonly HeaderPair[], folder = tmpdir()): Promise<{ body: Body; read: Buffer }> {
    const spoolDirectory = { folder, newId: randomUUID };
    const source = Readable.from(chop(bytes, 100_000));
    const request = aClientRequest({ method: 'POST', headers, openBody: () => source });
    const body = await readBody(request, { maxSizeBytes: size, idleTimeoutMs: 60_000, spoolDirectory });
    onTestFinished(() => body.spool?.release());
    return { body, read: Buffer.concat(await Array.fromAsync(body.spool?.read() ?? [])) };
  }

  it.each([
    { name: 'counted', headers: [['Content-Length', String(size)]] as const },
    { name: 'of unknown length', headers: [] },
  ])('keeps a large body in a file, hashed, with its beginning at hand: $name', async ({ headers }) => {
    const { body, read } = await readLarge(headers);
    expect(read.equals(bytes)).toBe(true);
    expect([body.sizeBytes, body.sha256]).toEqual([size, sha256(bytes)]);
    expect(textOf(body)).toBe(bytes.subarray(0, textOf(body).length).toString());
    expect(textOf(body).length).toBeGreaterThan(0);
  });

  it('fails a body without room on disk in a way that SDKs do not repeat', async () => {
    const error = await failureOf(() => readLarge([], join(tmpdir(), 'no', 'such', 'folder')));
    expect([error.code, error.status]).toEqual(['ERR_SPOOL', 507]);
  });
});

describe('a body of small chunks', () => {
  const text = 'a body of one byte in each chunk; '.repeat(20_000);

  it('holds few pieces however many chunks a client cuts its body into', async () => {
    const bytes = Buffer.from(text);
    const body = await readPieces(chop(bytes, 1), LIMITS);
    expect(textOf(body)).toBe(text);
    expect([body.sizeBytes, body.sha256]).toEqual([bytes.length, sha256(bytes)]);
    expect(body.chunks.length).toBeLessThan(20);
    // They hold no more than they are. The first is as it came.
    const held = new Set(body.chunks.slice(1).map(({ buffer }) => buffer));
    expect([...held].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(1.1 * bytes.length);
  });

  it.each([
    { name: 'in memory', quota: undefined },
    { name: 'in a file', quota: new BodyQuota({ memoryBytes: 1, findDiskBytes: () => 10_000_000 }) },
  ])('keeps the order of small and large chunks: $name', async ({ quota }) => {
    const random = createRandom(7);
    const bytes = Buffer.from(text);
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += pieces.at(-1)?.length ?? 0) {
      const size = random() < 0.9 ? 1 + Math.floor(random() * 900) : 1 + Math.floor(random() * 20_000);
      pieces.push(bytes.subarray(at, at + size));
    }
    const spoolDirectory = { folder: tmpdir(), newId: randomUUID };
    const body = await readPieces(pieces, { ...LIMITS, quota, spoolDirectory });
    const read = body.spool === undefined ? body.chunks : await Array.fromAsync(body.spool.read());
    expect(Buffer.concat(read).toString()).toBe(text);
    expect(body.sha256).toBe(sha256(text));
    expect(body.spool === undefined).toBe(quota === undefined);
  });
});

async function readPieces(pieces: Iterable<Buffer>, limits: BodyLimits): Promise<Body> {
  const request = aClientRequest({ method: 'POST', openBody: () => Readable.from(pieces) });
  const body = await readBody(request, { ...limits, maxSizeBytes: 10_000_000 });
  onTestFinished(() => body.spool?.release());
  return body;
}

function* chop(bytes: Buffer, pieceBytes: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}
