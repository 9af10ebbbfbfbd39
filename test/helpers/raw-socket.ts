/**
 * A bare TCP connection for tests that care about bytes: sends what it is told, in the pieces it is told, and reads
 * answers without the good manners of an HTTP library. All text is latin1, one character per byte.
 */
import { connect, type Socket } from 'node:net';
import type { HeaderPair } from '../../src/http/message.ts';
import { withClosing } from './closing.ts';

/** One HTTP/1.x answer, taken apart. */
export interface RawResponse {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  /** In wire order and case. */
  readonly headers: readonly HeaderPair[];
  /** Without chunk framing. */
  readonly body: Buffer;
  /** The first value of a header, by lower-case name. */
  header(lowerCaseName: string): string | undefined;
  /** Every value of a header, by lower-case name. */
  all(lowerCaseName: string): readonly string[];
}

/** How a connection ended: FIN (`end`), or RST and every other error. */
export type Ending = 'end' | 'broken';

export interface RawSocket extends AsyncDisposable {
  readonly socket: Socket;
  /** Everything that came and was not yet taken by `readResponse`. */
  readonly received: string;
  /** Settles when the other side has ended or broken the connection. */
  readonly ended: Promise<Ending>;
  /** Resolves when the bytes have left (or could not any more). */
  send(bytes: string | Buffer): Promise<void>;
  /** Waits until what came holds `text`; throws where the connection ends first. */
  until(text: string): Promise<string>;
  /** Waits for one whole response and takes it. `toMethod` HEAD: a response without a body. */
  readResponse(toMethod?: string): Promise<RawResponse>;
}

/** Connects to loopback. The other side's FIN does not end our half. */
export async function dial(port: number): Promise<RawSocket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  let received = '';
  let hasEnded = false;
  const listeners = new Set<() => void>();
  const tell = (): void => listeners.forEach((listener) => listener());
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received += chunk;
    tell();
  });
  const ended = new Promise<Ending>((resolve) => {
    const settle = (ending: Ending) => (): void => {
      hasEnded = true;
      resolve(ending);
      tell();
    };
    socket.on('end', settle('end')).on('error', settle('broken')).on('close', settle('broken'));
  });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));

  const waitFor = <T>(what: string, find: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        const found = find();
        if (found === undefined && !hasEnded) return;
        listeners.delete(check);
        if (found === undefined) reject(new Error(`the connection ended before ${what}; received: ${received}`));
        else resolve(found);
      };
      listeners.add(check);
      check();
    });

  return {
    socket,
    get received() {
      return received;
    },
    ended,
    send: (bytes) =>
      new Promise((resolve) => {
        if (socket.destroyed) resolve();
        else socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => resolve());
      }),
    until: (text) => waitFor(JSON.stringify(text), () => (received.includes(text) ? received : undefined)),
    readResponse: async (toMethod) => {
      const { response, rest } = await waitFor('a whole response', () => parseResponse(received, hasEnded, toMethod));
      received = rest;
      return response;
    },
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
    },
  };
}

/** Sends bytes on a connection of their own and gives what comes back until the other side closes. */
export async function throwAt(port: number, bytes: string | Buffer): Promise<string> {
  return await withClosing(async (keep) => {
    const raw = keep(await dial(port));
    await raw.send(bytes);
    await raw.ended;
    return raw.received;
  });
}

/** One request as text; `Content-Length` only where the headers given say so. */
export function requestText(
  line: string,
  headers: readonly (HeaderPair | string)[],
  body: string | Buffer = '',
): Buffer {
  const lines = headers.map((header) => (typeof header === 'string' ? header : header.join(': ')));
  const head = [line, ...lines, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), typeof body === 'string' ? Buffer.from(body, 'latin1') : body]);
}

/** One exchange on a connection of its own. */
export async function ask(
  port: number,
  line: string,
  headers: readonly (HeaderPair | string)[],
  body: string | Buffer = '',
): Promise<RawResponse> {
  return await withClosing(async (keep) => {
    const raw = keep(await dial(port));
    await raw.send(requestText(line, headers, body));
    // Awaited here: the connection must outlive the reading.
    return await raw.readResponse(line.split(' ')[0]);
  });
}

function parseResponse(
  text: string,
  hasEnded: boolean,
  toMethod = 'GET',
): { readonly response: RawResponse; readonly rest: string } | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const [statusLine = '', ...lines] = text.slice(0, headEnd).split('\r\n');
  const [, version = '', status = '', reason = ''] = /^HTTP\/(\d\.\d) (\d{3}) ?(.*)$/.exec(statusLine) ?? [];
  const headers = lines.map((line): HeaderPair => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
  });
  const all = (lowerCaseName: string): string[] =>
    headers.filter(([name]) => name.toLowerCase() === lowerCaseName).map(([, value]) => value);
  const body = takeBody(text.slice(headEnd + 4), { status: Number(status), all, hasEnded, toMethod });
  if (body === undefined) return undefined;
  const response = { version, status: Number(status), reason, headers, all, header: (name: string) => all(name)[0] };
  return { response: { ...response, body: Buffer.from(body.body, 'latin1') }, rest: body.rest };
}

interface Framing {
  readonly status: number;
  readonly all: (lowerCaseName: string) => readonly string[];
  readonly hasEnded: boolean;
  readonly toMethod: string;
}

function takeBody(
  text: string,
  { status, all, hasEnded, toMethod }: Framing,
): { body: string; rest: string } | undefined {
  if (toMethod === 'HEAD' || status < 200 || status === 204 || status === 304) return { body: '', rest: text };
  if (all('transfer-encoding')[0] === 'chunked') return takeChunks(text);
  const length = all('content-length')[0];
  if (length === undefined) return hasEnded ? { body: text, rest: '' } : undefined;
  const size = Number(length);
  return text.length < size ? undefined : { body: text.slice(0, size), rest: text.slice(size) };
}

function takeChunks(text: string): { body: string; rest: string } | undefined {
  let body = '';
  for (let at = 0; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    const end = lineEnd + 2 + size;
    if (text.length < end + 2) return undefined;
    if (size === 0) return { body, rest: text.slice(end + 2) };
    body += text.slice(lineEnd + 2, end);
    at = end + 2;
  }
}
