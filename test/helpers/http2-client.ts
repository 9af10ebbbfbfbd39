/** An HTTP/2 client with prior knowledge for tests: says of every response whether it was complete or broken off. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';

export interface Http2Response {
  /** Undefined where the stream ended without one. */
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  /** latin1 */
  readonly body: string;
  /** True where the server ended the stream in order; false where it was reset or its connection broke. */
  readonly isComplete: boolean;
  readonly rstCode: number;
}

export interface Http2Client extends AsyncDisposable {
  readonly session: ClientHttp2Session;
  /** Opens a stream; without `body` it ends with its headers. */
  open(headers: OutgoingHttpHeaders, options?: { readonly endStream?: boolean }): ClientHttp2Stream;
  /** One exchange. */
  ask(headers: OutgoingHttpHeaders, body?: Buffer | string): Promise<Http2Response>;
}

/** `authority`: what `:authority` says; default `localhost:PORT`. */
export function openHttp2(port: number, authority = `localhost:${port}`): Http2Client {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  const open: Http2Client['open'] = (headers, options = { endStream: true }) => {
    const stream = session.request({ ':authority': authority, ...headers }, options);
    stream.on('error', () => {});
    return stream;
  };
  return {
    session,
    open,
    ask: async (headers, body) => {
      const stream = open(headers, { endStream: body === undefined });
      const response = readHttp2Response(stream);
      if (body !== undefined) stream.end(body);
      return response;
    },
    [Symbol.asyncDispose]: async () => {
      session.destroy();
    },
  };
}

/** Reads a stream until it is over, in whichever way. */
export async function readHttp2Response(stream: ClientHttp2Stream): Promise<Http2Response> {
  let headers: IncomingHttpHeaders = {};
  let status: number | undefined;
  let hasEnded = false;
  const chunks: Buffer[] = [];
  stream.on('response', (received) => {
    headers = received;
    status = received[':status'];
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    hasEnded = true;
  });
  if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
  const rstCode = stream.rstCode ?? constants.NGHTTP2_INTERNAL_ERROR;
  return {
    status,
    headers,
    body: Buffer.concat(chunks).toString('latin1'),
    isComplete: hasEnded && rstCode === constants.NGHTTP2_NO_ERROR,
    rstCode,
  };
}
