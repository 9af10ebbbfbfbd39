/**
 * A corporate network for tests: a forward proxy that knows CONNECT and nothing else, whatever name is asked for
 * leading to one port of this machine, and a TLS front with a certificate of an authority that nobody trusts yet.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createServer as createTlsFront } from 'node:tls';
import { ensureCertificate, type TlsMaterial } from '../../src/server/certificate.ts';

export interface ForwardProxy extends AsyncDisposable {
  readonly port: number;
  /** What was asked for, in order: `host:port`. */
  readonly targets: readonly string[];
  /** `Proxy-Authorization` of each, or undefined. */
  readonly authorizations: readonly (string | undefined)[];
  /** Requests that were no CONNECT. */
  readonly strays: readonly string[];
  /** Responds to every CONNECT from now on with this status line's rest; undefined: connects. */
  refuseWith(statusAndPhrase: string | undefined): void;
  /** Says nothing to a CONNECT from now on. */
  fallSilent(): void;
}

export interface ForwardProxyOptions {
  /** Every tunnel leads here. */
  readonly toPort: number;
  /** `user:password` without which it answers 407. */
  readonly credentials?: string;
  /** Speak TLS to its clients. */
  readonly tls?: TlsMaterial;
}

/** Starts one on loopback. */
export async function startForwardProxy({ toPort, credentials, tls }: ForwardProxyOptions): Promise<ForwardProxy> {
  const targets: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const strays: string[] = [];
  const sockets = new Set<Duplex>();
  let refusal: string | undefined;
  let isSilent = false;
  const server: Server = tls === undefined ? createServer() : createTlsServer({ cert: tls.cert, key: tls.key });
  server.on('request', (request, response) => {
    strays.push(`${request.method} ${request.url}`);
    response.writeHead(405).end();
  });
  server.on('connection', (socket) => keep(sockets, socket));
  server.on('connect', (request, client: Socket, head) => {
    targets.push(request.url ?? '');
    const given = request.headers['proxy-authorization'];
    authorizations.push(given);
    client.on('error', () => {});
    if (isSilent) return;
    const wanted = credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`;
    const status =
      refusal ?? (given === wanted || wanted === undefined ? undefined : '407 Proxy Authentication Required');
    if (status !== undefined) {
      client.end(`HTTP/1.1 ${status}\r\nProxy-Authenticate: Basic realm="corp"\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const upstream = connect(toPort, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
    keep(sockets, upstream);
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  const port = await listen(server);
  return {
    port,
    targets,
    authorizations,
    strays,
    refuseWith: (next) => {
      refusal = next;
    },
    fallSilent: () => {
      isSilent = true;
    },
    [Symbol.asyncDispose]: () => close(server, sockets),
  };
}

/** Certificates for names, in a folder of their own. */
export interface TestAuthority extends AsyncDisposable {
  readonly material: TlsMaterial;
  /** PEM file of the authority. */
  readonly caFile: string;
}

export async function makeAuthority(names: readonly string[]): Promise<TestAuthority> {
  const folder = await mkdtemp(join(tmpdir(), 'authority-'));
  const material = await ensureCertificate(folder, names, Date.now());
  return {
    material,
    caFile: material.caFile ?? '',
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Ends TLS and hands the bytes on to a port of this machine. */
export async function startTlsFront(
  { cert, key }: TlsMaterial,
  toPort: () => number,
): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Duplex>();
  const server = createTlsFront({ cert, key, ALPNProtocols: ['http/1.1'] }, (client) => {
    const upstream = connect(toPort(), '127.0.0.1');
    keep(sockets, upstream);
    client.on('error', () => {}).on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  server.on('connection', (socket) => keep(sockets, socket));
  const port = await listen(server);
  return { port, [Symbol.asyncDispose]: () => close(server, sockets) };
}

function keep(sockets: Set<Duplex>, socket: Duplex): void {
  sockets.add(socket);
  socket.on('error', () => {}).on('close', () => sockets.delete(socket));
}

async function listen(server: NetServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function close(server: NetServer, sockets: ReadonlySet<Duplex>): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of sockets) socket.destroy();
  await closed;
}
