/**
 * An upstream that responds before it has read the request, and closes: what the proxy still writes fails, and the
 * client gets the response all the same.
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openProxy } from '../helpers/proxy-test.ts';
import { ask } from '../helpers/raw-socket.ts';

const TOO_LARGE = 'HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large';

const UPSTREAMS: readonly { readonly how: string; readonly open: () => Server }[] = [
  {
    how: 'ends its side, and reads nothing',
    open: () =>
      createServer((socket) => void socket.on('error', () => {}).once('data', () => socket.pause().end(TOO_LARGE))),
  },
  {
    how: 'closes with what it has not read',
    open: () =>
      createServer((socket) => {
        socket.on('error', () => {}).once('data', () => socket.pause().write(TOO_LARGE, () => socket.destroy()));
      }),
  },
  {
    how: 'is a server of Node that closes',
    open: () =>
      createHttpServer((_, response) => {
        response.writeHead(413, { connection: 'close', 'content-length': 9 });
        response.end('too large');
      }),
  },
];

describe.each(UPSTREAMS)('an upstream that $how', ({ open }) => {
  it.each([{ megabytes: 1 }, { megabytes: 4 }, { megabytes: 9 }])(
    'is heard by the client of a body of $megabytes MB, each of ten times',
    async ({ megabytes }) => {
      const server = open();
      await once(server.listen(0, '127.0.0.1'), 'listening');
      onTestFinished(() => void server.close());
      const testbed = await openProxy({
        flags: { endpointUrl: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] },
      });
      const body = Buffer.alloc(megabytes * 1_000_000, ' ');
      const headers = ['Host: localhost', `Content-Length: ${body.length}`];
      const line = 'POST /bedrock/model/amazon.nova-lite-v1:0/invoke HTTP/1.1';
      const statuses: number[] = [];
      for (let nth = 0; nth < 10; nth += 1) statuses.push((await ask(testbed.port, line, headers, body)).status);
      expect(statuses).toEqual(Array.from({ length: 10 }, () => 413));
      expect(testbed.records.map(({ chargedNanoUsd }) => chargedNanoUsd)).toEqual(statuses.map(() => 0));
    },
  );
});
