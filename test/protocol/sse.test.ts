/** Server-sent events as the WHATWG standard reads them, each stream at every split and byte by byte. */
import { describe, expect, it } from 'vitest';
import { MAX_EVENT_BYTES, SseBoundary, type SseEvent, SseSplitter } from '../../src/protocol/sse.ts';

/** An event whose data is text. */
interface TextEvent {
  readonly event?: string;
  readonly data: string;
}

interface Read {
  readonly events: readonly TextEvent[];
  readonly last: TextEvent | undefined;
  readonly dropped: number;
}

const textOf = (event: SseEvent): TextEvent => ({ ...event, data: event.data.toString() });

function read(chunks: readonly Uint8Array[]): Read {
  const splitter = new SseSplitter();
  const events = chunks.flatMap((chunk) => [...splitter.push(chunk)].map(textOf));
  const last = splitter.finish();
  return { events, last: last && textOf(last), dropped: splitter.dropped };
}

const bytesOf = (text: string): Buffer => Buffer.from(text);
const bytewise = (bytes: Buffer): Buffer[] => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));

describe('a stream', () => {
  it.each<{ name: string; stream: string; events: TextEvent[]; last?: TextEvent }>([
    { name: 'of nothing', stream: '', events: [] },
    { name: 'with an unnamed event', stream: 'data: x\n\n', events: [{ data: 'x' }] },
    {
      name: 'with a named event',
      stream: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
      events: [{ event: 'message_stop', data: '{"type":"message_stop"}' }],
    },
    { name: 'whose name comes after the data', stream: 'data: x\nevent: e\n\n', events: [{ event: 'e', data: 'x' }] },
    {
      name: 'with CRLF',
      stream: 'event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n',
      events: [{ event: 'a', data: '1' }, { data: '2' }],
    },
    { name: 'with CR', stream: 'event: a\rdata: 1\r\rdata: 2\r\r', events: [{ event: 'a', data: '1' }, { data: '2' }] },
    {
      name: 'with every line end',
      stream: 'data: 1\r\n\ndata: 2\r\rdata: 3\n\r\n',
      events: [{ data: '1' }, { data: '2' }, { data: '3' }],
    },
    {
      name: 'with several lines of data',
      stream: 'data: YHOO\ndata: +2\ndata: 10\n\n',
      events: [{ data: 'YHOO\n+2\n10' }],
    },
    {
      name: 'with comments and a field nobody knows',
      stream: ': ping\n\nid: 1\nretry: 5\nfoo: bar\ndata: x\n:y\n\n: z\n\n',
      events: [{ data: 'x' }],
    },
    {
      name: 'with empty data',
      stream: 'data\n\ndata\ndata\n\ndata:\n\n',
      events: [{ data: '' }, { data: '\n' }, { data: '' }],
    },
    {
      name: 'with one space that does not count',
      stream: 'data:test\n\ndata: test\n\ndata:  test\n\n',
      events: [{ data: 'test' }, { data: 'test' }, { data: ' test' }],
    },
    { name: 'with a colon in the data', stream: 'data: a: b:\n\n', events: [{ data: 'a: b:' }] },
    { name: 'with a name and no data', stream: 'event: gone\n\ndata: x\n\n', events: [{ data: 'x' }] },
    { name: 'whose name is taken back', stream: 'event: a\nevent\ndata: x\n\n', events: [{ data: 'x' }] },
    { name: 'with fields that only begin alike', stream: 'Data: 1\ndata2: 2\n data: 3\ndata : 4\n\n', events: [] },
    { name: 'with a byte order mark', stream: '\uFEFFdata: x\n\n\uFEFFdata: y\n\n', events: [{ data: 'x' }] },
    {
      name: 'with characters of every length',
      stream: 'event: é\ndata: 語😀\n\n',
      events: [{ event: 'é', data: '語😀' }],
    },
    {
      name: 'with NUL and other line separators',
      stream: 'data: a\u0000\u2028b\u0085c\u000B\n\n',
      events: [{ data: 'a\u0000\u2028b\u0085c\u000B' }],
    },
    {
      name: 'that ends before the blank line',
      stream: 'data: x\n\nevent: e\ndata: y\n',
      events: [{ data: 'x' }],
      last: { event: 'e', data: 'y' },
    },
    { name: 'that ends within a line', stream: 'data: [DONE]', events: [], last: { data: '[DONE]' } },
    { name: 'that ends within a name', stream: 'data: x\n\nevent: e', events: [{ data: 'x' }] },
  ])('reads a stream $name', ({ stream, events, last }) => {
    const bytes = bytesOf(stream);
    const expected: Read = { events, last, dropped: 0 };
    for (let at = 0; at <= bytes.length; at += 1) {
      expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(expected);
      expect(read([bytes.subarray(0, at), Buffer.alloc(0), bytes.subarray(at)])).toEqual(expected);
    }
    expect(read(bytewise(bytes))).toEqual(expected);
  });

  it('keeps what it read of a chunk that then changes', () => {
    const splitter = new SseSplitter();
    const chunk = bytesOf('data: abc');
    expect([...splitter.push(chunk)]).toEqual([]);
    chunk.fill('x');
    expect([...splitter.push(bytesOf('\n\n'))].map(textOf)).toEqual([{ data: 'abc' }]);
  });
});

const inPieces = (stream: string, sizeBytes: number): Buffer[] => {
  const bytes = bytesOf(stream);
  return Array.from({ length: Math.ceil(bytes.length / sizeBytes) }, (_, index) =>
    bytes.subarray(index * sizeBytes, (index + 1) * sizeBytes),
  );
};

const line = (sizeBytes: number): string => `data: ${'x'.repeat(sizeBytes - 6)}\n`;

describe('what is held', () => {
  const small = 'data: y\n\n';

  it.each([
    { name: 'an event of the limit', stream: `${line(MAX_EVENT_BYTES)}\n`, sizes: [MAX_EVENT_BYTES - 6], dropped: 0 },
    { name: 'a larger one', stream: `${line(MAX_EVENT_BYTES + 1)}\n`, sizes: [], dropped: 1 },
    { name: 'one of many lines', stream: `${line(MAX_EVENT_BYTES / 4).repeat(5)}\n`, sizes: [], dropped: 1 },
    {
      name: 'two of them',
      stream: `${line(MAX_EVENT_BYTES * 2)}\n${line(MAX_EVENT_BYTES + 9)}event: e\n\n`,
      sizes: [],
      dropped: 2,
    },
    {
      name: 'comments of any size',
      stream: `:${'x'.repeat(MAX_EVENT_BYTES * 2)}\n:${'x'.repeat(MAX_EVENT_BYTES)}\n`,
      sizes: [],
      dropped: 0,
    },
  ])('bounds what it holds of a stream: $name', ({ stream, sizes, dropped }) => {
    for (const pieceBytes of [stream.length + 99, 65_536, 1000]) {
      const { events, dropped: counted } = read(inPieces(stream + small, pieceBytes));
      expect(events.map(({ data }) => data.length)).toEqual([...sizes, 1]);
      expect(counted).toBe(dropped);
    }
  });

  it('counts an event that is too large and never ends', () => {
    expect(read([bytesOf(line(MAX_EVENT_BYTES + 1))])).toEqual({ events: [], last: undefined, dropped: 1 });
  });
});

describe('SseBoundary', () => {
  it.each([
    ['', true],
    ['data: 1\n\n', true],
    ['data: 1\r\n\r\n', true],
    ['data: 1\r\r', true],
    ['data: 1\r\n\n', true],
    ['data: 1\n\r', true],
    [': ping\n\n', true],
    ['data: 1\n', false],
    ['data: 1\r\n', false],
    ['data: 1', false],
    ['data: 1\n\ndata', false],
  ])('says of %j whether an event is open: %s', (stream, isBetween) => {
    for (let split = 0; split <= stream.length; split += 1) {
      const boundary = new SseBoundary();
      boundary.push(bytesOf(stream.slice(0, split)));
      boundary.push(bytesOf(stream.slice(split)));
      expect(boundary.isBetween).toBe(isBetween);
    }
  });
});
