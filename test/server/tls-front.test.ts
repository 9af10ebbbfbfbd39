import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureCertificate } from '../../src/server/certificate.ts';
import { createListener, type Listener } from '../../src/server/listener.ts';
import { listen } from '../helpers/ports.ts';

let folder: string;
let listener: Listener;
let port: number;
let ca: Buffer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tls-'));
  const material = await ensureCertificate(folder, [], Date.now());
  ca = await readFile(material.caFile ?? '');
  listener = createListener(
    {
      onHttp1: (request, response) => response.end(`HTTP/${request.httpVersion} ${'encrypted' in request.socket}`),
      onHttp2: (stream) => {
        stream.respond({ ':status': 200 });
        stream.end(`HTTP/2 ${stream.session?.encrypted}`);
      },
      onUpgrade: (_request, socket) => socket.destroy(),
      onMalformed: (_error, socket) => socket.destroy(),
    },
    60_000,
    material,
  );
  listener.http1.listen(0, '127.0.0.1');
  await once(listener.http1, 'listening');
  port = (listener.http1.address() as AddressInfo).port;
});
afterAll(async () => {
  listener.stopAccepting();
  await listener.destroyAll();
  await rm(folder, { recursive: true });
});

it('answers HTTP/1.1 in clear text and over TLS on one port', async () => {
  const [clear] = await once(getHttp({ host: '127.0.0.1', port }), 'response');
  expect(await text(clear)).toBe('HTTP/1.1 false');
  const [secure] = await once(getHttps({ host: 'localhost', family: 4, port, ca }), 'response');
  expect(await text(secure)).toBe('HTTP/1.1 true');
});

it.each(['http', 'https'])('answers HTTP/2 over %s', async (scheme) => {
  const session = connectHttp2(`${scheme}://127.0.0.1:${port}`, { ca });
  const stream = session.request({ ':path': '/' });
  expect(await text(stream)).toBe(`HTTP/2 ${scheme === 'https'}`);
  session.close();
});

it.each([
  [['h2'], 'h2'],
  [['http/1.1'], 'http/1.1'],
  [['h2', 'http/1.1'], 'h2'],
])('chooses from the ALPN protocols %j %s', async (offered, chosen) => {
  const socket = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ca, ALPNProtocols: offered });
  await once(socket, 'secureConnect');
  expect([socket.authorized, socket.alpnProtocol]).toEqual([true, chosen]);
  socket.destroy();
});

it('accepts a TLS handshake that comes byte by byte', async () => {
  const relay = createTcpServer((client) => {
    const server = connectTcp({ port, host: '127.0.0.1', noDelay: true });
    server.pipe(client);
    client.once('data', async (hello: Buffer) => {
      client.pause();
      for (const byte of hello) await new Promise((resolve) => server.write(Buffer.of(byte), resolve));
      client.pipe(server);
    });
  });
  const socket = connectTls({ port: await listen(relay), servername: 'localhost', ca });
  await once(socket, 'secureConnect');
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  expect(await text(socket)).toContain('HTTP/1.1 true');
});

it('closes a connection that begins like a handshake and is none', async () => {
  const raw = connectTcp(port, '127.0.0.1');
  raw.on('error', () => {});
  raw.write(Buffer.from([0x16, 3, 1, 0, 5, 9, 9, 9, 9, 9]));
  raw.resume();
  await once(raw, 'close');
});
