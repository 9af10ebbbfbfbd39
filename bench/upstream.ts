/**
 * The bench's stand-in for Bedrock, a process of its own: plain node:http and node:http2 on loopback, as cheap as can
 * be. It verifies no signature, it only says (in `x-bench-signed`) whether there was one. The model in the path says
 * how to respond: `small` a short Converse response, `paced-COUNT-GAP` a stream of COUNT events GAP milliseconds apart,
 * `silent` one event and then nothing, until the client leaves.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { encodeStampedEvent } from './frames.ts';

/** Longer than any pause of the bench, so that no connection is opened twice. */
const KEEP_ALIVE_TIMEOUT_MS = 300_000;

const SMALL_RESPONSE = Buffer.from(
  JSON.stringify({
    output: { message: { role: 'assistant', content: [{ text: 'The capital of France is Paris.' }] } },
    stopReason: 'end_turn',
    usage: { inputTokens: 14, outputTokens: 8, totalTokens: 22 },
    metrics: { latencyMs: 1 },
  }),
);
const DELTA = '{"contentBlockIndex":0,"delta":{"text":" a few words of the response"},';
const USAGE = '{"usage":{"inputTokens":14,"outputTokens":200,"totalTokens":214},"metrics":{"latencyMs":9},';

function serve(request: IncomingMessage, response: ServerResponse): void {
  const isSigned = request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') === true;
  response.setHeader('x-bench-signed', String(isSigned));
  response.setHeader('x-amzn-requestid', '00000000-0000-4000-8000-000000000001');
  const model = /^\/model\/bench\.([^/]+)\//.exec(request.url ?? '')?.[1] ?? '';
  request.on('end', () => respond(model, response));
  request.resume();
}

function respond(model: string, response: ServerResponse): void {
  if (model === 'small') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': SMALL_RESPONSE.length });
    response.end(SMALL_RESPONSE);
    return;
  }
  response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
  response.write(encodeStampedEvent('messageStart', '{"role":"assistant",'));
  const [, count, gapMs] = /^paced-(\d+)-(\d+)$/.exec(model) ?? [];
  if (count !== undefined) sendPaced(response, Number(count), Number(gapMs));
}

function sendPaced(response: ServerResponse, count: number, gapMs: number): void {
  let left = count - 2;
  const timer = setInterval(() => {
    left -= 1;
    if (left >= 0) return void response.write(encodeStampedEvent('contentBlockDelta', DELTA));
    clearInterval(timer);
    response.end(encodeStampedEvent('metadata', USAGE));
  }, gapMs);
  response.on('close', () => clearInterval(timer));
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 }, () => resolve((server.address() as AddressInfo).port));
  });
}

const http1 = createServer({ keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS, requestTimeout: 0 }, serve);
// Node's HTTP/2 server hands over the same two objects as far as `serve` uses them.
const serveHttp2 = serve as unknown as Parameters<typeof createHttp2Server>[1];
const http2 = createHttp2Server({ settings: { maxConcurrentStreams: 1_000 } }, serveHttp2);
process.send?.({ ready: { port: await listen(http1), http2Port: await listen(http2) } });
