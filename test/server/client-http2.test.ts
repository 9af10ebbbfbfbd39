/** When a client over HTTP/2 counts as gone: never if it has the whole response, and always if it has not. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createListener, type Listener } from '../../src/server/listener.ts';
import { adaptHttp2 } from '../../src/server/client-http2.ts';
import { END_HEADERS, END_STREAM, FRAME_TYPE, http2Frame, PREFACE } from '../helpers/http2-frames.ts';
import { dial } from '../helpers/raw-socket.ts';

/** `:method: GET`, `:path: /`, `:scheme: http` and `:authority: a`, by the table of RFC 7541, appendix A. */
const GET = http2Frame(FRAME_TYPE.headers, END_STREAM | END_HEADERS, 1, Buffer.of(0x82, 0x84, 0x86, 1, 1, 0x61));
const ASKING = Buffer.concat([Buffer.from(PREFACE), http2Frame(FRAME_TYPE.settings, 0, 0), GET]);
const GOODBYE = http2Frame(FRAME_TYPE.goaway, 0, 0, Buffer.alloc(8));

let listener: Listener;
let body: string;
let port: number;
/** What was told of each request when its stream was closed: that its client is gone. */
let gone: Promise<boolean>[];

beforeEach(async () => {
  gone = [];
  listener = createListener({
    onHttp1: () => {},
    onHttp2: (stream, rawHeaders) => {
      const [{ signal }, clientResponse] = adaptHttp2(stream, rawHeaders);
      const closed = once(stream.resume(), 'close');
      gone.push(closed.then(() => signal.aborted));
      setImmediate(() => clientResponse.start(200, []).end(body));
    },
    onUpgrade: (_, socket) => void socket.destroy(),
    onMalformed: (_, socket) => void socket.destroy(),
  });
  await once(listener.http1.listen(0, '127.0.0.1'), 'listening');
  ({ port } = listener.http1.address() as AddressInfo);
});

afterEach(async () => {
  listener.stopAccepting();
  await listener.destroyAll();
});

it('is not gone if it closes its session the moment it has the end', async () => {
  body = 'all of it';
  for (let nth = 0; nth < 50; nth += 1) {
    await using raw = await dial(port);
    await raw.send(ASKING);
    await raw.until('all of it');
    raw.socket.end(GOODBYE);
    await raw.ended;
  }
  expect(await Promise.all(gone)).toEqual(Array.from({ length: 50 }, () => false));
});

it.each([
  { how: 'with a goodbye', last: GOODBYE },
  { how: 'without a word', last: Buffer.alloc(0) },
])('is gone if it closes its connection in the middle, $how', async ({ last }) => {
  // More than the window of a client that opens none.
  body = 'x'.repeat(200_000);
  await using raw = await dial(port);
  await raw.send(ASKING);
  await raw.until('xxx');
  raw.socket.end(last);
  await raw.ended;
  expect(await Promise.all(gone)).toEqual([true]);
});
