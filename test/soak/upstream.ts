/**
 * What stands in for AWS under soak: answers at once or by and by, whole or not, and keeps nothing. One port for
 * HTTP/1.1 and HTTP/2, as the runtime has it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { eventFrame } from '../helpers/event-frames.ts';
import { type BidirectionalUpstream, startBidirectionalUpstream } from '../helpers/bidirectional-upstream.ts';
import { AWS_PAIR } from '../helpers/testbed.ts';

/** It, and what it saw that must not be. */
export interface SoakUpstream extends AsyncDisposable {
  readonly port: number;
  readonly faults: string[];
  /** Requests that came, of any kind. */
  readonly requests: number;
}

const USAGE = { usage: { inputTokens: 100, outputTokens: 10, totalTokens: 110 } };
const DELTA = eventFrame('contentBlockDelta', { delta: { text: 'Hello' }, contentBlockIndex: 0 });
const METADATA = eventFrame('metadata', USAGE);
const MAX_FAULTS = 20;

/** Starts it on loopback. `random` decides what is answered. */
export async function startSoakUpstream(random: () => number): Promise<SoakUpstream> {
  const faults: string[] = [];
  let requests = 0;
  const http1 = createServer((request, response) => {
    requests += 1;
    if (request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') !== true && faults.length < MAX_FAULTS) {
      faults.push(`not signed: ${request.method} ${request.url}`);
    }
    request.resume().on('end', () => void answer(request, response, random));
  });
  http1.on('clientError', (_error, socket) => socket.destroy());
  const http2 = await startBidirectionalUpstream(AWS_PAIR);
  const http1Port = await listen(http1);
  const sockets = new Set<Socket>();
  const front = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.once('data', (first: Buffer) => {
      socket.pause();
      const port = first.subarray(0, 3).toString() === 'PRI' ? http2.port : http1Port;
      const behind = connect(port, '127.0.0.1', () => {
        behind.write(first);
        socket.pipe(behind).pipe(socket);
      });
      behind.on('error', () => socket.destroy()).on('close', () => socket.destroy());
      socket.on('close', () => behind.destroy());
    });
  });
  const port = await listen(front);
  return {
    port,
    get faults() {
      return [...faults, ...faultsOf(http2)];
    },
    get requests() {
      return requests + http2.calls.length;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      front.close();
      http1.closeAllConnections();
      http1.close();
      await http2.close();
    },
  };
}

/** A stream that a kill cut off is not signed to its end. */
function faultsOf({ failures }: BidirectionalUpstream): readonly string[] {
  return failures.slice(0, MAX_FAULTS);
}

async function answer({ url = '' }: IncomingMessage, response: ServerResponse, random: () => number): Promise<void> {
  response.on('error', () => {});
  const dice = random();
  if (dice < 0.03) return sendJson(response, 429, { message: 'Too many tokens' }, 'ThrottlingException');
  if (dice < 0.05) return sendJson(response, 500, { message: 'It broke.' }, 'InternalServerException');
  if (dice < 0.06) return void response.socket?.resetAndDestroy();
  if (!url.endsWith('/converse-stream')) {
    if (dice < 0.3) await pause(random() * 40);
    return sendJson(response, 200, USAGE);
  }
  response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
  for (let sent = Math.floor(random() * 12); sent > 0 && !response.destroyed; sent -= 1) {
    response.write(DELTA);
    await pause(random() * 15);
  }
  if (dice < 0.1) return void response.socket?.resetAndDestroy();
  response.end(METADATA);
}

function sendJson(response: ServerResponse, status: number, value: object, type?: string): void {
  const body = JSON.stringify(value);
  const error = type === undefined ? {} : { 'x-amzn-errortype': type };
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, ...error });
  response.end(body);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function listen(server: ReturnType<typeof createTcpServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
