/** Large bodies on their way to AWS: whatever ends the sending, the temporary file and its handle are gone after it. */
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_ANNOUNCED_IN_MEMORY } from '../../src/http/body.ts';
import { findClosedPort, listen } from '../helpers/ports.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import type { Testbed } from '../helpers/testbed.ts';
import { ask } from '../helpers/raw-socket.ts';

const BODY = Buffer.alloc(MAX_ANNOUNCED_IN_MEMORY + 3_000_000, 'large body; ');
let testbed: Testbed;

afterEach(async () => {
  // The testbed still stands, and holds nothing.
  expect((await ask(testbed.port, 'GET /health HTTP/1.1', ['Host: localhost'])).status).toBe(200);
  while (openSpools() > 0) await new Promise((resolve) => setImmediate(resolve));
});

/** Handles of this process, in which the testbed stands as well. */
function openSpools(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('bedrock-proxy-');
    } catch {
      return false;
    }
  }).length;
}

/** A testbed before an upstream that does with a connection what the test says. */
async function openBefore(onConnection: (socket: Socket) => void): Promise<void> {
  const server = createServer((socket) => onConnection(socket.on('error', () => {})));
  testbed = await openProxy({ flags: { endpointUrl: [`http://127.0.0.1:${await listen(server)}`] } });
}

function send() {
  const sent = request({ host: '127.0.0.1', port: testbed.port, method: 'POST', path: '/bedrock/model/a/invoke' });
  sent.on('error', () => {});
  sent.end(BODY);
  return sent;
}

describe.runIf(process.platform === 'linux')('a large body is let go', () => {
  it('releases a large body if the client leaves while AWS does not take it', async () => {
    const connected = Promise.withResolvers<void>();
    await openBefore((socket) => {
      socket.pause();
      connected.resolve();
    });
    const over = testbed.nextRecord();
    const sent = send();
    await connected.promise;
    expect(openSpools()).toBe(1);
    sent.destroy();
    expect((await over).error?.code).toBe('ERR_CLIENT_GONE');
  });

  it('releases a large body if AWS breaks off in its middle', async () => {
    await openBefore((socket) => void socket.once('data', () => socket.resetAndDestroy()));
    const over = testbed.nextRecord();
    const [response] = (await once(send(), 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect(response.statusCode).toBe(502);
    expect((await over).error?.code).toBe('ERR_UPSTREAM_RESET');
  });

  it('releases a large body if AWS responds before it has read it', async () => {
    await openBefore((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno'));
    });
    const over = testbed.nextRecord();
    const [response] = (await once(send(), 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect([response.statusCode, (await over).error]).toEqual([400, undefined]);
  });

  it('releases a large body if AWS cannot be reached', async () => {
    testbed = await openProxy({ flags: { endpointUrl: [`http://127.0.0.1:${await findClosedPort()}`] } });
    const over = testbed.nextRecord();
    const [response] = (await once(send(), 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect(response.statusCode).toBe(502);
    expect((await over).requestBytes).toBe(BODY.length);
  });
});

it('carries many large bodies at once whole, more than their memory holds', async () => {
  testbed = await openProxy();
  const { upstream, url } = testbed;
  upstream.respondWith((_request, response) => void response.end('{}'));
  const large = Buffer.alloc(3_000_000, 'y');
  const sending = Array.from({ length: 20 }, () => fetch(`${url}/model/m/invoke`, { method: 'POST', body: large }));
  expect(new Set((await Promise.all(sending)).map(({ status }) => status))).toEqual(new Set([200]));
  expect(upstream.requests.every(({ body }) => body.equals(large))).toBe(true);
});
