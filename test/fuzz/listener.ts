/**
 * The listener of a whole proxy, in a process of its own, under mutated bytes: HTTP/1.1 and HTTP/2. It must live on,
 * answer what is right, never answer ERR_INTERNAL, and send the upstream nothing but whole requests of its own: no
 * request that stood in the body of another, and none without a signature.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type Keep, withClosing } from '../helpers/closing.ts';
import { createRandom } from '../helpers/random.ts';
import { CANCEL, END_HEADERS, END_STREAM, FRAME_TYPE, http2Frame, PREFACE } from '../helpers/http2-frames.ts';
import { AWS_VARIABLES, launchServer, openWorkplace, type RunningServer } from '../helpers/program.ts';
import { createMutator } from './mutate.ts';

/** What came of one protocol. */
export interface ListenerReport {
  readonly protocol: string;
  readonly connections: number;
  readonly bytes: number;
  /** How often each status was answered, or each type of frame; `none`: the connection was closed without one. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
}

const LANES = 24;
/** A connection that says nothing for so long is let go: before its first byte, and after that. */
const FIRST_BYTE_MS = 200;
const QUIET_MS = 40;
/** Connections between two looks at whether the proxy still serves. */
const ROUND = 480;
const SMUGGLED = '/smuggled-request';

const PATH = '/bedrock/model/amazon.nova-lite-v1%3A0/converse';
const HTTP1_SEEDS = [
  `GET /bedrock/foundation-models HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}GET /health/liveliness HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 44\r\n\r\nGET ${SMUGGLED} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Trailer: a\r\n\r\n`,
  `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nGET ${SMUGGLED} HTTP/1.1\r\n\r\n`,
  `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
  `GET /bedrock/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  `POST /key/generate HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-x\r\nContent-Length: 2\r\n\r\n{}`,
  `GET /metrics HTTP/1.0\r\n\r\n`,
];
const HTTP1_WORDS = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  ' \t',
  'Content-Length: 0\r\n',
  'Content-Length: 99\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity, chunked\r\n',
  'Transfer-Encoding : chunked\r\n',
  'Connection: close, content-length\r\n',
  'Host: evil.example\r\n',
  'Expect: 100-continue\r\n',
  'Upgrade: h2c\r\n',
  '0\r\n\r\n',
  'ffffffffffffffff\r\n',
  '%00',
  '\0',
  `GET ${SMUGGLED} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  'HTTP/1.1',
  'HTTP/2.0',
  'Content-Encoding: zstd\r\n',
  PREFACE,
  'Authorization: AWS4-HMAC-SHA256 Credential=sk-a/20260314/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0\r\n',
];

function headerText(value: string): Buffer {
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'latin1')]);
}

/** Literal headers, never indexed (RFC 7541, section 6.2.2). */
function headerBlock(pairs: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    pairs.map(([name, value]) => Buffer.concat([Buffer.of(0), headerText(name), headerText(value)])),
  );
}

function http2Request(stream: number, method: string, path: string, body?: string): Buffer {
  const head = headerBlock([
    [':method', method],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
  ]);
  const flags = END_HEADERS | (body === undefined ? END_STREAM : 0);
  const headers = http2Frame(FRAME_TYPE.headers, flags, stream, head);
  return body === undefined
    ? headers
    : Buffer.concat([headers, http2Frame(FRAME_TYPE.data, END_STREAM, stream, Buffer.from(body))]);
}

const SETTINGS = http2Frame(FRAME_TYPE.settings, 0, 0);
const opened = (...frames: readonly Buffer[]): Buffer => Buffer.concat([Buffer.from(PREFACE), SETTINGS, ...frames]);
const HTTP2_SEEDS = [
  opened(http2Request(1, 'GET', '/bedrock/foundation-models')),
  opened(http2Request(1, 'POST', PATH, '{}'), http2Request(3, 'GET', '/health/liveliness')),
  opened(http2Request(1, 'POST', PATH, `GET ${SMUGGLED} HTTP/1.1\r\n\r\n`), http2Frame(FRAME_TYPE.reset, 0, 1, CANCEL)),
  opened(
    http2Frame(FRAME_TYPE.ping, 0, 0, Buffer.alloc(8)),
    http2Frame(FRAME_TYPE.window, 0, 0, Buffer.of(0, 0, 255, 255)),
  ),
  opened(http2Request(1, 'GET', '/metrics'), http2Frame(FRAME_TYPE.goaway, 0, 0, Buffer.alloc(8))),
  opened(
    http2Frame(FRAME_TYPE.headers, 0, 1, headerBlock([[':method', 'GET']])),
    http2Frame(FRAME_TYPE.continuation, END_HEADERS, 1),
  ),
];
const HTTP2_WORDS = [
  ...Object.values(FRAME_TYPE).map((type) => http2Frame(type, 5, 1, Buffer.alloc(8))),
  SETTINGS,
  headerBlock([['content-length', '9']]),
  headerBlock([[':path', '/bedrock/x']]),
  headerBlock([['te', 'gzip']]),
  headerBlock([['x-a', 'b\r\nx: y']]),
  headerBlock([['connection', 'close']]),
  http2Request(5, 'POST', PATH, '{}'),
];

interface Protocol {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  readonly words: readonly Buffer[];
}

const PROTOCOLS: readonly Protocol[] = [
  {
    name: 'HTTP/1.1',
    seeds: HTTP1_SEEDS.map((seed) => Buffer.from(seed, 'latin1')),
    words: HTTP1_WORDS.map((word) => Buffer.from(word, 'latin1')),
  },
  { name: 'HTTP/2', seeds: HTTP2_SEEDS, words: HTTP2_WORDS },
];

/** Each protocol for half of the time, against one proxy. */
export function fuzzListener(options: ListenerOptions): Promise<ListenerReport[]> {
  return withClosing(async (keep) => await fuzzProxy(options, keep));
}

interface ListenerOptions {
  readonly milliseconds: number;
  readonly seed: number;
}

async function fuzzProxy(options: ListenerOptions, keep: Keep): Promise<ListenerReport[]> {
  const strays: string[] = [];
  const upstream = keep(await startStrictUpstream(strays));
  const place = keep(await openWorkplace());
  const endpoint = { BEDROCK_PROXY_ENDPOINT_URL: `http://127.0.0.1:${upstream.port}` };
  const environment = { ...place.environment, ...AWS_VARIABLES, ...endpoint };
  const server = keep(await launchServer(['--log-format', 'json'], environment));
  const reports: ListenerReport[] = [];
  for (const protocol of PROTOCOLS) {
    const random = createRandom(options.seed);
    const milliseconds = options.milliseconds / PROTOCOLS.length;
    reports.push(await fuzzProtocol(protocol, { server, strays, random, milliseconds }));
  }
  server.child.kill('SIGTERM');
  const { code, stdout, stderr } = await server.ended;
  const faults = [...stdout.split('\n'), ...stderr.split('\n')].filter((line) => line.includes('ERR_INTERNAL'));
  if (code !== 0) faults.push(`the proxy ended with ${code}: ${stderr.slice(-2000)}`);
  const [first, ...others] = reports;
  return first === undefined ? [] : [{ ...first, faults: [...first.faults, ...faults.slice(0, 10)] }, ...others];
}

interface Run {
  readonly server: RunningServer;
  readonly strays: string[];
  readonly random: () => number;
  readonly milliseconds: number;
}

async function fuzzProtocol(
  { name, seeds, words }: Protocol,
  { server, strays, random, milliseconds }: Run,
): Promise<ListenerReport> {
  const mutator = createMutator({ random, words, maxBytes: 16_384 });
  const statuses: Record<string, number> = {};
  const faults: string[] = [];
  const until = performance.now() + milliseconds;
  let connections = 0;
  let bytes = 0;
  let last = Buffer.alloc(0);
  const runLane = async (): Promise<void> => {
    for (let count = 0; count < ROUND / LANES && performance.now() < until; count += 1) {
      const input = (last = Buffer.from(mutator.next(seeds)));
      const answer = await converse(
        server.port,
        input,
        random() < 0.3 ? Math.floor(random() * input.length) : undefined,
      );
      connections += 1;
      bytes += input.length;
      for (const status of name === 'HTTP/2' ? framesOf(answer) : statusesOf(answer)) {
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
      if (answer.includes('ERR_INTERNAL')) faults.push(`ERR_INTERNAL for ${input.toString('base64')}`);
    }
  };
  while (performance.now() < until && faults.length === 0) {
    await Promise.all(Array.from({ length: LANES }, runLane));
    const health = await isServing(server.port);
    if (health !== undefined) faults.push(`${health}, at the latest after ${last.toString('base64')}`);
    faults.push(...strays.splice(0));
  }
  if (Object.keys(statuses).every((status) => status === 'none')) faults.push('nothing was answered');
  const ended = await Promise.race([server.ended, Promise.resolve(undefined)]);
  if (ended !== undefined) faults.push(`the proxy ended: ${ended.stderr.slice(-2000)}`);
  return { protocol: name, connections, bytes, statuses, faults };
}

function statusesOf(answer: string): string[] {
  const found = [...answer.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status = '']) => status);
  return found.length === 0 ? ['none'] : found;
}

const FRAME_NAMES = new Map(Object.entries(FRAME_TYPE).map(([name, type]) => [type, name]));

/** The types of the frames that came, but for settings, which always come. */
function framesOf(answer: string): string[] {
  const bytes = Buffer.from(answer, 'latin1');
  const found: string[] = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const type = FRAME_NAMES.get(bytes.readUInt8(at + 3)) ?? 'unknown';
    if (type !== 'settings') found.push(type);
  }
  return found.length === 0 ? ['none'] : found;
}

/** Sends the bytes, in two pieces if `cut` says where, and reads until the other side ends or says nothing more. */
function converse(port: number, input: Buffer, cut: number | undefined): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let answer = '';
    let quiet = setTimeout(() => socket.destroy(), FIRST_BYTE_MS);
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
      clearTimeout(quiet);
      quiet = setTimeout(() => socket.destroy(), QUIET_MS);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(quiet);
      resolve(answer);
    });
    if (cut === undefined) return void socket.write(input);
    socket.write(input.subarray(0, cut));
    setImmediate(() => socket.write(input.subarray(cut)));
  });
}

/** What is wrong with how a proper request is answered now; undefined: nothing. */
async function isServing(port: number): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${PATH}`, {
      method: 'POST',
      body: '{}',
      signal: AbortSignal.timeout(10_000),
    });
    return response.status === 200 && (await response.text()) === '{}'
      ? undefined
      : `a proper request got ${response.status}`;
  } catch (error) {
    return `a proper request failed (${String(error)})`;
  }
}

/** An upstream that notes what a proxy must never send. */
async function startStrictUpstream(strays: string[]): Promise<AsyncDisposable & { readonly port: number }> {
  const note = ({ method, url, headers }: IncomingMessage): void => {
    const isSigned = headers.authorization?.startsWith('AWS4-HMAC-SHA256 Credential=') === true;
    if (url?.includes(SMUGGLED) === true && !url.startsWith('/model/')) strays.push(`smuggled: ${method} ${url}`);
    if (!isSigned) strays.push(`not signed: ${method} ${url}`);
  };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    note(request);
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  };
  const server = createServer(answer);
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') strays.push(`no HTTP: ${error.code ?? error.message}`);
    socket.destroy();
  });
  server.on('upgrade', (request, socket) => {
    note(request);
    socket.on('error', () => {});
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
