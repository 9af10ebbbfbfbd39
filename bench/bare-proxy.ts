/**
 * The yardstick: the least a streaming proxy on node:http and undici can do, a process of its own. It takes the origin
 * from its first argument and relays; it neither signs nor authenticates, hashes nothing, buffers nothing, logs
 * nothing.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, type Dispatcher } from 'undici';

const HOP_BY_HOP = new Set(['connection', 'host', 'keep-alive', 'transfer-encoding']);
const origin = process.argv[2] ?? '';
const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 300_000 });

class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#response.on('drain', () => controller.resume());
    this.#response.on('close', () => {
      if (!this.#response.writableFinished) controller.abort(new Error('the client left'));
    });
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const headers = (controller.rawHeaders as Buffer[]).map(String);
    this.#response.writeHead(status, keepEndToEnd(headers));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#response.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(): void {
    this.#response.destroy();
  }
}

function keepEndToEnd(flat: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = flat[index] ?? '';
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, flat[index + 1] ?? '');
  }
  return kept;
}

const server = createServer({ keepAliveTimeout: 300_000, requestTimeout: 0 }, (request: IncomingMessage, response) => {
  const { method = 'GET', url = '/', rawHeaders } = request;
  agent.dispatch({ origin, path: url, method, headers: keepEndToEnd(rawHeaders), body: request }, new Relay(response));
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 }, () => {
  process.send?.({ ready: { port: (server.address() as AddressInfo).port } });
});
