/**
 * A stand-in for AWS that asks for no signature: an HTTP/1.1 server on loopback that records every request as it came,
 * for tests of what is sent without one. Responds as the test says.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { HeaderPair } from '../../src/http/message.ts';
import { listen } from './ports.ts';

export interface RecordedRequest {
  readonly method: string;
  readonly rawTarget: string;
  /** In wire order and case. */
  readonly headers: readonly HeaderPair[];
  readonly body: Buffer;
  /** The first value of a header, by lower-case name. */
  header(lowerCaseName: string): string | undefined;
}

export interface RecordingUpstream {
  readonly port: number;
  readonly requests: readonly RecordedRequest[];
  /** Default: 200 and `{}`. */
  respondWith(handler: (request: RecordedRequest, response: ServerResponse) => void): void;
  /** What becomes of upgrades; default 403. */
  onUpgrade(handler: (request: RecordedRequest, socket: Duplex) => void): void;
}

/** Starts it for the test that runs; closed after it. */
export async function startRecordingUpstream(): Promise<RecordingUpstream> {
  const requests: RecordedRequest[] = [];
  let handler = (_: RecordedRequest, response: ServerResponse): void => void response.end('{}');
  let upgrade = (_: RecordedRequest, socket: Duplex): void => {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  };
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
    incoming.on('end', () => {
      const request = describe(incoming, Buffer.concat(chunks));
      requests.push(request);
      handler(request, response);
    });
  });
  server.on('upgrade', (incoming, socket) => {
    const request = describe(incoming, Buffer.alloc(0));
    requests.push(request);
    upgrade(request, socket);
  });
  server.on('connection', (socket) => void socket.on('error', () => {}));
  return {
    port: await listen(server),
    requests,
    respondWith: (next) => {
      handler = next;
    },
    onUpgrade: (next) => {
      upgrade = next;
    },
  };
}

function describe(incoming: IncomingMessage, body: Buffer): RecordedRequest {
  const headers: HeaderPair[] = [];
  for (let index = 0; index + 1 < incoming.rawHeaders.length; index += 2) {
    headers.push([incoming.rawHeaders[index] ?? '', incoming.rawHeaders[index + 1] ?? '']);
  }
  return {
    method: incoming.method ?? '',
    rawTarget: incoming.url ?? '',
    headers,
    body,
    header: (lowerCaseName) => headers.find(([name]) => name.toLowerCase() === lowerCaseName)?.[1],
  };
}
