/** Frames of responses, of every protocol, at every split of their bytes, growing, cut, holed and broken. */
import { describe, expect, it } from 'vitest';
import type { KeptBody, KeptChunk } from '../../../src/inspector/exchange.ts';
import { viewFrames } from '../../../src/inspector/views/view-frames.ts';
import type { FramesView } from '../../../src/inspector/wire.ts';
import { encodeBytesHeader, encodeFrame, encodeTimestampHeader } from '../../../src/protocol/event-stream.ts';
import { eventFrame, exceptionFrame } from '../../helpers/event-frames.ts';
import {
  byteByByte,
  exchangeOf,
  keptBody,
  keptExchange,
  recordedExchanges,
  splitAt,
} from '../../helpers/kept-exchange.ts';
import { bytesOf } from '../../helpers/responses.ts';

const ALL = { from: 0, limit: 10_000 };

const HELLO = [
  eventFrame('messageStart', { role: 'assistant', p: 'ab' }),
  eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'Hello' }, p: 'abc' }),
  eventFrame('messageStop', { stopReason: 'end_turn' }),
];
const STREAM = Buffer.concat(HELLO);

/** What does not depend on when the bytes came. */
function timeless(view: FramesView) {
  return { ...view, items: view.items.map(({ at_ms: _at, gap_ms: _gap, ...rest }) => rest) };
}

function framesOf(pieces: readonly Buffer[], end: 'complete' | 'cut' | 'open' = 'complete'): FramesView {
  return viewFrames(keptExchange({ response: keptBody(pieces), end }), ALL);
}

const viewEvents = (pieces: readonly Buffer[]): FramesView =>
  viewFrames(keptExchange({ contentType: 'text/event-stream; charset=utf-8', response: keptBody(pieces) }), ALL);

const maskBytes = (payload: Buffer, key: Buffer): Buffer =>
  Buffer.from(payload.map((byte, at) => byte ^ (key[at % 4] ?? 0)));
const socketFrame = (first: number, payload: Buffer, key?: Buffer): Buffer => {
  const flag = key === undefined ? 0 : 0x80;
  const length =
    payload.length < 126
      ? Buffer.of(flag | payload.length)
      : Buffer.of(flag | 126, payload.length >> 8, payload.length & 0xff);
  return Buffer.concat([
    Buffer.of(first),
    length,
    key ?? Buffer.alloc(0),
    key === undefined ? payload : maskBytes(payload, key),
  ]);
};

const viewSocket = (server: readonly Buffer[], client: readonly Buffer[]): FramesView =>
  viewFrames(
    keptExchange({
      status: 101,
      responseHeaders: [
        ['Upgrade', 'websocket'],
        ['Sec-WebSocket-Extensions', 'permessage-deflate'],
      ],
      response: keptBody(server, { times: server.map((_, index) => 100 + index * 10) }),
      clientStream: keptBody(client, { times: client.map((_, index) => 95 + index * 10) }),
    }),
    ALL,
  );

const byDirection = (shown: FramesView) =>
  timeless(shown)
    .items.map(({ index: _index, ...rest }) => rest)
    .toSorted((a, b) => a.direction.localeCompare(b.direction));

/** A body of which more and more has come: the same object all the time. */
function growingBody(pieces: readonly Buffer[]): KeptBody & { grow(): void; readonly reads: number } {
  let count = 0;
  let reads = 0;
  const come = (): KeptBody => keptBody(pieces.slice(0, count));
  return {
    grow: () => {
      count += 1;
    },
    get reads() {
      return reads;
    },
    get sizeBytes() {
      return come().sizeBytes;
    },
    sha256: undefined,
    hole: undefined,
    read: () => {
      reads += 1;
      return come().read();
    },
    chunks: (): readonly KeptChunk[] => come().chunks(),
  };
}

describe('an event stream of AWS', () => {
  it('is shown frame by frame, with time, pause, size, headers and checksums', () => {
    const view = viewFrames(keptExchange({ response: keptBody(HELLO, { times: [611.2, 640.8, 4098] }) }), ALL);
    expect(view).toMatchObject({ protocol: 'aws-event-stream', next: null, total: 3, end: 'complete', problem: null });
    expect(view.items[1]).toEqual({
      index: 1,
      direction: 'in',
      at_ms: 640.8,
      gap_ms: 29.6,
      offset: HELLO[0]?.length,
      size_bytes: HELLO[1]?.length,
      type: 'contentBlockDelta',
      is_exception: false,
      crc: 'ok',
      crc_problem: null,
      headers: [
        [':event-type', 'string', 'contentBlockDelta'],
        [':content-type', 'string', 'application/json'],
        [':message-type', 'string', 'event'],
      ],
      payload: { json: { contentBlockIndex: 0, delta: { text: 'Hello' }, p: 'abc' } },
    });
  });

  it.each([
    {
      name: 'the prelude',
      at: 8,
      says: /^prelude CRC: expected [0-9a-f]{8}, found [0-9a-f]{8}; message CRC: expected/,
    },
    { name: 'the payload', at: 120, says: /^message CRC: expected [0-9a-f]{8}, found [0-9a-f]{8}$/ },
  ])('says which checksum is wrong, and goes on: $name', ({ at, says }) => {
    const broken = Buffer.from(STREAM);
    broken[at] = (broken[at] ?? 0) ^ 1;
    const { items, total } = framesOf([broken]);
    expect(total).toBe(3);
    expect(items.map(({ crc }) => crc)).toEqual(['bad', 'ok', 'ok']);
    expect(items[0]?.crc_problem).toMatch(says);
  });

  it('shows an exception as what it is', () => {
    const view = framesOf([Buffer.concat([...HELLO.slice(0, 2), exceptionFrame('throttlingException', 'Slow down.')])]);
    expect(view.end).toBe('exception');
    expect(view.items[2]).toMatchObject({ type: 'throttlingException', is_exception: true });
  });

  it.each([{ name: 'at every byte of a frame', times: Array.from({ length: STREAM.length }, (_, at) => at) }])(
    'says inside which frame it was cut, $name',
    ({ times }) => {
      let start = 0;
      const ends = HELLO.map((frame) => (start += frame.length));
      for (const at of times) {
        const view = framesOf([STREAM.subarray(0, at)]);
        const whole = ends.filter((end) => end <= at).length;
        expect(view.total).toBe(whole);
        const isBetween = at === 0 || ends.includes(at);
        expect(view.end).toBe(isBetween ? 'complete' : 'cut');
        expect(view.problem ?? '').toMatch(isBetween ? /^$/ : new RegExp(`inside frame ${whole + 1}: \\d+`));
      }
    },
  );

  it('opens what a chunk of InvokeModel has in base64', () => {
    const bytes = Buffer.from('{"type":"ping"}').toString('base64');
    expect(framesOf([eventFrame('chunk', { bytes, p: 'ab' })]).items[0]?.payload).toEqual({
      json: { bytes: { type: 'ping' }, p: 'ab' },
    });
  });

  it('says that bytes are none of its frames', () => {
    const view = framesOf([Buffer.concat([STREAM, Buffer.from('<html>Bad gateway</html>')])]);
    expect(view).toMatchObject({ total: 3, problem: `The bytes from ${STREAM.length} on are no frames.` });
  });

  it('goes on behind bytes that are not kept', () => {
    const many = Array.from({ length: 40 }, (_, index) => eventFrame('contentBlockDelta', { index }));
    const response = keptBody(many, { hole: [500, 2_000] });
    const view = viewFrames(keptExchange({ response }), ALL);
    expect(view.problem).toMatch(/^2000 bytes from 500 on are not kept \(size\), nor the frames in them\./);
    const shown = view.items.map(({ payload }) => ('json' in payload ? payload.json : payload));
    expect(shown[0]).toEqual({ index: 0 });
    expect(shown.at(-1)).toEqual({ index: 39 });
    expect(view.items.every(({ crc }) => crc === 'ok')).toBe(true);
    expect(view.items.at(-1)).toMatchObject({ at_ms: 490, offset: Buffer.concat(many.slice(0, 39)).length });
    expect(view.total).toBeLessThan(40);
  });

  it('shows both directions in the order of time, those of the client without the signatures around them', () => {
    const signature = Buffer.alloc(32, 7);
    const signed = (payload: Buffer): Buffer =>
      encodeFrame(
        Buffer.concat([
          encodeTimestampHeader(':date', Date.UTC(2026, 10, 28)),
          encodeBytesHeader(':chunk-signature', signature),
        ]),
        payload,
      );
    const inner = eventFrame('chunk', { bytes: Buffer.from('{"event":{"sessionStart":{}}}').toString('base64') });
    const exchange = keptExchange({
      response: keptBody(HELLO, { times: [20, 40, 60] }),
      clientStream: keptBody([signed(inner), signed(Buffer.alloc(0))], { times: [10, 50] }),
    });
    const { items } = viewFrames(exchange, ALL);
    expect(items.map(({ direction, type }) => `${direction} ${type}`)).toEqual([
      'out chunk',
      'in messageStart',
      'in contentBlockDelta',
      'out end',
      'in messageStop',
    ]);
    expect(items[0]).toMatchObject({ crc: 'ok', payload: { json: { bytes: { event: { sessionStart: {} } } } } });
    expect(items[0]?.headers.map(([name]) => name)).toEqual([
      ':date',
      ':chunk-signature',
      ':event-type',
      ':content-type',
      ':message-type',
    ]);
  });
});

describe('server-sent events', () => {
  const TEXT = 'event: message_start\ndata: {"type":"message_start"}\n\n: ping\n\ndata: [DONE]\n\n';

  it.each([
    { name: 'LF', end: '\n' },
    { name: 'CRLF', end: '\r\n' },
    { name: 'CR', end: '\r' },
  ])('are the same with any end of lines, at every split: $name', ({ end }) => {
    const bytes = Buffer.from(TEXT.replaceAll('\n', end));
    const whole = viewEvents([bytes]);
    expect(whole.items.map(({ type, payload }) => [type, payload])).toEqual([
      ['message_start', { json: { type: 'message_start' } }],
      ['comment', { text: `: ping${end}${end}` }],
      ['message', { text: '[DONE]' }],
    ]);
    for (let at = 0; at <= bytes.length; at += 1)
      expect(timeless(viewEvents(splitAt(bytes, at)))).toEqual(timeless(whole));
  });

  it('show an error as what it is, and an event without its blank line', () => {
    const text = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}';
    const view = viewFrames(keptExchange({ contentType: 'text/event-stream', response: keptBody([text]) }), ALL);
    expect(view).toMatchObject({ protocol: 'sse', total: 1, end: 'exception' });
  });

  it('go on behind bytes that are not kept', () => {
    const events = Array.from({ length: 40 }, (_, index) => `data: {"index":${index}}\n\n`);
    const response = keptBody(events, { hole: [50, 400] });
    const view = viewFrames(keptExchange({ contentType: 'text/event-stream', response }), ALL);
    expect(view.items[0]?.payload).toEqual({ json: { index: 0 } });
    expect(view.items.at(-1)?.payload).toEqual({ json: { index: 39 } });
    expect(view.items.every(({ payload }) => 'json' in payload)).toBe(true);
  });
});

describe('a WebSocket', () => {
  const KEY = Buffer.of(1, 2, 3, 4);
  const SERVER = [
    socketFrame(0x01, Buffer.from('{"half":')),
    socketFrame(0x80, Buffer.from('true}')),
    socketFrame(0xc1, Buffer.of(0xaa, 0x56, 0x4a, 0x07)),
    socketFrame(0x82, Buffer.alloc(300, 0xff)),
    socketFrame(0x88, Buffer.concat([Buffer.of(0x03, 0xe8), Buffer.from('bye')])),
  ];
  const CLIENT = [socketFrame(0x81, Buffer.from('{"say":"hi"}'), KEY), socketFrame(0x89, Buffer.from('ping'), KEY)];

  it('is shown in both directions, unmasked, fragments and compression named', () => {
    const { protocol, items, problem } = viewSocket(SERVER, CLIENT);
    expect([protocol, problem]).toEqual(['websocket', null]);
    expect(items.map(({ direction, type, payload }) => [direction, type, payload])).toEqual([
      ['out', 'text', { json: { say: 'hi' } }],
      ['in', 'text', { text: '{"half":' }],
      ['out', 'ping', { text: 'ping' }],
      ['in', 'continuation', { text: 'true}' }],
      ['in', 'text', { base64: Buffer.of(0xaa, 0x56, 0x4a, 0x07).toString('base64') }],
      ['in', 'binary', { base64: Buffer.alloc(300, 0xff).toString('base64') }],
      ['in', 'close', { text: '1000 bye' }],
    ]);
    expect(items[0]?.headers).toContainEqual(['masked', 'flag', 'true']);
    expect(items[1]?.headers).toContainEqual(['fin', 'flag', 'false']);
    expect(items[4]?.headers).toContainEqual(['compressed', 'flag', 'permessage-deflate']);
  });

  it('is the same at every split', () => {
    const server = Buffer.concat(SERVER);
    const whole = byDirection(viewSocket([server], CLIENT));
    for (let at = 0; at <= server.length; at += 1)
      expect(byDirection(viewSocket(splitAt(server, at), CLIENT))).toEqual(whole);
  });

  it('does not wait for a length that no one can have', () => {
    const { problem } = viewSocket(
      [Buffer.concat([Buffer.of(0x82, 127), Buffer.alloc(8, 0xff), Buffer.alloc(20)])],
      [],
    );
    expect(problem).toBe('The bytes from 0 on are no frames.');
  });
});

describe('any other body', () => {
  it('is shown in the pieces in which it came', () => {
    const exchange = keptExchange({ contentType: 'application/json', response: keptBody(['{"a":', '1}']) });
    expect(viewFrames(exchange, ALL)).toMatchObject({
      protocol: 'chunks',
      total: 2,
      items: [
        { payload: { text: '{"a":' }, offset: 0 },
        { payload: { text: '1}' }, offset: 5, gap_ms: 10 },
      ],
    });
  });

  it('is shown in its pieces if it is compressed, and says so', () => {
    const responseHeaders = [['content-encoding', 'gzip']] as const;
    const exchange = keptExchange({ contentType: 'text/event-stream', responseHeaders, response: keptBody(['xx']) });
    expect(viewFrames(exchange, ALL)).toMatchObject({
      protocol: 'chunks',
      problem: expect.stringContaining('compressed (gzip)'),
    });
  });

  it('has no frames if nothing is kept', () => {
    const exchange = keptExchange({ layers: {}, omitted: 'off' });
    expect(viewFrames(exchange, ALL)).toMatchObject({ protocol: 'chunks', total: 0, items: [], next: null });
  });
});

describe('a stream that grows', () => {
  it.each(recordedExchanges().filter(({ recorded }) => recorded.events !== undefined || recorded.sse !== undefined))(
    'shows byte by byte what it shows when it is over: $name',
    ({ recorded }) => {
      const pieces = byteByByte(bytesOf(recorded).subarray(0, 1_500));
      const body = growingBody(pieces);
      const open = { ...exchangeOf(recorded, []), end: 'open' as const };
      const { upstreamResponse } = open.layers;
      if (upstreamResponse === undefined) throw new Error('no response');
      const exchange = { ...open, layers: { ...open.layers, upstreamResponse: { ...upstreamResponse, body } } };
      const seen: unknown[] = [];
      for (const _ of pieces) {
        body.grow();
        seen.push(...viewFrames(exchange, { from: seen.length, limit: 100 }).items);
      }
      expect(seen).toEqual(viewFrames({ ...exchange, end: 'cut' }, ALL).items.slice(0, seen.length));
    },
  );

  it('does not read again what it has read', () => {
    const body = growingBody(HELLO);
    const open = keptExchange({ response: body, end: 'open' });
    expect(viewFrames(open, ALL)).toMatchObject({ total: 0, end: 'open', problem: null });
    body.grow();
    expect(viewFrames(open, ALL)).toMatchObject({ total: 1, end: 'open' });
    const { reads } = body;
    viewFrames(open, { from: 1, limit: 100 });
    expect(body.reads).toBe(reads);
  });

  it('is told in pages', () => {
    const exchange = keptExchange({ response: keptBody(HELLO) });
    const first = viewFrames(exchange, { from: 0, limit: 2 });
    expect([first.items.length, first.next]).toEqual([2, 2]);
    const second = viewFrames(exchange, { from: 2, limit: 2 });
    expect([second.items.map(({ index }) => index), second.next]).toEqual([[2], null]);
    const large = Array.from({ length: 5 }, () => eventFrame('x', Buffer.alloc(2_000_000, 0x61)));
    const page = viewFrames(keptExchange({ response: keptBody(large) }), ALL);
    expect([page.items.length, page.next, page.total]).toEqual([2, 2, 5]);
  });
});

describe('more frames than anybody looks at', () => {
  it.each([
    { name: 'events', contentType: 'text/event-stream', frame: Buffer.from('a:\n\n'), status: 200 },
    { name: 'frames of a WebSocket', contentType: '', frame: Buffer.of(0x89, 0), status: 101 },
    { name: 'frames of an event stream', contentType: undefined, frame: eventFrame('x', Buffer.alloc(0)), status: 200 },
  ])('are not all told: $name', ({ contentType, frame, status }) => {
    const bytes = Buffer.concat(Array.from({ length: 100_500 }, () => frame));
    const exchange = keptExchange({
      status,
      ...(contentType === undefined ? {} : { contentType }),
      response: keptBody([bytes]),
    });
    const view = viewFrames(exchange, { from: 99_990, limit: 100 });
    expect([view.items.length, view.total, view.next]).toEqual([10, 100_000, null]);
    expect(view.problem).toBe('There are more than 100,000 frames: these are the first.');
  });
});

describe('every recorded stream', () => {
  it.each(recordedExchanges().filter(({ recorded }) => recorded.events !== undefined || recorded.sse !== undefined))(
    'is the same at any split: $name',
    ({ recorded, exchange }) => {
      const bytes = bytesOf(recorded);
      const whole = timeless(viewFrames(exchange, ALL));
      expect(whole.problem).toBeNull();
      for (let at = 0; at <= bytes.length; at += 7) {
        expect(timeless(viewFrames(exchangeOf(recorded, splitAt(bytes, at)), ALL))).toEqual(whole);
      }
      expect(timeless(viewFrames(exchangeOf(recorded, byteByByte(bytes)), ALL))).toEqual(whole);
    },
  );
});
