/**
 * When a request is sent a second time: after the end of a kept connection that nobody answered on, and never after
 * anything else that breaks. What was never seen by AWS is never charged.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { RequestRecord } from '../../src/domain/request-record.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { ask } from '../helpers/raw-socket.ts';

const BODY = JSON.stringify({ usage: { inputTokens: 10, outputTokens: 1, totalTokens: 11 } });
const WHOLE = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`;
const BUDGET = { limitNanoUsd: 1e12, windowMs: undefined, anchorMs: 0 };

type Step = (socket: Socket, server: Server) => void;
const respond: Step = (socket) => void socket.write(WHOLE);
const end: Step = (socket) => void socket.end();
const late: Step = (socket) => void setTimeout(() => socket.end(), 2_200);
const closeAll: Step = (socket, server) => {
  server.close();
  socket.end();
};
const reset: Step = (socket) => void socket.resetAndDestroy();

/** An upstream that does with each request, in their order, what it is told; `seen` has the connection of each. */
async function startUpstream(steps: readonly Step[]): Promise<{ port: number; seen: number[] }> {
  const seen: number[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    const connection = (connections += 1);
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (!text.endsWith('{"messages":[]}')) return;
      text = '';
      seen.push(connection);
      steps[seen.length - 1]?.(socket, server);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, seen };
}

/** Sends as many requests as there are statuses, one after the other, with a key that has a budget. */
async function send(port: number, statuses: readonly number[]): Promise<RequestRecord> {
  const testbed = await openProxy({ flags: { endpointUrl: [`http://127.0.0.1:${port}`] } });
  const { key } = await testbed.mint('k', { policy: { ...EMPTY_POLICY, budget: BUDGET } });
  for (const status of statuses) {
    const headers = ['Host: localhost', `Authorization: Bearer ${key}`, 'Content-Length: 15'];
    const path = '/bedrock/model/amazon.nova-lite-v1:0/converse';
    const record = testbed.nextRecord();
    const response = await ask(testbed.port, `POST ${path} HTTP/1.1`, headers, '{"messages":[]}');
    expect(response.status).toBe(status);
    await record;
  }
  const last = testbed.records.at(-1);
  if (last === undefined) throw new Error('there was no request');
  return last;
}

/** Nova Lite: 60 nano-dollars an input token, 240 an output token. */
const COST = 10 * 60 + 240;

/** What was reserved for the output is never charged: only what a model may have written in the time it took. */
function maxChargeOf({ sentMs = 0, totalMs = 0 }: RequestRecord): number {
  return 30 * 60 + Math.ceil(((totalMs - sentMs) / 1_000) * 200) * 240;
}

describe('a kept connection that ends before one byte of a response', () => {
  it('is answered by a second try on a fresh connection, and costs what that cost', async () => {
    const upstream = await startUpstream([respond, end, respond]);
    const record = await send(upstream.port, [200, 200]);
    expect(upstream.seen).toEqual([1, 1, 2]);
    expect(record).toMatchObject({ status: 200, error: undefined, chargedNanoUsd: COST });
  });

  it('is tried once more, not twice', async () => {
    const upstream = await startUpstream([respond, end, end, respond]);
    const record = await send(upstream.port, [200, 502]);
    expect(upstream.seen).toEqual([1, 1, 2]);
    expect(record.error?.code).toBe('ERR_UPSTREAM_RESET');
    expect(record.chargedNanoUsd).toBeLessThanOrEqual(maxChargeOf(record));
  });

  it('costs nothing if there is no second connection', async () => {
    const upstream = await startUpstream([respond, closeAll]);
    const record = await send(upstream.port, [200, 502]);
    expect(record).toMatchObject({
      error: { code: 'ERR_UPSTREAM_UNREACHABLE' },
      pricing: 'free',
      chargedNanoUsd: 0,
    });
  });
});

describe('is not sent again', () => {
  it.each([
    { name: 'a request on a fresh connection', steps: [end, respond], statuses: [502], seen: [1] },
    {
      name: 'a request whose connection is reset',
      steps: [respond, reset, respond],
      statuses: [200, 502],
      seen: [1, 1],
    },
    {
      name: 'a request of whose response one byte came',
      steps: [respond, (socket: Socket) => void socket.end('H'), respond],
      statuses: [200, 502],
      seen: [1, 1],
    },
  ])('$name', async ({ steps, statuses, seen }) => {
    const upstream = await startUpstream(steps);
    const record = await send(upstream.port, statuses);
    expect(upstream.seen).toEqual(seen);
    expect(record.error?.code).toBe('ERR_UPSTREAM_RESET');
    expect(record.chargedNanoUsd).toBeLessThanOrEqual(maxChargeOf(record));
  });

  it('a request whose kept connection ends after a while', { timeout: 10_000 }, async () => {
    const upstream = await startUpstream([respond, late, respond]);
    await send(upstream.port, [200, 502]);
    expect(upstream.seen).toEqual([1, 1]);
  });
});
