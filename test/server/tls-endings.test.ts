/**
 * How answers and connections end over TLS: one that is broken off never looks complete, whatever frames it, and nobody
 * holds a socket by leaving a handshake or a head unfinished. A relay looks at the records on the wire.
 */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { get } from 'node:https';
import { type AddressInfo, connect as connectTcp, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HeaderPair } from '../../src/http/message.ts';
import { ensureCertificate, type TlsMaterial } from '../../src/server/certificate.ts';
import { createListener } from '../../src/server/listener.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { dial } from '../helpers/raw-socket.ts';

let folder: string;
let material: TlsMaterial;
let ca: Buffer;
let server: RunningServer;

/** The path says how the response is framed. Each is broken off when its first bytes have left. */
const FRAMINGS: Readonly<Record<string, readonly HeaderPair[]>> = {
  '/length': [['content-length', '1000']],
  '/chunked': [['transfer-encoding', 'chunked']],
  '/none': [],
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tls-'));
  material = await ensureCertificate(folder, [], Date.now());
  ca = await readFile(material.caFile ?? '');
  server = await startServer({
    hosts: ['127.0.0.1'],
    port: 0,
    guard: { listenHosts: ['127.0.0.1'], allowedHosts: [], allowedOrigins: [] },
    tls: material,
    mounts: Object.entries(FRAMINGS).map(([prefix, headers]) => ({
      prefix,
      handle: async ({ httpVersion, signal }, clientResponse) => {
        const sink = clientResponse.start(200, httpVersion === '2' ? [] : headers);
        sink.on('error', () => {});
        await new Promise((resolve) => sink.write('begun', resolve));
        await new Promise((resolve) => setImmediate(resolve));
        clientResponse.breakOff();
        if (!signal.aborted) await once(signal, 'abort');
      },
    })),
    onRefused: () => {},
  });
});

afterAll(async () => {
  await server.drain(0);
  await rm(folder, { recursive: true });
});

/** A TCP relay that keeps the type of every record the server sent (RFC 8446, section 5.1; RFC 5246, section 6.2.1). */
async function openRelay(): Promise<{ relay: Server; port: number; recordTypes: () => number[] }> {
  const chunks: Buffer[] = [];
  const relay = createServer((client) => {
    const upstream = connectTcp(server.port, '127.0.0.1');
    upstream.on('data', (chunk) => chunks.push(chunk));
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy()).on('close', () => to.end());
    }
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const recordTypes = (): number[] => {
    const bytes = Buffer.concat(chunks);
    const types: number[] = [];
    for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) types.push(bytes[at] ?? 0);
    return types;
  };
  return { relay, port: (relay.address() as AddressInfo).port, recordTypes };
}

describe('a response that is broken off over TLS', () => {
  it.each(['/length', '/chunked'])(
    'breaks a response off over TLS with an error to an HTTP/1.1 client: %s',
    async (path) => {
      const [response] = await once(get({ host: 'localhost', family: 4, port: server.port, ca, path }), 'response');
      await expect(text(response)).rejects.toMatchObject({ code: 'ECONNRESET' });
    },
  );

  it.each(['/length', '/chunked', '/none'])(
    'sends no closing alert after a response that is broken off over TLS: %s',
    async (path) => {
      const { relay, port, recordTypes } = await openRelay();
      // In TLS 1.2 the type of a record is in clear text; 21 is an alert.
      const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca, maxVersion: 'TLSv1.2' });
      await once(socket, 'secureConnect');
      socket.on('error', () => {});
      socket.write(`GET ${path} HTTP/1.${path === '/none' ? 0 : 1}\r\nHost: localhost\r\n\r\n`);
      let received = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
      await once(socket, 'close');
      relay.close();
      expect(received).toContain('begun');
      expect(recordTypes().filter((type) => type === 21)).toEqual([]);
      expect(recordTypes().at(-1)).toBe(23);
    },
  );

  it('resets only the stream to an HTTP/2 client if a response is broken off over TLS', async () => {
    const session = connectHttp2(`https://127.0.0.1:${server.port}`, { ca });
    for (let round = 0; round < 2; round += 1) {
      const stream = session.request({ ':path': '/none' });
      stream.on('error', () => {});
      stream.resume();
      await new Promise<void>((resolve) => stream.once('close', resolve));
      expect(stream.rstCode).not.toBe(0);
    }
    session.close();
  });
});

/** A listener with that much patience. */
async function openListener(headersTimeoutMs: number): Promise<{ port: number; close: () => void }> {
  const listener = createListener(
    {
      onHttp1: (_request, response) => void response.end('one'),
      onHttp2: (stream) => stream.close(),
      onUpgrade: (_request, socket) => void socket.destroy(),
      onMalformed: (_error, socket) => void socket.destroy(),
    },
    headersTimeoutMs,
    material,
  );
  await new Promise<void>((resolve) => listener.http1.listen(0, '127.0.0.1', resolve));
  const close = (): void => {
    listener.stopAccepting();
    void listener.destroyAll();
  };
  return { port: (listener.http1.address() as AddressInfo).port, close };
}

async function shakeHands(port: number): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca });
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  socket.resume();
  return socket;
}

describe('over TLS, a client that dawdles', () => {
  it.each([
    { name: 'says nothing after its handshake', sends: '' },
    { name: 'stops in its headers', sends: 'GET / HTTP/1.1\r\nHost: loc' },
  ])('closes a TLS client that $name', async ({ sends }) => {
    const { port, close } = await openListener(100);
    const socket = await shakeHands(port);
    if (sends !== '') socket.write(sends);
    await once(socket, 'close');
    close();
  });

  it.each([
    { name: 'with its first byte', bytes: [0x16] },
    { name: 'in the middle of its first message', bytes: [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3] },
  ])('closes a TLS client that stops its handshake $name', async ({ bytes }) => {
    const { port, close } = await openListener(100);
    await using raw = await dial(port);
    await raw.send(Buffer.from(bytes));
    await raw.ended;
    close();
  });
});
