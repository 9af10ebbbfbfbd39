/**
 * A scriptable stand-in for AWS, for tests of the proxy: an HTTP/1.1 server on loopback that records every request as
 * it came, verifies every signature, and answers as the test says. A wrong signature is answered 403 and noted in
 * `failures`, so that a test's clean-up can demand that there were none.
 */
import { parseTarget } from '../../src/http/target.ts';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { canonicalRequest } from '../../src/protocol/sigv4/canonical.ts';
import { deriveSigningKey, sha256Hex } from '../../src/protocol/sigv4/key.ts';
import { parseSigV4, type ParsedSignature } from '../../src/protocol/sigv4/parse.ts';
import { verifySigV4 } from '../../src/protocol/sigv4/verify.ts';
import type { HeaderPair } from '../../src/http/message.ts';

/** What AWS knows of an access key id. */
export interface FakeSigner {
  readonly secretAccessKey: string;
  /** Where given, every request must carry and sign it. */
  readonly sessionToken?: string;
  /** From then on, its requests are refused with ExpiredTokenException, which is no fault. */
  readonly expiresAtMs?: number;
}

/** Whose signatures are right: one pair's, or those of whatever `findSigner` knows. */
export type FakeUpstreamOptions = (
  | (FakeSigner & { readonly accessKeyId: string })
  | { readonly findSigner: (accessKeyId: string) => FakeSigner | undefined }
) & {
  /** The region that a signature must be scoped to, if not any. */
  readonly regionOf?: (rawTarget: string) => string | undefined;
  /** Bearer tokens that are let in unsigned; default none. */
  readonly bearerTokens?: ReadonlySet<string>;
  /** The clock signatures are verified by; default the real one. */
  readonly nowMs?: () => number;
};

/** One request as it arrived, whole. */
export interface UpstreamRequest {
  readonly method: string;
  readonly rawTarget: string;
  /** In wire order and case. */
  readonly headers: readonly HeaderPair[];
  readonly body: Buffer;
  /** Undefined where the request was unsigned or its signature malformed. */
  readonly signature: ParsedSignature | undefined;
  /** What the signature had to cover, to show when it did not. */
  readonly canonicalRequest: string | undefined;
  /** Why the request was refused; undefined where its signature is right. */
  readonly failure: string | undefined;
  /** Its signature is right, but its session token is over: refused as AWS does. */
  readonly hasExpired: boolean;
  /** Number of the connection it came over, from 0: two requests with the same number shared one. */
  readonly connection: number;
  /** Settles when the response is over: complete, or broken off from the other side (or by `cutConnection`). */
  readonly closed: Promise<'complete' | 'broken'>;
  /** The first value of a header, by lower-case name. */
  header(lowerCaseName: string): string | undefined;
}

/** Responds to a request. May be asynchronous; a handler that responses nothing stays silent. */
export type UpstreamHandler = (request: UpstreamRequest, response: ServerResponse) => void | Promise<void>;

export interface FakeUpstream extends AsyncDisposable {
  readonly port: number;
  /** `127.0.0.1:port` */
  readonly authority: string;
  /** Every request so far, in the order their bodies ended. */
  readonly requests: readonly UpstreamRequest[];
  /** One line per request that was not signed right. A test that provokes failures empties it. */
  readonly failures: string[];
  /** How many connections were ever opened. */
  readonly connectionCount: number;
  /** How the requests from now on are answered; only those that are signed right get here. */
  respondWith(handler: UpstreamHandler): void;
  /**
   * Responds to the requests from now on as soon as their headers are there; their bodies are recorded and verified
   * after, unless the handler breaks the connection. Undefined goes back to `respondWith`.
   */
  respondBeforeBody(handler: ((incoming: IncomingMessage, response: ServerResponse) => void) | undefined): void;
  /** The oldest request that was not yet handed out by this function; waits for it where there is none. */
  nextRequest(): Promise<UpstreamRequest>;
  /** Breaks every connection and refuses new ones, until `comeUp`, which listens on the same port again. */
  goDown(): Promise<void>;
  comeUp(): Promise<void>;
  close(): Promise<void>;
}

/** Starts one on 127.0.0.1 and a port of its own. */
export async function startFakeUpstream(options: FakeUpstreamOptions): Promise<FakeUpstream> {
  const requests: UpstreamRequest[] = [];
  const failures: string[] = [];
  const waiting: ((request: UpstreamRequest) => void)[] = [];
  const connections = new Map<unknown, number>();
  let handedOut = 0;
  let handler: UpstreamHandler = echo;
  let earlyHandler: ((incoming: IncomingMessage, response: ServerResponse) => void) | undefined;

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const closed = watchEnd(response);
    const respondsEarly = earlyHandler !== undefined;
    earlyHandler?.(incoming, response);
    const body = await readBody(incoming);
    if (body === undefined) return;
    const connection = connections.get(incoming.socket) ?? -1;
    const request = describeRequest({ incoming, body, closed, connection, options });
    if (request.failure !== undefined) failures.push(`${request.method} ${request.rawTarget}: ${request.failure}`);
    requests.push(request);
    const waiter = waiting.shift();
    if (waiter !== undefined) {
      handedOut += 1;
      waiter(request);
    }
    if (respondsEarly) return;
    if (request.failure !== undefined) {
      sendAwsError(response, { status: 403, type: 'InvalidSignatureException', message: request.failure });
    } else if (request.hasExpired) sendAwsError(response, EXPIRED);
    else await handler(request, response);
  }

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => {
      failures.push(`the handler threw: ${String(error)}`);
      response.destroy();
    });
  });
  server.on('connection', (socket) => connections.set(socket, connections.size));
  const port = await listen(server, 0);
  const close = async (): Promise<void> => {
    const closing = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closing;
  };
  return {
    port,
    authority: `127.0.0.1:${port}`,
    requests,
    failures,
    get connectionCount() {
      return connections.size;
    },
    respondWith: (next) => {
      handler = next;
    },
    respondBeforeBody: (next) => {
      earlyHandler = next;
    },
    nextRequest: () => {
      const request = requests[handedOut];
      if (request === undefined) return new Promise((resolve) => waiting.push(resolve));
      handedOut += 1;
      return Promise.resolve(request);
    },
    goDown: close,
    comeUp: async () => void (await listen(server, port)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Responses JSON as an AWS service does; `x-amzn-requestid` is set. */
export function sendJson(
  response: ServerResponse,
  status: number,
  content: unknown,
  headers: Record<string, string> = {},
): void {
  const body = Buffer.from(JSON.stringify(content));
  const all = { 'content-type': 'application/json', 'x-amzn-requestid': REQUEST_ID, ...headers };
  response.writeHead(status, { ...all, 'content-length': body.length });
  response.end(body);
}

/** Responds to an error in the shape of AWS. */
export function sendAwsError(
  response: ServerResponse,
  error: { status: number; type: string; message: string; headers?: Record<string, string> },
): void {
  const headers = { 'x-amzn-errortype': `${error.type}:http://internal.amazon.com/coral/`, ...error.headers };
  sendJson(response, error.status, { message: error.message }, headers);
}

/** Resets the connection (TCP RST) in the middle of whatever is being answered. */
export function cutConnection(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

const EXPIRED = {
  status: 403,
  type: 'ExpiredTokenException',
  message: 'The security token included in the request is expired',
};
const REQUEST_ID = '00000000-0000-4000-8000-000000000001';

interface Arrival {
  readonly incoming: IncomingMessage;
  readonly body: Buffer;
  readonly closed: Promise<'complete' | 'broken'>;
  readonly connection: number;
  readonly options: FakeUpstreamOptions;
}

function describeRequest({ incoming, body, closed, connection, options }: Arrival): UpstreamRequest {
  const headers = pairsOf(incoming.rawHeaders);
  const header = (lowerCaseName: string): string | undefined =>
    headers.find(([name]) => name.toLowerCase() === lowerCaseName)?.[1];
  const method = incoming.method ?? '';
  const rawTarget = incoming.url ?? '';
  const arrived = { method, rawTarget, headers, body, connection, closed, header };
  const [, token] = /^Bearer (.+)$/i.exec(header('authorization') ?? '') ?? [];
  if (token !== undefined && options.bearerTokens?.has(token) === true) {
    return { ...arrived, signature: undefined, canonicalRequest: undefined, failure: undefined, hasExpired: false };
  }
  let signature: ParsedSignature | undefined;
  let malformation = 'the request is not signed';
  try {
    signature = parseSigV4({ method, target: parseTarget(rawTarget), headers, authority: header('host') });
  } catch (error) {
    malformation = String(error);
  }
  const bodyHash = sha256Hex(body);
  const canonical =
    signature &&
    canonicalRequest(signature.request, signature.signedHeaders, signature.declaredPayloadHash ?? bodyHash);
  const failure = signature === undefined ? malformation : findFailure(signature, bodyHash, options);
  const nowMs = options.nowMs?.() ?? Date.now();
  const expiresAtMs = signature && signerOf(signature.accessKeyId, options)?.expiresAtMs;
  const hasExpired = expiresAtMs !== undefined && expiresAtMs <= nowMs;
  return { ...arrived, signature, canonicalRequest: canonical, failure, hasExpired };
}

function signerOf(accessKeyId: string, options: FakeUpstreamOptions): FakeSigner | undefined {
  if ('findSigner' in options) return options.findSigner(accessKeyId);
  return accessKeyId === options.accessKeyId ? options : undefined;
}

function findFailure(parsed: ParsedSignature, bodySha256Hex: string, options: FakeUpstreamOptions): string | undefined {
  const signer = signerOf(parsed.accessKeyId, options);
  if (signer === undefined) return `signed with the access key id ${parsed.accessKeyId}`;
  const region = options.regionOf?.(parsed.request.target.raw) ?? parsed.scope.region;
  if (parsed.scope.region !== region) return `signed for ${parsed.scope.region}, but sent to ${region}`;
  const token = parsed.request.headers.find(([name]) => name.toLowerCase() === 'x-amz-security-token')?.[1];
  if (token !== signer.sessionToken) return 'x-amz-security-token is not the session token';
  if (token !== undefined && !parsed.signedHeaders.includes('x-amz-security-token')) {
    return 'x-amz-security-token is not signed';
  }
  const nowMs = options.nowMs?.() ?? Date.now();
  const signingKey = deriveSigningKey(signer.secretAccessKey, parsed.scope);
  const verdict = verifySigV4({ parsed, signingKey, bodySha256Hex, nowMs });
  return verdict.ok ? undefined : `${verdict.reason}: ${verdict.detail}`;
}

const echo: UpstreamHandler = (request, response) => {
  const content = { method: request.method, target: request.rawTarget, bodySha256: sha256Hex(request.body) };
  sendJson(response, 200, { ...content, bodyBytes: request.body.length });
};

function pairsOf(rawHeaders: readonly string[]): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']);
  }
  return pairs;
}

/** The whole body, or undefined where the other side left before its end. */
async function readBody(incoming: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

function watchEnd(response: ServerResponse): Promise<'complete' | 'broken'> {
  return new Promise((resolve) => {
    response.once('close', () => resolve(response.writableFinished ? 'complete' : 'broken'));
  });
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
