/**
 * Clients that take nothing of their response, which is longer than all buffers between: cut off after a while, so that
 * slot, memory and the connection to AWS are free again. Whoever reads, or waits for AWS, is left alone.
 * @module-tag slow
 */
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { requestText } from '../helpers/raw-socket.ts';

const LIMIT_MS = 1_000;
const TARGET = '/bedrock/model/amazon.nova-lite-v1%3A0/converse-stream';
const PIECE = Buffer.alloc(64 * 1024, 'x');
/** More than the buffers of all sockets between. */
const MANY = 1_000;

const { it, testbed } = proxyTest({ unreadMs: LIMIT_MS });

/** Writes as fast as it is read. */
function write(response: ServerResponse, pieces: number): void {
  let left = pieces;
  const go = (): void => {
    while (left > 0) {
      left -= 1;
      if (!response.write(PIECE)) return void response.once('drain', go);
    }
    response.end();
  };
  response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
  go();
}

/** The next request gets a response without end; says when AWS's side of it is over. */
function nextEndless(): Promise<void> {
  return new Promise((resolve) => {
    testbed.upstream.respondWith((request, response) => {
      void request.closed.then(() => resolve());
      write(response, Infinity);
    });
  });
}

/** A client of HTTP/1.1 that has asked and reads nothing by itself. */
function askUnread(token?: string) {
  const socket = connect(testbed.port, '127.0.0.1').pause();
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  const authorization = token === undefined ? [] : [`Authorization: Bearer ${token}`];
  socket.write(requestText(`POST ${TARGET} HTTP/1.1`, ['Host: localhost', ...authorization]));
  return socket;
}

describe('a client that reads nothing', () => {
  it('is cut off over HTTP/1.1, and its key has its slot again', async () => {
    const key = await testbed.mint('alice', { policy: { ...EMPTY_POLICY, maxParallel: 1 } });
    const over = nextEndless();
    const record = testbed.nextRecord();
    const socket = askUnread(key.key);
    let end = '';
    socket.on('data', (chunk: Buffer) => (end = (end + chunk.toString('latin1')).slice(-20)));
    socket.pause();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    expect(await record).toMatchObject({ status: 200, error: { code: 'ERR_CLIENT_GONE' }, partial: true });
    await over;
    socket.resume();
    await closed;
    // Node 22 shows no reset to who did not read; what is there has no last chunk in any case.
    expect(end.endsWith('0\r\n\r\n')).toBe(false);
    expect(end).not.toBe('');
    testbed.upstream.respondWith((_, response) => void response.end('ok'));
    const next = testbed.nextRecord();
    askUnread(key.key).resume();
    expect(await next).toMatchObject({ status: 200, error: undefined });
  });

  it('loses its stream over HTTP/2, however busy the others on its session are', async () => {
    const over = nextEndless();
    await using client = openHttp2(testbed.port);
    const unread = client.open({ ':method': 'POST', ':path': TARGET });
    unread.pause();
    const ping = setInterval(() => client.session.destroyed || client.session.ping(() => {}), LIMIT_MS / 10);
    onTestFinished(() => clearInterval(ping));
    await new Promise((resolve) => unread.once('response', resolve));
    await over;
    const response = readHttp2Response(unread);
    unread.resume();
    expect((await response).isComplete).toBe(false);
    testbed.upstream.respondWith((_, second) => void second.end('ok'));
    expect(await client.ask({ ':method': 'POST', ':path': TARGET })).toMatchObject({ status: 200, isComplete: true });
  });
});

describe('left alone is', () => {
  it('a client that reads slowly, with rests', async () => {
    testbed.upstream.respondWith((_, response) => write(response, MANY));
    const record = testbed.nextRecord();
    const socket = askUnread();
    for (let turn = 0; turn < 4; turn += 1) {
      await delay(LIMIT_MS * 0.7);
      for (let bite = 0; bite < 100; bite += 1) {
        socket.read();
        await delay(1);
      }
    }
    socket.resume();
    expect((await record).error).toBeUndefined();
  });

  it('a client that waits for AWS, which is silent', async () => {
    testbed.upstream.respondWith(async (_, response) => {
      await delay(LIMIT_MS * 1.5);
      response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
      response.write(PIECE);
      await delay(LIMIT_MS * 1.5);
      response.end();
    });
    const record = testbed.nextRecord();
    askUnread().resume();
    expect(await record).toMatchObject({ status: 200, error: undefined, responseBytes: PIECE.length });
  });
});
