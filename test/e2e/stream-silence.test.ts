/**
 * AWS falls silent within a stream: with `--stream-idle-timeout` the client is told so, in the words of its stream, and
 * the ledger says that it has a part only. Without it, and while something comes, nothing is ever cut.
 * @module-tag slow
 */
import { setTimeout } from 'node:timers/promises';
import { request, type ServerResponse } from 'node:http';
import { describe, expect } from 'vitest';
import { decodeFrames, eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { openProxy, proxyTest } from '../helpers/proxy-test.ts';
import { dial, requestText } from '../helpers/raw-socket.ts';

const LIMIT_MS = 300;
const CONVERSE = '/bedrock/model/amazon.nova-lite-v1%3A0/converse-stream';
const START = eventFrame('messageStart', { role: 'assistant' });
const DELTA = eventFrame('contentBlockDelta', { delta: { text: 'Hi' }, contentBlockIndex: 0 });

// What waits to be complete is let go before the silence is too long, as most is with a limit of minutes.
const { it, testbed } = proxyTest({ config: { streamIdleTimeoutMs: LIMIT_MS }, bufferMs: 10 });

/** Sends these bytes, and then nothing more. */
function fallSilentAfter(contentType: string, bytes: Buffer | string): void {
  testbed.upstream.respondWith((_, response) => {
    response.writeHead(200, { 'content-type': contentType });
    response.write(bytes);
  });
}

/** All that came of a response over HTTP/1.1, and whether it came to its end. */
function read(path: string, body = '{}'): Promise<{ body: string; isWhole: boolean }> {
  return new Promise((resolve, reject) => {
    let hasBegun = false;
    const sent = request({ port: testbed.port, host: '127.0.0.1', method: 'POST', path }, (response) => {
      let text = '';
      hasBegun = true;
      response.setEncoding('latin1').on('data', (piece: string) => (text += piece));
      response.on('error', () => {}).on('close', () => resolve({ body: text, isWhole: response.complete }));
    });
    sent.on('error', (error) => hasBegun || reject(error)).end(body);
  });
}

describe('an event stream', () => {
  const EVENT_STREAM = 'application/vnd.amazon.eventstream';

  it('ends with a frame that says an exception', async () => {
    fallSilentAfter(EVENT_STREAM, Buffer.concat([START, DELTA, DELTA]));
    const ended = testbed.nextRecord();
    const { body, isWhole } = await read(CONVERSE);
    const frames = decodeFrames(Buffer.from(body, 'latin1'));
    expect(isWhole).toBe(true);
    expect(frames).toHaveLength(4);
    const { headers, body: payload } = frames[3] ?? { headers: {}, body: Buffer.alloc(0) };
    expect(Object.fromEntries(Object.entries(headers).map(([name, { value }]) => [name, value]))).toEqual({
      ':message-type': 'exception',
      ':exception-type': 'modelStreamErrorException',
      ':content-type': 'application/json',
    });
    expect(JSON.parse(Buffer.from(payload).toString())).toEqual({
      message: 'The upstream sent nothing for 0.3 seconds.',
    });
    expect(await ended).toMatchObject({ status: 200, partial: true, error: { code: 'ERR_UPSTREAM_TIMEOUT' } });
    expect(await testbed.upstream.requests[0]?.closed).toBe('broken');
  });

  it('ends so over HTTP/2 too', async () => {
    fallSilentAfter(EVENT_STREAM, START);
    await using client = openHttp2(testbed.port);
    const response = await client.ask({ ':method': 'POST', ':path': CONVERSE });
    expect(response).toMatchObject({ status: 200, isComplete: true });
    expect(decodeFrames(Buffer.from(response.body, 'latin1'))[1]?.headers[':exception-type']?.value).toBe(
      'modelStreamErrorException',
    );
  });

  it('is broken off if it fell silent within a frame', async () => {
    fallSilentAfter(EVENT_STREAM, Buffer.concat([START, DELTA.subarray(0, -3)]));
    expect(await read(CONVERSE)).toEqual({
      body: Buffer.concat([START, DELTA.subarray(0, -3)]).toString('latin1'),
      isWhole: false,
    });
  });

  it('is never cut while something comes, however long it takes', async () => {
    const gaps = 5;
    testbed.upstream.respondWith(async (_, response) => {
      startEventStream(response);
      for (let sent = 0; sent < gaps; sent += 1) {
        await setTimeout(LIMIT_MS / 2);
        response.write(DELTA);
      }
      response.end();
    });
    expect(await read(CONVERSE)).toEqual({
      body: Buffer.concat(Array.from({ length: gaps }, () => DELTA)).toString('latin1'),
      isWhole: true,
    });
    expect(testbed.records.at(-1)?.error).toBeUndefined();
  });

  it('is not cut if it is the client that takes nothing', async () => {
    const big = eventFrame('contentBlockDelta', { text: 'x'.repeat(100_000) });
    const count = 200;
    testbed.upstream.respondWith((_, response: ServerResponse) => {
      startEventStream(response);
      for (let sent = 0; sent < count; sent += 1) response.write(big);
      response.end();
    });
    await using raw = await dial(testbed.port);
    const ended = testbed.nextRecord();
    raw.socket.pause();
    await raw.send(requestText(`POST ${CONVERSE} HTTP/1.0`, ['Host: localhost', 'Content-Length: 0']));
    await setTimeout(3 * LIMIT_MS);
    raw.socket.resume();
    expect((await ended).error).toBeUndefined();
    expect(testbed.records[0]?.responseBytes).toBe(count * big.length);
  });

  it('may be silent for as long as AWS is let if no limit is set', async () => {
    const other = await openProxy();
    other.upstream.respondWith(async (_, response) => {
      startEventStream(response);
      response.write(START);
      await setTimeout(3 * LIMIT_MS);
      response.end(DELTA);
    });
    const response = await fetch(`${other.url}${CONVERSE.slice('/bedrock'.length)}`, { method: 'POST', body: '{}' });
    expect(Buffer.from(await response.arrayBuffer()).equals(Buffer.concat([START, DELTA]))).toBe(true);
  });
});

describe('server-sent events', () => {
  const SSE = 'text/event-stream; charset=utf-8';
  const message = 'The upstream sent nothing for 0.3 seconds.';

  it.each([
    {
      name: "Anthropic's",
      path: '/bedrock/anthropic/v1/messages',
      last: `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: 'timeout_error', message } })}\n\n`,
    },
    {
      name: "OpenAI's chat",
      path: '/bedrock/openai/v1/chat/completions',
      last: `data: ${JSON.stringify({ error: { message, type: 'server_error', param: null, code: 'ERR_UPSTREAM_TIMEOUT' } })}\n\n`,
    },
    {
      name: "OpenAI's responses",
      path: '/bedrock/openai/v1/responses',
      last: `event: error\ndata: ${JSON.stringify({ type: 'error', code: 'ERR_UPSTREAM_TIMEOUT', message, param: null })}\n\n`,
    },
  ])('say an error as in $name shape, and break', async ({ path, last }) => {
    const first = 'event: ping\r\ndata: {}\r\n\r\n';
    fallSilentAfter(SSE, first);
    const ended = testbed.nextRecord();
    const body = JSON.stringify({ model: 'anthropic.claude-sonnet-4-6', stream: true });
    expect(await read(path, body)).toEqual({ body: first + last, isWhole: false });
    expect((await ended).error?.code).toBe('ERR_UPSTREAM_TIMEOUT');
  });

  it('are broken off within an event', async () => {
    fallSilentAfter(SSE, 'data: {"a');
    expect(await read('/bedrock/openai/v1/chat/completions')).toEqual({ body: 'data: {"a', isWhole: false });
  });
});

it('breaks off what is neither', async () => {
  fallSilentAfter('application/json', '{"a":');
  expect(await read('/bedrock/model/amazon.nova-lite-v1%3A0/invoke')).toEqual({ body: '{"a":', isWhole: false });
});
