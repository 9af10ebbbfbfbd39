/**
 * AWS's end of a WebSocket, for tests of the proxy: a server on loopback that verifies the signature of every upgrade,
 * then does with the connection what the test says. Knows just enough of RFC 6455 to echo messages to a real client.
 */
import { parseTarget } from '../../src/http/target.ts';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { deriveSigningKey, sha256Hex } from '../../src/protocol/sigv4/key.ts';
import { parseSigV4, type ParsedSignature } from '../../src/protocol/sigv4/parse.ts';
import { verifySigV4 } from '../../src/protocol/sigv4/verify.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { AWS_PAIR } from './testbed.ts';

/** One upgrade as it arrived. */
export interface UpstreamUpgrade {
  readonly rawTarget: string;
  /** In wire order and case. */
  readonly headers: readonly HeaderPair[];
  readonly signature: ParsedSignature;
  /** Everything after the request head, `allowHalfOpen`. */
  readonly socket: Socket;
  /** The first value of a header, by lower-case name. */
  header(lowerCaseName: string): string | undefined;
  /** Sends `101` as RFC 6455 has it, and `more` in the same packet. */
  accept(headers?: readonly string[], more?: string | Buffer): void;
}

export interface FakeWebSocketServer extends AsyncDisposable {
  readonly port: number;
  /** One line per upgrade that was not signed right (those are answered 403 and reach no handler). */
  readonly failures: string[];
  /** How many requests of any kind came. */
  readonly requestCount: number;
  /** What becomes of the upgrades from now on; default `echo`. */
  onUpgrade(handler: (upgrade: UpstreamUpgrade) => void): void;
  /** The next upgrade from now on, left to the caller. */
  nextUpgrade(): Promise<UpstreamUpgrade>;
}

/** Starts one; give its port to `startProxy` as `endpointUrl`. */
export async function startFakeWebSocketServer(): Promise<FakeWebSocketServer> {
  const failures: string[] = [];
  const sockets = new Set<Socket>();
  let requestCount = 0;
  let handler: (upgrade: UpstreamUpgrade) => void = echo;
  const server = createServer((_request, response) => {
    requestCount += 1;
    response.writeHead(404).end();
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, duplex, head) => {
    requestCount += 1;
    const socket = duplex as Socket;
    socket.on('error', () => {});
    if (head.length > 0) socket.unshift(head);
    try {
      handler(describe(request, socket));
    } catch (error) {
      failures.push(String(error));
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    failures,
    get requestCount() {
      return requestCount;
    },
    onUpgrade: (next) => {
      handler = next;
    },
    nextUpgrade: () =>
      new Promise((resolve) => {
        handler = resolve;
      }),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Throws where the upgrade is not signed as AgentCore wants it. */
function describe(request: IncomingMessage, socket: Socket): UpstreamUpgrade {
  const headers: HeaderPair[] = [];
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    headers.push([request.rawHeaders[index] ?? '', request.rawHeaders[index + 1] ?? '']);
  }
  const header = (lowerCaseName: string): string | undefined =>
    headers.find(([name]) => name.toLowerCase() === lowerCaseName)?.[1];
  const { method = '', url: rawTarget = '' } = request;
  const signature = parseSigV4({ method, target: parseTarget(rawTarget), headers, authority: header('host') });
  if (signature === undefined) throw new Error('the upgrade is not signed');
  const verdict = verifySigV4({
    parsed: signature,
    signingKey: deriveSigningKey(AWS_PAIR.secretAccessKey, signature.scope),
    bodySha256Hex: sha256Hex(Buffer.alloc(0)),
    nowMs: Date.now(),
  });
  if (!verdict.ok) throw new Error(`${verdict.reason}: ${verdict.detail}`);
  return {
    rawTarget,
    headers,
    signature,
    socket,
    header,
    accept: (more = [], bytes = '') => {
      const lines = [
        'HTTP/1.1 101 Switching Protocols',
        'Upgrade: websocket',
        'Connection: Upgrade',
        `Sec-WebSocket-Accept: ${acceptKey(header('sec-websocket-key') ?? '')}`,
        ...more,
      ];
      const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
      socket.write(Buffer.concat([head, Buffer.from(bytes as string)]));
    },
  };
}

/** The answer to a `Sec-WebSocket-Key` (RFC 6455, section 4.2.2). */
export function acceptKey(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** Accepts, and sends every message back as it came; answers Close with Close and ends the connection. */
function echo(upgrade: UpstreamUpgrade): void {
  const { socket } = upgrade;
  const protocol = upgrade.header('sec-websocket-protocol')?.split(',')[0];
  upgrade.accept(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]);
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (let frame = takeFrame(pending); frame !== undefined; frame = takeFrame(pending)) {
      pending = pending.subarray(frame.lengthBytes);
      socket.write(encodeFrame(frame.first, frame.payload));
      if ((frame.first & 0x0f) === 8) socket.end();
    }
  });
  socket.on('end', () => socket.end());
}

/** A server's frame (never masked). `first` is the byte with FIN bit and opcode. */
function encodeFrame(first: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = first;
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

/** The first whole frame of a client (always masked), if it is there. */
function takeFrame(bytes: Buffer): { first: number; payload: Buffer; lengthBytes: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] ?? 0) & 0x7f;
  const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
  if (bytes.length < 6 + extra) return undefined;
  const length = extra === 0 ? short : extra === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const start = 6 + extra;
  if (bytes.length < start + length) return undefined;
  const mask = bytes.subarray(2 + extra, start);
  const payload = Buffer.from(bytes.subarray(start, start + length));
  for (let index = 0; index < length; index += 1) payload[index] = (payload[index] ?? 0) ^ (mask[index & 3] ?? 0);
  return { first: bytes[0] ?? 0, payload, lengthBytes: start + length };
}
