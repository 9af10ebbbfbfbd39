/**
 * The relay of bidirectional streams between real sockets: a client over HTTP/2 on one side, an upstream that verifies
 * every signature on the other.
 */
import { type ClientHttp2Stream, createServer, type ServerHttp2Stream } from 'node:http2';
import { expect, onTestFinished } from 'vitest';
import { EVENT_STREAM_BODY } from '../../src/protocol/sigv4/frame-chain.ts';
import { sendError } from '../../src/http/send-response.ts';
import { type ProxyError, toProxyError } from '../../src/lib/errors.ts';
import { adaptHttp2 } from '../../src/server/client-http2.ts';
import { type BidirectionalOptions, createBidirectionalForwarder } from '../../src/upstream/aws/bidirectional.ts';
import { signRequest } from '../../src/upstream/aws/sign.ts';
import { type BidirectionalUpstream, type CallHandler, startBidirectionalUpstream } from './bidirectional-upstream.ts';
import { eventFrame } from './event-frames.ts';
import { type Http2Client, openHttp2 } from './http2-client.ts';
import { IDLE_OBSERVER, PASS_ON } from './idle-observer.ts';
import { listen } from './ports.ts';
import { AWS_PAIR } from './testbed.ts';

const TARGET = '/model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream';
export const EVENT_STREAM_TYPE = 'application/vnd.amazon.eventstream';
/** A frame as a client sends it. */
export const FRAME = eventFrame('chunk', { bytes: 'aGVsbG8=' });

export interface RelayOptions extends Partial<BidirectionalOptions> {
  readonly handler?: CallHandler;
  /** Instead of the fake upstream. */
  readonly origin?: string;
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly checkFrame?: () => void;
  readonly holdBytes?: (sizeBytes: number) => void;
}

export interface Relay {
  readonly client: Http2Client;
  readonly upstream: BidirectionalUpstream;
  /** How the first exchange ended: undefined where it was complete. */
  readonly outcome: Promise<ProxyError | undefined>;
}

/**
 * Starts client, relay and upstream for the test that runs, each on sockets of its own. After it, every signature must
 * have been right, and all are closed.
 */
export async function openRelay(options: RelayOptions = {}): Promise<Relay> {
  const { tls } = options;
  const upstream = await startBidirectionalUpstream({ ...AWS_PAIR, ...(tls === undefined ? {} : { tls }) });
  onTestFinished(() => upstream[Symbol.asyncDispose]());
  if (options.handler !== undefined) upstream.respondWith(options.handler);
  const timeouts = { connectTimeoutMs: 10_000, idleTimeoutMs: 60_000 };
  const relay = createBidirectionalForwarder({ ...timeouts, nowMs: Date.now, ...options });
  const server = createServer();
  const outcome = new Promise<ProxyError | undefined>((resolve) => {
    server.on('stream', (stream, _headers, _flags, rawHeaders) => {
      stream.on('error', () => {});
      void serve(stream, rawHeaders as unknown as readonly string[]).then(resolve);
    });
  });
  const serve = async (stream: ServerHttp2Stream, rawHeaders: readonly string[]): Promise<ProxyError | undefined> => {
    const [clientRequest, clientResponse] = adaptHttp2(stream, rawHeaders);
    const origin = options.origin ?? upstream.origin;
    try {
      const request = await signFor(origin);
      const holdBytes = options.holdBytes ?? ((): void => {});
      const client = { clientRequest, clientResponse, checkFrame: options.checkFrame, holdBytes };
      await relay.relay(request, client, IDLE_OBSERVER, PASS_ON);
      return undefined;
    } catch (thrown) {
      const error = toProxyError(thrown);
      sendError(error, clientResponse, '00000000-0000-4000-8000-000000000009');
      return error;
    }
  };
  const port = await listen(server);
  onTestFinished(() => expect(upstream.failures).toEqual([]));
  const client = openHttp2(port);
  onTestFinished(() => client[Symbol.asyncDispose]());
  return { client, upstream, outcome };
}

async function signFor(
  origin: string,
): Promise<Parameters<ReturnType<typeof createBidirectionalForwarder>['relay']>[0]> {
  const signedWith = { credentials: AWS_PAIR, region: 'us-east-1', signingName: 'bedrock' };
  const signedHeaders = await signRequest({
    ...signedWith,
    method: 'POST',
    host: new URL(origin).host,
    target: { path: TARGET, query: undefined },
    headers: [['content-type', EVENT_STREAM_TYPE]],
    bodySha256: EVENT_STREAM_BODY.sha256,
    signingDate: new Date(),
  });
  return { method: 'POST', origin, target: TARGET, headers: signedHeaders, signedWith };
}

/** The headers that open a stream. */
export function streamHeaders(): Record<string, string> {
  return { ':method': 'POST', ':path': TARGET, 'content-type': EVENT_STREAM_TYPE };
}

/** Opens a stream and leaves it open. */
export function openStream(client: Http2Client): ClientHttp2Stream {
  return client.open(streamHeaders(), { endStream: false });
}

/** The next bytes of a stream, exactly so many. */
export function nextBytes(stream: ClientHttp2Stream, count: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      if (bytes.length < count) return;
      stream.off('data', onData);
      resolve(bytes);
    };
    stream.on('data', onData);
  });
}

/** Writes `count` frames one after the other and ends; `bytes` counts what the stream has taken off our hands. */
export function writeAll(
  stream: ClientHttp2Stream | ServerHttp2Stream,
  frame: Buffer,
  count: number,
): { bytes: number } {
  const written = { bytes: 0 };
  const writeNext = (left: number): void => {
    if (left === 0) return void stream.end();
    stream.write(frame, (error) => {
      if (error) return;
      written.bytes += frame.length;
      writeNext(left - 1);
    });
  };
  writeNext(count);
  return written;
}

/** Resolves when a figure has stopped growing: nothing else tells that everybody waits for somebody. */
export async function untilStill(read: () => number): Promise<void> {
  let before = -1;
  for (let unchanged = 0; unchanged < 5;) {
    await new Promise((resolve) => setTimeout(resolve, 40));
    unchanged = read() === before ? unchanged + 1 : 0;
    before = read();
  }
}
