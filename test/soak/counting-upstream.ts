/**
 * What stands in for AWS under the soak of several proxies, and keeps account: which request it has responded to in
 * full, through which proxy, and what it bills for it. Each proxy has a port of its own.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventFrame } from '../helpers/event-frames.ts';

/** A request that was responded to in full. */
export interface Bill {
  /** `x-amzn-requestid`: the ledger has it. */
  readonly id: string;
  /** What the request's text says: whose it is. */
  readonly key: string;
  readonly proxy: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** `performance.now()` when its last byte was written. */
  readonly endedAt: number;
}

/** It, and what it has billed. */
export interface CountingUpstream extends AsyncDisposable {
  /** One for each proxy. */
  readonly ports: readonly number[];
  readonly bills: readonly Bill[];
  /** Requests that came, of any kind. */
  readonly requests: number;
  readonly faults: readonly string[];
}

/** What it says when it fails, as AWS does now and then. */
export const UPSTREAM_ERROR = 'It did not work.';
const DELTA = eventFrame('contentBlockDelta', { delta: { text: 'Hello' }, contentBlockIndex: 0 });

/** Starts it on loopback. `random` decides what is responded. */
export async function startCountingUpstream(proxies: number, random: () => number): Promise<CountingUpstream> {
  const bills: Bill[] = [];
  const faults: string[] = [];
  let requests = 0;
  const respond = async (proxy: number, url: string, body: string, response: ServerResponse): Promise<void> => {
    const key = /"text":"(\w+)"/.exec(body)?.[1];
    if (key === undefined) faults.push(`a body that nobody sent: ${body.slice(0, 80)}`);
    const dice = random();
    const id = randomUUID();
    response.setHeader('x-amzn-requestid', id);
    if (dice < 0.03) return sendError(response, 429, 'ThrottlingException');
    if (dice < 0.04) return sendError(response, 500, 'InternalServerException');
    if (dice < 0.05) return void response.socket?.resetAndDestroy();
    // No tokenizer makes more tokens than there are bytes.
    const usage = {
      inputTokens: 1 + Math.floor((random() * body.length) / 3),
      outputTokens: 1 + Math.floor(random() * 20),
    };
    const whole = { usage: { ...usage, totalTokens: usage.inputTokens + usage.outputTokens } };
    const note = (): void => void bills.push({ id, key: key ?? '', proxy, ...usage, endedAt: performance.now() });
    if (!url.endsWith('/converse-stream')) {
      if (dice < 0.3) await pauseFor(random() * 40);
      const text = JSON.stringify(whole);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
      return void response.end(text, note);
    }
    response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
    for (let sent = Math.floor(random() * 12); sent > 0 && !response.destroyed; sent -= 1) {
      response.write(DELTA);
      await pauseFor(random() * 15);
    }
    if (dice < 0.08) return void response.socket?.resetAndDestroy();
    response.end(eventFrame('metadata', whole), note);
  };
  const servers = Array.from({ length: proxies }, (_, proxy) =>
    createServer((request, response) => {
      requests += 1;
      response.on('error', () => {});
      if (request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') !== true) faults.push('not signed');
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
      request.on('end', () => void respond(proxy, request.url ?? '', Buffer.concat(chunks).toString(), response));
    }),
  );
  for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    ports: servers.map((server) => (server.address() as AddressInfo).port),
    bills,
    faults,
    get requests() {
      return requests;
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

function sendError(response: ServerResponse, status: number, type: string): void {
  const body = JSON.stringify({ message: UPSTREAM_ERROR });
  response.writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': type }).end(body);
}

function pauseFor(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
