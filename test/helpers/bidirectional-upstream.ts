/**
 * A stand-in for AWS on the bidirectional stream: an HTTP/2 server that verifies the signature of every request and of
 * every frame, as each arrives, and answers while the request goes on. Frames are taken apart with the codec of the AWS
 * SDK, which shares no code with ours. A wrong signature is noted in `failures`, so that a test's clean-up can demand
 * that there were none.
 */
import { parseTarget } from '../../src/http/target.ts';
import { EventStreamCodec } from '@smithy/eventstream-codec';
import { createSecureServer, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { deriveSigningKey, formatTimestamp, signFrame } from '../../src/protocol/sigv4/key.ts';
import { parseSigV4, type ParsedSignature } from '../../src/protocol/sigv4/parse.ts';
import { verifySigV4 } from '../../src/protocol/sigv4/verify.ts';
import type { HeaderPair } from '../../src/http/message.ts';

/** One stream as it comes. */
export interface BidirectionalCall {
  /** To answer with, pause, reset. */
  readonly stream: ServerHttp2Stream;
  readonly rawTarget: string;
  readonly headers: readonly HeaderPair[];
  /** Payloads of the outer frames so far; the last one is empty where the stream was ended in order. */
  readonly inner: readonly Buffer[];
  /** Bytes of the request's body so far. */
  readonly bytesRead: number;
  /** How the request ended: with an empty frame and END_STREAM, with END_STREAM alone, or not at all. */
  readonly over: Promise<'ended' | 'torso' | 'reset'>;
  header(lowerCaseName: string): string | undefined;
}

/** What happens on a stream; nothing that is not given happens. Only streams that are signed right get here. */
export interface CallHandler {
  onOpen?(call: BidirectionalCall): void;
  /** A verified frame, without the one that ends the stream. */
  onFrame?(call: BidirectionalCall, inner: Buffer): void;
  onEnd?(call: BidirectionalCall): void;
}

export interface BidirectionalUpstream extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:port`, or `https://localhost:port`. */
  readonly origin: string;
  readonly calls: readonly BidirectionalCall[];
  /** One line per request or frame that was not signed right. */
  readonly failures: string[];
  /** How the streams from now on are answered; `ECHO` unless said otherwise. */
  respondWith(handler: CallHandler): void;
  /** The next stream to be opened from now on. */
  nextCall(): Promise<BidirectionalCall>;
  close(): Promise<void>;
}

/** What a stand-in expects. */
export interface BidirectionalUpstreamOptions {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Speak TLS (ALPN `h2`) instead of cleartext. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** Responds at once, and sends every inner frame back as it comes. */
export const ECHO: CallHandler = {
  onOpen: ({ stream }) => startEvents(stream),
  onFrame: ({ stream }, inner) => void stream.write(inner),
  onEnd: ({ stream }) => stream.end(),
};

/** Responses 200 and the headers of an event stream. */
export function startEvents(stream: ServerHttp2Stream): void {
  stream.respond({
    ':status': 200,
    'content-type': 'application/vnd.amazon.eventstream',
    'x-amzn-requestid': '00000000-0000-4000-8000-000000000003',
  });
}

const CODEC = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString(),
  (text) => Buffer.from(text),
);

/** Starts one on loopback and a port of its own. */
export async function startBidirectionalUpstream(
  options: BidirectionalUpstreamOptions,
): Promise<BidirectionalUpstream> {
  const calls: BidirectionalCall[] = [];
  const failures: string[] = [];
  const waiting: ((call: BidirectionalCall) => void)[] = [];
  const close = new AbortController();
  let handler: CallHandler = ECHO;
  const server: Http2Server = options.tls === undefined ? createServer() : createSecureServer(options.tls);
  server.on('session', (session) => {
    session.on('error', () => {});
    close.signal.addEventListener('abort', () => session.destroy());
  });
  server.on('sessionError', () => {});
  server.on('stream', (stream, _headers, _flags, rawHeaders) => {
    stream.on('error', () => {});
    const call = new Call(stream, rawHeaders as unknown as readonly string[]);
    const refusal = call.verifyRequest(options);
    if (refusal !== undefined) {
      failures.push(refusal);
      stream.respond({ ':status': 403, 'x-amzn-errortype': 'InvalidSignatureException' });
      return void stream.end(JSON.stringify({ message: refusal }));
    }
    calls.push(call);
    call.listen(handler, (failure) => failures.push(failure));
    for (const tell of waiting.splice(0)) tell(call);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    close.abort();
    await closed;
  };
  return {
    port,
    origin: options.tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    calls,
    failures,
    respondWith: (next) => {
      handler = next;
    },
    nextCall: () => new Promise((resolve) => waiting.push(resolve)),
    close: stop,
    [Symbol.asyncDispose]: stop,
  };
}

class Call implements BidirectionalCall {
  readonly stream: ServerHttp2Stream;
  readonly rawTarget: string;
  readonly headers: readonly HeaderPair[];
  readonly inner: Buffer[] = [];
  readonly over: Promise<'ended' | 'torso' | 'reset'>;
  bytesRead = 0;
  #resolveOver: (how: 'ended' | 'torso' | 'reset') => void = () => {};
  readonly #pseudo: ReadonlyMap<string, string>;
  #signature: ParsedSignature | undefined;
  #priorSignature = '';
  #secret = '';
  #pending: Buffer = Buffer.alloc(0);
  readonly #chunks: Buffer[] = [];
  #chunkBytes = 0;

  constructor(stream: ServerHttp2Stream, rawHeaders: readonly string[]) {
    const pairs: HeaderPair[] = [];
    for (let index = 0; index < rawHeaders.length; index += 2) {
      pairs.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']);
    }
    this.stream = stream;
    this.#pseudo = new Map(pairs.filter(([name]) => name.startsWith(':')));
    this.headers = pairs.filter(([name]) => !name.startsWith(':'));
    this.rawTarget = this.#pseudo.get(':path') ?? '';
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
  }

  header(lowerCaseName: string): string | undefined {
    return this.headers.find(([name]) => name === lowerCaseName)?.[1];
  }

  /** Why the request is not signed right; undefined where it is. */
  verifyRequest({ accessKeyId, secretAccessKey }: BidirectionalUpstreamOptions): string | undefined {
    const parsed = parseSigV4({
      method: this.#pseudo.get(':method') ?? '',
      target: parseTarget(this.rawTarget),
      headers: this.headers,
      authority: this.#pseudo.get(':authority'),
    });
    if (parsed === undefined) return 'the request is not signed';
    if (parsed.accessKeyId !== accessKeyId) return `signed with the access key id ${parsed.accessKeyId}`;
    if (this.header('x-amz-content-sha256') !== 'STREAMING-AWS4-HMAC-SHA256-EVENTS') return 'not signed as a stream';
    const signingKey = deriveSigningKey(secretAccessKey, parsed.scope);
    const verdict = verifySigV4({ parsed, signingKey, bodySha256Hex: undefined, nowMs: Date.now() });
    if (!verdict.ok) return verdict.detail;
    this.#signature = parsed;
    this.#priorSignature = verdict.signature;
    this.#secret = secretAccessKey;
    return undefined;
  }

  listen(handler: CallHandler, onFailure: (failure: string) => void): void {
    const { stream } = this;
    stream.on('data', (chunk: Buffer) => {
      this.bytesRead += chunk.length;
      if (!this.#gather(chunk)) return;
      for (const inner of this.#takeFrames(onFailure)) {
        this.inner.push(inner);
        if (inner.length > 0) handler.onFrame?.(this, inner);
      }
    });
    stream.on('aborted', () => this.#resolveOver('reset'));
    stream.on('close', () => this.#resolveOver('reset'));
    stream.on('end', () => {
      // Node says `end` after some resets as well.
      if (stream.aborted || (stream.rstCode ?? 0) !== 0) return this.#resolveOver('reset');
      const isWhole = this.#chunkBytes === 0 && this.#pending.length === 0 && this.inner.at(-1)?.length === 0;
      this.#resolveOver(isWhole ? 'ended' : 'torso');
      handler.onEnd?.(this);
    });
    handler.onOpen?.(this);
  }

  /** False as long as not even one frame is whole; large ones come in many pieces. */
  #gather(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    const [first = chunk] = this.#pending.length > 0 ? [this.#pending] : this.#chunks;
    const isWhole = first.length < 4 || this.#pending.length + this.#chunkBytes >= first.readUInt32BE();
    if (!isWhole) return false;
    this.#pending = Buffer.concat([this.#pending, ...this.#chunks.splice(0)]);
    this.#chunkBytes = 0;
    return true;
  }

  *#takeFrames(onFailure: (failure: string) => void): Generator<Buffer> {
    while (this.#pending.length >= 4 && this.#pending.length >= this.#pending.readUInt32BE()) {
      const length = this.#pending.readUInt32BE();
      const { headers, body } = CODEC.decode(this.#pending.subarray(0, length));
      this.#pending = this.#pending.subarray(length);
      const date = headers[':date'];
      const signature = headers[':chunk-signature'];
      const scope = this.#signature?.scope;
      if (date?.type !== 'timestamp' || signature?.type !== 'binary' || Object.keys(headers).length !== 2) {
        onFailure('a frame has other headers than :date and :chunk-signature');
      } else if (scope !== undefined) {
        const dateMs = date.value.getTime();
        const dayScope = { ...scope, date: formatTimestamp(dateMs).slice(0, 8) };
        const expected = signFrame({
          signingKey: deriveSigningKey(this.#secret, dayScope),
          scope: dayScope,
          priorSignature: this.#priorSignature,
          dateMs,
          payload: body,
        });
        if (expected !== Buffer.from(signature.value).toString('hex')) onFailure('a frame is not signed right');
        this.#priorSignature = expected;
      }
      yield Buffer.from(body);
    }
  }
}
